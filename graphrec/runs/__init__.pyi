__all__ = [
    "Run",
    "RunConfig",
    "RunManifest",
    "TrainingConfig",
]

from .config import RunConfig as RunConfig, TrainingConfig as TrainingConfig
from .run import Run as Run
from .manifest import RunManifest as RunManifest
