"""Node tables: the ids of the events first, then those that only a catalogue lists."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.catalogue import Catalogue
from graphrec.errors import InputError
from graphrec.relation import ALWAYS

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("label", pa.string()),
        ("text", pa.string()),
        ("lat", pa.float64()),
        ("lon", pa.float64()),
        ("first_seen", pa.int64()),
    ]
)
"""Columns of nodes/<type>.parquet."""
LISTED = ("id", "label", "text", "lat", "lon")


def node_table(vocabulary: Any, listed: Any | None) -> pa.Table:
    """All nodes of a type in the order of their codes, columns as in `SCHEMA`.

    Parameters
    ----------
    vocabulary
        Nodes of the events: ``id``, ``code``, ``first_seen`` and what their first events say of them (`LISTED`).
    listed
        Nodes of a catalogue: ``row`` and `LISTED`, each id once; what it says goes first. None: no catalogue.
    """
    seen = vocabulary.select("code", "first_seen", *LISTED)
    if listed is None:
        return seen.order_by("code").select(*SCHEMA.names).to_pyarrow().cast(SCHEMA)
    told = listed.select("id", row="row", **{f"told_{name}": listed[name] for name in LISTED[1:]})
    joined = seen.left_join(told, "id")
    known = joined.select(
        "id",
        **{name: ibis.coalesce(joined[f"told_{name}"], joined[name]) for name in LISTED[1:]},
        first_seen=joined.row.notnull().ifelse(ALWAYS, joined.first_seen),
        code=joined.code.cast("int64"),
    )
    alone = listed.anti_join(seen, "id").order_by("row")
    added = alone.select(*LISTED, first_seen=ibis.literal(ALWAYS, type="int64")).to_pyarrow()
    first = known.order_by("code").select(*SCHEMA.names).to_pyarrow()
    return pa.concat_tables([first.cast(SCHEMA), added.select(SCHEMA.names).cast(SCHEMA)])


def refuse_foreign(kind: str, nodes: pa.Table, catalogue: Catalogue, events: int) -> None:
    """Raise InputError if not one id of the events is in the catalogue: most likely the wrong column or file."""
    known = nodes["first_seen"].slice(0, events)
    if not events or not len(nodes) > events or pc.any(pc.equal(known, ALWAYS)).as_py():
        return
    raise InputError(
        f"{catalogue.source.path}: not one {kind} of the log is in column {catalogue.mapping.id!r}; the log has ids "
        f"such as {nodes['id'][0].as_py()!r}, the table {nodes['id'][events].as_py()!r}; say which column with "
        f"'{kind}_id' in a mapping"
    )


def at_relation(events: pa.Table, items: pa.Table, locations: pa.Table, told: pa.Table | None) -> pa.Table:
    """Where items are: where their catalogue says, timeless, else at the location of their first event with one.

    Parameters
    ----------
    events
        Codes ``item``, ``location`` and ``time``, in time order.
    items, locations
        Node tables.
    told
        ``id`` of items and ``location`` as their catalogue has it; None without one.

    Returns
    -------
    ``source``, ``target`` int32 and ``valid_from`` int64 (null: timeless), sorted by source.
    """
    placed = events.filter(pc.greater_equal(events["location"], 0))
    rows = pa.table({"item": placed["item"], "row": np.arange(len(placed))})
    first = rows.group_by("item").aggregate([("row", "min")])
    by_event = placed.take(first["row_min"]).select(["item", "location", "time"])
    source, target, valid = by_event["item"], by_event["location"], by_event["time"]
    if told is not None:
        item = pc.index_in(told["id"], items["id"].combine_chunks())
        place = pc.index_in(told["location"], locations["id"].combine_chunks())
        good = pc.and_(pc.is_valid(item), pc.is_valid(place))
        item, place = item.filter(good), place.filter(good)
        rest = pc.invert(pc.is_in(source, item.combine_chunks()))
        source = pa.chunked_array([*item.chunks, *source.filter(rest).chunks], pa.int32())
        target = pa.chunked_array([*place.chunks, *target.filter(rest).chunks], pa.int32())
        valid = pa.chunked_array([pa.nulls(len(item), pa.int64()), *valid.filter(rest).chunks], pa.int64())
    return pa.table({"source": source, "target": target, "valid_from": valid}).sort_by("source")
