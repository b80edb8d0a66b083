"""Dense integer codes of the ids of events; a code that was given once is never given to another id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.engine.backend import Engine
from builders.ingest.parts import Part, key_to_row, source_rows
from builders.ingest.quarantine import DUPLICATE, quarantine
from graphrec.errors import InputError
from graphrec.graph.splits import SPLITS

NODE_TYPES = ("user", "item", "location")
CODED = (*NODE_TYPES, "kind")
"""The columns of events that become codes."""
MAX_KINDS = 127
"""Kinds are int8 codes."""


def quarantine_duplicates(engine: Engine, events: Any, parts: Sequence[Part]) -> tuple[Any, pa.Table]:
    """Keep the first of rows that are equal in every column of their files; the others go to quarantine."""
    counts = events.group_by("content").aggregate(count=events.count())
    repeated = engine.materialise("same_content", counts.filter(counts["count"] > 1))
    if not int(engine.to_pyarrow(repeated.count()).as_py()):
        return events, quarantine([], [], [], [], [])
    rows = events.select("key", "content", "time").semi_join(repeated, "content")
    rows = rows.mutate(first=rows.key.min().over(ibis.window(group_by=["content", "time"])))
    duplicates = engine.materialise("repeated_rows", rows.filter(rows.key > rows["first"]).select("key", "first"))
    table = engine.to_pyarrow(duplicates.order_by("key"))
    file, row = source_rows(parts, key_to_row(table["key"].to_numpy()))
    first_file, first_row = source_rows(parts, key_to_row(table["first"].to_numpy()))
    suffix = pc.if_else(pc.equal(file, first_file), "", pc.binary_join_element_wise("", " of ", first_file, ""))
    value = pc.binary_join_element_wise("same as row ", pa.array(first_row).cast(pa.string()), suffix, "")
    reason, column = pa.array([DUPLICATE] * len(table), pa.string()), pa.nulls(len(table), pa.string())
    return events.anti_join(duplicates, "key"), quarantine(file, row, column, reason, value)


@dataclass(frozen=True)
class KnownCodes:
    """What the codes of events are based on: codes of an earlier build, tables of nodes, constants."""

    old: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Ids by code, of each node type and of ``kind``; '' for a forgotten node."""
    listed: Mapping[str, Any] = field(default_factory=dict)
    """For each node type that has a table of nodes: ``id`` and ``row``, each id once."""
    points: Any | None = None
    """Locations by coordinates, see `builders.assemble.places.LocatedEvents`; None: the events have ``location``."""
    constants: Mapping[str, str | None] = field(default_factory=dict)
    """Columns with the same value in all events, and this value."""


@dataclass(frozen=True)
class EncodedEvents:
    """Events in time order, with the vocabularies of their codes."""

    columns: pa.Table
    """One row per event, by ``key``: codes ``user`` ``item`` ``location`` ``kind`` (-1: none), ``session`` (hash of its
    name, -1: none; users may share one), ``utc_offset``, ``weight``, ``split``."""
    vocabularies: dict[str, Any]
    """For each node type a table with ``id``, ``code``, ``first`` (key of its first event, null without one) and
    ``row`` (in its table of nodes, null without one)."""
    kinds: list[str]
    """Kinds of event, by code."""


def encode(engine: Engine, events: Any, known: KnownCodes) -> EncodedEvents:
    """Encode the ids of events: known ids keep their codes, new ones follow in the order of their first events.

    Parameters
    ----------
    events
        Table with ``key``, the columns of `CODED`, ``session``, ``utc_offset``, ``weight`` and ``split``.
    """
    codes = {name: _codes(engine, events, name, known) for name in CODED if name not in known.constants}
    join_keys = {name: [name] for name in codes}
    tables = {name: table.select(**{name: table.id, f"{name}_code": table.code}) for name, table in codes.items()}
    if known.points is not None:
        join_keys["location"] = ["lat", "lon"]
        points = known.points.inner_join(tables["location"], "location")
        tables["location"] = engine.materialise("point_codes", points.select("lat", "lon", "location_code"))
    rest = {name: events[name] for name in ("key", "utc_offset", "weight", "split")}
    if "session" not in known.constants:
        rest["session"] = events.session.isnull().ifelse(-1, engine.row_hash([events.session]))
    coded = events.select(*dict.fromkeys(chain(*join_keys.values())), **rest)
    for name, table in tables.items():
        coded = coded.left_join(table, join_keys[name]).drop(*(f"{key}_right" for key in join_keys[name]))
    code_columns = {name: coded[f"{name}_code"].fill_null(-1).cast("int32") for name in codes}
    columns = engine.stream(coded.select(*rest, **code_columns).order_by("key"))
    if "kind" in codes:
        kinds = _kinds(engine, codes["kind"])
    else:
        kinds = list(dict.fromkeys([*known.old.get("kind", ()), str(known.constants["kind"])]))
    for name, value in known.constants.items():
        code = -1 if value is None else kinds.index(value)
        columns = columns.append_column(name, pa.array(np.full(len(columns), code, np.int32)))
    return EncodedEvents(columns, codes, kinds)


def _codes(engine: Engine, events: Any, name: str, known: KnownCodes) -> Any:
    """Table ``id``, ``code``, ``first``, ``row``, see `EncodedEvents.vocabularies`."""
    if name == "location" and known.points is not None:
        rows, key = known.points.filter(known.points["first"].notnull()), "first"
    else:
        rows, key = events.filter(events[name].notnull()), "key"
    ids = rows.group_by(id=rows[name]).aggregate(first=rows[key].min())
    old = None
    if name in known.old:  # the id of a forgotten node becomes null, which joins with none
        column = pa.array([identity or None for identity in known.old[name]], pa.string())
        old = engine.create_table(f"{name}_old", pa.table({"id": column, "old": np.arange(len(column))}))
    ids = _outer_join(engine, f"{name}_listed_ids", ids, "row", known.listed.get(name))
    ids = _outer_join(engine, f"{name}_old_ids", ids, "old", old)
    code = ibis.row_number().over(order_by=[ibis.asc(ids[key], nulls_first=False) for key in ("old", "first", "row")])
    return engine.materialise(f"{name}_codes", ids.select("id", "first", "row", code=code))


def _outer_join(engine: Engine, name: str, ids: Any, column: str, others: Any | None) -> Any:
    """The ids and those of ``others``, with their ``column``; null for an id that ``others`` lack."""
    if others is None:
        return ids.mutate(**{column: ibis.literal(None, type="int64")})
    both = ids.outer_join(others.select("id", column), "id")
    kept = [known for known in (*ids.columns, column) if known != "id"]
    return engine.view(name, both.select(*kept, id=ibis.coalesce(both.id, both.id_right)))


def _kinds(engine: Engine, codes: Any) -> list[str]:
    names: list[str] = engine.to_pyarrow(codes.order_by("code"))["id"].to_pylist()
    if len(names) > MAX_KINDS:
        raise InputError(
            f"kind: at most {MAX_KINDS} different kinds of event expected, got {len(names):,}, such as {names[0]!r}; "
            "map another column, or none, to 'kind'"
        )
    return names


def session_codes(user: np.ndarray, session: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Codes of each user's sessions, cut where the split changes, [n] int32 in order of appearance; -1 stays -1.

    Parameters
    ----------
    session
        Hash of the name of each event's session, [n] int64; -1: none.
    """
    key = (session.astype(np.uint64) + user.astype(np.uint64)) * np.uint64(len(SPLITS)) + split.astype(np.uint64)
    return np.asarray(pa.array(key, mask=session == -1).dictionary_encode().indices.fill_null(-1).to_numpy())
