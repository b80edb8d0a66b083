"""The builders' engine on Spark: the same expressions, run by the machines of a cluster or by the cores of this one."""

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
"""Of a session that is started here, unless ``spark-defaults.conf`` says otherwise."""
SQL_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "true",
    "spark.sql.variant.allowDuplicateKeys": "true",
}
"""Of the session of one build: what the expressions rely on."""
SHUFFLE_PARTITIONS_PER_CORE = 2
"""Pieces that Spark cuts joins and groups into, for each core; it joins small ones again."""


@dataclass(frozen=True)
class SparkEngine(Engine):
    """An engine whose steps run on Spark and are kept as folders of Parquet files in the workspace."""

    local: Engine = field(kw_only=True)
    """DuckDB on this machine, for what is small, and for files that cannot be cut at the ends of their lines."""
    rejected: dict[str, pa.Table | None] = field(default_factory=dict, kw_only=True)
    """Lines of each file that are no rows, by its path."""

    def materialise(self, name: str, expression: Any, path: Path | None = None) -> Any:
        """Run an expression once and keep its rows; a ``path`` gets them as one file, in their order."""
        folder = self.workspace / f"{name}.spark"
        self._write(expression, folder)
        if path is None:
            return self._read(name, [folder])
        with atomic_write(path) as temporary:
            concatenate_files(folder, temporary)
        shutil.rmtree(folder)
        return self._read(name, [path])

    def view(self, name: str, expression: Any) -> Any:
        """An expression under a name, run with each that reads it."""
        with wrap_errors():
            return self.backend.create_view(view_name(name), expression, overwrite=True)

    def create_table(self, name: str, rows: pa.Table) -> Any:
        """Rows from Python as a table."""
        path = self.workspace / f"{name}.parquet"
        pq.write_table(rows, path)
        return self._read(name, [path])

    def read_parts(self, name: str, paths: Sequence[Path]) -> Any:
        """Parquet files one after the other, with ``file_row_number``: the place of a row in its file, from 0."""
        with wrap_errors():
            frames = [self._session.read.parquet(address(path)) for path in paths]
            frames = [frame.selectExpr("*", "_metadata.row_index AS file_row_number") for frame in frames]
            reduce(lambda one, other: one.unionByName(other, True), frames).createOrReplaceTempView(view_name(name))
            return self.backend.table(view_name(name))

    def scan(self, source: Source, name: str) -> Scan:
        """The rows of a file as a table called ``name``, read when an expression over them runs."""
        with wrap_errors():
            found = read_with_spark(self._session, source, self.workspace)
            if found is not None:
                self.rejected[str(source.path)] = found.rejects
                found.rows.createOrReplaceTempView(view_name(name))
                return self.backend.table(view_name(name)), frozenset()
        table, nested = self.local.scan(source, name)
        kept = self.workspace / f"{name}.text.parquet"
        self.local.materialise(f"{name}_text", table, kept)
        self.rejected[str(source.path)] = self.local.rejects(source)
        return self._read(name, [kept]), nested

    def rejects(self, source: Source) -> pa.Table | None:
        """Lines of a file that could not be cut into fields; None where every line is a row."""
        return self.rejected[str(source.path)]

    def clear_rejects(self, source: Source) -> None:
        """Nothing: they were found before the first row was read."""

    def row_hash(self, columns: Sequence[Any]) -> Any:
        """A hash of whole rows, int64, the same as DuckDB's that is portable."""
        digest = portable_text(columns).hexdigest("md5")
        return conv(digest.left(15), 16, 10).cast("int64")

    def stream(self, expression: Any) -> Any:
        """The rows of a large table expression in memory."""
        return self.to_pyarrow(expression)

    def to_pyarrow(self, expression: Any) -> Any:
        """The rows of an expression in memory, brought by way of the workspace: none of it goes through Spark's driver.

        What reads nothing but rows from Python needs no cluster.
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
        """Nothing: Spark's memory is set where it is started. DuckDB on this machine gets its own."""
        self.local.set_memory_limit(input_bytes)

    @property
    def _session(self) -> Any:
        return self.backend._session

    def _write(self, expression: Any, folder: Path) -> None:
        with wrap_errors():
            rows = self._session.sql(self.backend.compile(expression))
            types = PySparkSchema.from_ibis(expression.schema())  # a constant has no other type in Spark's SQL
            rows = rows.select(*(rows[field.name].cast(field.dataType) for field in types.fields))
            rows.write.mode("overwrite").parquet(address(folder))

    def _read(self, name: str, paths: Sequence[Path]) -> Any:
        with wrap_errors():
            self._session.read.parquet(*map(address, paths)).createOrReplaceTempView(view_name(name))
            return self.backend.table(view_name(name))


def connect_spark(workspace: Path, master: str) -> SparkEngine:
    """An engine on the Spark ``master``, or on the session that is running here already.

    Raises ConfigError where Spark cannot be started or reached.
    """
    session = (SparkSession.getActiveSession() or _start(master)).newSession()
    for key, value in SQL_SETTINGS.items():
        session.conf.set(key, value)
    cores = session.sparkContext.defaultParallelism
    session.conf.set("spark.sql.shuffle.partitions", str(SHUFFLE_PARTITIONS_PER_CORE * cores))
    ibis.pyspark  # noqa: B018 - looked at once, it has its options
    return SparkEngine(SparkBackend().connect(session), workspace, "md5", local=connect_duckdb(workspace))


def _start(master: str) -> Any:
    builder = reduce(lambda made, pair: made.config(*pair), SETTINGS.items(), SparkSession.builder.master(master))
    try:
        return builder.getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        raise ConfigError(
            f"engine: Spark could not be started with {master!r} ({first_line(error)}); Java 17 and a master that can "
            "be reached are needed, see docs/spark.md"
        ) from error


@contextmanager
def wrap_errors() -> Iterator[None]:
    """Spark's errors as the one that every engine raises."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise EngineError(first_line(error)) from error


def first_line(error: Exception) -> str:
    """What an error of Spark says, without the trace of Java."""
    return re.sub(r"\s+", " ", str(error).strip().splitlines()[0])[:300] if str(error).strip() else type(error).__name__


def view_name(name: str) -> str:
    """The name of a table as Spark takes it: letters, digits and underscores, no two names alike that differ."""
    return re.sub(r"\W", lambda found: f"_x{ord(found.group()):x}_", name)


def part_files(folder: Path) -> list[Path]:
    """The files that Spark wrote into a folder, in the order of their rows."""
    return sorted(folder.glob("part-*.parquet"))


def concatenate_files(folder: Path, path: Path) -> None:
    """Write the rows of Spark's files into one, a row group at a time."""
    files = part_files(folder)
    with pq.ParquetWriter(path, pq.read_schema(files[0]).remove_metadata()) as writer:
        for file in map(pq.ParquetFile, files):
            for group in range(file.num_row_groups):
                writer.write_table(file.read_row_group(group).replace_schema_metadata(None))
