__all__ = [
    "train",
]

from .trainer import train as train
