"""Read-only sessions of PostgreSQL, SQLite and DuckDB: tables, and rows of a statement as Arrow batches."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pyarrow as pa

from graphrec.errors import MissingPackage

BATCH_ROWS = 50_000
"""Rows per batch, unless the driver decides."""
DUCKDB_MEMORY = "1GB"
"""DuckDB's memory limit; its default grows with the file."""
CONNECT_SECONDS = 15
"""Timeout of a connection."""
ERRORS: tuple[type[Exception], ...] = (sqlite3.Error, duckdb.Error, pa.ArrowException, OSError)
"""Exceptions of the drivers."""
with contextlib.suppress(ImportError):  # without the extra [postgres]
    from adbc_driver_manager import Error

    ERRORS += (Error,)
POSTGRES_TABLES = """
    SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND n.nspname !~ '^pg_'
    AND n.nspname <> 'information_schema' AND has_schema_privilege(n.oid, 'USAGE')
    AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1, 2"""
SQLITE_TABLES = """
    SELECT 'main', name FROM sqlite_schema
    WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"""
DUCKDB_TABLES = """
    SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'source' AND NOT internal
    UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = 'source' AND NOT internal
    ORDER BY ALL"""
SQLITE_TEXT = "CASE typeof({0}) WHEN 'blob' THEN '\\x' || lower(hex({0})) ELSE CAST({0} AS TEXT) END"
"""A BLOB in PostgreSQL's notation: it may be an id, and its bytes need not be text."""


@dataclass(frozen=True)
class DatabaseSession:
    """An open database: a DB-API connection, and the statements specific to the database."""

    connection: Any
    """Open, read-only connection."""
    tables: str
    """Statement that lists schema and name of the tables and views."""
    schema: str
    """Default schema."""
    as_text: str
    """Expression of a column as the database's text; ``{0}`` is the column."""
    stream: Callable[[Any, str], Iterator[pa.RecordBatch]]
    """Function from a cursor and a statement to batches of rows."""
    prepare: str = ""
    """First statement of every cursor."""

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        with closing(self.connection.cursor()) as cursor:
            if self.prepare:
                cursor.execute(self.prepare)
            yield cursor

    def list_tables(self) -> list[tuple[str, str]]:
        """Schema and name of the readable tables and views."""
        with self._cursor() as cursor:
            cursor.execute(self.tables)
            return [(schema, name) for schema, name in cursor.fetchall()]

    def columns(self, statement: str) -> list[str]:
        """Names of the columns of a SELECT statement."""
        with self._cursor() as cursor:
            cursor.execute(f"SELECT * FROM (\n{statement}\n) AS graphrec_rows LIMIT 0")
            return [column[0] for column in cursor.description]

    def batches(self, statement: str, width: int) -> Iterator[pa.RecordBatch]:
        """The rows of a SELECT statement of ``width`` columns, each column as text or as its bytes."""
        names = ", ".join(f"c{index}" for index in range(width))
        texts = ", ".join(self.as_text.format(f"c{index}") for index in range(width))
        with self._cursor() as cursor:
            select = f"WITH graphrec_rows({names}) AS (\n{statement}\n) SELECT {texts} FROM graphrec_rows"
            yield from self.stream(cursor, select)


def open_postgres(address: str) -> DatabaseSession:
    """A read-only transaction on a PostgreSQL server, with times in UTC.

    Raises MissingPackage without the extra ``[postgres]``.
    """
    try:
        from adbc_driver_postgresql.dbapi import connect
    except ImportError:
        raise MissingPackage("PostgreSQL's driver is not installed; pip install 'graphrec[postgres]'") from None
    joint = "&" if "?" in address else "?"
    limit = "" if "connect_timeout=" in address else f"{joint}connect_timeout={CONNECT_SECONDS}"
    connection = connect(address + limit)
    with closing(connection.cursor()) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for setting in ("TimeZone = 'UTC'", "DateStyle = 'ISO'", "client_encoding = 'UTF8'", "bytea_output = 'hex'"):
            cursor.execute(f"SET LOCAL {setting}")
        cursor.execute("SELECT current_schema()::text")
        schema = cursor.fetchone()[0] or ""
    return DatabaseSession(connection, POSTGRES_TABLES, schema, "{0}::text", _stream_postgres)


def _stream_postgres(cursor: Any, statement: str) -> Iterator[pa.RecordBatch]:
    cursor.execute(statement)
    yield from cursor.fetch_record_batch()


def open_sqlite(path: Path) -> DatabaseSession:
    """A SQLite file, opened read-only; text is fetched as bytes, since SQLite does not validate it."""
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
    return DatabaseSession(connection, SQLITE_TABLES, "main", SQLITE_TEXT, _stream_sqlite)


def _stream_sqlite(cursor: sqlite3.Cursor, statement: str) -> Iterator[pa.RecordBatch]:
    cursor.connection.text_factory = bytes
    cursor.execute(statement)
    while rows := cursor.fetchmany(BATCH_ROWS):
        columns = [pa.array(values, pa.binary()) for values in zip(*rows, strict=True)]
        yield pa.record_batch(columns, names=[f"c{index}" for index in range(len(columns))])


def open_duckdb(path: Path, workspace: Path) -> DatabaseSession:
    """A DuckDB file, attached read-only to a new DuckDB that spills to ``workspace``, with times in UTC."""
    connection = duckdb.connect(config={"memory_limit": DUCKDB_MEMORY, "temp_directory": str(workspace / "spill")})
    connection.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS source (READ_ONLY)")
    prepare = "USE source; SET TimeZone = 'UTC'"  # each cursor is a connection
    return DatabaseSession(connection, DUCKDB_TABLES, "main", "{0}::VARCHAR", _stream_duckdb, prepare)


def _stream_duckdb(cursor: duckdb.DuckDBPyConnection, statement: str) -> Iterator[pa.RecordBatch]:
    yield from cursor.sql(statement).to_arrow_reader(BATCH_ROWS)
