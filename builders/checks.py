"""What makes a row unusable, and the roles of a usable one as typed columns; nothing is repaired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ibis

from builders.contents import SPLIT_WORDS
from builders.mapping import Mapping
from builders.rows import Rows
from builders.templates import render
from builders.timestamps import EARLIEST, LATEST, to_seconds

MISSING = ("", "\\N", "null", "NULL", "nan", "NaN", "None", "NA", "N/A")
"""What logs write where there is no value."""
MOST_OFFSET = 15 * 60
"""No clock on earth is further from UTC, in minutes."""


@dataclass(frozen=True)
class Check:
    """One way in which a row can be unusable."""

    reason: str
    """What is wrong, in words that stay the same for all rows."""
    column: str
    """The column of the log that is to blame."""
    bad: Any
    """Expression: whether the row is unusable."""
    value: Any
    """Expression: what stands in the column."""


def present(text: Any) -> Any:
    """A text column with null for every way to write that there is no value."""
    return text.strip().isin(MISSING).ifelse(None, text)


def check_coordinates(lat: Any, lon: Any, lat_name: str, lon_name: str) -> list[Check]:
    """Checks on two text columns of degrees: numbers, both or none, on the globe."""
    north, east = lat.strip().try_cast("float64"), lon.strip().try_cast("float64")
    half = lat.isnull() != lon.isnull()
    return [
        Check("latitude is not a number", lat_name, lat.notnull() & north.isnull(), lat),
        Check("longitude is not a number", lon_name, lon.notnull() & east.isnull(), lon),
        Check("half a coordinate", lat_name, half, ibis.coalesce(lat, lon)),
        Check("latitude out of range", lat_name, ~north.between(-90.0, 90.0), lat),
        Check("longitude out of range", lon_name, ~east.between(-180.0, 180.0), lon),
    ]


def check_events(rows: Rows, mapping: Mapping, time_format: str) -> tuple[Any, list[Check]]:
    """A log's rows as typed columns, and the checks on them (lazy expressions).

    The columns are ``row``, ``content`` (a hash of the whole row) and the roles; a role without a column is null.
    """
    text = {role: present(rows[column]) for role, column in mapping.roles().items()}
    checks = [
        Check(f"missing {role}", mapping.roles()[role], text[role].isnull(), text[role])
        for role in ("user", "item", "time")
    ]
    seconds = to_seconds(text["time"], time_format)
    checks += [
        Check("unparsable time", mapping.roles()["time"], seconds.isnull(), text["time"]),
        Check("time out of range", mapping.roles()["time"], ~seconds.between(EARLIEST, LATEST), text["time"]),
    ]
    typed = {"time": seconds}
    for role, limit in (("utc_offset", MOST_OFFSET), ("weight", 1e30)):
        if role in text:
            number = text[role].strip().try_cast("float64")
            column = mapping.roles()[role]
            checks.append(Check(f"{role} is not a number", column, text[role].notnull() & number.isnull(), text[role]))
            checks.append(Check(f"{role} out of range", column, ~number.between(-limit, limit), text[role]))
            typed[role] = number
    if "lat" in text:
        checks += check_coordinates(text["lat"], text["lon"], mapping.roles()["lat"], mapping.roles()["lon"])
        typed |= {role: text[role].strip().try_cast("float64") for role in ("lat", "lon")}
    if "split" in text:
        typed["split"] = _split_code(text["split"], mapping)
        checks.append(Check("unknown split", mapping.roles()["split"], typed["split"].isnull(), text["split"]))
    return _typed_columns(rows, mapping, text, typed), checks


def _typed_columns(rows: Rows, mapping: Mapping, text: dict[str, Any], typed: dict[str, Any]) -> dict[str, Any]:
    def role(name: str, otherwise: Any, dtype: str) -> Any:
        value = typed.get(name, text.get(name))
        return (ibis.literal(otherwise, type=dtype) if value is None else value).cast(dtype)

    whole = ibis.struct({f"c{place}": rows.table[f"c{place}"] for place in range(len(rows.source.columns))})
    columns = {name: rows[name] for name in rows.source.columns}
    return {
        "row": rows.table.row.cast("int64"),
        "content": whole.hash().cast("string"),
        "user": text["user"],
        "item": text["item"],
        "location": role("location", None, "string"),
        "time": typed["time"],
        "lat": role("lat", None, "float64"),
        "lon": role("lon", None, "float64"),
        "utc_offset": role("utc_offset", mapping.utc_offset_constant or 0, "float64")
        .fill_null(0.0)
        .round()
        .cast("int16"),
        "kind": role("kind", mapping.kind_constant or "event", "string").fill_null("event"),
        "weight": role("weight", 1.0, "float32").fill_null(1.0),
        "session": role("session", None, "string"),
        "split": role("split", None, "int8"),
        "text": render(mapping.item_text, columns) if mapping.item_text else role("text", None, "string"),
        "label": present(rows[mapping.item_label]) if mapping.item_label else ibis.literal(None, type="string"),
    }


def _split_code(value: Any, mapping: Mapping) -> Any:
    if mapping.split_values is None:
        words = SPLIT_WORDS
        value = value.strip().lower()
    else:
        words = {written: SPLIT_WORDS[name] for written, name in mapping.split_values.items()}
    return ibis.cases(*((value == word, code) for word, code in words.items()), else_=None)
