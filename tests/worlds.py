"""Small worlds: graphs made in memory, random or with a planted truth."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch

from graphrec.events import Events
from graphrec.graph import Edges, Nodes, TemporalGraph
from graphrec.relation import ALWAYS


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
    first_seen = torch.full((count,), ALWAYS)
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
            torch.full((locations,), ALWAYS),
            torch.full((locations,), 500.0),
        )
    return TemporalGraph(tables, log, edges, {"format": 1, "hash": f"world-{seed}", "text": None, "kinds": ["event"]})


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
