"""What makes a row unusable, and the roles of a usable one as typed columns; nothing is repaired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ibis

from builders.contents import SPLIT_WORDS
from builders.engine import materialise
from builders.mapping import REQUIRED, Mapping
from builders.rows import Rows
from builders.templates import render
from builders.timestamps import EARLIEST, LATEST, to_seconds

MISSING = ("", "\\N", "null", "NULL", "nan", "NaN", "None", "NA", "N/A")
"""What logs write where there is no value."""
NUMBERS = {"lat": 90.0, "lon": 180.0, "utc_offset": 900.0, "weight": 1e30}
"""Roles that are numbers, and the largest size that one may have: degrees, minutes (no clock is further from UTC)."""


@dataclass(frozen=True)
class Check:
    """One way in which a row can be unusable."""

    reason: str
    """What is wrong, in words that stay the same for all rows."""
    column: str
    """The column of the file that is to blame."""
    bad: Any
    """Expression: whether the row is unusable."""
    value: Any
    """Expression: what stands in the column."""


def present(text: Any) -> Any:
    """A text column with null for every way to write that there is no value."""
    return text.strip().isin(MISSING).ifelse(None, text)


def number(text: Any) -> Any:
    """A text column as numbers; null where it is none."""
    return text.strip().try_cast("float64")


def read_events(connection: Any, name: str, rows: Rows, mapping: Mapping, time_format: str) -> tuple[Any, list[Check]]:
    """A log's rows with the roles as typed columns, and the checks on them.

    Returns
    -------
    Table ``name`` with ``row``, ``content`` (a hash of the whole row), ``label``, ``text``, each mapped role as
    ``text_<role>`` as it was written, and ``<role>`` as its type, null where it is missing or not of that type.
    """
    roles = mapping.roles()
    whole = ibis.struct({f"c{place}": rows.table[f"c{place}"] for place in range(len(rows.source.columns))})
    written = rows.table.select(
        row=rows.table.row.cast("int64"),
        content=whole.hash(),
        label=present(rows[mapping.item_label]) if mapping.item_label else ibis.null("string"),
        text=_text(rows, mapping),
        **{f"text_{role}": present(rows[column]) for role, column in roles.items()},
    )
    written = materialise(connection, f"{name}_written", written)  # else each later use would compute it again
    typed = {role: _typed(written[f"text_{role}"], role, mapping, time_format) for role in roles if role != "text"}
    table = materialise(connection, name, written.mutate(**typed))
    connection.drop_table(f"{name}_written")
    return table, [check for role, column in roles.items() for check in _checks(table, role, column)]


def _text(rows: Rows, mapping: Mapping) -> Any:
    if mapping.item_text:
        return render(mapping.item_text, {name: present(rows[name]) for name in rows.source.columns})
    return present(rows[mapping.text]) if mapping.text else ibis.null("string")


def _typed(text: Any, role: str, mapping: Mapping, time_format: str) -> Any:
    if role == "time":
        return to_seconds(text, time_format)
    if role == "split":
        return _split_code(text, mapping)
    return number(text) if role in NUMBERS else text


def _split_code(text: Any, mapping: Mapping) -> Any:
    given = mapping.split_values
    codes = {written: SPLIT_WORDS[name] for written, name in given.items()} if given else SPLIT_WORDS
    text = text.strip() if given else text.strip().lower()
    return ibis.cases(*((text == word, code) for word, code in codes.items()), else_=None).cast("int8")


def _checks(table: Any, role: str, column: str) -> list[Check]:
    text, value = table[f"text_{role}"], table[role]
    checks = [Check(f"missing {role}", column, text.isnull(), text)] if role in REQUIRED else []
    if role == "time":
        checks += [
            Check("unparsable time", column, value.isnull(), text),
            Check("time out of range", column, ~value.between(EARLIEST, LATEST), text),
        ]
    if role == "split":
        checks.append(Check("unknown split", column, value.isnull(), text))
    if role in NUMBERS:
        checks += number_checks(role, column, text, value)
    if role == "lon":
        checks.append(half_coordinate(column, table.text_lat, table.text_lon))
    return checks


def number_checks(role: str, column: str, text: Any, value: Any) -> list[Check]:
    """Checks on a column of numbers: that they are numbers, and none too large."""
    name = {"lat": "latitude", "lon": "longitude", "utc_offset": "UTC offset"}.get(role, role)
    most = NUMBERS[role]
    return [
        Check(f"{name} is not a number", column, text.notnull() & value.isnull(), text),
        Check(f"{name} out of range", column, ~value.between(-most, most), text),
    ]


def half_coordinate(column: str, lat: Any, lon: Any) -> Check:
    """The check that latitude and longitude are both there, or neither."""
    return Check("half a coordinate", column, lat.isnull() != lon.isnull(), ibis.coalesce(lat, lon))


def event_columns(table: Any, mapping: Mapping) -> dict[str, Any]:
    """The columns of checked events: every role with its type, the mapping's constants where the log has none."""

    def role(name: str, dtype: str, otherwise: Any = None) -> Any:
        default = ibis.literal(otherwise, type=dtype)
        return table[name].cast(dtype).fill_null(default) if name in mapping.roles() else default

    return {
        "row": table.row,
        "content": table.content,
        **{name: role(name, "string") for name in ("user", "item", "location", "session")},
        "time": table.time,
        **{name: role(name, "float64") for name in ("lat", "lon")},
        "utc_offset": role("utc_offset", "float64", mapping.utc_offset_constant or 0).round().cast("int16"),
        "kind": role("kind", "string", mapping.kind_constant or "event"),
        "weight": role("weight", "float32", 1.0),
        "split": role("split", "int8"),
        "text": table.text,
        "label": table.label,
    }
