"""What is around a question: its neighbourhoods strictly before its time, for a whole batch at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from graphrec.errors import GraphError
from graphrec.graph.geography import has_coordinates, squared_chord
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.queries.query import Queries

RELATIONS = ("own_history", "transitions", "nearby")
"""My own events; what people did next after my last item; what happened lately around the place."""
JSON_RELATIONS = {"own_history": "mine", "transitions": "then", "nearby": "here"}
"""What the JSON of the command line calls them; version 0.1 called them so in settings and weights as well."""
FORMER_RELATIONS = {former: name for name, former in JSON_RELATIONS.items()}
MAX_LINKS = 16
"""How many links of a declared relation are followed from a node."""
EVENT_RELATION_OF = {"user": "user->item", "item": "item->user", "location": "location->item"}
"""The relation that leads from a node to its events."""
NEAR_CELLS = 6
"""How many near locations *here* looks at besides the one of the place."""


@dataclass(frozen=True)
class Neighbourhood:
    """The most recent events of one relation for each question, the latest first, padded to ``k``."""

    event: Int64[Tensor, "*batch k"]
    """Row of the event; 0 where not real."""
    mask: Bool[Tensor, "*batch k"]
    """Which entries are events and not padding."""
    beyond: Mapping[str, Neighbourhood] = field(default_factory=dict)
    """Second hop: by relation, what was around each event strictly before *its* time, [*batch, k, k2]."""

    def rows(self, index: slice | Tensor) -> Neighbourhood:
        """Those of the questions at ``index``."""
        beyond = {name: near.rows(index) for name, near in self.beyond.items()}
        return Neighbourhood(self.event[index], self.mask[index], beyond)

    def _drop_behind(self, gone: Int64[Tensor, "batch n"]) -> Neighbourhood:
        """The same without some events (rows rising, by question) behind the neighbours."""
        beyond = {}
        for name, near in self.beyond.items():
            row = near.event.flatten(1)
            place = torch.searchsorted(gone, row).clamp(max=gone.shape[1] - 1)
            left = (gone.gather(1, place) != row).view_as(near.mask)
            beyond[name] = Neighbourhood(near.event, near.mask & left)
        return replace(self, beyond=beyond)


@dataclass(frozen=True)
class Context:
    """Everything a model may know to answer a batch of questions: nothing in it is of their time or later."""

    queries: Queries
    last_event: Int64[Tensor, " batch"]
    """Row of the user's last visible event, -1 for none."""
    last_item: Int64[Tensor, " batch"]
    """Item of that event, -1 for none."""
    location: Int64[Tensor, " batch"]
    """Location node that the question is asked from, -1 for none."""
    coordinates: Float32[Tensor, "batch 2"]
    """Where the question is asked from, degrees; NaN where unknown."""
    local_time: Int64[Tensor, " batch"]
    """Time of the question plus the UTC offset of the last event, seconds."""
    neighbourhoods: Mapping[str, Neighbourhood]
    """Neighbourhoods by relation name."""

    def drop_events(self, left_out: Mapping[str, Bool[Tensor, "batch k"]]) -> Context:
        """The same questions with some of their neighbours left out, behind other neighbours as well."""
        nothing = self.last_event[:, None][:, :0]
        rows = [torch.where(left_out[name] & near.mask, near.event, -1) for name, near in self.neighbourhoods.items()]
        gone = torch.cat((nothing, *rows), 1).sort(dim=1).values
        around = {
            name: replace(near, mask=near.mask & ~left_out[name])._drop_behind(gone)
            for name, near in self.neighbourhoods.items()
        }
        return replace(self, neighbourhoods=around)

    def rows(self, index: slice | Tensor) -> Context:
        """The questions at ``index``."""
        around = {name: near.rows(index) for name, near in self.neighbourhoods.items()}
        return Context(
            self.queries.rows(index),
            self.last_event[index],
            self.last_item[index],
            self.location[index],
            self.coordinates[index],
            self.local_time[index],
            around,
        )


def sample(
    graph: TemporalGraph,
    queries: Queries,
    fan_out: Mapping[Any, int],
    second_hop: Mapping[str, Mapping[Any, int]] | None = None,
) -> Context:
    """Look up the neighbourhoods of a batch of questions.

    Parameters
    ----------
    graph
        The graph, or a view of it as of some time; questions later than its horizon are asked as of the horizon.
    queries
        ``batch`` questions; a user who is not known yet at the question's time is a stranger, -1.
    fan_out
        Events at most by relation name, of RELATIONS or declared by the graph.
    second_hop
        By relation of ``fan_out``, the fan-out of each of its events' own neighbourhoods: of the event's user, item
        and location, strictly before the event.
    """
    time = queries.time.clamp(max=graph.horizon)
    queries = replace(queries, time=time, user=_known_users(graph, queries.user, time))
    latest = _own_history(graph, queries, 1)
    last_event = torch.where(latest.mask[:, 0], latest.event[:, 0], -1)
    last_item = _take(graph.log.item, last_event)
    coordinates, location = _place(graph, queries, last_event)
    offset = _take(graph.log.utc_offset, last_event, missing=0)
    around = _around(graph, queries, {"user": queries.user, "item": last_item, "location": location}, fan_out)
    for name, inner in (second_hop or {}).items():
        around[name] = replace(around[name], beyond=_beyond(graph, queries, around[name], inner))
    return Context(queries, last_event, last_item, location, coordinates, time + 60 * offset, around)


def _around(
    graph: TemporalGraph, queries: Queries, starts: Mapping[str, Tensor], fan_out: Mapping[Any, int]
) -> dict[str, Neighbourhood]:
    """The neighbourhoods around one user, one item and one location for each question."""
    around = {}
    shared = queries.time.clamp(max=queries.history_cutoff)  # what others did is known up to here
    for name, k in fan_out.items():
        if name == "own_history":
            around[name] = _own_history(graph, queries, k)
        elif queries.masked_event is None:
            around[name] = _shared(graph, name, starts, shared, k)
        else:  # one more, of which the hidden event may be taken out
            around[name] = _without(_shared(graph, name, starts, shared, k + 1), queries.masked_event, k)
    if not len(graph.log):  # there is no event that padding could point at
        around = {name: Neighbourhood(near.event[:, :0], near.mask[:, :0]) for name, near in around.items()}
    return around


def _beyond(
    graph: TemporalGraph, queries: Queries, near: Neighbourhood, fan_out: Mapping[Any, int]
) -> dict[str, Neighbourhood]:
    """Around each neighbour's user, item and location, strictly before the neighbour.

    In a log without times nothing is before anything: there it is what the question sees.
    """
    shape, event, real = near.event.shape, near.event.flatten(), near.mask.flatten()

    def of_each(column: Tensor) -> Tensor:
        return column.repeat_interleave(shape[1])

    starts = {kind: torch.where(real, _take(getattr(graph.log, kind), event), -1) for kind in EVENT_RELATION_OF}
    asked = Queries(
        user=starts["user"],
        time=of_each(queries.time) if graph.timeless else _take(graph.log.time, event),
        coordinates=queries.coordinates.new_full((len(event), 2), torch.nan),
        session=of_each(queries.session),
        history_cutoff=queries.history_cutoff,
        masked_event=None if queries.masked_event is None else of_each(queries.masked_event),
    )
    found = _around(graph, asked, starts, fan_out)
    shapes = {name: (*shape, one.event.shape[1]) for name, one in found.items()}
    return {
        name: Neighbourhood(one.event.view(shapes[name]), one.mask.view(shapes[name])) for name, one in found.items()
    }


def _shared(graph: TemporalGraph, name: str, starts: Mapping[str, Tensor], time: Tensor, k: int) -> Neighbourhood:
    """A neighbourhood of what all did, from the question's user, last item or location."""
    if name == "transitions":
        return _edges(graph, "item->item", starts["item"], time, k)
    if name == "nearby":
        return _nearby(graph, starts["location"], time, k)
    return _linked(graph, name, starts, time, k)


def check_relations(graph: TemporalGraph, names: Iterable[str], setting: str = "fan_out") -> None:
    """GraphError for a neighbourhood that the graph has no relation for."""
    usable = [*RELATIONS, *(name for name, edges in graph.edges.items() if edges.source_type in EVENT_RELATION_OF)]
    for name in names:
        if name not in usable:
            raise GraphError(f"{setting}: one of {', '.join(usable)} expected, got {name!r}")


def event_coordinates(graph: TemporalGraph, event: Int64[Tensor, "*batch"]) -> Float32[Tensor, "*batch 2"]:
    """Where events happened: the item's own coordinates, else the location's, else NaN (also for row -1)."""
    where = torch.full((*event.shape, 2), float("nan"), device=event.device)
    for kind, codes in (("location", graph.log.location), ("item", graph.log.item)):
        table = graph.nodes[kind].coordinates
        if table is not None and len(table):
            code = _take(codes, event)
            found = torch.where((code >= 0)[..., None], table[code.clamp(min=0)], float("nan"))
            where = torch.where(torch.isnan(found), where, found)
    return where


def _known_users(graph: TemporalGraph, user: Int64[Tensor, " batch"], time: Tensor) -> Int64[Tensor, " batch"]:
    first_seen = graph.nodes["user"].first_seen
    if not len(first_seen):
        return torch.full_like(user, -1)
    inside = (user >= 0) & (user < len(first_seen))
    return torch.where(inside & (first_seen[torch.where(inside, user, 0)] < time), user, -1)


def previous_event(graph: TemporalGraph, queries: Queries, event: Int64[Tensor, "batch k"]) -> Int64[Tensor, "batch k"]:
    """Row of the same user's event before each; -1 for none, or for one that a frozen history hides."""
    if not len(graph.log):
        return torch.full_like(event, -1)
    previous = graph.previous[event]
    if queries.masked_event is not None:
        previous = torch.where(previous == queries.masked_event[:, None], -1, previous)
    if queries.history_cutoff == TIME_MAX:
        return previous
    session = graph.log.session[previous]
    own = (session == queries.session[:, None]) & (session >= 0)
    return torch.where(own | (graph.log.time[previous] < queries.history_cutoff), previous, -1)


def _take(column: Tensor, row: Int64[Tensor, "*batch"], missing: int = -1) -> Int64[Tensor, "*batch"]:
    """``column[row]``, and ``missing`` where the row is -1."""
    if not len(column):
        return torch.full_like(row, missing)
    return torch.where(row >= 0, column[row.clamp(min=0)].long(), missing)


def _edges(graph: TemporalGraph, name: str, source: Tensor, time: Tensor, k: int) -> Neighbourhood:
    relation = graph.relation(name)
    rows, real = relation.before(source, time, k)
    if not len(relation):  # a log without places, say: no padding to compute with
        width = 0 if len(graph.log) else k
        return Neighbourhood(rows[..., :width], real[..., :width])
    return Neighbourhood(torch.where(real, relation.event[rows].long(), 0), real)


def _own_history(graph: TemporalGraph, queries: Queries, k: int) -> Neighbourhood:
    """The user's own last events; with a frozen history, those before it and those of the question's session."""
    time = queries.time
    if queries.masked_event is not None:
        return _without(_edges(graph, "user->item", queries.user, time, k + 1), queries.masked_event, k)
    if queries.history_cutoff == TIME_MAX or not len(graph.log):
        return _edges(graph, "user->item", queries.user, time, k)
    lately = _edges(graph, "session->item", queries.session, time, k)
    own = graph.log.user[lately.event] == queries.user[:, None]
    thawed = lately.mask & own & (graph.log.time[lately.event] >= queries.history_cutoff)
    old = _edges(graph, "user->item", queries.user, time.clamp(max=queries.history_cutoff), k)
    return _latest(torch.cat((lately.event, old.event), 1), torch.cat((thawed, old.mask), 1), k)


def _without(near: Neighbourhood, hidden: Int64[Tensor, " batch"], k: int) -> Neighbourhood:
    """A neighbourhood of at most ``k`` events without each question's hidden one."""
    return _latest(near.event, near.mask & (near.event != hidden[:, None]), k)


def _nearby(graph: TemporalGraph, location: Int64[Tensor, " batch"], time: Tensor, k: int) -> Neighbourhood:
    """The last events in the question's location and in the locations near it."""
    places = location[:, None]
    if "near" in graph.edges and len(near := graph.relation("near")):
        rows, real = near.before(location, time, int(near.start.diff().max()))
        others = torch.where(real, near.target[rows].long(), -1)
        places = torch.cat((places, _nearest(graph, location, others)), 1)
    found = _edges(graph, "location->item", places, time[:, None].expand_as(places), k)  # [batch, places, k]
    return _latest(found.event.flatten(1), found.mask.flatten(1), k)


def _linked(graph: TemporalGraph, name: str, starts: Mapping[str, Tensor], time: Tensor, k: int) -> Neighbourhood:
    """The last events of the nodes that a declared relation links to the question's user, last item or location.

    A relation within a type leads to the linked nodes themselves (friends); one to another type leads to the nodes
    that share a target (items of the same brand).
    """
    edges = graph.edges[name]
    start = starts[edges.source_type]
    if not len(edges.source):
        return Neighbourhood(start[:, None][:, :0], start[:, None][:, :0].bool())
    rows, real = graph.relation(name).before(start, time, MAX_LINKS)
    linked = torch.where(real, graph.relation(name).target[rows].long(), -1)
    if edges.target_type != edges.source_type:
        back = graph.backward(name)
        times = time[:, None].expand_as(linked)
        rows, real = back.before(linked, times, MAX_LINKS)
        linked = torch.where(real, back.target[rows].long(), -1).flatten(1)
        linked = torch.where(linked == start[:, None], -1, linked)
    linked = linked.sort(1).values
    linked[:, 1:].masked_fill_(linked[:, 1:] == linked[:, :-1], -1)  # a node may be reached in several ways
    found = _edges(graph, EVENT_RELATION_OF[edges.source_type], linked, time[:, None].expand_as(linked), k)
    return _latest(found.event.flatten(1), found.mask.flatten(1), k)


def _nearest(graph: TemporalGraph, location: Tensor, others: Int64[Tensor, "batch k"]) -> Int64[Tensor, "batch near"]:
    """The ``NEAR_CELLS`` nearest of other locations, -1 among them standing for none."""
    table = graph.nodes["location"].coordinates
    if table is None or others.shape[1] <= NEAR_CELLS:
        return others
    apart = squared_chord(table[location.clamp(min=0)][:, None], table[others.clamp(min=0)])
    nearest = apart.masked_fill(others < 0, torch.inf).sort(dim=1, stable=True).indices[:, :NEAR_CELLS]
    return others.gather(1, nearest)


def _latest(event: Tensor, real: Tensor, k: int) -> Neighbourhood:
    """The ``k`` latest real events of each row; rows of the log are in time order."""
    if event.shape[1] > k:
        event = torch.where(real, event, -1).topk(k, dim=1).values
        real = event >= 0
    return Neighbourhood(torch.where(real, event, 0), real)


def _place(graph: TemporalGraph, queries: Queries, last_event: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates and location node of each question: its own if given, else those of the last event."""
    coordinates = event_coordinates(graph, last_event)
    location = _take(graph.log.location, last_event)
    given = has_coordinates(queries.coordinates)
    if not bool(given.any()):
        return coordinates, location
    coordinates = torch.where(given[:, None], queries.coordinates, coordinates)
    return coordinates, torch.where(given, nearest_location(graph, queries), location)


def nearest_location(graph: TemporalGraph, queries: Queries) -> Int64[Tensor, " batch"]:
    """The nearest location node known before each question, -1 without coordinates."""
    table = graph.nodes["location"]
    if table.coordinates is None or not len(table):
        return torch.full_like(queries.user, -1)
    apart = squared_chord(queries.coordinates[:, None], table.coordinates[None])  # [batch, locations]
    apart[table.first_seen[None] >= queries.time[:, None].clamp(max=graph.horizon)] = torch.inf
    apart = torch.where(torch.isnan(apart), torch.inf, apart)
    best = apart.min(dim=1)
    return torch.where(torch.isinf(best.values), -1, best.indices)
