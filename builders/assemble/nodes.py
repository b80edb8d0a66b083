"""Node tables: nodes with events first, then those that only a table of nodes lists."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.engine.backend import Engine
from builders.ingest.parts import MAX_ROWS
from builders.mapping.timestamps import EARLIEST
from graphrec.errors import InputError
from graphrec.formatting import FORGOTTEN
from graphrec.graph.time_bounds import TIME_MAX, TIME_MIN

NODE_ATTRIBUTES = {"label": "string", "text": "string", "lat": "float64", "lon": "float64"}
"""Attributes of a node in logs and tables, with their types."""
SCHEMA = pa.schema({"id": "string", **NODE_ATTRIBUTES, "first_seen": "int64"})
"""Columns of nodes/<type>.parquet."""
AT = pa.schema([("source", pa.int32()), ("target", pa.int32()), ("valid_from", pa.int64())])
"""Columns of relations/at.parquet."""


def node_table(engine: Engine, codes: Any, listed: Any | None, logged: Any | None, key: str) -> pa.Table:
    """All nodes of a type in the order of their codes, columns as in `SCHEMA`.

    Parameters
    ----------
    codes
        A vocabulary of `builders.assemble.event_codes.encode`.
    listed
        Attributes from a table of nodes: ``id`` and others of `SCHEMA`, each id once; they take precedence. None: no
        table.
    logged
        Attributes from the log: ``key`` or ``id``, and others of `SCHEMA`. None: no attributes.
    key
        Join column of ``logged``: ``first`` (the key of a node's first event) or ``id``.
    """
    nodes = codes.mutate(**{name: ibis.literal(None, type=dtype) for name, dtype in NODE_ATTRIBUTES.items()})
    for table, on in ((logged, key), (listed, "id")):
        if table is None:
            continue
        columns = {name: f"new_{name}" for name in NODE_ATTRIBUTES if name in table.columns}
        right = table.select(join_key="key" if on == "first" else "id", **{new: old for old, new in columns.items()})
        joined = nodes.left_join(right, nodes[on] == right.join_key)
        nodes = joined.mutate(**{old: ibis.coalesce(joined[new], joined[old]) for old, new in columns.items()})
        nodes = nodes.drop("join_key", *columns.values())
    seen = (nodes["first"] // MAX_ROWS + EARLIEST).fill_null(TIME_MAX)
    nodes = nodes.mutate(
        first_seen=nodes.row.notnull().ifelse(TIME_MIN, seen),
        label=nodes.id.isnull().ifelse(FORGOTTEN, nodes.label),
        id=nodes.id.fill_null(""),
    )
    return engine.to_pyarrow(nodes.order_by("code").select(*SCHEMA.names)).cast(SCHEMA)


def with_first_seen(nodes: pa.Table, kind: str, events: pa.Table) -> pa.Table:
    """The nodes with ``first_seen`` at their first event of ``events``; listed nodes are always known."""
    listed = nodes["first_seen"].to_numpy() == TIME_MIN
    code, first = events[kind].to_numpy(), np.full(len(nodes), TIME_MAX)
    np.minimum.at(first, code[code >= 0], events["time"].to_numpy()[code >= 0])
    index = nodes.schema.get_field_index("first_seen")
    return nodes.set_column(index, SCHEMA.field(index), pa.array(np.where(listed, TIME_MIN, first)))


def check_ids_known(engine: Engine, kind: str, codes: Any, listed: Any, file: str, column: str | None) -> None:
    """Raise InputError if no id of the events is in the table: most likely the wrong column or file."""
    seen = codes.filter(codes["first"].notnull())
    counts = seen.aggregate(seen=seen.count(), both=seen.row.count(), id=seen.id.min())
    count = engine.to_pyarrow(counts).to_pylist()[0]
    example = engine.to_pyarrow(listed.select("id").limit(1)).to_pylist()
    if count["seen"] and example and not count["both"]:
        raise InputError(
            f"{file}: not one {kind} of the log is in column {column!r}; the log has ids "
            f"such as {count['id']!r}, the table {example[0]['id']!r}; say which column with '{kind}_id' in a mapping"
        )


def at_relation(events: pa.Table, items: pa.Table, locations: pa.Table, item_locations: pa.Table | None) -> pa.Table:
    """Locations of items: those of their table, else each location of their events, from the first event there on.

    Parameters
    ----------
    events
        Codes ``item``, ``location`` and ``time``, in time order.
    items, locations
        Node tables.
    item_locations
        ``id`` of items, ``location`` of their table and ``since`` (null: always); None without a table.

    Returns
    -------
    ``source``, ``target`` int32 and ``valid_from`` int64 (null: timeless), sorted by source, then by time.
    """
    events = events.select(["item", "location", "time"])
    located = events.filter(pc.greater_equal(events["location"], 0))
    pairs = located.group_by(["item", "location"], use_threads=False).aggregate([("time", "min")])
    by_event = pairs.rename_columns({"item": "source", "location": "target", "time_min": "valid_from"})
    edges = by_event.select(AT.names).cast(AT)
    if item_locations is not None:
        item = pc.index_in(item_locations["id"], items["id"].combine_chunks())
        location = pc.index_in(item_locations["location"], locations["id"].combine_chunks())
        listed = pa.table([item, location, item_locations["since"]], schema=AT)
        listed = listed.filter(pc.and_(pc.is_valid(listed["source"]), pc.is_valid(listed["target"])))
        rest = edges.filter(pc.invert(pc.is_in(edges["source"], listed["source"].combine_chunks())))
        edges = pa.concat_tables([listed, rest])
    since = pc.fill_null(edges["valid_from"], TIME_MIN)
    order = [("source", "ascending"), ("since", "ascending"), ("target", "ascending")]
    return edges.take(pc.sort_indices(edges.append_column("since", since), order))
