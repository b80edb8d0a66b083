"""Events in time order, with dense codes: a number given once is never given to another."""

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
MOST_KINDS = 127
"""Kinds are int8 codes."""


def set_aside_duplicates(engine: Engine, events: Any, parts: Sequence[Part]) -> tuple[Any, pa.Table]:
    """Keep the first of rows that are the same in every column of their files; the others go to quarantine."""
    alike = events.group_by("content").aggregate(count=events.count())
    same = engine.materialise("same_content", alike.filter(alike["count"] > 1))
    if not int(engine.to_pyarrow(same.count()).as_py()):
        return events, quarantine([], [], [], [], [])
    rows = events.select("key", "content", "time").semi_join(same, "content")
    rows = rows.mutate(first=rows.key.min().over(ibis.window(group_by=["content", "time"])))
    again = engine.materialise("repeated_rows", rows.filter(rows.key > rows["first"]).select("key", "first"))
    table = engine.to_pyarrow(again.order_by("key"))
    file, row = source_rows(parts, key_to_row(table["key"].to_numpy()))
    first_file, first_row = source_rows(parts, key_to_row(table["first"].to_numpy()))
    elsewhere = pc.if_else(pc.equal(file, first_file), "", pc.binary_join_element_wise("", " of ", first_file, ""))
    value = pc.binary_join_element_wise("same as row ", pa.array(first_row).cast(pa.string()), elsewhere, "")
    reason, column = pa.array([DUPLICATE] * len(table), pa.string()), pa.nulls(len(table), pa.string())
    return events.anti_join(again, "key"), quarantine(file, row, column, reason, value)


@dataclass(frozen=True)
class Numbered:
    """What has numbers already, and what a table lists: the numbers of the others follow."""

    old: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Ids by code, of each node type and of ``kind``; '' for one that is forgotten."""
    listed: Mapping[str, Any] = field(default_factory=dict)
    """For each node type that has a table of nodes: ``id`` and ``row``, each id once."""
    points: Any | None = None
    """Locations by coordinates, see `builders.assemble.places.Placed.points`; None: the events have ``location``."""
    constants: Mapping[str, str | None] = field(default_factory=dict)
    """Columns that say the same of all events, with what they say."""


@dataclass(frozen=True)
class Encoded:
    """A log's events in time order and the vocabularies that number their ids."""

    columns: pa.Table
    """One row an event, by ``key``: codes ``user`` ``item`` ``location`` ``kind`` (-1: none), ``session`` (hash of its
    name, -1: none; users may share one), ``utc_offset``, ``weight``, ``split``."""
    vocabularies: dict[str, Any]
    """For each node type a table with ``id``, ``code``, ``first`` (key of its first event, null without one) and
    ``row`` (null for one that no table lists)."""
    kinds: list[str]
    """Names of the kinds by code."""


def encode(engine: Engine, events: Any, numbered: Numbered) -> Encoded:
    """Number the ids of events: those that have numbers keep them, then in the order of their first events.

    Parameters
    ----------
    events
        Table with ``key``, the columns of `CODED`, ``session``, ``utc_offset``, ``weight`` and ``split``.
    """
    codes = {name: _codes(engine, events, name, numbered) for name in CODED if name not in numbered.constants}
    by = {name: [name] for name in codes}
    tables = {name: table.select(**{name: table.id, f"{name}_code": table.code}) for name, table in codes.items()}
    if numbered.points is not None:
        by["location"] = ["lat", "lon"]
        where = numbered.points.inner_join(tables["location"], "location")
        tables["location"] = engine.materialise("point_codes", where.select("lat", "lon", "location_code"))
    rest = {name: events[name] for name in ("key", "utc_offset", "weight", "split")}
    if "session" not in numbered.constants:
        rest["session"] = events.session.isnull().ifelse(-1, engine.row_hash([events.session]))
    coded = events.select(*dict.fromkeys(chain(*by.values())), **rest)
    for name, table in tables.items():
        coded = coded.left_join(table, by[name]).drop(*(f"{key}_right" for key in by[name]))
    numbers = {name: coded[f"{name}_code"].fill_null(-1).cast("int32") for name in codes}
    columns = coded.select(*rest, **numbers).order_by("key")
    kinds = _kinds(engine, codes["kind"]) if "kind" in codes else _constant_kinds(numbered)
    return Encoded(_with_constants(engine.stream(columns), numbered, kinds), codes, kinds)


def _with_constants(columns: pa.Table, numbered: Numbered, kinds: list[str]) -> pa.Table:
    """The columns with the codes of those that say the same of all events."""
    for name, said in numbered.constants.items():
        code = -1 if said is None else kinds.index(said)
        columns = columns.append_column(name, pa.array(np.full(len(columns), code, np.int32)))
    return columns


def _constant_kinds(numbered: Numbered) -> list[str]:
    return list(dict.fromkeys([*numbered.old.get("kind", ()), str(numbered.constants["kind"])]))


def _codes(engine: Engine, events: Any, name: str, numbered: Numbered) -> Any:
    """Table ``id``, ``code``, ``first``, ``row``, see `Encoded.vocabularies`."""
    if name == "location" and numbered.points is not None:
        known, key = numbered.points.filter(numbered.points["first"].notnull()), "first"
    else:
        known, key = events.filter(events[name].notnull()), "key"
    ids = known.group_by(id=known[name]).aggregate(first=known[key].min())
    listed, old = numbered.listed.get(name), numbered.old.get(name)
    ids = _with(engine, f"{name}_listed_ids", ids, "row", listed)
    ids = _with(engine, f"{name}_old_ids", ids, "old", _old(engine, name, old) if old is not None else None)
    code = ibis.row_number().over(order_by=[ibis.asc(ids[key], nulls_first=False) for key in ("old", "first", "row")])
    return engine.materialise(f"{name}_codes", ids.select("id", "first", "row", code=code))


def _with(engine: Engine, name: str, ids: Any, column: str, others: Any | None) -> Any:
    """The ids and those of ``others``, with their ``column``; it is null for an id that they do not have."""
    if others is None:
        return ids.mutate(**{column: ibis.literal(None, type="int64")})
    both = ids.outer_join(others.select("id", column), "id")
    kept = [known for known in (*ids.columns, column) if known != "id"]
    return engine.view(name, both.select(*kept, id=ibis.coalesce(both.id, both.id_right)))


def _old(engine: Engine, name: str, ids: Sequence[str]) -> Any:
    """Ids by code; that of a forgotten node is null, which equals no other."""
    column = pa.array([identity or None for identity in ids], pa.string())
    return engine.create_table(f"{name}_old", pa.table({"id": column, "old": np.arange(len(ids))}))


def _kinds(engine: Engine, codes: Any) -> list[str]:
    names: list[str] = engine.to_pyarrow(codes.order_by("code"))["id"].to_pylist()
    if len(names) > MOST_KINDS:
        raise InputError(
            f"kind: at most {MOST_KINDS} different kinds of event expected, got {len(names):,}, such as {names[0]!r}; "
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
    codes: np.ndarray = pa.array(key, mask=session == -1).dictionary_encode().indices.fill_null(-1).to_numpy()
    return codes
