"""Rows that cannot be used: set aside with the reason, counted, never repaired and never lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from builders.engine.backend import Engine
from builders.engine.duckdb_scan import json_valid
from builders.engine.rows import Rows, rejected_lines, row_numbers
from builders.ingest.parts import Part
from builders.ingest.row_checks import Check
from builders.sources.source import Source
from graphrec.errors import InputError

DUPLICATE = "duplicate row"
BROKEN_LINE = "wrong number of fields"
BLANK = "blank line"
"""The reason that is none: such a line is not a row."""
QUARANTINE = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("value", pa.string()),
    ]
)
"""Columns of quarantine.parquet."""


@dataclass(frozen=True)
class CheckedRows:
    """A source's rows, good parted from bad."""

    part: Part
    """All that could be read."""
    read: int
    """Rows of it."""
    quarantine: pa.Table
    """The bad ones and the lines that are no rows, see `QUARANTINE`."""
    total: int
    """Rows of the source, without blank lines."""


def check_rows(
    engine: Engine, name: str, rows: Rows, table: Any, columns: dict[str, Any], checks: list[Check], path: Path,
    before: int = 0,
) -> CheckedRows:  # fmt: skip
    """Read a source once into a part (see `builders.ingest.parts`); a row is set aside for its first failure.

    Parameters
    ----------
    table
        The rows or a view of them, which the ``checks`` are about.
    columns
        What is kept of it: deferred expressions.
    path
        Where the part is written.
    before
        Rows of the parts before it.

    Raises InputError for a source without a row.
    """
    if rows.source.format == "jsonl":
        checks = [*_line_checks(table.line), *checks]
    failed = ibis.cases(*((check.bad, place) for place, check in enumerate(checks)), else_=None)
    marked = engine.view(f"{name}_marked", table.mutate(failed=failed.cast("int8")))
    value = ibis.cases(*((_.failed == place, check.value) for place, check in enumerate(checks)), else_=None)
    told = _.failed.notnull().ifelse(value, None)  # else each reason would be tried on each good row
    number = ibis.literal(before, type="int64")
    engine.materialise(f"{name}_kept", marked.select(**columns, failed=_.failed, value=told, before=number), path)
    rejected = rejected_lines(engine, rows.source)
    return _sifted(engine, rows.source, engine.read_parts(name, [path]), path, checks, rejected)


def _line_checks(line: Any) -> list[Check]:
    """Checks on lines of JSON."""
    is_object = json_valid(line) & line.strip().startswith("{")
    return [
        Check(BLANK, None, line.strip().fill_null("") == "", _.line),
        Check("not a JSON object", None, ~is_object, _.line),
    ]


def _sifted(
    engine: Engine, source: Source, table: Any, path: Path, checks: list[Check], rejected: pa.Table
) -> CheckedRows:
    failed = table.filter(table.failed.notnull()).select("file_row_number", "failed", "value")
    bad = engine.to_pyarrow(failed.order_by("file_row_number"))
    part = Part(path, source.name, rejected["row"].to_numpy())
    read, broken = part.rows, len(rejected)
    if not read + broken:
        raise InputError(f"{source.path}: the file has a header but no row; a log with one row an event expected")
    failed_rows = quarantine(
        source.name,
        row_numbers(bad["file_row_number"].to_numpy() + 1, part.rejected),
        pc.take(pa.array([check.column for check in checks], pa.string()), bad["failed"]),
        pc.take(pa.array([check.reason for check in checks], pa.string()), bad["failed"]),
        bad["value"],
    )
    blank = pc.equal(failed_rows["reason"], BLANK)
    nothing, reason = pa.nulls(broken, pa.string()), pa.array([BROKEN_LINE] * broken, pa.string())
    lines = quarantine(source.name, rejected["row"], nothing, reason, rejected["value"])
    set_aside = pa.concat_tables([failed_rows.filter(pc.invert(blank)), lines]).sort_by("row")
    return CheckedRows(part, read, set_aside, read + broken - (pc.sum(blank).as_py() or 0))


def quarantine(file: str | pa.Array, row: Any, column: Any, reason: Any, value: Any) -> pa.Table:
    """Rows for quarantine.parquet."""
    files = pa.array([file] * len(row), pa.string()) if isinstance(file, str) else file
    return pa.table([files, row, column, reason, value], schema=QUARANTINE)


def counts_by_reason(rows: pa.Table) -> dict[str, int]:
    """How many rows were set aside for each reason, the commonest first."""
    counts = pc.value_counts(rows["reason"].combine_chunks()).to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(counts, key=lambda entry: -entry["counts"])}


def check_bad_share(rows: pa.Table, total: int, most: float, where: str) -> None:
    """Raise InputError, with the commonest reason and an example, if more than the share ``most`` of all rows is bad.

    So it does, whatever the share, if every row is. A row that only repeats another is not bad.
    """
    bad = rows.filter(pc.not_equal(rows["reason"], DUPLICATE))
    if len(bad) <= most * total and len(bad) < total:
        return
    reason, count = next(iter(counts_by_reason(bad).items()))
    example = first_example(bad, reason)
    column = f"{example['column']}=" if example["column"] else ""
    limit = f", more than {most:.1%}" if len(bad) > most * total else ""
    allow = "" if 2 * len(bad) > total else f", or allow them with '--max-bad {100 * len(bad) / total + 0.05:.1f}%'"
    raise InputError(
        f"{where}: {len(bad):,} of {total:,} rows cannot be used{limit}; mostly: {reason} ({count:,}), "
        f"such as {column}{example['value']!r} in row {example['row']} of {example['file']}; correct the mapping or "
        f"the log ('graphrec inspect' shows what is in it){allow}"
    )


def first_example(rows: pa.Table, reason: str) -> dict[str, Any]:
    """The first row that was set aside for a reason."""
    found: dict[str, Any] = rows.filter(pc.equal(rows["reason"], reason)).slice(0, 1).to_pylist()[0]
    return found
