"""The graph as of a time, converted for PyTorch Geometric, SciPy and networkx."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import networkx as nx
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse
import torch
from torch import Tensor

from graphrec.errors import InputError
from graphrec.formatting import format_utc
from graphrec.graph.nodes import Nodes
from graphrec.graph.relation import flatten_edges
from graphrec.graph.temporal_graph import EVENT_RELATIONS, TemporalGraph
from graphrec.graph.time_bounds import TIME_MIN

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData


Node = tuple[str, str]
"""A node of a networkx graph: its type and the user's own id."""


def to_hetero_data(graph: TemporalGraph) -> HeteroData:
    """The visible part of the graph as PyG HeteroData.

    Visible nodes are renumbered; ``code`` holds their codes in the graph. Per node type: ``x``
    [n, d_text] (missing without text vectors), ``time`` [n] first seen, ``code`` [n]. Event relations are called
    ``(source, "to", target)``, static ones by their name; each has ``edge_index`` [2, e], ``time`` [e] UTC seconds
    (TIME_MIN for a timeless edge), and ``event`` [e] (-1 for none).
    """
    data = empty_hetero_data()
    place = {}
    for kind, table in graph.nodes.items():
        visible = graph.visible(kind)
        codes = visible.nonzero()[:, 0]
        place[kind] = torch.cumsum(visible, 0) - 1  # row of each visible node
        data[kind].num_nodes, data[kind].code, data[kind].time = len(codes), codes, table.first_seen[codes]
        if table.vectors is not None:
            data[kind].x = table.vectors[codes]
    for name in relation_names(graph):
        source_type, target_type = endpoint_types(graph, name)
        relation, (source, rows) = graph.relation(name), _visible_edges(graph, name)
        edges = data[source_type, "to" if name in EVENT_RELATIONS else name, target_type]
        edges.edge_index = torch.stack([place[source_type][source], place[target_type][relation.target[rows].long()]])
        edges.time, edges.event = relation.time[rows], relation.event[rows]
    return data


def to_networkx(graph: TemporalGraph, relations: Sequence[str] | None = None) -> nx.MultiDiGraph[Node]:
    """The visible part of the graph as a networkx graph: one Python object per edge, so for short views of a large log.

    Nodes are ``(type, id)`` with ``label``, ``first_seen``, ``lat``, ``lon``; edges have ``relation``, ``time``,
    ``event``, ``weight``, and ``(relation, row)`` as their key.
    An attribute that does not apply is absent: no ``time`` on a timeless edge. The default of ``relations`` is all
    but ``item->user``, the mirror of ``user->item``.
    """
    network: nx.MultiDiGraph[Node] = nx.MultiDiGraph(time=graph.horizon)
    for kind in graph.nodes:
        add_nodes(network, graph, kind, graph.visible(kind).nonzero()[:, 0])
    for name in relations or [name for name in relation_names(graph) if name != "item->user"]:
        add_edges(network, graph, name, *_visible_edges(graph, name))
    return network


def adjacency(
    graph: TemporalGraph, relation: str, *, time: int, values: Literal["counts", "weights"] = "counts"
) -> scipy.sparse.csr_array:
    """Number, or total weight, of a relation's edges between nodes strictly before ``time``, [sources, targets].

    ``weights`` sums the weights of the events; a static edge counts 1. Rows and columns are codes; a node that is not
    known before ``time`` has no entry. Only the edges before ``time`` are read.

    Raises InputError for an unknown relation.
    """
    view = graph.as_of(time)
    (_, target_type), edges = endpoint_types(view, relation), view.relation(relation)
    source, rows = _visible_edges(view, relation)
    value = _weights(view, edges.event[rows]) if values == "weights" else torch.ones(len(rows))
    cells = (source.cpu().numpy(), edges.target[rows].long().cpu().numpy())
    shape = (edges.sources, len(view.nodes[target_type]))
    matrix = scipy.sparse.coo_array((value.double().cpu().numpy(), cells), shape=shape).tocsr()  # sums duplicates
    matrix.eliminate_zeros()
    return matrix


def known_user(graph: TemporalGraph, user: str) -> int:
    """Code of a visible user; InputError otherwise."""
    return known_node(graph, ("user", user))


def known_node(graph: TemporalGraph, node: Node) -> int:
    """Code of a visible node; InputError otherwise."""
    kind, identity = node
    if kind not in graph.nodes:
        raise InputError(f"a node of a type among {', '.join(graph.nodes)} expected, got {node!r}")
    table = graph.nodes[kind]
    code = table.code(identity)
    if code < 0:
        example = f"; ids are written as in the log, such as {table.ids[0].as_py()!r}" if len(table) else ""
        raise InputError(f"{kind} {identity!r} is not among the {len(table):,} {kind}s of this graph{example}")
    if not graph.visible(kind)[code]:
        seen = format_utc(int(table.first_seen[code]))
        raise InputError(
            f"{kind} {identity!r} is first seen at {seen}, so not before {format_utc(graph.horizon)}; ask a later time"
        )
    return code


def relation_names(graph: TemporalGraph) -> list[str]:
    """Names of all relations, those of the events first."""
    return [*EVENT_RELATIONS, *graph.edges]


def endpoint_types(graph: TemporalGraph, name: str) -> tuple[str, str]:
    """Source and target node types of a relation."""
    if name in EVENT_RELATIONS:
        return EVENT_RELATIONS[name]
    if name not in graph.edges:
        raise InputError(f"relation {name!r} is not in this graph; it has {', '.join(relation_names(graph))}")
    return graph.edges[name].source_type, graph.edges[name].target_type


def display_names(table: Nodes, codes: pa.Array) -> pa.Array:
    """Display names of nodes: the label, or the id."""
    label, identity = pc.fill_null(table.labels.take(codes), ""), table.ids.take(codes)
    return pc.if_else(pc.equal(label, ""), identity, label)


def empty_hetero_data() -> HeteroData:
    """Empty HeteroData, imported without warnings."""
    with warnings.catch_warnings():  # importing PyG 2.8 takes seconds and calls what torch 2.13 deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch_geometric.data import HeteroData

        return HeteroData()


def _visible_edges(graph: TemporalGraph, name: str) -> tuple[Tensor, Tensor]:
    """Source codes and relation rows of the edges before the horizon between visible nodes."""
    (source_type, target_type), relation = endpoint_types(graph, name), graph.relation(name)
    every = torch.arange(relation.sources, device=relation.key.device)
    horizon = torch.full_like(every, graph.horizon)
    count = relation.count_before(every, horizon) * graph.visible(source_type)
    source, rows = flatten_edges(relation.end(every, horizon), count)
    visible = graph.visible(target_type)[relation.target[rows].long()]
    return source[visible], rows[visible]


def add_nodes(
    network: nx.MultiDiGraph[Node], graph: TemporalGraph, kind: str, codes: Tensor, hop: int | None = None
) -> None:
    """Add nodes to a network, except those that it has."""
    table = graph.nodes[kind]
    for code, identity in zip(codes.tolist(), ids_of(graph, kind, codes), strict=True):
        if (kind, identity) in network:
            continue
        attributes: dict[str, Any] = {"label": table.label(code)}
        if int(table.first_seen[code]) != TIME_MIN:
            attributes["first_seen"] = int(table.first_seen[code])
        if position := table.position(code):
            attributes["lat"], attributes["lon"] = position
        if hop is not None:
            attributes["hop"] = hop
        network.add_node((kind, identity), **attributes)


def add_edges(network: nx.MultiDiGraph[Node], graph: TemporalGraph, name: str, source: Tensor, rows: Tensor) -> None:
    """Add the edges of these rows of a relation to a network; ``source`` holds the code of each edge's source."""
    (source_type, target_type), relation = endpoint_types(graph, name), graph.relation(name)
    starts, ends = ids_of(graph, source_type, source), ids_of(graph, target_type, relation.target[rows])
    tensors = (rows, relation.time[rows], relation.event[rows], _weights(graph, relation.event[rows]))
    columns = (tensor.tolist() for tensor in tensors)
    for start, end, row, time, event, weight in zip(starts, ends, *columns, strict=True):
        attributes = {"relation": name, "weight": weight}
        attributes |= {"time": time} if time != TIME_MIN else {}
        attributes |= {"event": event} if event >= 0 else {}
        network.add_edge((source_type, start), (target_type, end), (name, row), **attributes)


def _weights(graph: TemporalGraph, event: Tensor) -> Tensor:
    """Weight of each event; 1 for no event (row -1)."""
    if not len(graph.log):
        return torch.ones(len(event), device=event.device)
    return torch.where(event >= 0, graph.log.weight[event.clamp(min=0)], 1.0)


def ids_of(graph: TemporalGraph, kind: str, codes: Tensor) -> list[str]:
    """Ids of these codes, as written in the log."""
    ids: list[str] = graph.nodes[kind].ids.take(pa.array(codes.cpu().numpy())).to_pylist()
    return ids
