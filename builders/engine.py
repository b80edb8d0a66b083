"""The embedded DuckDB that every builder expression runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis

from graphrec.errors import InputError


def connect(workspace: Path) -> Any:
    """An in-memory DuckDB that spills to ``workspace`` and reads times without a zone as UTC."""
    connection = ibis.duckdb.connect(temp_directory=str(workspace / "spill"))
    run(connection, "SET TimeZone = 'UTC'")
    if run(connection, "SELECT current_setting('enable_progress_bar')")[0][0]:
        run(connection, "SET enable_progress_bar = false")  # off, it cannot be set in a notebook without ipywidgets
    return connection


def run(connection: Any, statement: str) -> list[tuple[Any, ...]]:
    """The rows of a statement, fetched to the end: an unfinished result would keep the connection busy."""
    rows: list[tuple[Any, ...]] = connection.raw_sql(statement).fetchall()
    return rows


def materialise(connection: Any, name: str, expression: Any) -> Any:
    """Run an expression once and keep its rows: the table ``name``.

    A step that several later ones read is computed once, and its plan does not grow with theirs.
    """
    return connection.create_table(name, expression, overwrite=True)


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn an error of the engine about the user's data into one line that names ``what``."""
    try:
        yield
    except duckdb.Error as error:
        reason = " ".join(line.strip() for line in str(error).strip().splitlines()[:2])
        raise InputError(f"{what}: the log could not be read ({reason})") from error
