"""Edges of declared relations: codes, times, and the nodes that only relations refer to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.assemble.nodes import AT, SCHEMA
from builders.ingest.quarantine import QUARANTINE
from builders.mapping.relation_mapping import RelationMapping
from graphrec.errors import InputError
from graphrec.graph.time_bounds import TIME_MAX, TIME_MIN

MAX_PREDICATES = 32
"""A file with more predicates becomes one relation."""
MAX_NAME_BYTES = 120
"""Bytes of a relation's name, which is also a file name."""
ENDS = ("source", "target")
SEPARATOR = "\x1f"
"""Separates the parts of a key; no checked id contains it."""
Nodes = Mapping[str, pa.Table]


@dataclass(frozen=True)
class DeclaredEdges:
    """Edges and nodes of declared relations."""

    relations: dict[str, pa.Table]
    """Columns of relations/<name>.parquet by name: ``source``, ``target`` int32, ``valid_from`` int64 (null: always),
    sorted by source, then time; each edge once."""
    endpoints: dict[str, list[str]]
    """Source and target type of each relation."""
    nodes: dict[str, pa.Table]
    """Columns of nodes/<type>.parquet, for the types that only relations refer to."""
    unknown: pa.Table
    """Rows with a user, item or location that is not in the graph; columns of quarantine.parquet."""


def edges(
    declared: Nodes, mappings: Mapping[str, RelationMapping], nodes: Nodes, old: Mapping[str, pa.Array]
) -> DeclaredEdges:
    """Edges of declared relations between the nodes of a graph.

    An edge is valid from its own time on, but not before either endpoint is first seen; a node that only relations
    refer to is first seen at its first edge. So a node that an event adds has no edges before that event.

    Parameters
    ----------
    declared
        Rows of each relation, columns as in `builders.ingest.relations.ROWS`.
    mappings
        Mapping of each relation.
    nodes
        Node tables of users, items and locations.
    old
        Ids by type, in the order of their codes, of nodes of an earlier graph that only relations refer to: they keep
        their codes. New nodes follow in the order of their first rows.

    Raises
    ------
    InputError
        If no row of a relation connects nodes of the graph.
    """
    parts, unknown = [], [QUARANTINE.empty_table()]
    for name, table in declared.items():
        known, rest = _known_rows(name, table, nodes)
        n_predicates = int(pc.count_distinct(table["relation"]).as_py())
        parts.append(_named(name, known, mappings[name], by_predicate=1 <= n_predicates <= MAX_PREDICATES))
        unknown.append(rest)
    if not parts:
        return DeclaredEdges({}, {}, {}, unknown[0])
    rows = pa.concat_tables(parts)
    added = _new_nodes(rows, nodes, old)
    relations = _relations(rows, {**nodes, **added})
    first = {name: pc.index(rows["name"], name).as_py() for name in relations}
    endpoints = {name: [rows[f"{end}_type"][row].as_py() for end in ENDS] for name, row in first.items()}
    return DeclaredEdges(relations, endpoints, added, pa.concat_tables(unknown))


def _known_rows(name: str, table: pa.Table, nodes: Nodes) -> tuple[pa.Table, pa.Table]:
    """The rows between nodes of the graph, and the others for quarantine."""
    reason, value = pa.nulls(len(table), pa.string()), pa.nulls(len(table), pa.string())
    for end in reversed(ENDS):
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
            f"relations: {name}: no row of {first['file']} connects nodes of the graph, such as "
            f"{first['reason']} {first['value']!r} in row {first['row']}; say what it holds with 'source', 'target' "
            "(types of nodes), 'source_id' and 'target_id' (columns)"
        )
    return table.filter(good), unknown


def _named(name: str, table: pa.Table, mapping: RelationMapping, *, by_predicate: bool) -> pa.Table:
    """The edges of a declared relation, reverse edges included, with the ``name`` of the relation of each."""
    if mapping.both_ways:
        swap = {f"{a}_{part}": f"{b}_{part}" for a, b in (ENDS, reversed(ENDS)) for part in ("type", "id")}
        reverse = pa.table({column: table[swap.get(column, column)] for column in table.column_names})
        table = pa.concat_tables([table, reverse])
    predicate = pc.fill_null(table["relation"], "") if by_predicate else pa.repeat("", len(table))
    key = pc.binary_join_element_wise(predicate, table["source_type"], table["target_type"], SEPARATOR)
    encoded = key.combine_chunks().dictionary_encode()
    names = [_full_name(name, mapping, *value.split(SEPARATOR)) for value in encoded.dictionary.to_pylist()]
    return table.append_column("name", pa.array(names, pa.string()).take(encoded.indices))


def _full_name(name: str, mapping: RelationMapping, predicate: str, source: str, target: str) -> str:
    """Such as ``kg:director``; with the suffix ``:item->entity`` in a file with edges of several pairs of types."""
    parts = [name, re.sub(r"[^\w.-]", lambda match: quote(match[0], safe=""), predicate)] if predicate else [name]
    if mapping.links or (mapping.both_ways and mapping.source != mapping.target):
        parts.append(f"{source}->{target}")
    full = ":".join(parts)
    if len(full.encode()) <= MAX_NAME_BYTES:
        return full
    return ":".join([name, hashlib.sha256(predicate.encode()).hexdigest()[:16], *parts[2:]])


def _new_nodes(rows: pa.Table, nodes: Nodes, old: Mapping[str, pa.Array]) -> dict[str, pa.Table]:
    """Tables of the nodes that only relations refer to."""
    order = np.arange(2 * len(rows)).reshape(2, -1).T.ravel()  # a row's source, then its target
    kinds, ids = (_concat([rows[f"{end}_{part}"] for end in ENDS]).take(order) for part in ("type", "id"))
    since = [np.maximum(_valid_from(rows), _first_seen(rows, other, nodes)) for other in reversed(ENDS)]
    earliest = np.concatenate(since)[order]
    tables = {}
    for kind in dict.fromkeys([*old, *pc.unique(kinds).to_pylist()]):
        if kind in nodes:
            continue
        mask = pc.equal(kinds, kind)
        referenced = ids.filter(mask)
        earlier = old.get(kind, pa.array([], pa.string()))
        known = _concat([earlier, pc.unique(referenced.filter(pc.invert(pc.is_in(referenced, earlier))))])
        first_seen, codes = np.full(len(known), TIME_MAX), pc.index_in(referenced, known).to_numpy()
        np.minimum.at(first_seen, codes, earliest[mask.to_numpy(zero_copy_only=False)])
        columns = {"id": known, "first_seen": pa.array(first_seen)}
        empty = {column: pa.nulls(len(known), SCHEMA.field(column).type) for column in SCHEMA.names}
        tables[kind] = pa.table({**empty, **columns}, schema=SCHEMA)
    return tables


def _concat(parts: list[pa.ChunkedArray | pa.Array]) -> pa.Array:
    """Columns one after the other as one array."""
    chunks = [chunk for part in parts for chunk in (part.chunks if isinstance(part, pa.ChunkedArray) else [part])]
    return pa.concat_arrays([chunk.cast(pa.string()) for chunk in chunks])


def _valid_from(rows: pa.Table) -> np.ndarray:
    """Time of each row, int64; TIME_MIN for a row without one."""
    return np.asarray(rows["valid_from"].fill_null(TIME_MIN).to_numpy())


def _first_seen(rows: pa.Table, end: str, nodes: Nodes) -> np.ndarray:
    """``first_seen`` of the node at one end of each row, int64; TIME_MIN for a type that ``nodes`` lacks."""
    since = np.full(len(rows), TIME_MIN)
    for kind, table in nodes.items():
        mask = pc.equal(rows[f"{end}_type"], kind).to_numpy()
        codes = _codes(rows, end, {kind: table})[mask]
        since[mask] = table["first_seen"].to_numpy()[codes]
    return since


def _codes(rows: pa.Table, end: str, nodes: Nodes) -> np.ndarray:
    """Codes of the nodes at one end of each row, int32; -1 for one that is not in ``nodes``."""
    codes = np.full(len(rows), -1, np.int32)
    for kind, table in nodes.items():
        mask = pc.equal(rows[f"{end}_type"], kind)
        index = pc.index_in(rows[f"{end}_id"].filter(mask), table["id"].combine_chunks())
        codes[mask.to_numpy()] = index.fill_null(-1).to_numpy()
    return codes


def _relations(rows: pa.Table, nodes: Nodes) -> dict[str, pa.Table]:
    """The edges of each relation, the earliest of equal ones."""
    names = rows["name"].combine_chunks().dictionary_encode()
    group = names.indices.to_numpy()
    source, target = _codes(rows, "source", nodes), _codes(rows, "target", nodes)
    valid = np.maximum.reduce([_valid_from(rows), *(_first_seen(rows, end, nodes) for end in ENDS)])
    columns = np.stack([group, source, target, valid])
    columns = columns[:, np.lexsort((valid, target, source, group))]
    repeated = (columns[:3, 1:] == columns[:3, :-1]).all(0)
    columns = columns[:, np.concatenate([[True] * bool(len(rows)), ~repeated]).astype(bool)]
    columns = columns[:, np.lexsort((columns[2], columns[3], columns[1], columns[0]))]
    begin = np.searchsorted(columns[0], np.arange(len(names.dictionary) + 1))
    parts = zip(names.dictionary.to_pylist(), begin[:-1], begin[1:], strict=True)
    return {name: _edge_table(*columns[1:, first:end]) for name, first, end in parts}


def _edge_table(source: np.ndarray, target: np.ndarray, valid: np.ndarray) -> pa.Table:
    return pa.table([source, target, pa.array(valid, mask=valid == TIME_MIN)], schema=AT)
