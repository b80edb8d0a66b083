"""Quarantine: unusable rows with the reason and the value; no row is repaired or lost."""

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
"""Reason of lines that are neither rows nor quarantined."""
QUARANTINE = pa.schema({"file": "string", "row": "int64", "column": "string", "reason": "string", "value": "string"})
"""Columns of quarantine.parquet."""


@dataclass(frozen=True)
class CheckedRows:
    """The checked rows of a source."""

    source: Source
    """The file."""
    part: Part
    """All rows with the right number of fields."""
    quarantine: pa.Table
    """Unusable rows and broken lines; columns as in `QUARANTINE`."""
    total: int
    """Rows of the source, without blank lines."""


def check_rows(
    engine: Engine, name: str, rows: Rows, table: Any, columns: dict[str, Any], checks: list[Check], path: Path,
    before: int = 0,
) -> CheckedRows:  # fmt: skip
    """Write the rows of a source to a part, in one pass; an unusable row has the number of its first failed check.

    Parameters
    ----------
    table
        The rows, or a view of them, that the ``checks`` refer to.
    columns
        Deferred expressions of the columns of the part.
    path
        Path of the part.
    before
        Number of rows of all earlier parts.

    Raises
    ------
    InputError
        For a source without rows.
    """
    if rows.source.format == "jsonl":
        checks = [*_line_checks(table.line), *checks]
    failed = ibis.cases(*((check.bad, index) for index, check in enumerate(checks)), else_=None)
    marked = engine.view(f"{name}_marked", table.mutate(failed=failed.cast("int8")))
    value = ibis.cases(*((_.failed == index, check.value) for index, check in enumerate(checks)), else_=None)
    bad_value = _.failed.notnull().ifelse(value, None)  # else every check would be evaluated on each usable row
    number = ibis.literal(before, type="int64")
    engine.materialise(f"{name}_kept", marked.select(**columns, failed=_.failed, value=bad_value, before=number), path)
    rejected = rejected_lines(engine, rows.source)
    return _checked_rows(engine, rows.source, engine.read_parts(name, [path]), path, checks, rejected)


def _line_checks(line: Any) -> list[Check]:
    is_object = json_valid(line) & line.strip().startswith("{")
    return [
        Check(BLANK, None, line.strip().fill_null("") == "", _.line),
        Check("not a JSON object", None, ~is_object, _.line),
    ]


def _checked_rows(
    engine: Engine, source: Source, table: Any, path: Path, checks: list[Check], rejected: pa.Table
) -> CheckedRows:
    failed = table.filter(table.failed.notnull()).select("file_row_number", "failed", "value")
    bad = engine.to_pyarrow(failed.order_by("file_row_number"))
    part = Part(path, source.name, rejected["row"].to_numpy())
    total = part.rows + len(rejected)
    if not total:
        raise InputError(f"{source.path}: the file has a header but no row; a log with one row per event expected")
    row = row_numbers(bad["file_row_number"].to_numpy() + 1, part.rejected)
    column, reason = (
        pc.take(pa.array([getattr(check, key) for check in checks], pa.string()), bad["failed"])
        for key in ("column", "reason")
    )
    failed_rows = quarantine(source.name, row, column, reason, bad["value"])
    blank = pc.equal(failed_rows["reason"], BLANK)
    broken_lines = quarantine(source.name, rejected["row"], None, BROKEN_LINE, rejected["value"])
    unusable = pa.concat_tables([failed_rows.filter(pc.invert(blank)), broken_lines]).sort_by("row")
    return CheckedRows(source, part, unusable, total - (pc.sum(blank).as_py() or 0))


def quarantine(file: Any, row: Any, column: Any, reason: Any, value: Any) -> pa.Table:
    """Rows of quarantine.parquet; a text or None stands for a column of that value."""
    columns = (
        pa.array([values] * len(row), pa.string()) if values is None or isinstance(values, str) else values
        for values in (file, row, column, reason, value)
    )
    return pa.table([*columns], schema=QUARANTINE)


def counts_by_reason(rows: pa.Table) -> dict[str, int]:
    """Number of quarantined rows per reason, largest first."""
    counts = pc.value_counts(rows["reason"].combine_chunks()).to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(counts, key=lambda entry: -entry["counts"])}


def check_bad_share(rows: pa.Table, total: int, max_share: float, where: str) -> None:
    """Raise InputError, with the most frequent reason and an example, if too many rows are unusable, or all are.

    Duplicates do not count as unusable.
    """
    bad = rows.filter(pc.not_equal(rows["reason"], DUPLICATE))
    if len(bad) <= max_share * total and len(bad) < total:
        return
    reason, count = next(iter(counts_by_reason(bad).items()))
    example = first_example(bad, reason)
    column = f"{example['column']}=" if example["column"] else ""
    limit = f", more than {max_share:.1%}" if len(bad) > max_share * total else ""
    allow = "" if 2 * len(bad) > total else f", or allow them with '--max-bad {100 * len(bad) / total + 0.05:.1f}%'"
    raise InputError(
        f"{where}: {len(bad):,} of {total:,} rows cannot be used{limit}; mostly: {reason} ({count:,}), "
        f"such as {column}{example['value']!r} in row {example['row']} of {example['file']}; correct the mapping or "
        f"the log ('graphrec inspect' shows what is in it){allow}"
    )


def first_example(rows: pa.Table, reason: str) -> dict[str, Any]:
    """The first row quarantined for a reason."""
    return dict(rows.filter(pc.equal(rows["reason"], reason)).slice(0, 1).to_pylist()[0])
