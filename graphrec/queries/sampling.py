"""Neighbourhoods of queries: the latest events of each relation strictly before a query's time, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor, nn

from graphrec.errors import GraphError
from graphrec.graph import TIME_MAX, TemporalGraph
from graphrec.graph.geography import has_coordinates, squared_chord
from graphrec.graph.tensor_record import TensorColumns
from graphrec.queries.query import Queries

RELATIONS = ("own_history", "transitions", "nearby")
"""The user's own events; what everybody did next after the user's last item; events at and near the location."""
JSON_RELATIONS = {"own_history": "mine", "transitions": "then", "nearby": "here"}
"""Their names in the JSON of the command line; version 0.1 had these in settings and weights as well."""
FORMER_RELATIONS = {former: name for name, former in JSON_RELATIONS.items()}
MAX_LINKS = 16
"""Links of a declared relation that are followed from a node at most."""
EVENT_RELATION_OF = {"user": "user->item", "item": "item->user", "location": "location->item"}
"""Relation from the nodes of a type to their events."""
MAX_NEAR_LOCATIONS = 6
"""Locations near the query's own whose events ``nearby`` holds at most."""


@dataclass(frozen=True)
class Neighbourhood(TensorColumns):
    """The latest events of one relation for each query, the latest first, padded to ``k``."""

    event: Int64[Tensor, "*batch k"]
    """Row of the event in the log; 0 for padding."""
    mask: Bool[Tensor, "*batch k"]
    """True for events, False for padding."""


@dataclass(frozen=True)
class Context(TensorColumns):
    """Everything a model may know of a batch of queries: nothing in it is of their time or later."""

    queries: Queries
    last_event: Int64[Tensor, " batch"]
    """Row of the user's last visible event, -1 for none."""
    last_item: Int64[Tensor, " batch"]
    """Item of that event, -1 for none."""
    location: Int64[Tensor, " batch"]
    """Location node of the query, -1 for none."""
    coordinates: Float32[Tensor, "batch 2"]
    """Latitude and longitude of the query, degrees; NaN where unknown."""
    local_time: Int64[Tensor, " batch"]
    """Time of the query plus the UTC offset of the last event, seconds since 1970."""
    neighbourhoods: Mapping[str, Neighbourhood]
    """Neighbourhoods by relation name."""

    def all_events(self) -> Neighbourhood:
        """The events of all neighbourhoods side by side, [batch, events], in the order of the relations."""
        empty = self.last_event[:, None][:, :0]
        event = torch.cat((empty, *(near.event for near in self.neighbourhoods.values())), 1)
        return Neighbourhood(event, torch.cat((empty.bool(), *(near.mask for near in self.neighbourhoods.values())), 1))

    def drop_events(self, dropped: Bool[Tensor, "batch events"]) -> Context:
        """The same queries without some events; the columns are those of `all_events`."""
        parts = torch.split(dropped, [near.event.shape[1] for near in self.neighbourhoods.values()], 1)
        rest = zip(self.neighbourhoods.items(), parts, strict=True)
        return replace(
            self, neighbourhoods={name: replace(near, mask=near.mask & ~part) for (name, near), part in rest}
        )


def sample(graph: TemporalGraph, queries: Queries, *, fan_out: Mapping[str, int]) -> Context:
    """Look up the neighbourhoods of a batch of queries.

    Parameters
    ----------
    graph
        The graph, or a view of it as of some time; a query later than its horizon is answered as of the horizon.
    queries
        ``batch`` queries; a user who is not known yet at the query's time counts as unknown, -1.
    fan_out
        Maximum of events by relation name, of RELATIONS or declared by the graph.
    """
    time = queries.time.clamp(max=graph.horizon)
    first_seen = graph.nodes["user"].first_seen
    seen = take(first_seen, torch.where(queries.user < len(first_seen), queries.user, -1), missing=TIME_MAX)
    queries = replace(queries, time=time, user=torch.where(seen < time, queries.user, -1))
    latest = _neighbourhood(graph, queries, "own_history", {}, 1)
    last_event = nn.functional.pad(torch.where(latest.mask, latest.event, -1), (0, 1), value=-1)[:, 0]
    last_item = take(graph.log.item, last_event)
    coordinates, location = _position(graph, queries, last_event)
    offset = take(graph.log.utc_offset, last_event, missing=0)
    starts = {"user": queries.user, "item": last_item, "location": location}
    neighbourhoods = {name: _neighbourhood(graph, queries, name, starts, k) for name, k in fan_out.items()}
    return Context(queries, last_event, last_item, location, coordinates, time + 60 * offset, neighbourhoods)


def _neighbourhood(
    graph: TemporalGraph, queries: Queries, name: str, starts: Mapping[str, Tensor], k: int
) -> Neighbourhood:
    """The events of one relation, from the user, last item or location of each query."""
    time = queries.time.clamp(max=queries.history_cutoff)
    room = k + (queries.masked_event is not None)  # for the event that is masked
    if name == "own_history":
        near = _own_history(graph, queries, room)
    elif name == "transitions":
        near = _edges(graph, "item->item", starts["item"], time, room)
    elif name == "nearby":
        near = _nearby(graph, starts["location"], time, room)
    else:
        near = _linked(graph, name, starts, time, room)
    if queries.masked_event is None:
        return near
    return _latest(near.event, near.mask & (near.event != queries.masked_event[:, None]), k)


def check_relations(graph: TemporalGraph, names: Iterable[str]) -> None:
    """Raise GraphError for a neighbourhood that the graph has no relation for."""
    usable = [*RELATIONS, *(name for name, edges in graph.edges.items() if edges.source_type in EVENT_RELATION_OF)]
    for name in names:
        if name not in usable:
            raise GraphError(f"fan_out: one of {', '.join(usable)} expected, got {name!r}")


def event_coordinates(graph: TemporalGraph, event: Int64[Tensor, "*batch"]) -> Float32[Tensor, "*batch 2"]:
    """Degrees at which events happened: those of the item, else of the location, else NaN (also for row -1)."""
    coordinates = torch.full((*event.shape, 2), float("nan"), device=event.device)
    for kind, codes in (("location", graph.log.location), ("item", graph.log.item)):
        table = graph.nodes[kind].coordinates
        if table is not None and len(table):
            code = take(codes, event)
            found = torch.where((code >= 0)[..., None], table[code.clamp(min=0)], float("nan"))
            coordinates = torch.where(torch.isnan(found), coordinates, found)
    return coordinates


def previous_event(graph: TemporalGraph, queries: Queries, event: Int64[Tensor, "batch k"]) -> Int64[Tensor, "batch k"]:
    """Row of the same user's event before each; -1 for none, or for one that a frozen history does not show."""
    previous = take(graph.previous, event)
    if queries.masked_event is not None:
        previous = torch.where(previous == queries.masked_event[:, None], -1, previous)
    if queries.history_cutoff == TIME_MAX:
        return previous
    session = graph.log.session[previous]
    own = (session == queries.session[:, None]) & (session >= 0)
    return torch.where(own | (graph.log.time[previous] < queries.history_cutoff), previous, -1)


def take(column: Tensor, row: Int64[Tensor, "*batch"], missing: int = -1) -> Int64[Tensor, "*batch"]:
    """``column[row]``, and ``missing`` where the row is -1."""
    if not len(column):
        return torch.full_like(row, missing)
    return torch.where(row >= 0, column[row.clamp(min=0)].long(), missing)


def _edges(graph: TemporalGraph, name: str, source: Tensor, time: Tensor, k: int) -> Neighbourhood:
    """The latest ``k`` events of each source node, in the shape of ``source`` with ``k`` as the last dimension."""
    relation = graph.relation(name)
    rows, mask = relation.before(source, time, k)
    if not len(relation):  # a log without locations, for one: no padding to compute with, nor an event for it
        return Neighbourhood(rows[..., :0], mask[..., :0])
    return Neighbourhood(torch.where(mask, relation.event[rows].long(), 0), mask)


def _own_history(graph: TemporalGraph, queries: Queries, k: int) -> Neighbourhood:
    """The user's own latest events; with a frozen history, those before its cutoff and of the query's session."""
    time = queries.time
    if queries.history_cutoff == TIME_MAX or queries.masked_event is not None:
        return _edges(graph, "user->item", queries.user, time, k)
    session = _edges(graph, "session->item", queries.session, time, k)
    own = graph.log.user[session.event] == queries.user[:, None]
    visible = session.mask & own & (graph.log.time[session.event] >= queries.history_cutoff)
    old = _edges(graph, "user->item", queries.user, time.clamp(max=queries.history_cutoff), k)
    return _latest(torch.cat((session.event, old.event), 1), torch.cat((visible, old.mask), 1), k)


def _nearby(graph: TemporalGraph, location: Int64[Tensor, " batch"], time: Tensor, k: int) -> Neighbourhood:
    """The latest events at the query's location and the locations near it."""
    locations = location[:, None]
    if "near" in graph.edges and len(near := graph.relation("near")):
        rows, mask = near.before(location, time, int(near.start.diff().max()))
        others = torch.where(mask, near.target[rows].long(), -1)
        locations = torch.cat((locations, _nearest(graph, location, others)), 1)
    return _events_of(graph, "location->item", locations, time, k)


def _linked(graph: TemporalGraph, name: str, starts: Mapping[str, Tensor], time: Tensor, k: int) -> Neighbourhood:
    """The latest events of the nodes that a declared relation links to the query's user, last item or location.

    A relation within a type leads to the linked nodes themselves (friends); one to another type leads to the nodes
    that share a target (items of the same brand).
    """
    edges = graph.edges[name]
    start = starts[edges.source_type]
    if not len(edges.source):
        return Neighbourhood(start[:, None][:, :0], start[:, None][:, :0].bool())
    rows, mask = graph.relation(name).before(start, time, MAX_LINKS)
    linked = torch.where(mask, graph.relation(name).target[rows].long(), -1)
    if edges.target_type != edges.source_type:
        back = graph.backward(name)
        rows, mask = back.before(linked, time[:, None].expand_as(linked), MAX_LINKS)
        linked = torch.where(mask, back.target[rows].long(), -1).flatten(1)
        linked = torch.where(linked == start[:, None], -1, linked)
    linked = linked.sort(1).values
    linked[:, 1:].masked_fill_(linked[:, 1:] == linked[:, :-1], -1)  # a node may be reached in several ways
    return _events_of(graph, EVENT_RELATION_OF[edges.source_type], linked, time, k)


def _events_of(
    graph: TemporalGraph, relation: str, nodes: Int64[Tensor, "batch nodes"], time: Tensor, k: int
) -> Neighbourhood:
    """The latest ``k`` events of several nodes together."""
    near = _edges(graph, relation, nodes, time[:, None].expand_as(nodes), k)  # [batch, nodes, k]
    return _latest(near.event.flatten(1), near.mask.flatten(1), k)


def _nearest(graph: TemporalGraph, location: Tensor, others: Int64[Tensor, "batch k"]) -> Int64[Tensor, "batch near"]:
    """The ``MAX_NEAR_LOCATIONS`` nearest of other locations, -1 for none."""
    table = graph.nodes["location"].coordinates
    if table is None or others.shape[1] <= MAX_NEAR_LOCATIONS:
        return others
    distance = squared_chord(table[location.clamp(min=0)][:, None], table[others.clamp(min=0)])
    order = distance.masked_fill(others < 0, torch.inf).sort(dim=1, stable=True).indices
    return others.gather(1, order[:, :MAX_NEAR_LOCATIONS])


def _latest(event: Tensor, mask: Tensor, k: int) -> Neighbourhood:
    """The ``k`` latest events of each row without padding; rows of the log are in time order."""
    if event.shape[1] > k:
        event = torch.where(mask, event, -1).topk(k, dim=1).values
        mask = event >= 0
    return Neighbourhood(torch.where(mask, event, 0), mask)


def _position(graph: TemporalGraph, queries: Queries, last_event: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates and location node of each query: its own where it has coordinates, else those of the last event."""
    coordinates = event_coordinates(graph, last_event)
    location = take(graph.log.location, last_event)
    own = has_coordinates(queries.coordinates)
    if not bool(own.any()):
        return coordinates, location
    coordinates = torch.where(own[:, None], queries.coordinates, coordinates)
    return coordinates, torch.where(own, nearest_location(graph, queries), location)


def nearest_location(graph: TemporalGraph, queries: Queries) -> Int64[Tensor, " batch"]:
    """The nearest location node known before each query, -1 without coordinates."""
    table = graph.nodes["location"]
    if table.coordinates is None or not len(table):
        return torch.full_like(queries.user, -1)
    distance = squared_chord(queries.coordinates[:, None], table.coordinates[None])  # [batch, locations]
    distance[table.first_seen[None] >= queries.time[:, None].clamp(max=graph.horizon)] = torch.inf
    nearest = torch.where(torch.isnan(distance), torch.inf, distance).min(dim=1)
    return torch.where(torch.isinf(nearest.values), -1, nearest.indices)
