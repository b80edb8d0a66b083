__all__ = [
    "Context",
    "EvaluationProtocol",
    "Neighbourhood",
    "Queries",
    "sample",
]

from .protocol import EvaluationProtocol as EvaluationProtocol
from .query import Queries as Queries
from .sampling import Context as Context, Neighbourhood as Neighbourhood, sample as sample
