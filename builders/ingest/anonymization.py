"""Hiding people in the rows of a log, as `builders.mapping.privacy.Privacy` asks for."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h3.api.basic_int as h3
import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.engine.backend import Engine
from builders.ingest.quarantine import DUPLICATE
from builders.mapping.id_columns import ID_COLUMNS, user_columns
from builders.mapping.privacy import DAY, Privacy
from builders.mapping.pseudonyms import Key
from graphrec.errors import InputError
from graphrec.reidentification import Risk, measure

MONDAY = 4 * DAY
"""Seconds from the first moment of 1970, a Thursday, to its first Monday: weeks start there."""
RISK_RESOLUTION = 10
"""H3 cells that the risk of a log is measured in, about 130 m across: a house and its neighbours."""
REDACTED = "(withheld)"
"""Stands in the quarantine for what a row said."""
BAD_ROW_COLUMNS = ("failed", "before")
"""What a part still says of a row that cannot be used: that it is there."""


def anonymize_part(
    engine: Engine,
    raw: Path,
    out: Path,
    privacy: Privacy,
    types: Mapping[str, str] = ID_COLUMNS["events"],
    text_was_asked: bool = False,
) -> None:
    """Hide what the options say in a log part: the same rows in the same order, with the same columns.

    Parameters
    ----------
    raw
        The part as it was read, in a folder that does not outlive the build.
    out
        Where the hidden one goes.
    types
        Which of its columns hold ids of nodes, and of which type, see `builders.mapping.id_columns`.
    text_was_asked
        Whether the mapping itself names the columns of the users' texts (``user_text``); else they are hidden too.

    A row that cannot be used keeps nothing but its place.
    """
    table = engine.read_parts(f"raw_{uuid.uuid4().hex}", [raw])
    usable = table.failed.isnull()
    columns = [name for name in table.columns if name not in (*BAD_ROW_COLUMNS, "file_row_number")]
    table = table.mutate(**{name: usable.ifelse(table[name], None) for name in columns})
    hidden = anonymize(engine, table, privacy, types)
    if types.get("id") == "user" and privacy.pseudonyms:
        names = ("label",) if text_was_asked else ("label", "text")
        hidden = hidden.mutate(**{name: ibis.null("string") for name in names})
    ordered = hidden.order_by("file_row_number").drop("file_row_number")
    engine.materialise(f"hidden_{uuid.uuid4().hex}", ordered, out)


def anonymize(engine: Engine, table: Any, privacy: Privacy, types: Mapping[str, str] = ID_COLUMNS["events"]) -> Any:
    """The expression of the same rows, in any order, with what the options say hidden:

    - pseudonyms: an id of a user is a pseudonym of 32 hexadecimal digits; ``session`` and ``content`` of a user's
      events are salted with a secret of the user, so that nobody without the key can try out a guess of a row;
    - coordinates: ``lat``, ``lon`` are the centre of their cell, whatever they are of;
    - time: that of events and of ties between users is rounded down in UTC, so that what came first never comes last;
      from a day on ``utc_offset`` is 0, since a day is a UTC day. Weeks start on Monday.
    """
    users = sorted(user_columns(types))
    for column in users if privacy.pseudonyms else ():
        table = _under_pseudonyms(engine, table, column)
    if privacy.coordinates is not None and "lat" in table.columns:
        table = _at_centres(engine, table, privacy.coordinates)
    times = [name for name in ("time", "valid_from") if users and name in table.columns]
    if privacy.seconds:
        table = table.mutate(**{name: _rounded(table[name], privacy.seconds) for name in times})
    if privacy.seconds and privacy.seconds >= DAY and "utc_offset" in table.columns:
        zero = table.utc_offset.notnull().ifelse(0, None).cast(table.utc_offset.type())
        table = table.mutate(utc_offset=zero)
    return table


def _under_pseudonyms(engine: Engine, table: Any, column: str) -> Any:
    key = Key.from_environment()
    users = engine.to_pyarrow(table.select(column).distinct())[column].drop_null().to_pylist()
    names = [key.name_and_salt(user) for user in users]
    columns = {"real": users, "pseudonym": [name for name, _ in names], "salt": [salt for _, salt in names]}
    known = _table(engine, {name: pa.array(values, pa.string()) for name, values in columns.items()})
    joined = table.left_join(known, table[column] == known.real)
    hidden = {column: joined.pseudonym}
    if column == "user" and "session" in table.columns:
        hidden["session"] = (joined.salt + joined.session).hexdigest("sha256").left(32)
    if column == "user" and "content" in table.columns:
        salted = (joined.salt + joined.content.cast("string")).hexdigest("sha256")
        number = salted.hash() >> 1  # the engine's hash is unsigned
        hidden["content"] = joined.salt.notnull().ifelse(number, None)
    return joined.mutate(**hidden).select(*table.columns)


def _at_centres(engine: Engine, table: Any, resolution: int) -> Any:
    told = engine.to_pyarrow(table.filter(table.lat.notnull()).select("lat", "lon").distinct())
    cells = _cells(told["lat"], told["lon"], resolution)
    centres = np.array([h3.cell_to_latlng(cell) for cell in cells.tolist()], np.float64).reshape(-1, 2)
    rows = {"real_lat": told["lat"], "real_lon": told["lon"], "centre_lat": centres[:, 0], "centre_lon": centres[:, 1]}
    centre = _table(engine, rows)
    joined = table.left_join(centre, [table.lat == centre.real_lat, table.lon == centre.real_lon])
    return joined.mutate(lat=joined.centre_lat, lon=joined.centre_lon).select(*table.columns)


def _rounded(time: Any, seconds: int) -> Any:
    since = (time - MONDAY) % seconds
    since = (since < 0).ifelse(since + seconds, since)  # an engine's remainder has the sign of the time
    return (time - since).cast("int64")


def _cells(lat: Any, lon: Any, resolution: int) -> np.ndarray:
    """H3 cells of coordinates, [n] int64."""
    pairs = zip(lat.to_pylist(), lon.to_pylist(), strict=True)
    return np.array([h3.latlng_to_cell(*pair, resolution) for pair in pairs], np.int64)


def _table(engine: Engine, columns: Mapping[str, Any]) -> Any:
    """Columns as a table of its own name: expressions of several files may wait to be run."""
    return engine.create_table(f"known_{uuid.uuid4().hex}", pa.table(dict(columns)))


def suppress_rare_locations(engine: Engine, events: Any, least: int) -> tuple[Any, int]:
    """Drop the events at places with fewer than ``least`` different users; an event without a place stays.

    Ask it after every other filter, or that may leave a place with fewer again.

    Parameters
    ----------
    events
        Table with ``user`` and ``place``.

    Returns
    -------
    The expression of the events that stay, and how many were dropped.
    """
    users = events.filter(events.place.notnull()).group_by("place").aggregate(users=events.user.nunique())
    kept = events.anti_join(users.filter(users.users < least), "place")
    total, left = (int(engine.to_pyarrow(table.count()).as_py()) for table in (events, kept))
    if total and not left:
        raise InputError(
            f"privacy: places={least}: no place has so many different users, so that none of {total:,} events is left; "
            "take a smaller number, or larger cells (h3_resolution)"
        )
    return kept, total - left


def redact_values(quarantine: pa.Table) -> pa.Table:
    """The quarantine without what its rows said; which row another repeats may be told."""
    tells = pc.or_(pc.equal(quarantine["reason"], DUPLICATE), pc.is_null(quarantine["value"]))
    value = pc.if_else(tells, quarantine["value"], pa.scalar(REDACTED))
    return quarantine.set_column(quarantine.schema.get_field_index("value"), quarantine.schema.field("value"), value)


def withhold_sources(sources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a manifest says of its files, under pseudonyms: no name that may be a person's, no hash to try files on.

    A name keeps its word for a split and its ending; the hash is made with the key, so that an append knows the file.
    """
    key = Key.from_environment()
    return [
        {**source, "name": anonymous_filename(place, source["name"]), "sha256": key.hide(source["sha256"])}
        for place, source in enumerate(sources)
    ]


def anonymous_filename(place: int, name: str) -> str:
    """A file's name without what its owner called it: ``anna_train.csv.gz``, the first, is ``file0-train.csv.gz``."""
    word = re.search("train|val|dev|test", name.lower())  # as builders.assemble.split looks for it
    endings = re.search(r"(\.(csv|tsv|txt|jsonl|ndjson|json|parquet|gz|zst))*$", name)
    return f"file{place}{f'-{word.group()}' if word else ''}{endings.group() if endings else ''}"


def risk_of_log(engine: Engine, events: Any) -> Risk:
    """The risk of usable events as they came: in small cells of their coordinates, else by location, else by item.

    Parameters
    ----------
    events
        Table with ``user``, ``item``, ``location``, ``time``, ``utc_offset``, ``lat``, ``lon``, nothing hidden yet.
    """
    place = ibis.coalesce(events.location, events.item)
    told = engine.to_pyarrow(events.select("user", "time", "utc_offset", "lat", "lon", place=place))
    cell = -1 - _codes(told["place"])  # below 0, where no cell is
    known = np.flatnonzero(pc.is_valid(told["lat"]).to_numpy())
    if len(known):
        cell[known] = _cells(told["lat"].take(known), told["lon"].take(known), RISK_RESOLUTION)
    return measure(_codes(told["user"]), cell, told["time"].to_numpy(), told["utc_offset"].to_numpy())


def _codes(ids: pa.ChunkedArray) -> np.ndarray:
    """A number for each id, [n] int64."""
    return np.asarray(ids.combine_chunks().dictionary_encode().indices.to_numpy(), np.int64)
