"""Rows that cannot be used: set aside with the reason, counted, never repaired and never lost."""

from __future__ import annotations

from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from builders.checks import Check
from builders.engine import materialise
from builders.rows import Rows
from graphrec.errors import InputError

DUPLICATE = "duplicate row"
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


def sift(
    connection: Any, name: str, rows: Rows, table: Any, columns: dict[str, Any], checks: list[Check]
) -> tuple[Any, pa.Table]:
    """Part good rows from bad: the good ones as table ``name`` with ``columns``, the bad ones as `QUARANTINE`.

    ``table`` holds the typed ``rows`` that ``columns`` and ``checks`` are expressions of. A row is set aside for the
    first check that it fails.
    """
    failed = ibis.cases(*((check.bad, place) for place, check in enumerate(checks)), else_=-1)
    value = ibis.cases(*((failed == place, check.value) for place, check in enumerate(checks)), else_=None)
    bad = table.filter(failed >= 0).select("row", failed=failed, value=value).order_by("row").to_pyarrow()
    good = materialise(connection, name, table.filter(failed < 0).select(**columns))
    failed_rows = quarantine(
        rows.source.name,
        bad["row"],
        pc.take(pa.array([check.column for check in checks]), bad["failed"]),
        pc.take(pa.array([check.reason for check in checks]), bad["failed"]),
        bad["value"],
    )
    rejected = rows.rejected
    nothing = pa.nulls(len(rejected), pa.string())
    lines = quarantine(rows.source.name, rejected["row"], nothing, rejected["reason"], rejected["value"])
    return good, pa.concat_tables([failed_rows, lines]).sort_by("row")


def quarantine(file: str, row: Any, column: Any, reason: Any, value: Any) -> pa.Table:
    """Rows for quarantine.parquet."""
    return pa.table([pa.array([file] * len(row), pa.string()), row, column, reason, value], schema=QUARANTINE)


def set_aside_duplicates(connection: Any, name: str, events: Any, files: list[str]) -> tuple[Any, pa.Table]:
    """Keep the first of rows that are the same in every column; the others go to quarantine."""
    same = ibis.window(group_by=["user", "item", "time", "content"], order_by=["file", "row"])
    ranked = events.mutate(copy=ibis.row_number().over(same), first_row=events.row.first().over(same))
    ranked = materialise(connection, f"{name}_ranked", ranked)
    kept = materialise(connection, name, ranked.filter(ranked["copy"] == 0).drop("copy", "first_row", "content"))
    again = ranked.filter(ranked["copy"] > 0).order_by("file", "row").select("file", "row", "first_row").to_pyarrow()
    connection.drop_table(f"{name}_ranked")
    value = pa.array([f"same as row {first}" for first in again["first_row"].to_pylist()], pa.string())
    reason = pa.array([DUPLICATE] * len(again), pa.string())
    file = pc.take(pa.array(files, pa.string()), again["file"])
    return kept, pa.table([file, again["row"], pa.nulls(len(again), pa.string()), reason, value], schema=QUARANTINE)


def counts_by_reason(rows: pa.Table) -> dict[str, int]:
    """How many rows were set aside for each reason, the commonest first."""
    counts = pc.value_counts(rows["reason"].combine_chunks()).to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(counts, key=lambda entry: -entry["counts"])}


def refuse_if_most_are_bad(rows: pa.Table, total: int, where: str) -> None:
    """Raise InputError, with the commonest reason and an example, if more than half of ``total`` rows are bad.

    A row that only repeats another is not bad.
    """
    bad = rows.filter(pc.not_equal(rows["reason"], DUPLICATE))
    if 2 * len(bad) <= total:
        return
    reason, count = next(iter(counts_by_reason(bad).items()))
    example = first_example(bad, reason)
    column = f"{example['column']}=" if example["column"] else ""
    raise InputError(
        f"{where}: {len(bad):,} of {total:,} rows cannot be used, mostly: {reason} ({count:,}), such as "
        f"{column}{example['value']!r} in row {example['row']} of {example['file']}; correct the mapping or the log "
        "('graphrec inspect' shows what is in it)"
    )


def first_example(rows: pa.Table, reason: str) -> dict[str, Any]:
    """The first row that was set aside for a reason."""
    found: dict[str, Any] = rows.filter(pc.equal(rows["reason"], reason)).slice(0, 1).to_pylist()[0]
    return found
