"""How two nodes are linked: the shortest path over users, items, places and what is declared, as of a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from graphrec.formatting import format_utc
from graphrec.graph.conversion import Node, ends, known_node, relation_names
from graphrec.graph.temporal_graph import EVENT_RELATIONS, TemporalGraph
from graphrec.graph.time_bounds import TIME_MIN

CHUNK = 1 << 20
"""Edges that are looked at together: what a search needs of memory."""
WORDS = {
    "user->item": "{source} visited {target}",
    "user->location": "{source} was in {target}",
    "location->item": "{target} was visited in {source}",
    "item->item": "{target} came next after {source}",
}
"""What an edge of an event says; one of another relation: that it links the two."""


@dataclass(frozen=True)
class Step:
    """One step of a path. It may lead against the direction of its relation, as from an item to a visitor."""

    source: Node
    """Node that the step starts from: its type and the user's own id."""
    target: Node
    """Node that it leads to."""
    relation: str
    """Relation whose edge it takes."""
    times: int
    """How many edges of the relation link the two before the time of the question."""
    time: int | None
    """When the last of them happened, UTC seconds; None for a timeless one, and in a log without times."""
    words: str
    """The same in words."""


@dataclass(frozen=True)
class Connection:
    """A shortest path from one node to another."""

    source: Node
    """Where it starts."""
    target: Node
    """Where it ends."""
    steps: tuple[Step, ...]
    """One a hop; none from a node to itself."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes on the way, both ends included."""
        return (self.source, *(step.target for step in self.steps))

    @property
    def words(self) -> str:
        """The whole way, one line a step."""
        return "\n".join(step.words for step in self.steps)


def path_between(
    graph: TemporalGraph, source: Node, target: Node, time: int, relations: Sequence[str] | None = None
) -> Connection | None:
    """The shortest path between two nodes, such as ``("user", "u0001")`` and ``("item", "v12")``, before ``time``.

    Fewest steps; of several such paths the one whose last step has the newest edge, then the last but one, and so on.
    Edges are walked in either direction, those of ``relations`` or of all. A search reads the columns of the log once
    a hop and builds no network of them.

    Returns None where nothing links the two. Raises InputError for a node that is not known before ``time``, and for a
    relation that the graph does not have.
    """
    view = graph.as_of(time)
    start, goal = known_node(view, source), known_node(view, target)
    names = [name for name in relations or relation_names(view) if name != "item->user" or relations]
    for name in names:
        ends(view, name)
    hops = _hops(view, names, (source[0], start), (target[0], goal))
    if int(hops[target[0]][goal]) < 0:
        return None
    steps: list[Step] = []
    node = (target[0], goal)
    while node != (source[0], start):
        step, node = _step_to(view, names, hops, node)
        steps.append(step)
    return Connection(source, target, tuple(reversed(steps)))


Place = tuple[str, int]
"""A node by its type and code."""


def _hops(graph: TemporalGraph, names: Sequence[str], start: Place, goal: Place) -> dict[str, Tensor]:
    """Distance of each node from the start, [count] by type, as far out as the goal; -1 where not reached."""
    device = graph.log.time.device
    hops = {kind: torch.full((len(table),), -1, device=device) for kind, table in graph.nodes.items()}
    hidden = {kind: ~graph.visible(kind) for kind in graph.nodes}
    hops[start[0]][start[1]] = 0
    depth = 0
    while int(hops[goal[0]][goal[1]]) < 0:
        reached = _neighbours(graph, names, {kind: found == depth for kind, found in hops.items()})
        fresh = {kind: reached[kind] & (hops[kind] < 0) & ~hidden[kind] for kind in hops}
        if not any(bool(nodes.any()) for nodes in fresh.values()):
            break
        depth += 1
        for kind, nodes in fresh.items():
            hops[kind][nodes] = depth
    return hops


def _neighbours(graph: TemporalGraph, names: Sequence[str], nodes: dict[str, Tensor]) -> dict[str, Tensor]:
    """Which nodes an edge links to some of ``nodes``; both [count] by type."""
    reached = {kind: torch.zeros_like(chosen) for kind, chosen in nodes.items()}
    any_of = {kind: bool(chosen.any()) for kind, chosen in nodes.items()}
    for name in names:
        one, other = ends(graph, name)
        if not any_of[one] and not any_of[other]:
            continue
        for source, target, _ in _edges(graph, name):
            if any_of[one]:
                reached[other][target[nodes[one].index_select(0, source)].long()] = True
            if any_of[other]:
                reached[one][source[nodes[other].index_select(0, target)].long()] = True
    return reached


def _step_to(graph: TemporalGraph, names: Sequence[str], hops: dict[str, Tensor], node: Place) -> tuple[Step, Place]:
    """The step that leads to a node by the newest edge from a node one hop nearer to the start, and that node."""
    time, near, name, along = max(_last_edges(graph, names, hops, node), key=lambda edge: edge[0])
    return _described(graph, name, near, node, along, time), near


def _last_edges(
    graph: TemporalGraph, names: Sequence[str], hops: dict[str, Tensor], node: Place
) -> Iterator[tuple[int, Place, str, bool]]:
    """The newest edges from nearer nodes, one a relation and piece: time, nearer node, relation, whether along it."""
    kind, code = node
    for name in names:
        for along in (True, False):
            near, here = ends(graph, name) if along else ends(graph, name)[::-1]
            if here != kind:
                continue
            for source, target, when in _edges(graph, name):
                found, met = (source, target) if along else (target, source)
                rows = (met == code).nonzero()[:, 0]
                rows = rows[hops[near].index_select(0, found[rows]) == hops[kind][code] - 1]
                if len(rows):
                    row = rows[when[rows].argmax()]
                    yield int(when[row]), (near, int(found[row])), name, along


def _described(graph: TemporalGraph, name: str, source: Place, target: Place, along: bool, time: int) -> Step:
    one, other = (source, target) if along else (target, source)
    times = sum(int(((start == one[1]) & (end == other[1])).sum()) for start, end, _ in _edges(graph, name))
    labels = {"source": _label(graph, one), "target": _label(graph, other)}
    words = WORDS.get(name, f"{{source}} is linked by {name} to {{target}}").format(**labels)
    when = None if time == TIME_MIN or graph.timeless else time
    if time != TIME_MIN and times > 1:
        words += f" {times} times" if when is None else f" {times} times, last"
    words += "" if when is None else f" on {format_utc(when)}"
    return Step(_node(graph, source), _node(graph, target), name, times, when, words)


def _node(graph: TemporalGraph, place: Place) -> Node:
    return place[0], str(graph.nodes[place[0]].ids[place[1]].as_py())


def _label(graph: TemporalGraph, place: Place) -> str:
    return graph.nodes[place[0]].label(place[1])


def _edges(graph: TemporalGraph, name: str) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Source codes, target codes and times of a relation's edges before the horizon, piece by piece."""
    if name not in EVENT_RELATIONS:
        edges = graph.edges[name]
        for rows in _pieces(len(edges.source)):
            seen = edges.valid_from[rows] < graph.horizon
            yield edges.source[rows][seen], edges.target[rows][seen], edges.valid_from[rows][seen]
        return
    log, kinds = graph.log, EVENT_RELATIONS[name]
    for rows in _pieces(log.count_before(graph.horizon)):
        if name == "item->item":
            yield _followed(graph, rows)
            continue
        source, target = (getattr(log, kind)[rows] for kind in kinds)
        if "location" in kinds:
            placed = log.location[rows] >= 0
            yield source[placed], target[placed], log.time[rows][placed]
        else:
            yield source, target, log.time[rows]


def _followed(graph: TemporalGraph, rows: slice) -> tuple[Tensor, Tensor, Tensor]:
    """What the same person did next within the graph's gap, for the events of a piece of the log."""
    log, before = graph.log, graph.previous[rows]
    gap = log.time[rows] - log.time[before.clamp(min=0)]
    near = (before >= 0) & (gap > 0) & (gap <= graph.follow_gap)
    return log.item[before[near]], log.item[rows][near], log.time[rows][near]


def _pieces(count: int) -> Iterator[slice]:
    yield from (slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK))
