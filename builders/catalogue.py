"""Tables of items, users or locations: what a node says, what it is called and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from builders.checks import Check, half_coordinate, number, number_checks, present
from builders.contents import is_words
from builders.engine import engine_errors, materialise
from builders.mapping import Mapping
from builders.names import READABLE, SYNONYMS, find, nearest, plain
from builders.quarantine import quarantine, sift
from builders.rows import Rows, read
from builders.sources import Layout, Source, detect
from builders.templates import check_fields, render
from graphrec.errors import MappingError


class TableMapping(Layout):
    """Which columns of a table of nodes say what; what is None is guessed."""

    id: str | None = None
    """The node's id as the log writes it."""
    label: str | None = None
    """A short name for people."""
    text: str | None = None
    """Template of what the text encoder reads."""
    lat: str | None = None
    """Latitude in degrees."""
    lon: str | None = None
    """Longitude in degrees."""
    location: str | None = None
    """Id of the location that an item is at."""


@dataclass(frozen=True)
class Catalogue:
    """A table of nodes of one type, checked."""

    source: Source
    """The file that it comes from."""
    count: int
    """Rows of the file."""
    mapping: TableMapping
    """Its columns, given and guessed."""
    table: Any
    """Good rows: ``row``, ``id``, ``label``, ``text``, ``lat``, ``lon``, ``location``; each id once."""
    quarantine: pa.Table
    """Rows that could not be used."""


def table_mapping(kind: str, mapping: Mapping, preset: TableMapping | None) -> TableMapping:
    """What is said of the table of a node type: by the log's mapping (``item_id``, ...), then by the preset."""
    given = {key: getattr(mapping, f"{kind}_{key}") for key in ("id", "label", "text")}
    return (preset or TableMapping()).model_copy(
        update={key: value for key, value in given.items() if value is not None}
    )


def read_catalogue(
    connection: Any, kind: str, path: Path, given: TableMapping, mapping: Mapping, workspace: Path
) -> Catalogue:
    """Read a table of nodes into the engine; its rows that cannot be used are set aside.

    Raises MappingError when no column looks like the id or a column that was named is not there.
    """
    rows = read(connection, detect(path, given, workspace), f"{kind}_rows")
    columns = _complete(kind, rows, given, mapping)
    with engine_errors(str(path)):
        table, checks = _read(connection, f"{kind}_typed", rows, columns)
        kept = {name: table[name] for name in ("row", "id", "label", "text", "lat", "lon", "location")}
        good, bad = sift(connection, f"{kind}_table", rows, table, kept, checks)
        good, again = _one_row_an_id(connection, f"{kind}_catalogue", good, rows)
    return Catalogue(rows.source, rows.total, columns, good, pa.concat_tables([bad, again]))


def _complete(kind: str, rows: Rows, given: TableMapping, mapping: Mapping) -> TableMapping:
    names, where = rows.source.columns, str(rows.source.path)
    guess = {
        "id": _id_column(kind, names, mapping),
        "label": find("label", names) if kind != "user" or "name" in map(plain, names) else None,
        "lat": find("lat", names),
        "lon": find("lon", names),
        "location": mapping.location if kind == "item" and mapping.location in names else None,
    }
    found = given.model_copy(update={key: value for key, value in guess.items() if getattr(given, key) is None})
    for key in ("id", "label", "lat", "lon", "location"):
        column = getattr(found, key)
        if column is not None and column not in names:
            raise MappingError(
                f"{kind}_{key}: {where} has no column {column!r}{nearest(column, names)}; it has {', '.join(names)}"
            )
    if found.text is not None:
        check_fields(found.text, f"{kind}_text", names, where)
    if found.id is None:
        raise MappingError(
            f"{where}: no column looks like the {kind}'s id; it has {', '.join(names)}; "
            f"say which in a mapping, such as '{kind}_id: {names[0]}'"
        )
    alone = (found.lat is None) != (found.lon is None)
    text = found.text or default_template(rows, found.id)
    return found.model_copy(update={"text": text, **({"lat": None, "lon": None} if alone else {})})


def _id_column(kind: str, names: Sequence[str], mapping: Mapping) -> str | None:
    role = getattr(mapping, kind)
    if role in names:
        return str(role)
    by_name = {plain(name): name for name in reversed(names)}
    wanted = [f"{kind}id", kind, "id", *(plain(name) for name in SYNONYMS[kind])]
    return next((by_name[name] for name in wanted if name in by_name), None)


def default_template(rows: Rows, taken: str) -> str | None:
    """A template over the columns that hold words, in the order in which they read well; None without any."""
    sample = rows.sample()
    by_name = {plain(name): name for name in reversed(list(sample)) if name != taken}
    readable = [by_name[plain(name)] for name in READABLE if plain(name) in by_name]
    words = [name for name in readable if is_words(sample[name])]
    return ". ".join(f"{{{name}}}" for name in words) + "." if words else None


def _read(connection: Any, name: str, rows: Rows, columns: TableMapping) -> tuple[Any, list[Check]]:
    nothing = ibis.null("string")
    values = {column: present(rows[column]) for column in rows.source.columns}
    text = {key: values.get(getattr(columns, key), nothing) for key in ("id", "label", "lat", "lon", "location")}
    written = rows.table.select(
        row=rows.table.row.cast("int64"),
        id=text["id"],
        label=text["label"],
        text=render(columns.text, values) if columns.text else nothing,
        lat=number(text["lat"]),
        lon=number(text["lon"]),
        location=text["location"],
        text_lat=text["lat"],
        text_lon=text["lon"],
    )
    table = materialise(connection, name, written)
    checks = [Check("missing id", columns.id or "", table.id.isnull(), table.id)]
    if columns.lat is not None and columns.lon is not None:
        checks += number_checks("lat", columns.lat, table.text_lat, table.lat)
        checks += number_checks("lon", columns.lon, table.text_lon, table.lon)
        checks.append(half_coordinate(columns.lon, table.text_lat, table.text_lon))
    return table, checks


def _one_row_an_id(connection: Any, name: str, table: Any, rows: Rows) -> tuple[Any, pa.Table]:
    place = ibis.row_number().over(ibis.window(group_by="id", order_by="row"))
    ranked = materialise(connection, f"{name}_ranked", table.mutate(place=place))
    again = ranked.filter(ranked.place > 0).select("row", "id").order_by("row").to_pyarrow()
    count = len(again)
    reason = pa.array(["id is listed twice"] * count, pa.string())
    bad = quarantine(rows.source.name, again["row"], pa.nulls(count, pa.string()), reason, again["id"])
    return materialise(connection, name, ranked.filter(ranked.place == 0).drop("place")), bad
