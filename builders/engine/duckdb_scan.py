"""How DuckDB reads files: every column as text, and lines that cannot be cut into fields noted."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from builders.sources.source import Source

MAX_LINE_BYTES = 1 << 24
"""Bytes of a line of JSON."""
LINE_END = "\x1e"
"""A delimiter that no line of JSON holds unescaped."""
MAX_REJECT_CHARACTERS = 10_000
"""The engine tells so many characters of a line that is no row."""
Scan = tuple[Any, frozenset[str]]
"""A table with columns ``c0``, ``c1``, ... (text, null where empty) in the source's order, of JSON also ``line``; and
the names of the columns of a Parquet file that hold lists or objects."""


@ibis.udf.scalar.builtin
def json_extract_string(document: str, path: list[str]) -> list[str]:
    """Values of a JSON object as texts (the engine's own function)."""


@ibis.udf.scalar.builtin
def json_valid(document: str) -> bool:
    """Whether a text is JSON (the engine's own function)."""


def scan(backend: Any, source: Source, name: str) -> Scan:
    """The table ``name`` of a source's rows, to be read when an expression over them runs."""
    if source.format == "parquet":
        return _scan_parquet(backend, source, name)
    return (_scan_csv if source.format == "csv" else _scan_json)(backend, source, name), frozenset()


def only(path: Path) -> str:
    """A path as DuckDB takes it: ``log[1].csv`` would be a pattern, which ``log1.csv`` fits."""
    return glob.escape(str(path))


def take_rejects(backend: Any) -> pa.Table:
    """What DuckDB noted of lines that it could not read (``line``, ``csv_line``, ``error_type``), and forgets."""
    errors = backend.to_pyarrow(backend.table("reject_errors").order_by("line"))
    for table in ("reject_errors", "reject_scans"):
        backend.raw_sql(f"DROP TABLE {table}").fetchall()
    return errors


def _scan_csv(backend: Any, source: Source, name: str) -> Any:
    return backend.read_csv(
        only(source.readable),
        table_name=name,
        auto_detect=False,
        delim=source.delimiter,
        quote=source.quote,
        escape=source.quote,
        header=source.header,
        compression=source.packed,
        columns={f"c{place}": "VARCHAR" for place in range(len(source.columns))},
        store_rejects=True,
    )


def _scan_json(backend: Any, source: Source, name: str) -> Any:
    lines = backend.read_csv(
        only(source.readable),
        table_name=f"{name}_lines",
        auto_detect=False,
        delim=LINE_END,
        quote="",
        escape="",
        header=False,
        compression=source.packed,
        columns={"line": "VARCHAR"},
        max_line_size=MAX_LINE_BYTES,
        buffer_size=2 * MAX_LINE_BYTES,  # else sixteen times as much
    )
    is_object = json_valid(lines.line) & lines.line.strip().startswith("{")
    paths = ibis.array([_json_path(key) for key in source.columns])
    fields = lines.mutate(fields=json_extract_string(is_object.ifelse(lines.line, None), paths))
    fields = backend.create_view(f"{name}_fields", fields, overwrite=True)
    keys = {f"c{place}": fields.fields[place] for place in range(len(source.columns))}
    return backend.create_view(name, fields.select("line", **keys), overwrite=True)


def _scan_parquet(backend: Any, source: Source, name: str) -> Scan:
    table = backend.read_parquet(only(source.readable), table_name=f"{name}_file")
    text = {f"c{place}": table[place].cast("string") for place in range(len(source.columns))}
    nested = frozenset(column for place, column in enumerate(source.columns) if table[place].type().is_nested())
    return backend.create_view(name, table.select(**text), overwrite=True), nested


def _json_path(key: str) -> str:
    return '$."' + key.replace('"', '\\"') + '"'
