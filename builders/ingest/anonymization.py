"""Anonymization of log parts by the options of `builders.mapping.privacy.Privacy`."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
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
from builders.mapping.privacy import Privacy
from builders.mapping.pseudonyms import Key
from graphrec.errors import InputError
from graphrec.reidentification import Risk, reidentification_risk
from graphrec.time_units import DAY, FIRST_MONDAY

RISK_RESOLUTION = 10
"""H3 resolution of the re-identification risk: cells about 130 m across, a house and its neighbours."""
REDACTED = "(withheld)"
"""Replaces the values of quarantined rows."""
BAD_ROW_COLUMNS = ("failed", "before")
"""The only columns of an unusable row that an anonymized part keeps."""


def anonymize_part(
    engine: Engine,
    raw: Path,
    out: Path,
    privacy: Privacy,
    types: Mapping[str, str] = ID_COLUMNS["events"],
    *,
    keep_user_text: bool = False,
) -> None:
    """Write a log part anonymized: the same rows in the same order, the same columns.

    Parameters
    ----------
    raw
        The part as read, in a folder that does not outlive the build.
    out
        Path of the anonymized part.
    types
        Node types of its id columns, see `builders.mapping.id_columns`.
    keep_user_text
        Whether the mapping declares the text of users (``user_text``); else it is removed as well.

    Of an unusable row only `BAD_ROW_COLUMNS` are kept.
    """
    table = engine.read_parts(f"raw_{uuid.uuid4().hex}", [raw])
    usable = table.failed.isnull()
    columns = [name for name in table.columns if name not in (*BAD_ROW_COLUMNS, "file_row_number")]
    table = table.mutate(**{name: usable.ifelse(table[name], None) for name in columns})
    rows = anonymize(engine, table, privacy, types)
    if types.get("id") == "user" and privacy.pseudonyms:
        names = ("label",) if keep_user_text else ("label", "text")
        rows = rows.mutate(**{name: ibis.null("string") for name in names})
    ordered = rows.order_by("file_row_number").drop("file_row_number")
    engine.materialise(f"hidden_{uuid.uuid4().hex}", ordered, out)


def anonymize(engine: Engine, table: Any, privacy: Privacy, types: Mapping[str, str] = ID_COLUMNS["events"]) -> Any:
    """The expression of the anonymized rows, in any order:

    - pseudonyms: 32 hexadecimal digits in place of a user's id; ``session`` and ``content`` of the user's events are
      hashed with a secret salt per user, so that guessed rows cannot be tried out without the key;
    - coordinates: ``lat``, ``lon`` are the centre of their H3 cell, for all node types;
    - time: that of events and of ties between users is rounded down in UTC, which keeps their order; with days and
      longer ``utc_offset`` is 0, since a day is a UTC day. Weeks start on Monday.
    """
    users = sorted(user_columns(types))
    for column in users if privacy.pseudonyms else ():
        table = _with_pseudonyms(engine, table, column)
    if privacy.coordinates is not None and "lat" in table.columns:
        table = _with_cell_centres(engine, table, privacy.coordinates)
    times = [name for name in ("time", "valid_from") if users and name in table.columns]
    if privacy.seconds:
        table = table.mutate(**{name: _rounded_down(table[name], privacy.seconds) for name in times})
    if privacy.seconds and privacy.seconds >= DAY and "utc_offset" in table.columns:
        zero = table.utc_offset.notnull().ifelse(0, None).cast(table.utc_offset.type())
        table = table.mutate(utc_offset=zero)
    return table


def _with_pseudonyms(engine: Engine, table: Any, column: str) -> Any:
    key = Key.from_environment()
    users = engine.to_pyarrow(table.select(column).distinct())[column].drop_null().to_pylist()
    columns = zip(*((user, *key.name_and_salt(user)) for user in users), strict=True) if users else ((), (), ())
    values = [pa.array(values, pa.string()) for values in columns]
    names = _table(engine, pa.table(values, ["real", "pseudonym", "salt"]))
    joined = table.left_join(names, table[column] == names.real)
    hidden = {column: joined.pseudonym}
    if column == "user" and "session" in table.columns:
        hidden["session"] = (joined.salt + joined.session).hexdigest("sha256").left(32)
    if column == "user" and "content" in table.columns:
        salted = (joined.salt + joined.content.cast("string")).hexdigest("sha256")
        number = salted.hash() >> 1  # the engine's hash is unsigned
        hidden["content"] = joined.salt.notnull().ifelse(number, None)
    return joined.mutate(**hidden).select(*table.columns)


def _with_cell_centres(engine: Engine, table: Any, resolution: int) -> Any:
    points = engine.to_pyarrow(table.filter(table.lat.notnull()).select("lat", "lon").distinct())
    cells = _cells(points["lat"], points["lon"], resolution)
    centres = np.array([h3.cell_to_latlng(cell) for cell in cells.tolist()], np.float64).reshape(-1, 2)
    names = ["real_lat", "real_lon", "centre_lat", "centre_lon"]
    centre = _table(engine, pa.table([points["lat"], points["lon"], centres[:, 0], centres[:, 1]], names))
    joined = table.left_join(centre, [table.lat == centre.real_lat, table.lon == centre.real_lon])
    return joined.mutate(lat=joined.centre_lat, lon=joined.centre_lon).select(*table.columns)


def _rounded_down(time: Any, seconds: int) -> Any:
    remainder = (time - FIRST_MONDAY) % seconds
    remainder = (remainder < 0).ifelse(remainder + seconds, remainder)  # DuckDB's has the sign of the time
    return (time - remainder).cast("int64")


def _cells(lat: Any, lon: Any, resolution: int) -> np.ndarray:
    """H3 cells of coordinates, [n] int64."""
    pairs = zip(lat.to_pylist(), lon.to_pylist(), strict=True)
    return np.array([h3.latlng_to_cell(*pair, resolution) for pair in pairs], np.int64)


def _table(engine: Engine, rows: pa.Table) -> Any:
    """Rows as a table of a unique name: expressions of several files may be pending."""
    return engine.create_table(f"known_{uuid.uuid4().hex}", rows)


def suppress_rare_locations(engine: Engine, events: Any, min_users: int) -> tuple[Any, int]:
    """Drop the events at locations with fewer than ``min_users`` users (k-anonymity of locations).

    An event without a location is kept. To be applied after every other filter: those may reduce the users again.

    Parameters
    ----------
    events
        Table with ``user`` and ``place``.

    Returns
    -------
    The expression of the kept events, and the number of dropped ones.
    """
    users = events.filter(events.place.notnull()).group_by("place").aggregate(users=events.user.nunique())
    kept = events.anti_join(users.filter(users.users < min_users), "place")
    total, n_kept = (int(engine.to_pyarrow(table.count()).as_py()) for table in (events, kept))
    if total and not n_kept:
        raise InputError(
            f"privacy: places={min_users}: no location has so many users, so that none of {total:,} events is left; "
            "take a smaller number, or larger cells (h3_resolution)"
        )
    return kept, total - n_kept


def redact_values(quarantine: pa.Table) -> pa.Table:
    """The quarantine without the values of its rows; those of duplicates are row numbers and stay."""
    keep = pc.or_(pc.equal(quarantine["reason"], DUPLICATE), pc.is_null(quarantine["value"]))
    value = pc.if_else(keep, quarantine["value"], pa.scalar(REDACTED))
    return quarantine.set_column(quarantine.schema.get_field_index("value"), quarantine.schema.field("value"), value)


def anonymous_filename(index: int, name: str) -> str:
    """A file's name without its owner's words: ``anna_train.csv.gz``, the first, becomes ``file0-train.csv.gz``."""
    split = re.search("train|val|dev|test", name.lower())  # as builders.assemble.split reads it
    suffixes = re.search(r"(\.(csv|tsv|txt|jsonl|ndjson|json|parquet|gz|zst))*$", name)
    return f"file{index}{f'-{split.group()}' if split else ''}{suffixes.group() if suffixes else ''}"


def risk_of_log(engine: Engine, events: Any) -> Risk:
    """Re-identification risk of usable events: by small cells of their coordinates, else by location, else by item.

    Parameters
    ----------
    events
        Table with ``user``, ``item``, ``location``, ``time``, ``utc_offset``, ``lat``, ``lon``, not anonymized.
    """
    place = ibis.coalesce(events.location, events.item)
    rows = engine.to_pyarrow(events.select("user", "time", "utc_offset", "lat", "lon", place=place))
    cell = -1 - _codes(rows["place"])  # negative, unlike H3 cells
    located = np.flatnonzero(pc.is_valid(rows["lat"]).to_numpy())
    if len(located):
        cell[located] = _cells(rows["lat"].take(located), rows["lon"].take(located), RISK_RESOLUTION)
    return reidentification_risk(_codes(rows["user"]), cell, rows["time"].to_numpy(), rows["utc_offset"].to_numpy())


def _codes(ids: pa.ChunkedArray) -> np.ndarray:
    """Dense codes of ids, [n] int64."""
    return np.asarray(ids.combine_chunks().dictionary_encode().indices.to_numpy(), np.int64)
