"""Rows of a SQL database as a local Parquet file, every value as the text that the database itself writes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from builders.sources.database_session import ERRORS, DatabaseSession, open_duckdb, open_postgres, open_sqlite
from graphrec.errors import InputError
from graphrec.suggestion import did_you_mean

POSTGRES = ("postgresql://", "postgres://")
FILES = {"sqlite://": "sqlite", "duckdb://": "duckdb"}
SQLITE_MAGIC = b"SQLite format 3\0"
DUCKDB_MAGIC = b"DUCK"
"""Eight bytes into the file."""
QUERY = re.compile(r"(\s|--[^\n]*\n|/\*.*?\*/|\()*(SELECT|WITH)\b.*\s", re.IGNORECASE | re.DOTALL)
"""What tells a statement from the name of a table."""
HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")
BAD_CODE = re.compile(r"%(?![0-9a-fA-F]{2})|%00")
"""What is no percent code in an address."""
MAX_TABLES_LISTED = 20
"""Tables that an error lists."""


@dataclass(frozen=True)
class DatabaseTable:
    """A table or query of a database, on this machine."""

    path: Path
    """A Parquet file: every column text, null where the database has NULL."""
    name: str
    """What people know it by, such as ``postgresql://host/shop/public.visits``; without user and password."""
    rows: int
    """How many there are, at least one."""


def is_database(given: str) -> bool:
    """Whether a source is a database: an address such as ``postgresql://...``, or a file of SQLite or DuckDB."""
    return given.startswith((*POSTGRES, *FILES)) or _file_kind(Path(given).expanduser()) is not None


def fetch_table(given: str, query: str | None, workspace: Path) -> DatabaseTable:
    """Write a table or the result of a query to a Parquet file in ``workspace``, in batches.

    Parameters
    ----------
    given
        ``postgresql://user@host/database``, ``sqlite:///path``, ``duckdb:///path``, or the path of such a file.
    query
        ``table``, ``schema.table``, or a SELECT or WITH statement; None takes the only table of the database.

    Raises
    ------
    InputError
        The database cannot be reached or read, has no such table, refuses the statement, or gives no row. The
        message is one line without user and password.
    MissingPackage
        PostgreSQL without the extra ``[postgres]``.
    """
    with _open(given, workspace) as (session, shown):
        with _refusals(given, shown):
            label, statement = _statement(session, query, shown)
            name = f"{shown}/{label}"
            path = workspace / f"{_digest(given, statement)}.parquet"
        with _refusals(given, name):
            rows = _write(session, statement, path, name)
    if not rows:
        raise InputError(f"{name}: a log with one row an event expected, got no rows")
    return DatabaseTable(path, name, rows)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@contextmanager
def _open(given: str, workspace: Path) -> Iterator[tuple[DatabaseSession, str]]:
    """The database, and what it may be called where others read it."""
    if given.startswith(POSTGRES):
        shown = _without_user(given)
        with _refusals(given, shown, "no connection"):
            session = open_postgres(given)
    else:
        path = _file_path(given)
        shown = path.name
        kind = _file_kind(path)
        if kind is None:
            wanted = (
                "a SQLite or DuckDB file expected, got something else" if path.exists() else "there is no such file"
            )
            raise InputError(f"{path}: {wanted}")
        with _refusals(given, str(path)):
            session = open_sqlite(path) if kind == "sqlite" else open_duckdb(path, workspace)
    with closing(session.connection):
        yield session, shown


def _file_path(given: str) -> Path:
    """``sqlite:///log.db`` is in the working folder, ``sqlite:////data/log.db`` is not; both slashes may be meant."""
    scheme = next((scheme for scheme in FILES if given.startswith(scheme)), None)
    if scheme is None:
        return Path(given).expanduser()
    name = given.removeprefix(scheme)
    path = Path(name.removeprefix("/")).expanduser()
    return Path(name) if not path.exists() and Path(name).exists() else path


def _file_kind(path: Path) -> str | None:
    """``sqlite`` or ``duckdb`` by the first bytes; None for any other file, and where there is none."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except (OSError, ValueError):
        return None
    if head == SQLITE_MAGIC:
        return "sqlite"
    return "duckdb" if head[8:12] == DUCKDB_MAGIC else None


def _without_user(address: str) -> str:
    """The address without user, password and options.

    Raises InputError where a part of the password would be read as something else, and then be told in an error.
    """
    scheme, _, rest = address.partition("://")
    user, _, host = rest.rpartition("@")
    hosts = re.split(r"[/?#]", host)[0].split(",")
    if re.search(r"[/?#@]", user) or BAD_CODE.search(rest) or not all(HOST.fullmatch(name) for name in hosts):
        raise InputError(
            f"{scheme}://: an address such as {scheme}://user:password@host:5432/database expected; "
            "write special characters of the password as their codes, such as %40 for @ and %2F for /"
        )
    return f"{scheme}://{re.split('[?#]', host)[0]}".rstrip("/")


@contextmanager
def _refusals(given: str, shown: str, prefix: str = "cannot be read") -> Iterator[None]:
    """Turn an error of a database into one line that names ``shown`` and never the password."""
    try:
        yield
    except ERRORS as error:
        reason = _reason(str(error))
        for secret in _secrets(given):
            reason = reason.replace(secret, "***")
        raise InputError(f"{shown}: {prefix}: {reason}") from None


def _reason(message: str) -> str:
    """The first line of what a database says, without what its driver writes before it."""
    message = re.sub(r"^.*?(ERROR|FATAL): +", "", message.strip(), count=1, flags=re.DOTALL)
    message = re.sub(r"^[A-Z_]+: (\[libpq\] )?(Failed to [a-z]+: )?", "", message)
    return message.splitlines()[0].strip() if message else "no reason given"


def _secrets(given: str) -> set[str]:
    user, at, _ = given.partition("://")[2].rpartition("@")
    written = re.findall(r"(?:password|passwd|passfile|sslkey)=([^&#]+)", given) + (
        [user.partition(":")[2]] if at else []
    )
    return {form for text in written if text for form in (text, unquote(text))}


def _statement(session: DatabaseSession, query: str | None, shown: str) -> tuple[str, str]:
    """A short name for what is read, and the SELECT statement that reads it."""
    if query is not None and QUERY.match(f"{query} "):
        return "query", query.strip().rstrip(";").rstrip()
    schema, table = _find_table(session, query, shown)
    quoted = ".".join('"' + name.replace('"', '""') + '"' for name in (schema, table))
    return f"{schema}.{table}" if schema != session.schema else table, f"SELECT * FROM {quoted}"


def _find_table(session: DatabaseSession, wanted: str | None, shown: str) -> tuple[str, str]:
    """Schema and name of the table called ``wanted``; of the only one, where it is None."""
    tables = session.list_tables()
    if not tables:
        raise InputError(f"{shown}: a database with a table expected, got none that can be read")
    found = tables if wanted is None else _called(tables, wanted.strip(), session.schema)
    if not found:
        hint = did_you_mean(str(wanted), [name for _, name in tables])
        raise InputError(f"{shown}: there is no table {wanted!r}{hint}; name a table or give a SELECT statement")
    if len(found) > 1:
        names = [f"{schema}.{name}" if schema != session.schema else name for schema, name in found]
        some = ", ".join(names[:MAX_TABLES_LISTED]) + (
            f" and {len(names) - MAX_TABLES_LISTED} more" if names[MAX_TABLES_LISTED:] else ""
        )
        raise InputError(f"{shown}: name one table with 'query', or give a SELECT statement: there are {some}")
    return found[0]


def _called(tables: list[tuple[str, str]], wanted: str, schema: str) -> list[tuple[str, str]]:
    """The tables that a name can mean: as it is written, and only then without regard to case."""
    ways: list[Callable[[tuple[str, str]], bool]] = [
        lambda table: table == (schema, wanted),
        lambda table: wanted in (table[1], f"{table[0]}.{table[1]}"),
        lambda table: (table[0], table[1].lower()) == (schema, wanted.lower()),
        lambda table: wanted.lower() in (table[1].lower(), f"{table[0]}.{table[1]}".lower()),
    ]
    return next((found for fits in ways if (found := [table for table in tables if fits(table)])), [])


def _write(session: DatabaseSession, statement: str, path: Path, name: str) -> int:
    """Write the rows of a statement, columns as text, and count them."""
    columns = session.columns(statement)
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None or not columns:
        got = f"{twice!r} is there twice; rename one with AS" if columns else "there are none"
        raise InputError(f"{name}: columns with names that differ expected, but {got}")
    schema = pa.schema([(column, pa.string()) for column in columns])
    rows = 0
    with pq.ParquetWriter(path, schema) as writer:
        for batch in session.batches(statement, len(columns)):
            try:
                cells = [column.cast(pa.string()) for column in batch]
            except pa.ArrowInvalid:
                raise InputError(
                    f"{name}: text in UTF-8 expected, got other bytes; select the column as a BLOB"
                ) from None
            writer.write_batch(pa.record_batch(cells, schema=schema))
            rows += batch.num_rows
    return rows
