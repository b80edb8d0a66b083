__all__ = [
    "Context",
    "EvaluationProtocol",
    "Neighbourhood",
    "Queries",
    "UserHistory",
    "sample",
]

from .protocol import EvaluationProtocol as EvaluationProtocol
from .query import Queries as Queries
from .sampling import Context as Context, Neighbourhood as Neighbourhood, sample as sample
from .user_history import UserHistory as UserHistory
