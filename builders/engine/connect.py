"""The engine of a build: DuckDB in this process, or Spark by the address of its master."""

from __future__ import annotations

import re
from pathlib import Path

from builders.engine.backend import DUCKDB, Engine, connect_duckdb
from graphrec.errors import ConfigError

MASTER = re.compile(r"local(\[[\d*]+(,\d+)?\])?|spark://\S+|yarn|k8s://\S+")
"""Master of Spark: the address of its resource manager."""


def connect(workspace: Path, engine: str = DUCKDB, row_hash: str | None = None) -> Engine:
    """An engine that stores its steps in ``workspace``.

    Parameters
    ----------
    engine
        ``duckdb``, or a Spark master: ``local[4]``, ``spark://host:7077``, ``yarn`` or ``k8s://host``.
    row_hash
        Row hash of the graph that is appended to, see `Engine.row_hash_name`; None: the engine's default.

    Raises
    ------
    ConfigError
        For any other engine, if Spark is not installed or does not start, or if it lacks the graph's row hash.
    """
    if engine == DUCKDB:
        return connect_duckdb(workspace, row_hash or DUCKDB)
    master = engine if engine.startswith("spark://") else engine.removeprefix("spark:")
    if not MASTER.fullmatch(master):
        raise ConfigError(
            f"engine: 'duckdb' or a Spark master such as 'local[4]' or 'spark://host:7077' expected, got {engine!r}"
        )
    if row_hash == DUCKDB:
        raise ConfigError(
            f"engine: {engine!r} cannot compare rows with those of a graph built by DuckDB; append with 'duckdb', "
            "or build the graph with Spark"
        )
    try:
        from builders.engine.spark import connect_spark
    except ImportError as error:
        raise ConfigError(f"engine: {engine!r} needs Spark ({error}); pip install 'graphrec[spark]'") from error
    return connect_spark(workspace, master)
