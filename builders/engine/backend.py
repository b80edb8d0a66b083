"""The engine that every builder expression runs on: an embedded DuckDB that keeps each step as Parquet, or Spark."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import duckdb
import ibis
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from builders.engine.duckdb_scan import Scan, only, scan, take_rejects
from builders.sources.source import Source
from graphrec.errors import InputError
from graphrec.files import atomic_write

DUCKDB = "duckdb"
"""The engine that needs nothing else."""
BATCH_ROWS = 1 << 17
"""Rows that come from the engine at a time."""
MIN_MEMORY_BYTES = 384 * 2**20
"""Bytes that the engine may use at least; beyond its limit it spills to disk."""


class EngineError(Exception):
    """An error of an engine other than DuckDB about what it was to run."""


@dataclass(frozen=True)
class Engine:
    """Where expressions run, and the folder that keeps what they give."""

    backend: Any
    """The Ibis backend."""
    workspace: Path
    """A folder of this build alone."""
    row_hash_name: str = "duckdb"
    """How whole rows are hashed: ``duckdb`` (its own way, the fastest) or ``md5`` (the same in every engine)."""

    def materialise(self, name: str, expression: Any, path: Path | None = None) -> Any:
        """Run an expression once and keep its rows as Parquet; the table of them, called ``name``.

        A step that several later ones read is computed once, its plan does not grow with theirs, and nothing of it
        stays in memory. ``path`` says where; None: in the workspace.
        """
        path = path or self.workspace / f"{name}.parquet"
        with atomic_write(path) as temporary:
            self.backend.to_parquet(expression, str(temporary))
        return self.backend.read_parquet(only(path), table_name=name)

    def view(self, name: str, expression: Any) -> Any:
        """An expression under a name, run with each that reads it; what it computes, it computes once there."""
        return self.backend.create_view(name, expression, overwrite=True)

    def create_table(self, name: str, rows: pa.Table) -> Any:
        """Rows from Python as a table."""
        path = self.workspace / f"{name}.parquet"
        pq.write_table(rows, path)
        return self.backend.read_parquet(only(path), table_name=name)

    def read_parts(self, name: str, paths: Sequence[Path]) -> Any:
        """Parquet files one after the other, with ``file_row_number``: the place of a row in its file, from 0."""
        files = [only(path) for path in paths]
        return self.backend.read_parquet(files, table_name=name, file_row_number=True, union_by_name=True)

    def scan(self, source: Source, name: str) -> Scan:
        """The rows of a file as a table called ``name``, read when an expression over them runs."""
        return scan(self.backend, source, name)

    def rejects(self, source: Source) -> pa.Table | None:
        """Lines that the scan which has just ended could not cut into fields: ``line`` from 1, ``csv_line``,
        ``error_type``; None where every line is a row."""
        return take_rejects(self.backend) if source.format == "csv" else None

    def clear_rejects(self, source: Source) -> None:
        """Forget what the scan of a sample noted: the next one reads those lines again."""
        self.rejects(source)

    def row_hash(self, columns: Sequence[Any]) -> Any:
        """The expression of a hash of whole rows, int64, from their text columns."""
        if self.row_hash_name == "md5":
            return (ibis.literal("0x") + portable_text(columns).hexdigest("md5").left(15)).cast("int64")
        return ibis.struct({f"c{place}": column for place, column in enumerate(columns)}).hash()

    def stream(self, expression: Any) -> pa.Table:
        """The rows of a large expression in memory, copied out of the engine's, which are several times as large."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)  # the copy is the point
            rows = self.backend.con.execute(self.backend.compile(expression)).to_arrow_reader(BATCH_ROWS)
        return rows.read_all()

    def to_pyarrow(self, expression: Any) -> pa.Table:
        """The rows of an expression in memory."""
        return self.backend.to_pyarrow(expression)

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement, fetched to the end: an unfinished result would keep the engine busy."""
        rows: list[tuple[Any, ...]] = self.backend.raw_sql(statement).fetchall()
        return rows

    def set_memory_limit(self, input_bytes: int) -> None:
        """Let the engine use half as much memory as the input is large, within reason; it spills what needs more."""
        most = max(MIN_MEMORY_BYTES, min(input_bytes // 2, psutil.virtual_memory().total // 2))
        self.run(f"SET memory_limit = '{most // 2**20}MiB'")


def connect_duckdb(workspace: Path, row_hash: str = DUCKDB) -> Engine:
    """An in-memory DuckDB that spills to ``workspace`` and reads times without a zone as UTC."""
    engine = Engine(ibis.duckdb.connect(temp_directory=str(workspace / "spill")), workspace, row_hash)
    engine.run("SET TimeZone = 'UTC'")
    engine.set_memory_limit(0)
    if engine.run("SELECT current_setting('enable_progress_bar')")[0][0]:
        engine.run("SET enable_progress_bar = false")  # off, it cannot be set in a notebook without ipywidgets
    return engine


def portable_text(columns: Sequence[Any]) -> Any:
    """Whole rows as one text each, the same in every engine and no two rows alike that differ."""
    return reduce(lambda text, column: text + "\x1f" + column.fill_null("\x1e"), columns, ibis.literal(""))


def materialise(engine: Engine, name: str, expression: Any) -> Any:
    """Run an expression once and keep its rows: the table ``name``, see `Engine.materialise`."""
    return engine.materialise(name, expression)


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn an error of the engine about the user's data into one line that names ``what``."""
    try:
        yield
    except (duckdb.Error, EngineError) as error:
        reason = " ".join(line.strip() for line in str(error).strip().splitlines()[:2])
        raise InputError(f"{what}: the log could not be read ({reason})") from error
