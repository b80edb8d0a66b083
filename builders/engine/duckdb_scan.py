"""DuckDB's scans of files: every column as text, lines without the right number of fields rejected."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from builders.sources.source import Source

MAX_LINE_BYTES = 1 << 24
"""Longest line of JSON."""
LINE_END = "\x1e"
"""A delimiter that is never unescaped in JSON."""
MAX_REJECT_CHARACTERS = 10_000
"""Characters that the engine keeps of a rejected line."""
Scan = tuple[Any, frozenset[str]]
"""A table with columns ``c0``, ``c1``, ... (text, null if empty) in the source's order, of JSON also ``line``; and
the names of the columns of a Parquet file that are lists or objects."""


@ibis.udf.scalar.builtin
def json_extract_string(document: str, path: list[str]) -> list[str]:
    """Values of a JSON object as texts (DuckDB's function)."""


@ibis.udf.scalar.builtin
def json_valid(document: str) -> bool:
    """Whether a text is JSON (DuckDB's function)."""


def scan(backend: Any, source: Source, name: str) -> Scan:
    """The rows of a source as table ``name``, read when an expression over it runs."""
    if source.format == "parquet":
        return _scan_parquet(backend, source, name)
    return (_scan_csv if source.format == "csv" else _scan_json)(backend, source, name), frozenset()


def only(path: Path) -> str:
    """A path escaped for DuckDB, which would take ``log[1].csv`` for a pattern that ``log1.csv`` matches."""
    return glob.escape(str(path))


def take_rejects(backend: Any) -> pa.Table:
    """Rejected lines (``line``, ``csv_line``, ``error_type``), removed from DuckDB's tables."""
    errors = backend.to_pyarrow(backend.table("reject_errors").order_by("line"))
    for table in ("reject_errors", "reject_scans"):
        backend.raw_sql(f"DROP TABLE {table}").fetchall()
    return errors


def _scan_csv(backend: Any, source: Source, name: str) -> Any:
    columns = {f"c{index}": "VARCHAR" for index in range(len(source.columns))}
    dialect = {"delim": source.delimiter, "quote": source.quote, "header": source.header, "store_rejects": True}
    return _read_csv(backend, source, name, columns, **dialect)


def _scan_json(backend: Any, source: Source, name: str) -> Any:
    options = {"max_line_size": MAX_LINE_BYTES, "buffer_size": 2 * MAX_LINE_BYTES}  # by default 16 times the line size
    dialect = {"delim": LINE_END, "quote": "", "header": False, **options}
    lines = _read_csv(backend, source, f"{name}_lines", {"line": "VARCHAR"}, **dialect)
    is_object = json_valid(lines.line) & lines.line.strip().startswith("{")
    paths = ibis.array(['$."' + key.replace('"', '\\"') + '"' for key in source.columns])
    fields = lines.mutate(fields=json_extract_string(is_object.ifelse(lines.line, None), paths))
    fields = backend.create_view(f"{name}_fields", fields, overwrite=True)
    keys = {f"c{index}": fields.fields[index] for index in range(len(source.columns))}
    return backend.create_view(name, fields.select("line", **keys), overwrite=True)


def _read_csv(backend: Any, source: Source, name: str, columns: dict[str, str], **dialect: Any) -> Any:
    path, escape = only(source.readable), dialect["quote"]
    return backend.read_csv(
        path, table_name=name, auto_detect=False, escape=escape, compression=source.packed, columns=columns, **dialect
    )


def _scan_parquet(backend: Any, source: Source, name: str) -> Scan:
    table = backend.read_parquet(only(source.readable), table_name=f"{name}_file")
    text = {f"c{index}": table[index].cast("string") for index in range(len(source.columns))}
    nested = frozenset(column for index, column in enumerate(source.columns) if table[index].type().is_nested())
    return backend.create_view(name, table.select(**text), overwrite=True), nested
