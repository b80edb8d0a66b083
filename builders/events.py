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
    firsts = {f"{name}_first": _first(ordered, columns) for name, columns in keys.items()}
    ordered = materialise(connection, "events_firsts", ordered.mutate(**firsts))
    codes = {f"{name}_code": _code(ordered[f"{name}_first"]) for name in keys}
    coded = materialise(connection, "events_coded", ordered.mutate(**codes))
    columns = coded.order_by("order").select(
        "time", "utc_offset", "weight", "file", "split", **{name: coded[f"{name}_code"] for name in keys}
    )
    vocabularies = {kind: _vocabulary(coded, kind) for kind in NODE_TYPES}
    return Encoded(columns.to_pyarrow(), vocabularies, _kinds(coded))


def _first(ordered: Any, columns: list[str]) -> Any:
    """Place of the first event with the same values; null where the last of the columns is."""
    first = ordered.order.min().over(ibis.window(group_by=columns))
    return ordered[columns[-1]].notnull().ifelse(first, None)


def _code(first: Any) -> Any:
    dense = ibis.dense_rank().over(order_by=first.asc(nulls_first=False))
    return first.notnull().ifelse(dense, -1).cast("int32")


def _vocabulary(coded: Any, kind: str) -> Any:
    firsts = coded.filter(coded.order == coded[f"{kind}_first"])
    return firsts.select(
        "lat",
        "lon",
        "place_lat",
        "place_lon",
        "text",
        "label",
        id=firsts[kind],
        code=firsts[f"{kind}_code"],
        first_seen=firsts.time,
    )


def _kinds(coded: Any) -> list[str]:
    names: list[str] = _vocabulary(coded, "kind").order_by("code").select("id").to_pyarrow()["id"].to_pylist()
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
