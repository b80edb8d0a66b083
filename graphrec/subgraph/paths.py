"""The shortest path between two nodes over users, items, locations and declared relations, as of a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from graphrec.formatting import format_utc
from graphrec.graph.conversion import Node, endpoint_types, known_node, relation_names
from graphrec.graph.temporal_graph import EVENT_RELATIONS, TemporalGraph
from graphrec.graph.time_bounds import TIME_MIN

EDGES_PER_CHUNK = 1 << 20
"""Edges read at once: bounds the memory of a search."""
EDGE_SENTENCES = {
    "user->item": "{source} visited {target}",
    "user->location": "{source} was in {target}",
    "location->item": "{target} was visited in {source}",
    "item->item": "{target} came next after {source}",
}
"""The sentence of an edge by its relation; that of a declared relation says that it links the two nodes."""


@dataclass(frozen=True)
class Hop:
    """One edge of a path; it may lead against the direction of its relation, as from an item to its visitor."""

    source: Node
    """Node that the hop starts from: its type and the user's own id."""
    target: Node
    """Node that it leads to."""
    relation: str
    """Relation of the edge."""
    times: int
    """Number of edges of the relation between the two nodes before the time of the query."""
    time: int | None
    """Time of the newest of them, UTC seconds; None for a timeless edge and for a log without times."""
    description: str
    """The hop as a sentence."""


@dataclass(frozen=True)
class Path:
    """A shortest path from one node to another."""

    source: Node
    """First node."""
    target: Node
    """Last node."""
    hops: tuple[Hop, ...]
    """The edges in order; none from a node to itself."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes in order, both ends included."""
        return (self.source, *(hop.target for hop in self.hops))

    @property
    def description(self) -> str:
        """The path in words, one line per hop."""
        return "\n".join(hop.description for hop in self.hops)


def shortest_path(
    graph: TemporalGraph, source: Node, *, target: Node, time: int, relations: Sequence[str] | None = None
) -> Path | None:
    """The shortest path between two nodes, such as ``("user", "u0001")`` and ``("item", "v12")``, before ``time``.

    Among paths of equally few hops it is the one whose last hop has the newest edge, then the last but one, and so on.
    Edges of ``relations`` (all relations where None) are followed in either direction. Each hop of the search reads the
    columns of the log once; no network is built.

    Returns None where no path exists. Raises InputError for a node that is not known before ``time``, and for a
    relation that the graph does not have.
    """
    view = graph.as_of(time)
    start, goal = (source[0], known_node(view, source)), (target[0], known_node(view, target))
    names = [name for name in relations or relation_names(view) if name != "item->user" or relations]
    for name in names:
        endpoint_types(view, name)
    depth = _depths(view, names, start, goal)
    if int(depth[goal[0]][goal[1]]) < 0:
        return None
    hops: list[Hop] = []
    node = goal
    while node != start:
        newest, parent, name, forward = max(_parent_edges(view, names, depth, node), key=lambda edge: edge[0])
        hops.append(_hop(view, name, parent, node, forward=forward, newest=newest))
        node = parent
    return Path(source, target, tuple(reversed(hops)))


Code = tuple[str, int]
"""A node by its type and code."""


def _depths(graph: TemporalGraph, names: Sequence[str], start: Code, goal: Code) -> dict[str, Tensor]:
    """Hops from the start to each node, [count] by type, up to the goal's; -1 for a node that was not reached."""
    device = graph.log.time.device
    depths = {kind: torch.full((len(table),), -1, device=device) for kind, table in graph.nodes.items()}
    depths[start[0]][start[1]] = depth = 0
    while int(depths[goal[0]][goal[1]]) < 0:
        reached = _neighbours(graph, names, {kind: of_kind == depth for kind, of_kind in depths.items()})
        fresh = {kind: nodes & (depths[kind] < 0) & graph.visible(kind) for kind, nodes in reached.items()}
        if not any(bool(nodes.any()) for nodes in fresh.values()):
            break
        depth += 1
        for kind, nodes in fresh.items():
            depths[kind][nodes] = depth
    return depths


def _neighbours(graph: TemporalGraph, names: Sequence[str], nodes: dict[str, Tensor]) -> dict[str, Tensor]:
    """Mask of the nodes that share an edge with one of ``nodes``; both [count] by type."""
    reached = {kind: torch.zeros_like(mask) for kind, mask in nodes.items()}
    occurs = {kind: bool(mask.any()) for kind, mask in nodes.items()}
    for name in names:
        source_type, target_type = endpoint_types(graph, name)
        if not occurs[source_type] and not occurs[target_type]:
            continue
        for source, target, _ in _edges(graph, name):
            if occurs[source_type]:
                reached[target_type][target[nodes[source_type].index_select(0, source)].long()] = True
            if occurs[target_type]:
                reached[source_type][source[nodes[target_type].index_select(0, target)].long()] = True
    return reached


def _parent_edges(
    graph: TemporalGraph, names: Sequence[str], depths: dict[str, Tensor], node: Code
) -> Iterator[tuple[int, Code, str, bool]]:
    """The newest edge from a node one hop nearer to the start, per relation, direction and chunk.

    Yields its time, that node, the relation, and whether the edge points from that node to ``node``.
    """
    kind, code = node
    for name in names:
        for forward in (True, False):
            parent_type, child_type = endpoint_types(graph, name) if forward else endpoint_types(graph, name)[::-1]
            if child_type != kind:
                continue
            for source, target, time in _edges(graph, name):
                parent, child = (source, target) if forward else (target, source)
                rows = (child == code).nonzero()[:, 0]
                rows = rows[depths[parent_type].index_select(0, parent[rows]) == depths[kind][code] - 1]
                if len(rows):
                    row = rows[time[rows].argmax()]
                    yield int(time[row]), (parent_type, int(parent[row])), name, forward


def _hop(graph: TemporalGraph, name: str, parent: Code, child: Code, *, forward: bool, newest: int) -> Hop:
    source, target = (parent, child) if forward else (child, parent)
    times = sum(int(((one == source[1]) & (other == target[1])).sum()) for one, other, _ in _edges(graph, name))
    sentence = EDGE_SENTENCES.get(name, f"{{source}} is linked by {name} to {{target}}")
    sentence = sentence.format(
        source=graph.nodes[source[0]].label(source[1]), target=graph.nodes[target[0]].label(target[1])
    )
    time = None if newest == TIME_MIN or graph.timeless else newest
    if newest != TIME_MIN and times > 1:
        sentence += f" {times} times" if time is None else f" {times} times, last"
    sentence += "" if time is None else f" on {format_utc(time)}"
    one, other = ((kind, str(graph.nodes[kind].ids[code].as_py())) for kind, code in (parent, child))
    return Hop(one, other, name, times, time, sentence)


def _edges(graph: TemporalGraph, name: str) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Source codes, target codes and times of a relation's edges before the horizon, chunk by chunk."""
    if name not in EVENT_RELATIONS:
        edges = graph.edges[name]
        for rows in _chunks(len(edges.source)):
            seen = edges.valid_from[rows] < graph.horizon
            yield edges.source[rows][seen], edges.target[rows][seen], edges.valid_from[rows][seen]
        return
    log, kinds = graph.log, EVENT_RELATIONS[name]
    for rows in _chunks(log.count_before(graph.horizon)):
        if name == "item->item":
            previous = graph.previous[rows]
            gap = log.time[rows] - log.time[previous.clamp(min=0)]
            follows = (previous >= 0) & (gap > 0) & (gap <= graph.follow_gap)
            yield log.item[previous[follows]], log.item[rows][follows], log.time[rows][follows]
            continue
        source, target = (getattr(log, kind)[rows] for kind in kinds)
        known = (source >= 0) & (target >= 0)  # an event may have no location
        yield source[known], target[known], log.time[rows][known]


def _chunks(count: int) -> Iterator[slice]:
    yield from (slice(start, min(start + EDGES_PER_CHUNK, count)) for start in range(0, count, EDGES_PER_CHUNK))
