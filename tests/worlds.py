"""Small worlds: graphs made in memory, random or with a planted truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from graphrec.graph.events import Events
from graphrec.graph.manifest import GraphManifest
from graphrec.graph.nodes import Edges, Nodes
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX, TIME_MIN


def events(
    user: list[int],
    item: list[int],
    time: list[int],
    location: list[int] | None = None,
    split: list[int] | None = None,
    session: list[int] | None = None,
) -> Events:
    """An Events record from plain lists; the time order is up to the caller."""
    n = len(user)
    return Events(
        user=torch.tensor(user, dtype=torch.int32),
        item=torch.tensor(item, dtype=torch.int32),
        location=torch.tensor(location or [-1] * n, dtype=torch.int32),
        time=torch.tensor(time, dtype=torch.int64),
        utc_offset=torch.zeros(n, dtype=torch.int16),
        kind=torch.zeros(n, dtype=torch.int8),
        weight=torch.ones(n),
        split=torch.tensor(split or [0] * n, dtype=torch.int8),
        session=torch.tensor(session or [-1] * n, dtype=torch.int32),
    )


def nodes(kind: str, count: int, log: Events, rng: np.random.Generator | None = None, vectors: int = 0) -> Nodes:
    """A node table: ids ``item-0``...; with a generator also coordinates around one city and text vectors."""
    first_seen = torch.full((count,), TIME_MIN)
    coordinates = None
    if rng is not None and kind != "user":
        coordinates = torch.tensor(rng.normal([40.75, -73.99], 0.03, (count, 2)), dtype=torch.float32)
    return Nodes(
        ids=pa.array([f"{kind}-{code}" for code in range(count)], pa.string()),
        labels=pa.nulls(count, pa.string()),
        texts=pa.nulls(count, pa.string()),
        vectors=torch.tensor(rng.normal(size=(count, vectors)), dtype=torch.float16)
        if rng is not None and vectors
        else None,
        coordinates=coordinates,
        first_seen=first_seen,
    )


def graph(
    log: Events, users: int, items: int, locations: int = 0, seed: int | None = None, vectors: int = 0
) -> TemporalGraph:
    """A graph over ``log`` with catalogue nodes; ``seed`` gives coordinates, vectors and near locations."""
    rng = None if seed is None else np.random.default_rng(seed)
    tables = {
        "user": nodes("user", users, log, rng),
        "item": nodes("item", items, log, rng, vectors),
        "location": nodes("location", locations, log, rng),
    }
    edges = {}
    if locations > 1:
        source = torch.arange(locations)
        edges["near"] = Edges(
            "location",
            "location",
            source,
            (source + 1) % locations,
            torch.full((locations,), TIME_MIN),
            torch.full((locations,), 500.0),
        )
    return TemporalGraph(tables, log, edges, GraphManifest(hash=f"world-{seed}", text=None, kinds=["event"]))


def random_world(
    seed: int, users: int = 12, items: int = 30, locations: int = 5, count: int = 300, seconds: int = 30 * 86_400
) -> TemporalGraph:
    """Events drawn at random, ties in time included, split 80/10/10 by time."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(0, seconds, count) // 600 * 600) + 1_600_000_000
    split = np.searchsorted(np.quantile(time, [0.8, 0.9]), time, side="right")
    log = events(
        rng.integers(0, users, count).tolist(),
        rng.integers(0, items, count).tolist(),
        time.tolist(),
        rng.integers(0, locations, count).tolist() if locations else None,
        split.tolist(),
    )
    return graph(log, users, items, locations, seed, vectors=8)


def town(
    seed: int,
    users: int = 8,
    items: int = 15,
    locations: int = 9,
    count: int = 120,
    texts: int = 4,
    places: bool = True,
    dated: bool = True,
    declared: bool = False,
) -> TemporalGraph:
    """A random world with everything that a log can bring.

    Sessions of one user, day and split, and events of none; UTC offsets, kinds and weights; events of no location;
    nodes of a catalogue and, if ``dated``, nodes known from their first event on; nodes without text or coordinates;
    ``places`` gives coordinates and near locations, ``declared`` relations of a mapping's own (DECLARED). Times are
    whole quarters of an hour: many are ties.
    """
    rng = np.random.default_rng(seed)
    time = torch.tensor(np.sort(rng.integers(0, 20 * 96, count)) * 900 + 1_600_000_000)
    user = torch.tensor(rng.integers(0, users, count))
    split = torch.tensor([0, 1, 2])[torch.searchsorted(torch.tensor([0.8, 0.9]), torch.arange(count) / count)]
    session = (user * 1000 + time // 86_400 % 1000) * 3 + split
    session = torch.unique(session, return_inverse=True)[1]
    session[torch.tensor(rng.random(count) < 0.1)] = -1
    log = Events(
        user=user.int(),
        item=torch.tensor(rng.integers(0, items, count), dtype=torch.int32),
        location=torch.tensor(rng.integers(-1, locations, count) if locations else [-1] * count, dtype=torch.int32),
        time=time,
        utc_offset=torch.tensor(rng.integers(-20, 20, count) * 30, dtype=torch.int16),
        kind=torch.tensor(rng.integers(0, 3, count), dtype=torch.int8),
        weight=torch.tensor(rng.integers(1, 6, count), dtype=torch.float32),
        split=split.to(torch.int8),
        session=session.int(),
    )
    counts = {"user": users, "item": items, "location": locations}
    tables = {kind: _town_nodes(kind, number, log, rng, texts, places, dated) for kind, number in counts.items()}
    edges = {"near": near(tables["location"])} if places else {}
    if declared:
        tables["brand"] = nodes("brand", 4, log)
        edges |= {name: _declared(ends, tables, rng) for name, ends in DECLARED.items()}
    return TemporalGraph(tables, log, edges, GraphManifest(hash=f"town-{seed}", text=None, kinds=["event"]))


DECLARED = {
    "friend": ("user", "user"),
    "made_by": ("item", "brand"),
    "goes_with": ("item", "item"),
    "district": ("location", "brand"),
}
"""Relations that a mapping may declare, of every shape that the network can follow, and their ends."""


def _declared(ends: tuple[str, str], tables: Mapping[str, Nodes], rng: np.random.Generator) -> Edges:
    """Two edges a node at random, half of them valid from some time on."""
    source = torch.arange(len(tables[ends[0]])).repeat(2)
    target = torch.tensor(rng.integers(0, len(tables[ends[1]]), len(source)))
    since = torch.tensor(rng.integers(0, 20 * 96, len(source))) * 900 + 1_600_000_000
    since[torch.tensor(rng.random(len(source)) < 0.5)] = TIME_MIN
    return Edges(*ends, source, target, since, None)


def _town_nodes(
    kind: str, count: int, log: Events, rng: np.random.Generator, texts: int, places: bool, dated: bool
) -> Nodes:
    table = nodes(kind, count, log)
    vectors = torch.tensor(rng.normal(size=(count, texts)) * (rng.random((count, 1)) < 0.8), dtype=torch.float16)
    where = torch.tensor(rng.normal([40.75, -73.99], 0.02, (count, 2)), dtype=torch.float32)
    where[torch.tensor(rng.random(count) < 0.2)] = torch.nan
    first_seen = first_times(getattr(log, kind), log.time, count)
    first_seen[torch.tensor(rng.random(count) < (0.5 if dated else 1.0))] = TIME_MIN
    return replace(
        table,
        vectors=vectors if texts else None,
        coordinates=where if places and kind != "user" else None,
        first_seen=first_seen,
    )


def first_times(codes: Tensor, time: Tensor, count: int) -> Tensor:
    """Time of the first event of each node; TIME_MAX for a node without one."""
    first = torch.full((count,), TIME_MAX)
    known = codes >= 0
    return first.scatter_reduce(0, codes[known].long(), time[known], "amin")


def near(locations: Nodes) -> Edges:
    """Each location to the next four codes either way, known once both are: later locations leave older edges alone."""
    code = torch.arange(len(locations))
    source = code.repeat_interleave(8)
    target = source + torch.tensor([-4, -3, -2, -1, 1, 2, 3, 4]).repeat(len(code))
    inside = (target >= 0) & (target < len(code))
    source, target = source[inside], target[inside]
    placed = ~torch.isnan(locations.coordinates).any(1)
    source, target = source[placed[source] & placed[target]], target[placed[source] & placed[target]]
    known = torch.maximum(locations.first_seen[source], locations.first_seen[target])
    return Edges("location", "location", source, target, known, torch.full((len(source),), 400.0))


def alone(world: TemporalGraph, log: Events | None = None, **tables: Nodes) -> TemporalGraph:
    """The world with other events or node tables, and nothing remembered of the first."""
    return replace(world, log=world.log if log is None else log, nodes={**world.nodes, **tables}, _cache={})


def cut(world: TemporalGraph, time: int) -> TemporalGraph:
    """The world without its events at or after ``time``."""
    return alone(world, world.log.rows(slice(0, world.log.count_before(time))))


def rewritten(world: TemporalGraph, time: int, seed: int) -> TemporalGraph:
    """Other users, items, places, kinds, weights, sessions in the events at or after ``time``, other late nodes."""
    rng = np.random.default_rng(seed)
    past = world.log.count_before(time)
    mixed = {name: column.clone() for name, column in vars(world.log).items()}
    for name in ("user", "item", "location", "kind", "weight", "utc_offset", "session"):
        mixed[name][past:] = mixed[name][past:][torch.tensor(rng.permutation(len(world.log) - past))]
    tables = {kind: _other_late_nodes(table, time, rng) for kind, table in world.nodes.items()}
    return alone(_other_late_edges(world, time, rng), Events(**mixed), **tables)


def _other_late_edges(world: TemporalGraph, time: int, rng: np.random.Generator) -> TemporalGraph:
    """Declared edges that are not valid before ``time`` lead elsewhere."""
    edges = dict(world.edges)
    for name in DECLARED.keys() & edges.keys():
        late, target = edges[name].valid_from >= time, edges[name].target
        other = torch.tensor(rng.permutation(len(world.nodes[edges[name].target_type])))[target]
        edges[name] = replace(edges[name], target=torch.where(late, other, target))
    return replace(world, edges=edges)


def _other_late_nodes(table: Nodes, time: int, rng: np.random.Generator) -> Nodes:
    """Other texts, places and dates (at or after ``time``) for the nodes that are not known before it."""
    late = table.first_seen >= time

    def other(column: Tensor | None) -> Tensor | None:
        if column is None:
            return None
        drawn = torch.tensor(rng.normal(size=tuple(column.shape)), dtype=column.dtype)
        return torch.where(late[:, None], drawn, column)

    moved = time + torch.tensor(rng.integers(0, 86_400, len(table)))
    return replace(
        table,
        vectors=other(table.vectors),
        coordinates=other(table.coordinates),
        first_seen=torch.where(late, moved, table.first_seen),
    )


def continued(world: TemporalGraph, time: int, seed: int, count: int = 80, new: int = 3) -> TemporalGraph:
    """The world up to ``time``, then another history from that very second on, with ``new`` nodes of each type."""
    rng = np.random.default_rng(seed)
    past = world.log.rows(slice(0, world.log.count_before(time)))
    grown = {kind: len(world.nodes[kind]) + new for kind in ("user", "item", "location")}
    later = np.sort(rng.integers(0, 200, count)) * 60 + time
    later[: count // 8] = time  # ties with the question
    drawn = events(
        rng.integers(0, grown["user"], count).tolist(),
        rng.integers(0, grown["item"], count).tolist(),
        later.tolist(),
        rng.integers(-1, grown["location"], count).tolist(),
        session=rng.integers(-1, 60, count).tolist(),
    )
    log = Events(**{name: torch.cat((getattr(past, name), column)) for name, column in vars(drawn).items()})
    tables = {kind: _more_nodes(kind, world.nodes[kind], log, new, rng) for kind in grown}
    other = _other_late_edges(world, time, rng)
    edges = {**other.edges, "near": near(tables["location"])} if "near" in world.edges else other.edges
    return replace(alone(world, log, **tables), edges=edges)


def _more_nodes(kind: str, table: Nodes, log: Events, new: int, rng: np.random.Generator) -> Nodes:
    def more(column: Tensor | None) -> Tensor | None:
        if column is None:
            return None
        drawn = torch.tensor(rng.normal(size=(new, column.shape[1])), dtype=column.dtype)
        return torch.cat((column, drawn))

    count = len(table) + new
    first = first_times(getattr(log, kind), log.time, count)
    return replace(
        nodes(kind, count, log),
        vectors=more(table.vectors),
        coordinates=more(table.coordinates),
        first_seen=torch.cat((table.first_seen, first[-new:])),
    )
