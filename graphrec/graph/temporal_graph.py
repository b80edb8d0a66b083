"""The temporal user-item-location graph: one frozen record of a graph directory, viewed as of a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from graphrec.errors import GraphError
from graphrec.graph.events import Events
from graphrec.graph.manifest import GraphManifest, read_manifest
from graphrec.graph.nodes import Edges, Nodes
from graphrec.graph.relation import Relation
from graphrec.graph.time_bounds import TIME_MAX

if TYPE_CHECKING:
    import networkx
    import scipy.sparse
    from torch_geometric.data import HeteroData

T = TypeVar("T")

EVENT_RELATIONS = {
    "user->item": ("user", "item"),
    "user->location": ("user", "location"),
    "item->user": ("item", "user"),
    "location->item": ("location", "item"),
    "item->item": ("item", "item"),
}
"""Relations made of events: name -> (source type, target type)."""


@dataclass(frozen=True)
class TemporalGraph:
    """Users, items, locations, their events and relations, seen as of ``horizon``.

    No event, node or edge at or after the horizon is visible through this record.
    """

    nodes: Mapping[str, Nodes]
    """Node tables by type, among them ``user``, ``item`` and ``location`` (which may be empty)."""
    log: Events
    """All events of the directory; ``events`` has those before the horizon."""
    edges: Mapping[str, Edges]
    """Static relations by name: ``at`` (item -> location), ``near`` (location -> location) and declared ones."""
    manifest: GraphManifest
    """The directory's manifest.json: counts, mapping, split, text model, hashes, versions."""
    horizon: int = TIME_MAX
    """UTC seconds at and after which nothing is visible."""
    follow_gap: int = 86_400
    """Maximum gap in seconds between consecutive events of a user that make an ``item->item`` edge."""
    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        made_of = (id(self.nodes), id(self.log), id(self.edges), self.follow_gap)
        if self._cache.get("made of") == made_of:
            return  # a view of a graph that has been checked; it shares the relations
        object.__setattr__(self, "_cache", {"made of": made_of})
        for kind in ("user", "item", "location"):
            if kind not in self.nodes:
                raise GraphError(f"graph: node type {kind!r} expected, got {sorted(self.nodes)}")
            self._check_codes(f"{kind} codes of the events", getattr(self.log, kind), kind, -(kind == "location"))
        for name, edges in self.edges.items():
            self._check_codes(f"source codes of relation {name!r}", edges.source, edges.source_type)
            self._check_codes(f"target codes of relation {name!r}", edges.target, edges.target_type)

    def _check_codes(self, what: str, codes: Tensor, kind: str, lowest: int = 0) -> None:
        if kind not in self.nodes:
            raise GraphError(f"graph: node type {kind!r} of the {what} expected, got {sorted(self.nodes)}")
        count = len(self.nodes[kind])
        if len(codes) and not lowest <= int(codes.min()) <= int(codes.max()) < count:
            came = f"{int(codes.min())}..{int(codes.max())}"
            raise GraphError(f"graph: {what} must lie in {lowest}..{count - 1}, got {came}")

    @staticmethod
    def open(directory: str | Path, device: torch.device | str = "cpu") -> TemporalGraph:
        """Open a graph directory; on a CPU its text vectors are memory-mapped.

        Raises GraphError when the directory is not a complete graph or is of a newer format.
        """
        from graphrec.graph import storage

        root = Path(directory)
        manifest = read_manifest(root)
        nodes = {kind: storage.read_nodes(root, kind) for kind in manifest.node_types}
        edges = {name: storage.read_edges(root, name, ends) for name, ends in manifest.relations.items()}
        return TemporalGraph(nodes, storage.read_events(root), edges, manifest).to(device)

    def as_of(self, time: int) -> TemporalGraph:
        """View of the graph as of ``time`` (UTC seconds), exclusive; nothing is copied."""
        return replace(self, horizon=min(time, self.horizon))

    @property
    def events(self) -> Events:
        """The events before the horizon (views)."""
        return self.log.rows(slice(0, self.log.count_before(self.horizon)))

    @property
    def timeless(self) -> bool:
        """Whether the log has no times; the events of a split then share one second."""
        return self.manifest.timeless

    def visible(self, kind: str) -> Bool[Tensor, " count"]:
        """Mask of the nodes of a type that are known before the horizon."""
        return self.nodes[kind].first_seen < self.horizon

    def occurring(self, kind: str, events: Bool[Tensor, " n"]) -> Bool[Tensor, " count"]:
        """Mask of the nodes of a type that occur in some of the events."""
        code = getattr(self.log, kind)[events].long()
        mask = torch.zeros(len(self.nodes[kind]), dtype=torch.bool, device=code.device)
        mask[code[code >= 0]] = True
        return mask

    @property
    def previous(self) -> Int64[Tensor, " n"]:
        """Row of the same user's preceding event, -1 for a first event."""
        return self._cached("previous", self._previous)

    def _previous(self) -> Int64[Tensor, " n"]:
        order = torch.sort(self.log.user, stable=True).indices
        previous = torch.full_like(order, -1)
        same = self.log.user[order[1:]] == self.log.user[order[:-1]]
        previous[order[1:][same]] = order[:-1][same]
        return previous

    def relation(self, name: str) -> Relation:
        """The time-sorted adjacency called ``name``, built at first use and shared by every view.

        ``user->item`` and the other event relations come from the log; ``item->item`` leads from an item to the item
        of the same user's next event, dated by the later event; ``session->item`` leads from a session to its items.
        Any other name is a static relation of the directory. Query it only for times up to the horizon, as sampling
        does.
        """
        return self._cached(name, lambda: self._build_relation(name))

    def backward(self, name: str) -> Relation:
        """A static relation of the directory reversed, from its targets to its sources."""
        edges = self.edges[name]
        targets = len(self.nodes[edges.target_type])
        reverse = (edges.target, edges.source, edges.valid_from, None, targets)
        return self._cached(f"{name} backward", lambda: Relation.build(*reverse))

    def _cached(self, key: str, build: Callable[[], T]) -> T:
        if key not in self._cache:
            self._cache[key] = build()
        value: T = self._cache[key]
        return value

    def _build_relation(self, name: str) -> Relation:
        if name == "item->item":
            return self._transitions()
        if name == "session->item":
            sessions = int(self.log.session.max()) + 1 if len(self.log) else 0
            return self._event_relation(self.log.session, self.log.item, sessions)
        if name in EVENT_RELATIONS:
            source_type, target_type = EVENT_RELATIONS[name]
            source, target = getattr(self.log, source_type), getattr(self.log, target_type)
            return self._event_relation(source, target, len(self.nodes[source_type]))
        if name in self.edges:
            edges = self.edges[name]
            return Relation.build(
                edges.source, edges.target, edges.valid_from, None, len(self.nodes[edges.source_type])
            )
        raise GraphError(f"relation {name!r} is not in this graph; it has {sorted({*EVENT_RELATIONS, *self.edges})}")

    def _event_relation(self, source: Tensor, target: Tensor, sources: int) -> Relation:
        """An edge per event that has both codes."""
        rows = ((source >= 0) & (target >= 0)).nonzero()[:, 0]
        return Relation.build(source[rows], target[rows], self.log.time[rows], rows, sources)

    def _transitions(self) -> Relation:
        """An edge per event that follows another of its user within ``follow_gap``, between the items of both."""
        log = self.log
        rows = (self.previous >= 0).nonzero()[:, 0]
        gap = log.time[rows] - log.time[self.previous[rows]]
        rows = rows[(gap > 0) & (gap <= self.follow_gap)]
        return Relation.build(
            log.item[self.previous[rows]], log.item[rows], log.time[rows], rows, len(self.nodes["item"])
        )

    def to(self, device: torch.device | str) -> TemporalGraph:
        """The same graph with its index on another device; ids and texts stay in main memory."""
        if str(device) == str(self.log.time.device):
            return self
        nodes = {kind: table.to(device) for kind, table in self.nodes.items()}
        edges = {name: edges.to(device) for name, edges in self.edges.items()}
        return replace(self, nodes=nodes, log=self.log.to(device), edges=edges)

    def to_scipy(self, relation: str, time: int) -> scipy.sparse.csr_array:
        """Counts of a relation's edges before ``time``, [sources, targets]."""
        from graphrec.graph.conversion import adjacency

        return adjacency(self, relation, time=time)

    def to_hetero_data(self, time: int) -> HeteroData:
        """The graph as of ``time`` as PyG HeteroData: ``x`` from text, one edge type a relation, ``time`` an edge."""
        from graphrec.graph.conversion import to_hetero_data

        return to_hetero_data(self.as_of(time))

    def to_networkx(self, time: int) -> networkx.MultiDiGraph[tuple[str, str]]:
        """The graph as of ``time`` as a networkx MultiDiGraph with nodes ``(type, id)``."""
        from graphrec.graph.conversion import to_networkx

        return to_networkx(self.as_of(time))
