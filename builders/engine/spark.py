"""The engine on Spark: the same expressions, run by a cluster or by the cores of this machine."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.operations as ops
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.pyspark.datatypes import PySparkSchema
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from builders.engine.backend import Engine, EngineError, connect_duckdb, portable_text
from builders.engine.duckdb_scan import Scan
from builders.engine.spark_scan import address, read_with_spark
from builders.engine.spark_sql import SparkBackend, conv
from builders.sources.source import Source
from graphrec.errors import ConfigError
from graphrec.files import atomic_write

SETTINGS = {
    "spark.app.name": "graphrec",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.memory": "2g",
    "spark.log.level": "ERROR",
}
"""Settings of a new session, overridden by ``spark-defaults.conf``."""
SQL_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "true",
    "spark.sql.variant.allowDuplicateKeys": "true",
}
"""Settings of the session of a build, on which the expressions rely."""
SHUFFLE_PARTITIONS_PER_CORE = 2
"""Shuffle partitions of joins and groups per core; Spark coalesces small ones."""


@dataclass(frozen=True)
class SparkEngine(Engine):
    """An engine on Spark, its steps stored as folders of Parquet files in the workspace."""

    local: Engine = field(kw_only=True)
    """DuckDB on this machine, for small tables, and for files that cannot be split at line endings."""
    rejected: dict[str, pa.Table | None] = field(default_factory=dict, kw_only=True)
    """Rejected lines of each file, by its path."""

    def materialise(self, name: str, expression: Any, path: Path | None = None) -> Any:
        """Store the rows of an expression; with a ``path``, as one file, in their order."""
        folder = self.workspace / f"{name}.spark"
        self._write(expression, folder)
        if path is None:
            return self._read(name, [folder])
        with atomic_write(path) as temporary:
            concatenate_files(folder, temporary)
        shutil.rmtree(folder)
        return self._read(name, [path])

    def view(self, name: str, expression: Any) -> Any:
        """An expression as a view."""
        with wrap_errors():
            return self.backend.create_view(view_name(name), expression, overwrite=True)

    def read_parts(self, name: str, paths: Sequence[Path]) -> Any:
        """Parquet files concatenated, with ``file_row_number``: index of the row in its file, from 0."""
        with wrap_errors():
            frames = [self._session.read.parquet(address(path)) for path in paths]
            frames = [frame.selectExpr("*", "_metadata.row_index AS file_row_number") for frame in frames]
            reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames).createOrReplaceTempView(
                view_name(name)
            )
            return self.backend.table(view_name(name))

    def scan(self, source: Source, name: str) -> Scan:
        """The rows of a file as a table called ``name``, read when an expression over them runs."""
        with wrap_errors():
            by_spark = read_with_spark(self._session, source, self.workspace)
            if by_spark is not None:
                self.rejected[str(source.path)] = by_spark.rejects
                by_spark.rows.createOrReplaceTempView(view_name(name))
                return self.backend.table(view_name(name)), frozenset()
        table, nested = self.local.scan(source, name)
        text = self.workspace / f"{name}.text.parquet"
        self.local.materialise(f"{name}_text", table, text)
        self.rejected[str(source.path)] = self.local.rejects(source)
        return self._read(name, [text]), nested

    def rejects(self, source: Source) -> pa.Table | None:
        """Lines of a file that could not be split into fields; None for a format without such lines."""
        return self.rejected[str(source.path)]

    def row_hash(self, columns: Sequence[Any]) -> Any:
        """A hash of whole rows, int64, equal to DuckDB's with ``md5``."""
        digest = portable_text(columns).hexdigest("md5")
        return conv(digest.left(15), 16, 10).cast("int64")

    def stream(self, expression: Any) -> Any:
        """The rows of a large table expression in memory."""
        return self.to_pyarrow(expression)

    def to_pyarrow(self, expression: Any) -> Any:
        """The rows of an expression in memory, by way of the workspace instead of Spark's driver.

        An expression over rows from Python alone runs in DuckDB.
        """
        if expression.op().find(ops.InMemoryTable):
            return self.local.to_pyarrow(expression)
        table = expression.as_table()
        folder = self.workspace / "result.spark"
        self._write(table, folder)
        schema = table.schema().to_pyarrow()
        rows = pa.concat_tables([pq.read_table(file) for file in part_files(folder)]).cast(schema)
        shutil.rmtree(folder)
        return rows[0][0] if isinstance(expression, ibis.expr.types.Scalar) else rows

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        with wrap_errors():
            return [tuple(row) for row in self._session.sql(statement).collect()]

    def set_memory_limit(self, input_bytes: int) -> None:
        """Limit the memory of DuckDB on this machine; that of Spark is set at its start."""
        self.local.set_memory_limit(input_bytes)

    @property
    def _session(self) -> Any:
        return self.backend._session

    def _write(self, expression: Any, folder: Path) -> None:
        with wrap_errors():
            rows = self._session.sql(self.backend.compile(expression))
            types = PySparkSchema.from_ibis(expression.schema())  # untyped constants would get types of Spark's own
            rows = rows.select(*(rows[field.name].cast(field.dataType) for field in types.fields))
            rows.write.mode("overwrite").parquet(address(folder))

    def _read(self, name: str, paths: Sequence[Path]) -> Any:
        with wrap_errors():
            self._session.read.parquet(*map(address, paths)).createOrReplaceTempView(view_name(name))
            return self.backend.table(view_name(name))


def connect_spark(workspace: Path, master: str) -> SparkEngine:
    """An engine on the Spark ``master``, or on the active session of this process.

    Raises ConfigError if Spark cannot be started or reached.
    """
    session = (SparkSession.getActiveSession() or _start(master)).newSession()
    for key, value in SQL_SETTINGS.items():
        session.conf.set(key, value)
    cores = session.sparkContext.defaultParallelism
    session.conf.set("spark.sql.shuffle.partitions", str(SHUFFLE_PARTITIONS_PER_CORE * cores))
    ibis.pyspark  # noqa: B018 - access registers its options
    return SparkEngine(SparkBackend().connect(session), workspace, "md5", local=connect_duckdb(workspace))


def _start(master: str) -> Any:
    builder = reduce(lambda builder, pair: builder.config(*pair), SETTINGS.items(), SparkSession.builder.master(master))
    try:
        return builder.getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        raise ConfigError(
            f"engine: Spark could not be started with {master!r} ({first_line(error)}); Java 17 and a master that can "
            "be reached are needed, see docs/spark.md"
        ) from error


@contextmanager
def wrap_errors() -> Iterator[None]:
    """Raise errors of Spark as an EngineError."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise EngineError(first_line(error)) from error


def first_line(error: Exception) -> str:
    """The first line of an error of Spark, without Java's stack trace."""
    return re.sub(r"\s+", " ", str(error).strip().splitlines()[0])[:300] if str(error).strip() else type(error).__name__


def view_name(name: str) -> str:
    """The name of a table for Spark: letters, digits and underscores, distinct for distinct names."""
    return re.sub(r"\W", lambda match: f"_x{ord(match.group()):x}_", name)


def part_files(folder: Path) -> list[Path]:
    """The files of a folder that Spark wrote, in row order."""
    return sorted(folder.glob("part-*.parquet"))


def concatenate_files(folder: Path, path: Path) -> None:
    """Write the rows of Spark's files to one file, by row groups."""
    files = part_files(folder)
    with pq.ParquetWriter(path, pq.read_schema(files[0]).remove_metadata()) as writer:
        for file in map(pq.ParquetFile, files):
            for group in range(file.num_row_groups):
                writer.write_table(file.read_row_group(group).replace_schema_metadata(None))
