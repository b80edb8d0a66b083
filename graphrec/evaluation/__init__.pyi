__all__ = [
    "EvaluationResult",
    "Slice",
    "evaluate",
]

from .evaluation import evaluate as evaluate
from .result import EvaluationResult as EvaluationResult, Slice as Slice
