"""Tables and queries of SQL databases as local Parquet files, every value as the database's own text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from builders.sources.database_session import ERRORS, DatabaseSession, open_duckdb, open_postgres, open_sqlite
from builders.sources.local_copy import LocalCopy, mask_secrets
from graphrec.errors import InputError
from graphrec.suggestion import did_you_mean

POSTGRES = ("postgresql://", "postgres://")
FILES = {"sqlite://": "sqlite", "duckdb://": "duckdb"}
SQLITE_MAGIC = b"SQLite format 3\0"
DUCKDB_MAGIC = b"DUCK"
"""At offset 8 of the file."""
QUERY = re.compile(r"(\s|--[^\n]*\n|/\*.*?\*/|\()*(SELECT|WITH)\b.*\s", re.IGNORECASE | re.DOTALL)
"""A statement, as opposed to the name of a table."""
HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")
BAD_CODE = re.compile(r"%(?![0-9a-fA-F]{2})|%00")
"""An invalid percent code."""
MAX_TABLES_LISTED = 20
"""Tables that an error message lists."""


def is_database(source: str) -> bool:
    """Whether a source is a database: an address such as ``postgresql://...``, or a file of SQLite or DuckDB."""
    return source.startswith((*POSTGRES, *FILES)) or _file_kind(Path(source).expanduser()) is not None


def fetch_table(address: str, query: str | None, workspace: Path) -> LocalCopy:
    """Write a table or the result of a query to a Parquet file in ``workspace``, in batches.

    Every column of the file is text, null where the database has NULL.

    Parameters
    ----------
    address
        ``postgresql://user@host/database``, ``sqlite:///path``, ``duckdb:///path``, or the path of such a file.
    query
        ``table``, ``schema.table``, or a SELECT or WITH statement; None for the only table of the database.

    Raises
    ------
    InputError
        The database cannot be reached or read, has no such table, rejects the statement, or returns no row. The
        message is one line without user and password.
    MissingPackage
        PostgreSQL without the extra ``[postgres]``.
    """
    with _open(address, workspace) as (session, database):
        with _wrap_errors(address, database):
            label, statement = _statement(session, query, database)
            name = f"{database}/{label}"
            digest = hashlib.sha256(f"{address}\n{statement}".encode()).hexdigest()
            path = workspace / f"{digest[:16]}.parquet"
        with _wrap_errors(address, name):
            n_rows = _write(session, statement, path, name)
    if not n_rows:
        raise InputError(f"{name}: a log with one row per event expected, got no rows")
    return LocalCopy(path, name)


@contextmanager
def _open(address: str, workspace: Path) -> Iterator[tuple[DatabaseSession, str]]:
    """The database, and its public name."""
    if address.startswith(POSTGRES):
        name = _public_address(address)
        with _wrap_errors(address, name, "no connection"):
            session = open_postgres(address)
    else:
        path = _file_path(address)
        name, kind = path.name, _file_kind(path)
        if kind is None:
            other = "a SQLite or DuckDB file expected, got something else"
            raise InputError(f"{path}: {other if path.exists() else 'there is no such file'}")
        with _wrap_errors(address, str(path)):
            session = open_sqlite(path) if kind == "sqlite" else open_duckdb(path, workspace)
    with closing(session.connection):
        yield session, name


def _file_path(address: str) -> Path:
    """``sqlite:///log.db`` is relative, ``sqlite:////data/log.db`` absolute; three slashes may mean either."""
    scheme = next((scheme for scheme in FILES if address.startswith(scheme)), None)
    if scheme is None:
        return Path(address).expanduser()
    name = address.removeprefix(scheme)
    path = Path(name.removeprefix("/")).expanduser()
    return Path(name) if not path.exists() and Path(name).exists() else path


def _file_kind(path: Path) -> str | None:
    """``sqlite`` or ``duckdb`` by the magic number; None for any other file, and for none."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except (OSError, ValueError):
        return None
    if head == SQLITE_MAGIC:
        return "sqlite"
    return "duckdb" if head[8:12] == DUCKDB_MAGIC else None


def _public_address(address: str) -> str:
    """The address without user, password and options.

    Raises InputError if a part of the password would be read as host or options, and so appear in an error message.
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
def _wrap_errors(address: str, name: str, prefix: str = "cannot be read") -> Iterator[None]:
    """Raise errors of a database as an InputError of one line, without the secrets of the address."""
    try:
        yield
    except ERRORS as error:
        user, at, _ = address.partition("://")[2].rpartition("@")
        secrets = re.findall(r"(?:password|passwd|passfile|sslkey)=([^&#]+)", address)
        secrets += [user.partition(":")[2]] if at else []
        raise InputError(f"{name}: {prefix}: {mask_secrets(_reason(str(error)), secrets)}") from None


def _reason(message: str) -> str:
    """The first line of a database's message, without the prefixes of its driver."""
    message = re.sub(r"^.*?(ERROR|FATAL): +", "", message.strip(), count=1, flags=re.DOTALL)
    message = re.sub(r"^[A-Z_]+: (\[libpq\] )?(Failed to [a-z]+: )?", "", message)
    return message.splitlines()[0].strip() if message else "no reason given"


def _statement(session: DatabaseSession, query: str | None, database: str) -> tuple[str, str]:
    """A short name of the query, and its SELECT statement."""
    if query is not None and QUERY.match(f"{query} "):
        return "query", query.strip().rstrip(";").rstrip()
    schema, table = _find_table(session, query, database)
    quoted = ".".join('"' + name.replace('"', '""') + '"' for name in (schema, table))
    return _short_name(session, schema, table), f"SELECT * FROM {quoted}"


def _short_name(session: DatabaseSession, schema: str, table: str) -> str:
    return f"{schema}.{table}" if schema != session.schema else table


def _find_table(session: DatabaseSession, name: str | None, database: str) -> tuple[str, str]:
    """Schema and name of a table; of the only one, if ``name`` is None."""
    tables = session.list_tables()
    if not tables:
        raise InputError(f"{database}: a database with a table expected, got none that can be read")
    matches = tables if name is None else _matching_tables(tables, name.strip(), session.schema)
    if not matches:
        hint = did_you_mean(str(name), [table for _, table in tables])
        raise InputError(f"{database}: there is no table {name!r}{hint}; name a table or give a SELECT statement")
    if len(matches) > 1:
        names = [_short_name(session, *match) for match in matches]
        more = f" and {len(names) - MAX_TABLES_LISTED} more" if names[MAX_TABLES_LISTED:] else ""
        listed = ", ".join(names[:MAX_TABLES_LISTED]) + more
        raise InputError(f"{database}: name one table with 'query', or give a SELECT statement: there are {listed}")
    return matches[0]


def _matching_tables(tables: list[tuple[str, str]], name: str, schema: str) -> list[tuple[str, str]]:
    """The tables that a name may mean: first case-sensitive, then case-insensitive; each in the own schema first."""
    conditions: list[Callable[[tuple[str, str]], bool]] = [
        lambda table: table == (schema, name),
        lambda table: name in (table[1], f"{table[0]}.{table[1]}"),
        lambda table: (table[0], table[1].lower()) == (schema, name.lower()),
        lambda table: name.lower() in (table[1].lower(), f"{table[0]}.{table[1]}".lower()),
    ]
    return next((matches for fits in conditions if (matches := [table for table in tables if fits(table)])), [])


def _write(session: DatabaseSession, statement: str, path: Path, name: str) -> int:
    """Write the rows of a statement, columns as text; returns their number."""
    columns = session.columns(statement)
    repeated = next((column for column in columns if columns.count(column) > 1), None)
    if repeated is not None or not columns:
        got = f"{repeated!r} is there twice; rename one with AS" if columns else "there are none"
        raise InputError(f"{name}: columns with names that differ expected, but {got}")
    schema = pa.schema([(column, pa.string()) for column in columns])
    n_rows = 0
    with pq.ParquetWriter(path, schema) as writer:
        for batch in session.batches(statement, len(columns)):
            try:
                cells = [column.cast(pa.string()) for column in batch]
            except pa.ArrowInvalid:
                reason = "text in UTF-8 expected, got other bytes; select the column as a BLOB"
                raise InputError(f"{name}: {reason}") from None
            writer.write_batch(pa.record_batch(cells, schema=schema))
            n_rows += batch.num_rows
    return n_rows
