"""Node tables: the ids of the events first, then those that only a catalogue lists."""

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
SAID = {"label": "string", "text": "string", "lat": "float64", "lon": "float64"}
"""What logs and tables say of a node besides its id."""
AT = pa.schema([("source", pa.int32()), ("target", pa.int32()), ("valid_from", pa.int64())])
"""Columns of relations/at.parquet."""


def node_table(engine: Engine, codes: Any, listed: Any | None, own: Any | None, key: str) -> pa.Table:
    """All nodes of a type in the order of their codes, columns as in `SCHEMA`.

    Parameters
    ----------
    codes
        A vocabulary of `builders.assemble.event_codes.encode`.
    listed
        What a table says of them: ``id`` and others of `SCHEMA`, each id once; it goes first. None: no table.
    own
        What the log says of them: ``key`` or ``id``, and others of `SCHEMA`. None: nothing.
    key
        What joins that to ``codes``: ``first`` (the key of a node's first event) or ``id``.
    """
    nodes = codes.mutate(**{name: ibis.literal(None, type=dtype) for name, dtype in SAID.items()})
    for said, at in ((own, key), (listed, "id")):
        if said is None:
            continue
        told = {name: f"said_{name}" for name in SAID if name in said.columns}
        right = said.select(said_at="key" if at == "first" else "id", **{new: old for old, new in told.items()})
        joined = nodes.left_join(right, nodes[at] == right.said_at)
        nodes = joined.mutate(**{old: ibis.coalesce(joined[new], joined[old]) for old, new in told.items()})
        nodes = nodes.drop("said_at", *told.values())
    seen = (nodes["first"] // MAX_ROWS + EARLIEST).fill_null(TIME_MAX)
    nodes = nodes.mutate(
        first_seen=nodes.row.notnull().ifelse(TIME_MIN, seen),
        label=nodes.id.isnull().ifelse(FORGOTTEN, nodes.label),
        id=nodes.id.fill_null(""),
    )
    return engine.to_pyarrow(nodes.order_by("code").select(*SCHEMA.names)).cast(SCHEMA)


def seen_from(nodes: pa.Table, kind: str, events: pa.Table) -> pa.Table:
    """The nodes with ``first_seen`` at their first event of ``events``; those that a table lists are known always."""
    listed = nodes["first_seen"].to_numpy() == TIME_MIN
    code, first = events[kind].to_numpy(), np.full(len(nodes), TIME_MAX)
    np.minimum.at(first, code[code >= 0], events["time"].to_numpy()[code >= 0])
    place = nodes.schema.get_field_index("first_seen")
    return nodes.set_column(place, SCHEMA.field(place), pa.array(np.where(listed, TIME_MIN, first)))


def refuse_foreign(engine: Engine, kind: str, codes: Any, listed: Any, file: str, column: str | None) -> None:
    """Raise InputError if not one id of the events is in the table: most likely the wrong column or file."""
    seen = codes.filter(codes["first"].notnull())
    counts = seen.aggregate(seen=seen.count(), both=seen.row.count(), id=seen.id.min())
    found = engine.to_pyarrow(counts).to_pylist()[0]
    told = engine.to_pyarrow(listed.select("id").limit(1)).to_pylist()
    if found["seen"] and told and not found["both"]:
        raise InputError(
            f"{file}: not one {kind} of the log is in column {column!r}; the log has "
            f"ids such as {found['id']!r}, the table {told[0]['id']!r}; say which column with '{kind}_id' in a mapping"
        )


def at_relation(events: pa.Table, items: pa.Table, locations: pa.Table, told: pa.Table | None) -> pa.Table:
    """Where items are: where their table says, else at every location that they had an event at, from the first on.

    Parameters
    ----------
    events
        Codes ``item``, ``location`` and ``time``, in time order.
    items, locations
        Node tables.
    told
        ``id`` of items, ``location`` as their table has it and ``since`` (null: always); None without one.

    Returns
    -------
    ``source``, ``target`` int32 and ``valid_from`` int64 (null: timeless), sorted by source, then by time.
    """
    events = events.select(["item", "location", "time"])
    placed = events.filter(pc.greater_equal(events["location"], 0))
    pairs = placed.group_by(["item", "location"], use_threads=False).aggregate([("time", "min")])
    by_event = pairs.rename_columns({"item": "source", "location": "target", "time_min": "valid_from"})
    found = by_event.select(AT.names).cast(AT)
    if told is not None:
        item = pc.index_in(told["id"], items["id"].combine_chunks())
        place = pc.index_in(told["location"], locations["id"].combine_chunks())
        listed = pa.table([item, place, told["since"]], schema=AT)
        listed = listed.filter(pc.and_(pc.is_valid(listed["source"]), pc.is_valid(listed["target"])))
        rest = found.filter(pc.invert(pc.is_in(found["source"], listed["source"].combine_chunks())))
        found = pa.concat_tables([listed, rest])
    since = pc.fill_null(found["valid_from"], TIME_MIN)
    order = [("source", "ascending"), ("since", "ascending"), ("target", "ascending")]
    return found.take(pc.sort_indices(found.append_column("since", since), order))
