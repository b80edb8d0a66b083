__all__ = [
    "publish",
]

from .publishing import publish as publish
