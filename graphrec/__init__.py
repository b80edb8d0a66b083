"""graphrec: graph-based recommendation in time and space.

Every event has a time, and every query is answered as of a time:

>>> from graphrec import Run, recommend          # doctest: +SKIP
>>> run = Run.open("city/run")                   # doctest: +SKIP
>>> recommend(run, ["u0001"], k=5)               # doctest: +SKIP

The names most used are here, all others in their subpackage (``graphrec.interest``, ``graphrec.pictures``). They are
imported at first use, so that ``graphrec --help`` does not load torch; type checkers read ``__init__.pyi``.
"""

from __future__ import annotations

import warnings
from importlib import import_module

import lazy_loader

_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    """A public name; until version 0.3 also one that has moved from here into a subpackage, with a warning."""
    if name in __all__:
        return _attribute(name)
    for home in ("errors", "graph", "queries", "models", "metrics", "evidence", "interest", "subgraph", "pictures"):
        if not name.startswith("_") and name in getattr(module := import_module(f"graphrec.{home}"), "__all__", ()):
            warnings.warn(f"graphrec.{name} is now graphrec.{home}.{name}", FutureWarning, stacklevel=2)
            return getattr(module, name)
    raise AttributeError(f"module 'graphrec' has no attribute {name!r}")
