"""The ego network of a user as of a time, and the difference between two of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import networkx as nx
import torch
from torch import Tensor

from graphrec.errors import InputError
from graphrec.formatting import format_utc
from graphrec.graph.conversion import Node, add_edges, add_nodes, endpoint_types, known_user, relation_names
from graphrec.graph.temporal_graph import TemporalGraph


def ego(
    graph: TemporalGraph,
    user: str,
    *,
    time: int,
    hops: int = 1,
    fan_out: int = 32,
    relations: Sequence[str] | None = None,
) -> nx.MultiDiGraph[Node]:
    """A user's neighbourhood strictly before ``time`` (UTC seconds).

    Each node leads to its ``fan_out`` most recent neighbours of every relation. A neighbour reached through an
    event is asked as of *that event's* time, so a second hop shows what was known when the event happened.
    Nodes have ``hop``, their distance from the user, besides what :func:`to_networkx` gives them.

    Raises InputError for a user the graph does not know before ``time``, or fewer than one hop or neighbour.
    """
    if hops < 1 or fan_out < 1:
        raise InputError(f"ego: at least 1 hop and a fan-out of 1 expected, got hops={hops}, fan_out={fan_out}")
    view = graph.as_of(time)
    network: nx.MultiDiGraph[Node] = nx.MultiDiGraph(user=user, time=view.horizon, hops=hops, fan_out=fan_out)
    centre = torch.tensor([known_user(view, user)], device=view.log.time.device)
    add_nodes(network, view, "user", centre, hop=0)
    frontier = {"user": (centre, torch.full_like(centre, view.horizon))}
    for hop in range(1, hops + 1):
        frontier = _expand(network, view, frontier, relations or relation_names(view), fan_out, hop)
    return network


@dataclass(frozen=True)
class Difference:
    """How a user's neighbourhood moved between two times."""

    earlier: nx.MultiDiGraph[Node]
    """The neighbourhood as of the earlier time."""
    later: nx.MultiDiGraph[Node]
    """The neighbourhood as of the later time."""

    @property
    def added_nodes(self) -> set[Node]:
        """Nodes that only the later neighbourhood has."""
        return set(self.later) - set(self.earlier)

    @property
    def removed_nodes(self) -> set[Node]:
        """Nodes that only the earlier neighbourhood has: newer ones took their place within the fan-out."""
        return set(self.earlier) - set(self.later)

    @property
    def added_edges(self) -> set[tuple[Node, Node, Hashable]]:
        """Edges (source, target, key) that only the later neighbourhood has."""
        return set(self.later.edges(keys=True)) - set(self.earlier.edges(keys=True))

    @property
    def removed_edges(self) -> set[tuple[Node, Node, Hashable]]:
        """Edges (source, target, key) that only the earlier neighbourhood has."""
        return set(self.earlier.edges(keys=True)) - set(self.later.edges(keys=True))


def difference(
    graph: TemporalGraph, user: str, *, earlier: int, later: int, hops: int = 1, fan_out: int = 32
) -> Difference:
    """What a user's neighbourhood gained and lost between two times (UTC seconds, in their order)."""
    if earlier > later:
        raise InputError(
            f"difference: the earlier time must come first, got {format_utc(earlier)} and {format_utc(later)}"
        )
    return Difference(
        ego(graph, user, time=earlier, hops=hops, fan_out=fan_out),
        ego(graph, user, time=later, hops=hops, fan_out=fan_out),
    )


Frontier = dict[str, tuple[Tensor, Tensor]]
"""Per node type: codes to go on from, and the time as of which each is asked."""


def _expand(
    network: nx.MultiDiGraph[Node], graph: TemporalGraph, frontier: Frontier, names: Iterable[str], k: int, hop: int
) -> Frontier:
    """Add the recent edges of the frontier and the nodes they lead to; return those nodes."""
    reached: dict[str, list[Tensor]] = {}
    for name in names:
        source_type, target_type = endpoint_types(graph, name)
        if source_type in frontier:
            source, rows, moment = _recent(graph, name, *frontier[source_type], k)
            target = graph.relation(name).target[rows].long()
            add_nodes(network, graph, target_type, torch.unique(target), hop)
            add_edges(network, graph, name, source, rows)
            reached.setdefault(target_type, []).append(torch.stack([target, moment]))
    distinct = {kind: torch.unique(torch.cat(parts, dim=1), dim=1) for kind, parts in reached.items()}
    return {kind: (pairs[0], pairs[1]) for kind, pairs in distinct.items()}


def _recent(graph: TemporalGraph, name: str, codes: Tensor, times: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Source code, relation row and the time as of which the target is asked, for each recent visible edge."""
    relation, table = graph.relation(name), graph.nodes[endpoint_types(graph, name)[1]]
    if not len(relation):
        nothing = codes[:0]
        return nothing, nothing, nothing
    rows, real = relation.before(codes, times, k)  # [n, k]
    real = real & (table.first_seen[relation.target[rows].long()] < times[:, None])
    moment = torch.where(relation.event[rows] >= 0, relation.time[rows], times[:, None])
    return codes[:, None].expand_as(rows)[real], rows[real], moment[real]
