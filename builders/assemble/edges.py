"""From the rows of declared relations to edges between nodes: codes, times, and nodes that only relations name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.assemble.nodes import SCHEMA
from builders.ingest.quarantine import QUARANTINE
from builders.mapping.relation_mapping import RelationMapping
from graphrec.errors import InputError
from graphrec.graph.time_bounds import TIME_MAX, TIME_MIN

MOST_PREDICATES = 32
"""A file with more predicates than this becomes one relation."""
LONGEST_NAME = 120
"""Bytes of a relation's name: it becomes the name of a file."""
BETWEEN = "\x1f"
"""Stands between the parts of a key; no checked id holds it."""
Nodes = Mapping[str, pa.Table]


@dataclass(frozen=True)
class DeclaredEdges:
    """What declared relations add to a graph."""

    relations: dict[str, pa.Table]
    """Columns of relations/<name>.parquet by name: ``source``, ``target`` int32, ``valid_from`` int64 (null: always),
    sorted by source, then time; each edge once."""
    ends: dict[str, list[str]]
    """Types of the nodes that each relation leads from and to."""
    nodes: dict[str, pa.Table]
    """Columns of nodes/<type>.parquet, for the types that only relations name."""
    unknown: pa.Table
    """Rows that name a user, item or location which is not in the graph, columns as in quarantine.parquet."""


def edges(
    declared: Nodes, mappings: Mapping[str, RelationMapping], nodes: Nodes, old: Mapping[str, pa.Array]
) -> DeclaredEdges:
    """Find the edges of declared relations among the nodes of a graph.

    An edge is known from its own time on, but not before either of its ends; a node that only relations name is known
    from the first of its edges on. So what an event brings into the graph brings nothing else there before the event.

    Parameters
    ----------
    declared
        Rows of each relation, columns as in `builders.ingest.relations.ROWS`.
    mappings
        What the mapping says of each relation.
    nodes
        Node tables of users, items and locations.
    old
        Ids by type that an earlier graph gave the nodes that only relations name, in the order of their codes: they
        keep them. New nodes follow in the order in which they are first named.

    Raises
    ------
    InputError
        If not one row of a relation leads between nodes of the graph.
    """
    parts, unknown = [], [QUARANTINE.empty_table()]
    for name, table in declared.items():
        known, others = _part(name, table, nodes)
        parts.append(_named(name, known, mappings[name], _by_predicate(table)))
        unknown.append(others)
    if not parts:
        return DeclaredEdges({}, {}, {}, unknown[0])
    rows = pa.concat_tables(parts)
    added = _new_nodes(rows, nodes, old)
    relations = _relations(rows, {**nodes, **added})
    firsts = {name: rows.slice(pc.index(rows["name"], name).as_py(), 1) for name in relations}
    ends = {name: [row["source_type"][0].as_py(), row["target_type"][0].as_py()] for name, row in firsts.items()}
    return DeclaredEdges(relations, ends, added, pa.concat_tables(unknown))


def _part(name: str, table: pa.Table, nodes: Nodes) -> tuple[pa.Table, pa.Table]:
    """The rows between nodes of the graph, and for quarantine those that name one which is not there."""
    reason, value = pa.nulls(len(table), pa.string()), pa.nulls(len(table), pa.string())
    for end in ("target", "source"):
        for kind, known in nodes.items():
            missing = pc.invert(pc.is_in(table[f"{end}_id"], known["id"].combine_chunks()))
            missing = pc.and_(pc.equal(table[f"{end}_type"], kind), missing)
            reason = pc.if_else(missing, f"unknown {kind}", reason)
            value = pc.if_else(missing, table[f"{end}_id"], value)
    good = pc.is_null(reason)
    columns = [table["file"], table["row"], pa.nulls(len(table), pa.string()), reason, value]
    unknown = pa.table(columns, schema=QUARANTINE).filter(pc.invert(good))
    if len(unknown) and len(unknown) == len(table):
        first = unknown.slice(0, 1).to_pylist()[0]
        raise InputError(
            f"relations: {name}: not one row of {first['file']} leads between nodes of the graph, such as "
            f"{first['reason']} {first['value']!r} in row {first['row']}; say what it holds with 'source', 'target' "
            "(types of nodes), 'source_id' and 'target_id' (columns)"
        )
    return table.filter(good), unknown


def _by_predicate(table: pa.Table) -> bool:
    return 1 <= int(pc.count_distinct(table["relation"]).as_py()) <= MOST_PREDICATES


def _named(name: str, table: pa.Table, mapping: RelationMapping, by_predicate: bool) -> pa.Table:
    """The edges of a relation, those that lead back as well, with the ``name`` that each is filed under."""
    if mapping.both_ways:
        back = {"source_type": "target_type", "source_id": "target_id"}
        back |= {there: here for here, there in back.items()}
        swapped = pa.table({column: table[back.get(column, column)] for column in table.column_names})
        table = pa.concat_tables([table, swapped])
    predicate = pc.fill_null(table["relation"], "") if by_predicate else pa.repeat("", len(table))
    key = pc.binary_join_element_wise(predicate, table["source_type"], table["target_type"], BETWEEN)
    encoded = pa.chunked_array([key.combine_chunks()]).combine_chunks().dictionary_encode()
    names = [_full_name(name, mapping, *value.split(BETWEEN)) for value in encoded.dictionary.to_pylist()]
    return table.append_column("name", pa.array(names, pa.string()).take(encoded.indices))


def _full_name(name: str, mapping: RelationMapping, predicate: str, source: str, target: str) -> str:
    """Such as ``kg:director``; with ``:item->entity`` behind it where a file holds edges of several pairs of types."""
    parts = [name, re.sub(r"[^\w.-]", lambda found: quote(found[0], safe=""), predicate)] if predicate else [name]
    if mapping.links or (mapping.both_ways and mapping.source != mapping.target):
        parts.append(f"{source}->{target}")
    full = ":".join(parts)
    if len(full.encode()) <= LONGEST_NAME:
        return full
    return ":".join([name, hashlib.sha256(predicate.encode()).hexdigest()[:16], *parts[2:]])


def _new_nodes(rows: pa.Table, nodes: Nodes, old: Mapping[str, pa.Array]) -> dict[str, pa.Table]:
    """Tables of the nodes that only relations name."""
    order = np.arange(2 * len(rows)).reshape(2, -1).T.ravel()  # a row's source, then its target
    kinds, ids = (_column([rows[f"source_{what}"], rows[f"target_{what}"]]).take(order) for what in ("type", "id"))
    since = [np.maximum(_own(rows), _known_since(rows, other, nodes)) for other in ("target", "source")]
    earliest = np.concatenate(since)[order]
    found = {}
    for kind in dict.fromkeys([*old, *pc.unique(kinds).to_pylist()]):
        if kind in nodes:
            continue
        mine = pc.equal(kinds, kind)
        named = ids.filter(mine)
        had = old.get(kind, pa.array([], pa.string()))
        known = _column([had, pc.unique(named.filter(pc.invert(pc.is_in(named, had))))])
        first_seen = np.full(len(known), TIME_MAX)
        np.minimum.at(first_seen, pc.index_in(named, known).to_numpy(), earliest[mine.to_numpy(zero_copy_only=False)])
        columns = {"id": known, "first_seen": pa.array(first_seen)}
        empty = {column: pa.nulls(len(known), SCHEMA.field(column).type) for column in SCHEMA.names}
        found[kind] = pa.table({**empty, **columns}, schema=SCHEMA)
    return found


def _column(parts: list[pa.ChunkedArray | pa.Array]) -> pa.Array:
    """Columns one after the other as one array."""
    chunks = [chunk for part in parts for chunk in (part.chunks if isinstance(part, pa.ChunkedArray) else [part])]
    return pa.concat_arrays([chunk.cast(pa.string()) for chunk in chunks])


def _own(rows: pa.Table) -> np.ndarray:
    """From when each row says that its edge is known, int64."""
    own: np.ndarray = rows["valid_from"].fill_null(TIME_MIN).to_numpy()
    return own


def _known_since(rows: pa.Table, end: str, nodes: Nodes) -> np.ndarray:
    """From when the node at one end of each row is known, int64; TIME_MIN for one of a type that ``nodes`` lacks."""
    since = np.full(len(rows), TIME_MIN)
    for kind, table in nodes.items():
        mine = pc.equal(rows[f"{end}_type"], kind).to_numpy()
        codes = _codes(rows, end, {kind: table})[mine]
        since[mine] = table["first_seen"].to_numpy()[codes]
    return since


def _codes(rows: pa.Table, end: str, nodes: Nodes) -> np.ndarray:
    """Codes of the nodes at one end of each row, int32; -1 for one that is not in ``nodes``."""
    codes = np.full(len(rows), -1, np.int32)
    for kind, table in nodes.items():
        mine = pc.equal(rows[f"{end}_type"], kind)
        place = pc.index_in(rows[f"{end}_id"].filter(mine), table["id"].combine_chunks())
        codes[mine.to_numpy()] = place.fill_null(-1).to_numpy()
    return codes


def _relations(rows: pa.Table, nodes: Nodes) -> dict[str, pa.Table]:
    """The edges of each relation, the earliest of those that are the same."""
    names = rows["name"].combine_chunks().dictionary_encode()
    group = names.indices.to_numpy()
    source, target = _codes(rows, "source", nodes), _codes(rows, "target", nodes)
    valid = np.maximum.reduce([_own(rows), *(_known_since(rows, end, nodes) for end in ("source", "target"))])
    columns = np.stack([group, source, target, valid])
    columns = columns[:, np.lexsort((valid, target, source, group))]
    again = (columns[:3, 1:] == columns[:3, :-1]).all(0)
    columns = columns[:, np.concatenate([[True] * bool(len(rows)), ~again]).astype(bool)]
    columns = columns[:, np.lexsort((columns[2], columns[3], columns[1], columns[0]))]
    begin = np.searchsorted(columns[0], np.arange(len(names.dictionary) + 1))
    parts = zip(names.dictionary.to_pylist(), begin[:-1], begin[1:], strict=True)
    return {name: _edge_table(*columns[1:, first:end]) for name, first, end in parts}


def _edge_table(source: np.ndarray, target: np.ndarray, valid: np.ndarray) -> pa.Table:
    valid_from = pa.array(valid, pa.int64(), mask=valid == TIME_MIN)
    return pa.table(
        {"source": pa.array(source, pa.int32()), "target": pa.array(target, pa.int32()), "valid_from": valid_from}
    )
