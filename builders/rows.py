"""The rows of a source in the engine: every column as text, every row with its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from builders.engine import engine_errors, materialise, run
from builders.sources import Source
from graphrec.errors import InputError

SAMPLE_ROWS = 1000
"""How many rows are looked at to find out what a column holds."""
UNCLOSED = "UNQUOTED VALUE"
"""What the engine calls a quote that is never closed."""
LONGEST_TOLD = 10_000
"""The engine tells so many characters of a line that is no row."""
LINE_END = "\x1e"
"""A delimiter that no line of JSON holds unescaped."""


@ibis.udf.scalar.builtin
def json_extract_string(document: str, path: str) -> str:
    """A value of a JSON object as text (the engine's own function)."""


@ibis.udf.scalar.builtin
def json_valid(document: str) -> bool:
    """Whether a text is JSON (the engine's own function)."""


@dataclass(frozen=True)
class Rows:
    """A source's rows in the engine."""

    source: Source
    """Where they come from."""
    table: Any
    """Columns ``c0``, ``c1``, ... (text, null where empty) in the source's order, and ``row`` from 1."""
    rejected: pa.Table
    """Lines that are no rows: ``row``, ``reason``, ``value``."""

    def __len__(self) -> int:
        return int(self.table.count().to_pyarrow().as_py())

    @property
    def total(self) -> int:
        """Lines of the file, those that are no rows included."""
        return len(self) + len(self.rejected)

    def __getitem__(self, name: str) -> Any:
        """The expression of a column by its name in the file."""
        return self.table[f"c{self.source.columns.index(name)}"]

    def sample(self) -> dict[str, list[str]]:
        """Values of the first rows by column, without those that are missing."""
        head = self.table.filter(self.table.row <= SAMPLE_ROWS).to_pyarrow()
        return {name: head[f"c{place}"].drop_null().to_pylist() for place, name in enumerate(self.source.columns)}


def read(connection: Any, source: Source, name: str) -> Rows:
    """Read a whole source into the table ``name``.

    Raises InputError for a source without a row.
    """
    reader = {"csv": _read_csv, "jsonl": _read_json, "parquet": _read_parquet}[source.format]
    with engine_errors(str(source.path)):
        rows = reader(connection, source, name)
    if not rows.total:
        raise InputError(f"{source.path}: the file has a header but no row; a log with one row an event expected")
    return rows


def _read_csv(connection: Any, source: Source, name: str) -> Rows:
    scan = connection.read_csv(
        str(source.readable),
        auto_detect=False,
        delim=source.delimiter,
        quote=source.quote,
        escape=source.quote,
        header=source.header,
        compression=_compression(source),
        columns={f"c{place}": "VARCHAR" for place in range(len(source.columns))},
        store_rejects=True,
    )
    table = materialise(connection, name, scan)
    errors = connection.table("reject_errors").order_by("line").to_pyarrow()
    run(connection, "DROP TABLE reject_errors")
    run(connection, "DROP TABLE reject_scans")
    _refuse_lost_lines(source, errors)
    lines = {}  # a line with several errors counts once; one that spans several is taken apart
    for line, text in zip(errors["line"].to_pylist(), errors["csv_line"].to_pylist(), strict=True):
        lines.update(dict(enumerate(text.splitlines(), start=line - source.header)))
    row = np.fromiter(lines, np.int64, len(lines))
    rejected = _rejected(row, "wrong number of fields", pa.array(list(lines.values()), pa.string()))
    return Rows(source, _numbered(connection, table, row, name), rejected)


def _refuse_lost_lines(source: Source, errors: pa.Table) -> None:
    """Raise InputError where a quote that is not closed has swallowed lines that the engine no longer tells."""
    for error in errors.to_pylist():
        text = error["csv_line"]
        lost = error["error_type"] == UNCLOSED and "\n" in text.rstrip("\n")
        if lost or len(text) >= LONGEST_TOLD:
            raise InputError(
                f"{source.path}: a quote in row {error['line'] - source.header} is never closed, so that the rows "
                f"after it cannot be told apart ({text.splitlines()[0][:60]!r}); correct it, or write "
                "'quote: \"\"' into the mapping if quotes are characters like others"
            )


def _read_json(connection: Any, source: Source, name: str) -> Rows:
    scan = connection.read_csv(
        str(source.readable),
        auto_detect=False,
        delim=LINE_END,
        quote="",
        escape="",
        header=False,
        compression=_compression(source),
        columns={"line": "VARCHAR"},
        max_line_size=1 << 26,
    )
    lines = _numbered(
        connection, materialise(connection, f"{name}_lines", scan), np.empty(0, np.int64), f"{name}_lines"
    )
    lines = lines.filter(lines.line.strip() != "")
    good = json_valid(lines.line) & lines.line.strip().startswith("{")
    bad = lines.filter(~good).select("row", "line").order_by("row").to_pyarrow()
    keys = {f"c{place}": json_extract_string(lines.line, _json_path(key)) for place, key in enumerate(source.columns)}
    table = materialise(connection, name, lines.filter(good).select("row", **keys))
    return Rows(source, table, _rejected(bad["row"].to_numpy(), "not a JSON object", bad["line"]))


def _read_parquet(connection: Any, source: Source, name: str) -> Rows:
    scan = connection.read_parquet(str(source.readable))
    text = {f"c{place}": scan[place].cast("string") for place in range(len(source.columns))}
    table = materialise(connection, name, scan.select(**text))
    nothing = np.empty(0, np.int64)
    return Rows(source, _numbered(connection, table, nothing, name), _rejected(nothing, "", pa.array([], pa.string())))


def _compression(source: Source) -> str:
    return "gzip" if source.compression == "gzip" and source.readable == source.path else "none"


def _json_path(key: str) -> str:
    return '$."' + key.replace('"', '\\"') + '"'


def _rejected(row: np.ndarray, reason: str, value: pa.Array | pa.ChunkedArray) -> pa.Table:
    reasons = pa.array([reason] * len(row), pa.string())
    return pa.table({"row": pa.array(row, pa.int64()), "reason": reasons, "value": value.cast(pa.string())})


def _numbered(connection: Any, table: Any, rejected: np.ndarray, name: str) -> Any:
    """The table with ``row``: the place among all rows of the file, counting those that were rejected."""
    if not len(rejected):
        return table.mutate(row=table.rowid() + 1)
    count = int(table.count().to_pyarrow().as_py())
    row = np.setdiff1d(np.arange(1, count + int(rejected.max()) + 1), rejected)[:count]
    rows = connection.create_table(f"{name}_rows", pa.table({"place": np.arange(count), "row": row}), overwrite=True)
    return table.mutate(place=table.rowid()).inner_join(rows, "place").drop("place")
