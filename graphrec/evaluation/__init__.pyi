__all__ = [
    "evaluate",
]

from .evaluation import evaluate as evaluate
