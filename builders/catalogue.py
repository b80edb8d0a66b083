"""Tables of items, users or locations: what a node says, what it is called and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from builders.checks import Check, check_coordinates, present
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
        good, bad = sift(connection, f"{kind}_table", rows, *_check(rows, columns))
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


def _check(rows: Rows, columns: TableMapping) -> tuple[dict[str, Any], list[Check]]:
    nothing = ibis.literal(None, type="string")
    text = {
        key: present(rows[getattr(columns, key)]) if getattr(columns, key) else nothing
        for key in ("id", "label", "lat", "lon", "location")
    }
    checks = [Check("missing id", columns.id or "", text["id"].isnull(), text["id"])]
    if columns.lat is not None and columns.lon is not None:
        checks += check_coordinates(text["lat"], text["lon"], columns.lat, columns.lon)
    values = {name: present(rows[name]) for name in rows.source.columns}
    typed = {
        "row": rows.table.row.cast("int64"),
        "id": text["id"],
        "label": text["label"],
        "text": render(columns.text, values) if columns.text else nothing,
        "lat": text["lat"].strip().try_cast("float64"),
        "lon": text["lon"].strip().try_cast("float64"),
        "location": text["location"],
    }
    return typed, checks


def _one_row_an_id(connection: Any, name: str, table: Any, rows: Rows) -> tuple[Any, pa.Table]:
    place = ibis.row_number().over(ibis.window(group_by="id", order_by="row"))
    ranked = materialise(connection, f"{name}_ranked", table.mutate(place=place))
    again = ranked.filter(ranked.place > 0).select("row", "id").order_by("row").to_pyarrow()
    count = len(again)
    reason = pa.array(["id is listed twice"] * count, pa.string())
    bad = quarantine(rows.source.name, again["row"], pa.nulls(count, pa.string()), reason, again["id"])
    return materialise(connection, name, ranked.filter(ranked.place == 0).drop("place")), bad
