"""Checks on rows, and the roles of usable rows as typed columns; no value is repaired."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import ibis
from ibis import _

from builders.engine.backend import Engine
from builders.engine.duckdb_scan import json_valid
from builders.engine.rows import Rows
from builders.mapping.column_mapping import NUMBERS, REQUIRED, ColumnMapping
from builders.mapping.column_types import SPLIT_WORDS
from builders.mapping.templates import render
from builders.mapping.timestamps import EARLIEST, LATEST, to_seconds
from graphrec.errors import MappingError
from graphrec.time_units import DAY

MISSING = ("", "\\N", "null", "NULL", "nan", "NaN", "None", "NA", "N/A")
"""Texts that stand for a missing value."""
ID_ROLES = ("user", "item", "location", "kind", "session")
"""Roles that are ids: single values."""
DEFAULT_KIND = "event"
"""Event type where neither the log nor its mapping has one."""
EVENT_TYPES = {
    "user": "string", "item": "string", "location": "string", "time": "int64", "lat": "float64", "lon": "float64",
    "utc_offset": "int16", "kind": "string", "weight": "float32", "session": "string", "split": "int8",
    "text": "string", "label": "string", "content": "int64",
}  # fmt: skip
"""Columns of a checked event; all but ``time``, ``user`` and ``item`` may be null."""


@dataclass(frozen=True)
class Check:
    """A condition under which a row is unusable."""

    reason: str
    """Reason in the quarantine, the same for all rows."""
    column: str | None
    """Column of the file at fault; None for the row as a whole."""
    bad: Any
    """Expression: whether the row is unusable."""
    value: Any
    """Deferred expression: the value in the column."""


def nullify_missing(text: Any) -> Any:
    """A text column with null in place of every text in `MISSING`, also if padded with blanks."""
    padded = (text < "!") | text.endswith(" ")  # a blank first or last: seldom, so that few are stripped
    blank = text.strip()
    stripped = ibis.cases(*((blank == word, None) for word in MISSING), else_=text)
    missing = ((text == word, None) for word in MISSING)  # isin would become a join for every column
    return ibis.cases((padded, stripped), *missing, else_=text)


def number(text: Any) -> Any:
    """A text column as float64, surrounding blanks ignored; null for anything else."""
    value = text.try_cast("float64")
    return value.isnan().ifelse(None, value)


def json_line(rows: Rows) -> dict[str, Any]:
    """The column ``line`` of JSON lines, which `builders.ingest.quarantine.check_rows` checks; none for other files."""
    return {"line": rows.table.line} if rows.source.format == "jsonl" else {}


def typed_events(
    engine: Engine, name: str, rows: Rows, mapping: ColumnMapping, time_format: str
) -> tuple[Any, list[Check]]:
    """The rows of a log with the roles as typed columns, and their checks; both are expressions, not yet computed.

    Returns
    -------
    View ``name`` with ``content`` (hash of the whole row), ``label``, ``text``, each mapped role as written in
    ``text_<role>``, and typed in ``<role>``: null if missing or not of that type. ``text_<role>`` of numbers and
    times may also hold a text of `MISSING`.
    """
    roles = mapping.roles()
    written = rows.table.select(
        content=engine.row_hash([*rows.columns.values()]),
        label=nullify_missing(rows[mapping.item_label]) if mapping.item_label else ibis.null("string"),
        text=_item_text(rows, mapping),
        **json_line(rows),
        **{
            f"text_{role}": rows[column] if role in (*NUMBERS, "time") else nullify_missing(rows[column])
            for role, column in roles.items()
        },
    )
    written = engine.view(f"{name}_written", written)
    typed = {role: _typed(written[f"text_{role}"], role, mapping, time_format) for role in roles if role != "text"}
    table = engine.view(name, written.mutate(**typed))
    checks = _nested_checks(rows, table, {role: column for role, column in roles.items() if role in ID_ROLES})
    return table, [*checks, *(check for role in roles for check in _role_checks(table, role, mapping))]


def _nested_checks(rows: Rows, table: Any, roles: dict[str, str]) -> list[Check]:
    """Checks that ids in JSON lines are single values; MappingError for a Parquet column of lists or objects."""
    checks = []
    for role, column in roles.items():
        if column in rows.nested:
            raise MappingError(
                f"{role}: column {column!r} of {rows.source.path} holds lists or objects; map one with single values"
            )
        text = table[f"text_{role}"]
        nested = (text.startswith("{") | text.startswith("[")) & json_valid(text)
        checks.append(Check(f"{role} is a list or an object", column, nested, _[f"text_{role}"]))
    return checks if rows.source.format == "jsonl" else []


def _item_text(rows: Rows, mapping: ColumnMapping) -> Any:
    if mapping.item_text:
        return render(mapping.item_text, {name: nullify_missing(column) for name, column in rows.columns.items()})
    return nullify_missing(rows[mapping.text]) if mapping.text else ibis.null("string")


def _typed(text: Any, role: str, mapping: ColumnMapping, time_format: str) -> Any:
    if role == "time":
        return to_seconds(text, time_format)
    if role == "split":
        return _split_code(text, mapping.split_values)
    return number(text) if role in NUMBERS else text


def _split_code(text: Any, values: dict[str, Any] | None) -> Any:
    codes = {word: SPLIT_WORDS[name] for word, name in values.items()} if values else SPLIT_WORDS
    text = text.strip() if values else text.strip().lower()
    return ibis.cases(*((text == word, code) for word, code in codes.items()), else_=None).cast("int8")


def _role_checks(table: Any, role: str, mapping: ColumnMapping) -> list[Check]:
    text, value, written, column = table[f"text_{role}"], table[role], _[f"text_{role}"], getattr(mapping, role)
    missing = value.isnull() & nullify_missing(text).isnull() if role == "time" else text.isnull()
    checks = [Check(f"missing {role}", column, missing, nullify_missing(written))] if role in REQUIRED else []
    if role == "time":
        checks += [
            *time_checks(table, "time", column),
            Check("time in the future", column, value > int(time.time()) + DAY, written),
            Check("time is 1 January 1970, most likely a missing one", column, value.between(0, DAY - 1), written),
        ]
    elif role == "split":
        checks.append(Check("split is not known", column, value.isnull(), written))
    elif role == "lat":
        checks += coordinate_checks(table, column, str(mapping.lon))
    elif role in NUMBERS and role != "lon":
        checks += number_checks(table, role, column)
    return checks


def time_checks(table: Any, name: str, column: str) -> list[Check]:
    """Checks that the times ``name`` of a table, written in ``text_<name>``, can be parsed and are in range."""
    value, written = table[name], _[f"text_{name}"]
    return [
        Check("unparsable time", column, table[f"text_{name}"].notnull() & value.isnull(), written),
        Check("time out of range", column, ~value.between(EARLIEST, LATEST), written),
    ]


def number_checks(table: Any, role: str, column: str) -> list[Check]:
    """Checks that a role of a table, written in ``text_<role>``, is a number and in range."""
    text, value, written = table[f"text_{role}"], table[role], _[f"text_{role}"]
    name = {"lat": "latitude", "lon": "longitude", "utc_offset": "UTC offset"}.get(role, role)
    limit = NUMBERS[role]
    return [
        Check(f"{name} is not a number", column, value.isnull() & nullify_missing(text).notnull(), written),
        Check(f"{name} out of range", column, ~value.between(-limit, limit), written),
    ]


def coordinate_checks(table: Any, lat_column: str, lon_column: str) -> list[Check]:
    """Checks on ``lat`` and ``lon`` of a table, written in ``text_lat`` and ``text_lon``."""
    lat, lon = table.lat, table.lon
    swapped = (lat.abs() > 90) & (lat.abs() <= 180) & (lon.abs() <= 90)
    both = _.text_lat + ", " + _.text_lon
    one = ibis.coalesce(nullify_missing(_.text_lat), nullify_missing(_.text_lon))
    return [
        Check("latitude and longitude seem to be swapped", lat_column, swapped, both),
        *number_checks(table, "lat", lat_column),
        *number_checks(table, "lon", lon_column),
        Check("half a coordinate", lon_column, lat.isnull() != lon.isnull(), one),
        Check("latitude and longitude are 0, most likely missing", lat_column, (lat == 0) & (lon == 0), both),
    ]


def event_columns(mapping: ColumnMapping, file: int) -> dict[str, Any]:
    """Deferred expressions of the columns of checked events (`EVENT_TYPES`), constant for roles without a column.

    All events of the ``file``-th file, from 0, of a log without times have that number as their time.
    """

    def role(name: str) -> Any:
        default = ibis.literal(defaults.get(name), type=EVENT_TYPES[name])
        if name not in mapping.roles():
            return default
        value = _[name].round() if name == "utc_offset" else _[name]
        typed = value.try_cast(EVENT_TYPES[name]) if name in NUMBERS else value.cast(EVENT_TYPES[name])
        return typed if defaults.get(name) is None else typed.fill_null(default)

    defaults = {
        "utc_offset": mapping.utc_offset_constant or 0,
        "kind": mapping.kind_constant or DEFAULT_KIND,
        "weight": 1.0,
        "time": file if mapping.timeless else None,
    }
    computed = {"text": _.text, "label": _.label, "content": _.content}
    return {name: computed[name] if name in computed else role(name) for name in EVENT_TYPES}
