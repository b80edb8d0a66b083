"""What makes a row unusable, and the roles of a usable one as typed columns; nothing is repaired."""

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

MISSING = ("", "\\N", "null", "NULL", "nan", "NaN", "None", "NA", "N/A")
"""What logs write where there is no value."""
ID_ROLES = ("user", "item", "location", "kind", "session")
"""Roles that are ids: single values."""
DAY = 86_400
DEFAULT_KIND = "event"
"""What was done, where neither the log nor its mapping says so."""
EVENT_TYPES = {
    "user": "string", "item": "string", "location": "string", "time": "int64", "lat": "float64", "lon": "float64",
    "utc_offset": "int16", "kind": "string", "weight": "float32", "session": "string", "split": "int8",
    "text": "string", "label": "string", "content": "int64",
}  # fmt: skip
"""Columns of a checked event; null where the log says nothing, but ``time``, ``user`` and ``item``."""


@dataclass(frozen=True)
class Check:
    """One way in which a row can be unusable."""

    reason: str
    """What is wrong, in words that stay the same for all rows."""
    column: str | None
    """The column of the file that is to blame; None for the row as a whole."""
    bad: Any
    """Expression: whether the row is unusable."""
    value: Any
    """Deferred expression: what stands in the column."""


def nullify_missing(text: Any) -> Any:
    """A text column with null for every way to write that there is no value."""
    padded = (text < "!") | text.endswith(" ")  # a blank first or last: seldom, so that few are stripped
    blank = text.strip()
    stripped = ibis.cases(*((blank == word, None) for word in MISSING), else_=text)
    nothing = ((text == word, None) for word in MISSING)  # the engine would make a join of isin, for every column
    return ibis.cases((padded, stripped), *nothing, else_=text)


def number(text: Any) -> Any:
    """A text column as numbers, whatever blanks are around them; null where it is none."""
    value = text.try_cast("float64")
    return value.isnan().ifelse(None, value)


def typed_events(
    engine: Engine, name: str, rows: Rows, mapping: ColumnMapping, time_format: str
) -> tuple[Any, list[Check]]:
    """A log's rows with the roles as typed columns, and the checks on them, nothing computed yet.

    Returns
    -------
    View ``name`` with ``content`` (a hash of the whole row), ``label``, ``text``, each mapped role as ``text_<role>``
    as it was written, and ``<role>`` as its type, null where it is missing or not of that type. Of numbers and times,
    ``text_<role>`` may also hold what is written for no value.
    """
    roles = mapping.roles()
    written = rows.table.select(
        content=engine.row_hash([*rows.columns.values()]),
        label=nullify_missing(rows[mapping.item_label]) if mapping.item_label else ibis.null("string"),
        text=_text(rows, mapping),
        **({"line": rows.table.line} if rows.source.format == "jsonl" else {}),
        **{f"text_{role}": _written(role, rows[column]) for role, column in roles.items()},
    )
    written = engine.view(f"{name}_written", written)
    typed = {role: _typed(written[f"text_{role}"], role, mapping, time_format) for role in roles if role != "text"}
    table = engine.view(name, written.mutate(**typed))
    nested = _nested_checks(rows, table, {role: column for role, column in roles.items() if role in ID_ROLES})
    return table, [
        *nested,
        *(check for role, column in roles.items() for check in _checks(table, role, column, mapping)),
    ]


def _nested_checks(rows: Rows, table: Any, roles: dict[str, str]) -> list[Check]:
    """Checks that ids are single values, which JSON and Parquet do not see to; MappingError where none can be."""
    for role, column in roles.items():
        if column in rows.nested:
            raise MappingError(
                f"{role}: column {column!r} of {rows.source.path} holds lists or objects; map one with single values"
            )
    if rows.source.format != "jsonl":
        return []
    texts = {role: table[f"text_{role}"] for role in roles}
    nested = {role: (text.startswith("{") | text.startswith("[")) & json_valid(text) for role, text in texts.items()}
    return [
        Check(f"{role} is a list or an object", column, nested[role], _[f"text_{role}"])
        for role, column in roles.items()
    ]


def _text(rows: Rows, mapping: ColumnMapping) -> Any:
    if mapping.item_text:
        return render(mapping.item_text, {name: nullify_missing(column) for name, column in rows.columns.items()})
    return nullify_missing(rows[mapping.text]) if mapping.text else ibis.null("string")


def _written(role: str, text: Any) -> Any:
    return text if role in NUMBERS or role == "time" else nullify_missing(text)


def _typed(text: Any, role: str, mapping: ColumnMapping, time_format: str) -> Any:
    if role == "time":
        return to_seconds(text, time_format)
    if role == "split":
        return _split_code(text, mapping)
    return number(text) if role in NUMBERS else text


def _split_code(text: Any, mapping: ColumnMapping) -> Any:
    given = mapping.split_values
    codes = {written: SPLIT_WORDS[name] for written, name in given.items()} if given else SPLIT_WORDS
    text = text.strip() if given else text.strip().lower()
    return ibis.cases(*((text == word, code) for word, code in codes.items()), else_=None).cast("int8")


def _checks(table: Any, role: str, column: str, mapping: ColumnMapping) -> list[Check]:
    text, value, written = table[f"text_{role}"], table[role], _[f"text_{role}"]
    missing = value.isnull() & nullify_missing(text).isnull() if role == "time" else text.isnull()
    checks = [Check(f"missing {role}", column, missing, nullify_missing(written))] if role in REQUIRED else []
    if role == "time":
        checks += [
            Check("unparsable time", column, value.isnull(), written),
            Check("time out of range", column, ~value.between(EARLIEST, LATEST), written),
            Check("time in the future", column, value > int(time.time()) + DAY, written),
            Check("time is 1 January 1970, most likely a missing one", column, value.between(0, DAY - 1), written),
        ]
    if role == "split":
        checks.append(Check("split is not known", column, value.isnull(), written))
    if role == "lat":
        checks += coordinate_checks(table, column, str(mapping.lon))
    elif role in NUMBERS and role != "lon":
        checks += number_checks(table, role, column)
    return checks


def number_checks(table: Any, role: str, column: str) -> list[Check]:
    """Checks on a role of a table that also has it as it was written: that it is a number, and not too large."""
    text, value, written = table[f"text_{role}"], table[role], _[f"text_{role}"]
    name = {"lat": "latitude", "lon": "longitude", "utc_offset": "UTC offset"}.get(role, role)
    most = NUMBERS[role]
    return [
        Check(f"{name} is not a number", column, value.isnull() & nullify_missing(text).notnull(), written),
        Check(f"{name} out of range", column, ~value.between(-most, most), written),
    ]


def coordinate_checks(table: Any, lat_column: str, lon_column: str) -> list[Check]:
    """Checks on ``lat`` and ``lon`` of a table that also has them as they were written, ``text_lat``, ``text_lon``."""
    lat, lon = table.lat, table.lon
    swapped = (lat.abs() > 90) & (lat.abs() <= 180) & (lon.abs() <= 90)
    half = lat.isnull() != lon.isnull()  # what is no number has been told before
    both = _.text_lat + ", " + _.text_lon
    return [
        Check("latitude and longitude seem to be swapped", lat_column, swapped, both),
        *number_checks(table, "lat", lat_column),
        *number_checks(table, "lon", lon_column),
        Check(
            "half a coordinate",
            lon_column,
            half,
            ibis.coalesce(nullify_missing(_.text_lat), nullify_missing(_.text_lon)),
        ),
        Check("latitude and longitude are 0, most likely missing", lat_column, (lat == 0) & (lon == 0), both),
    ]


def event_columns(mapping: ColumnMapping, file: int) -> dict[str, Any]:
    """Deferred expressions of the columns of checked events (`EVENT_TYPES`): constants where the log has none.

    In a log without times all events of its ``file``-th file, from 0, happen at that second.
    """

    def role(name: str, otherwise: Any = None) -> Any:
        default = ibis.literal(otherwise, type=EVENT_TYPES[name])
        if name not in mapping.roles():
            return default
        value = _[name].round() if name == "utc_offset" else _[name]
        typed = value.try_cast(EVENT_TYPES[name]) if name in NUMBERS else value.cast(EVENT_TYPES[name])
        return typed if otherwise is None else typed.fill_null(default)

    otherwise = {
        "utc_offset": mapping.utc_offset_constant or 0,
        "kind": mapping.kind_constant or DEFAULT_KIND,
        "weight": 1.0,
    }
    otherwise |= {"time": file} if mapping.timeless else {}
    given = {"text": _.text, "label": _.label, "content": _.content}
    return {name: given[name] if name in given else role(name, otherwise.get(name)) for name in EVENT_TYPES}
