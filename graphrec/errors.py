"""Every error that graphrec raises on purpose, one tree.

    GraphrecError
    +-- InputError        a log, table or request that cannot be used as it is
    |   +-- MappingError  columns that do not fit the roles they are given
    +-- ConfigError       a setting that is unknown or out of its range
    +-- GraphError        a graph directory or record that contradicts itself
    +-- RunError          a run directory that is incomplete or belongs to another graph
    +-- MissingPackage    an optional part that is not installed

The command line prints ``str(error)`` on one line and exits with 1. A message says what was expected, what
came, where, and what to do.
"""

from __future__ import annotations

__all__ = ["ConfigError", "GraphError", "GraphrecError", "InputError", "MappingError", "MissingPackage", "RunError"]


class GraphrecError(Exception):
    """Anything that graphrec refuses to go on with; its text is meant for the user."""


class InputError(GraphrecError):
    """A log, a table or a request cannot be used as it is."""


class MappingError(InputError):
    """Columns do not fit the roles that a mapping gives them."""


class ConfigError(GraphrecError):
    """A setting is unknown or out of its range."""


class GraphError(GraphrecError):
    """A graph directory or record contradicts itself."""


class RunError(GraphrecError):
    """A run directory is incomplete or belongs to another graph."""


class MissingPackage(GraphrecError):
    """An optional part is not installed; the message names the extra that brings it."""
