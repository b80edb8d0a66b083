__all__ = [
    "Run",
    "RunConfig",
    "TrainingConfig",
]

from .config import RunConfig as RunConfig, TrainingConfig as TrainingConfig
from .run import Run as Run
