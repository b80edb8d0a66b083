"""The engine of all builder expressions: an embedded DuckDB that stores each step as Parquet, or Spark."""

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
"""The default engine, without further dependencies."""
BATCH_ROWS = 1 << 17
"""Rows per batch of a stream."""
MIN_MEMORY_BYTES = 384 * 2**20
"""Smallest memory limit of the engine; it spills to disk beyond its limit."""


class EngineError(Exception):
    """An error of an engine other than DuckDB in running an expression."""


@dataclass(frozen=True)
class Engine:
    """A backend of expressions, and the folder of their results."""

    backend: Any
    """The Ibis backend."""
    workspace: Path
    """A temporary folder of this build."""
    row_hash_name: str = "duckdb"
    """Hash of whole rows: ``duckdb`` (DuckDB's own, the fastest) or ``md5`` (the same in every engine)."""

    def materialise(self, name: str, expression: Any, path: Path | None = None) -> Any:
        """Store the rows of an expression as Parquet; returns the table of them, called ``name``.

        A step that several later steps read is computed once, with a small plan of its own and without memory.
        ``path`` is that of the file; None: in the workspace.
        """
        path = path or self.workspace / f"{name}.parquet"
        with atomic_write(path) as temporary:
            self.backend.to_parquet(expression, str(temporary))
        return self._read(name, [path])

    def view(self, name: str, expression: Any) -> Any:
        """An expression as a view, computed once in each expression that reads it."""
        return self.backend.create_view(name, expression, overwrite=True)

    def create_table(self, name: str, rows: pa.Table) -> Any:
        """Rows from Python as a table."""
        path = self.workspace / f"{name}.parquet"
        pq.write_table(rows, path)
        return self._read(name, [path])

    def _read(self, name: str, paths: Sequence[Path]) -> Any:
        return self.backend.read_parquet(list(map(only, paths)), table_name=name)

    def read_parts(self, name: str, paths: Sequence[Path]) -> Any:
        """Parquet files concatenated, with ``file_row_number``: index of the row in its file, from 0."""
        files = list(map(only, paths))
        return self.backend.read_parquet(files, table_name=name, file_row_number=True, union_by_name=True)

    def scan(self, source: Source, name: str) -> Scan:
        """The rows of a file as a table called ``name``, read when an expression over it runs."""
        return scan(self.backend, source, name)

    def rejects(self, source: Source) -> pa.Table | None:
        """Lines that the last scan could not split into fields, removed from the engine: ``line`` from 1, ``csv_line``,
        ``error_type``; None for a format without such lines."""
        return take_rejects(self.backend) if source.format == "csv" else None

    def row_hash(self, columns: Sequence[Any]) -> Any:
        """The expression of a hash of whole rows, int64, of their text columns."""
        if self.row_hash_name == "md5":
            return (ibis.literal("0x") + portable_text(columns).hexdigest("md5").left(15)).cast("int64")
        return ibis.struct({f"c{index}": column for index, column in enumerate(columns)}).hash()

    def stream(self, expression: Any) -> pa.Table:
        """The rows of a large expression in memory, copied: the engine's own buffers are several times as large."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)  # the copy is the point
            rows = self.backend.con.execute(self.backend.compile(expression)).to_arrow_reader(BATCH_ROWS)
        return rows.read_all()

    def to_pyarrow(self, expression: Any) -> pa.Table:
        """The rows of an expression in memory."""
        return self.backend.to_pyarrow(expression)

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """All rows of a statement: an unfinished result would keep the engine busy."""
        return list(self.backend.raw_sql(statement).fetchall())

    def set_memory_limit(self, input_bytes: int) -> None:
        """Limit the engine's memory to half the input, at least `MIN_MEMORY_BYTES` and at most half the RAM."""
        limit = max(MIN_MEMORY_BYTES, min(input_bytes // 2, psutil.virtual_memory().total // 2))
        self.run(f"SET memory_limit = '{limit // 2**20}MiB'")


def connect_duckdb(workspace: Path, row_hash: str = DUCKDB) -> Engine:
    """An in-memory DuckDB that spills to ``workspace``; times without a zone are UTC."""
    engine = Engine(ibis.duckdb.connect(temp_directory=str(workspace / "spill")), workspace, row_hash)
    engine.run("SET TimeZone = 'UTC'")
    engine.set_memory_limit(0)
    if engine.run("SELECT current_setting('enable_progress_bar')")[0][0]:
        engine.run("SET enable_progress_bar = false")  # in a notebook without ipywidgets it cannot be set
    return engine


def portable_text(columns: Sequence[Any]) -> Any:
    """Whole rows as one text each, the same in every engine, distinct for distinct rows."""
    return reduce(lambda text, column: text + "\x1f" + column.fill_null("\x1e"), columns, ibis.literal(""))


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Raise an error of the engine about the user's data as an InputError of one line that names ``what``."""
    try:
        yield
    except (duckdb.Error, EngineError) as error:
        reason = " ".join(line.strip() for line in str(error).strip().splitlines()[:2])
        raise InputError(f"{what}: the log could not be read ({reason})") from error
