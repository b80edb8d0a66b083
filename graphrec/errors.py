"""All errors of graphrec, in one tree.

    GraphrecError
    +-- InputError        an unusable log, table or request
    |   +-- MappingError  columns that do not fit their roles
    +-- ConfigError       a setting that is unknown or out of its range
    +-- GraphError        an inconsistent graph directory or record
    +-- RunError          a run directory that is incomplete or belongs to another graph
    +-- MissingPackage    an optional dependency that is not installed

The command line prints ``str(error)`` on one line and exits with 1. A message says what was expected, what
came, where, and what to do.
"""

from __future__ import annotations

import collections.abc
import contextlib
import textwrap

__all__ = ["ConfigError", "GraphError", "GraphrecError", "InputError", "MappingError", "MissingPackage", "RunError"]


class GraphrecError(Exception):
    """Base of all errors; the message is meant for the user."""


class InputError(GraphrecError):
    """Unusable log, table or request."""


class MappingError(InputError):
    """Columns do not fit the roles of a mapping."""


class ConfigError(GraphrecError):
    """Unknown setting, or value out of range."""


class GraphError(GraphrecError):
    """Inconsistent graph directory or record."""


class RunError(GraphrecError):
    """Incomplete run directory, or one of another graph."""


class MissingPackage(GraphrecError):
    """Optional dependency that is not installed; the message names its extra."""


@contextlib.contextmanager
def translate_errors(
    *causes: type[Exception], to: type[GraphrecError], expected: str, remedy: str = ""
) -> collections.abc.Iterator[None]:
    """Raise an error of graphrec in place of the causes: what was expected, in brackets what came, and what to do."""
    try:
        yield
    except causes as cause:
        raise to(f"{expected} ({textwrap.shorten(str(cause), 300)}){remedy}") from cause
