"""Events with dense codes: users, items and locations numbered in the order of their first events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from builders.engine import materialise
from graphrec.errors import InputError

NODE_TYPES = ("user", "item", "location")
MOST_KINDS = 127
"""Kinds are int8 codes."""


@dataclass(frozen=True)
class Encoded:
    """A log's events in time order and the vocabularies that number their ids."""

    columns: pa.Table
    """One row an event, sorted by time, ties in log order: codes ``user`` ``item`` ``location`` (-1: none) ``kind``
    and ``visit`` (one for each session of a user, -1: none), ``time``, ``utc_offset``, ``weight``, ``file``,
    ``split``."""
    vocabularies: dict[str, Any]
    """For each node type a table with ``id``, ``code``, ``first_seen`` and what its first event says: ``lat``, ``lon``,
    ``place_lat``, ``place_lon``, ``text``, ``label``."""
    kinds: list[str]
    """Names of the kinds by code."""


def encode(connection: Any, events: Any) -> Encoded:
    """Number the ids of checked events in the order of their first events.

    Parameters
    ----------
    events
        Table with the roles as columns, ``file`` and ``row``, and the coordinates ``place_lat``, ``place_lon`` of
        the event's location.
    """
    order = ibis.row_number().over(order_by=[events.time, events.file, events.row])
    ordered = materialise(connection, "events_ordered", events.mutate(order=order))
    keys = {**{name: [name] for name in (*NODE_TYPES, "kind")}, "visit": ["user", "session"]}
    codes = {name: _codes(connection, ordered, name, columns) for name, columns in keys.items()}
    coded = ordered.select("order", "time", "utc_offset", "weight", "file", "split", *NODE_TYPES, "kind", "session")
    for name, columns in keys.items():
        number = codes[name].select(*columns, **{f"{name}_code": codes[name].code})
        coded = coded.left_join(number, columns).drop(*(f"{column}_right" for column in columns))
    numbers = {name: coded[f"{name}_code"].fill_null(-1).cast("int32") for name in keys}
    columns = coded.order_by("order").select("time", "utc_offset", "weight", "file", "split", **numbers)
    vocabularies = {kind: _vocabulary(ordered, codes[kind], kind) for kind in NODE_TYPES}
    return Encoded(columns.to_pyarrow(), vocabularies, _kinds(codes["kind"]))


def _codes(connection: Any, ordered: Any, name: str, columns: list[str]) -> Any:
    """Table ``columns``, ``first`` (place of the first event with these values) and ``code`` in order of ``first``."""
    known = ordered.filter(ordered[columns[-1]].notnull())
    firsts = known.group_by(columns).aggregate(first=known.order.min())
    return materialise(connection, f"{name}_codes", firsts.mutate(code=ibis.row_number().over(order_by="first")))


def _vocabulary(ordered: Any, codes: Any, kind: str) -> Any:
    told = ordered.select("order", "time", "lat", "lon", "place_lat", "place_lon", "text", "label")
    named = codes.select("first", "code", id=codes[kind])
    return named.inner_join(told, named["first"] == told.order).rename(first_seen="time").drop("first", "order")


def _kinds(codes: Any) -> list[str]:
    names: list[str] = codes.order_by("code").to_pyarrow()["kind"].to_pylist()
    if len(names) > MOST_KINDS:
        raise InputError(
            f"kind: at most {MOST_KINDS} different kinds of event expected, got {len(names):,}, such as {names[0]!r}; "
            "map another column, or none, to 'kind'"
        )
    return names


def session_codes(visit: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Codes of the parts of visits that lie in one split, [n] int32 in order of appearance; -1 stays -1."""
    key = visit.astype(np.int64) * 3 + split
    known = np.flatnonzero(visit >= 0)
    _, first, inverse = np.unique(key[known], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first))
    codes = np.full(len(visit), -1, np.int32)
    codes[known] = rank[inverse]
    return codes
