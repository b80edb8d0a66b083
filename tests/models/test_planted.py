"""Small worlds whose truth is known: the network must find it where it is, and find nothing in noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from graphrec.graph.events import TEST
from graphrec.graph.geography import unit_vectors
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import expected_rank
from graphrec.models.baselines import Counter
from graphrec.models.ranking import StgatRanker
from graphrec.models.stgat import Stgat
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.queries.query import Queries
from tests.networks import scores, trained
from tests.worlds import alone, events, graph

HOUR, DAY = 3600, 86_400


def planted(
    user: np.ndarray, item: np.ndarray, time: np.ndarray, test: np.ndarray, users: int, items: int
) -> TemporalGraph:
    """A world of these events, in any order; ``test`` says which are held out."""
    order = np.argsort(time, kind="stable")
    columns = [np.asarray(column)[order].astype(int).tolist() for column in (user, item, time, test)]
    return graph(events(*columns[:3], split=[TEST * held for held in columns[3]]), users, items)


def fitted(world: TemporalGraph, seed: int, steps: int, query_time: str = "request", **changes: Any) -> Stgat:
    """A network trained on the train events."""
    protocol = EvaluationProtocol(query_time=query_time)
    rows = protocol.training_rows(world)
    return trained(world, protocol.queries(world, rows), world.log.item[rows].long(), seed, steps, **changes)


def held_out(world: TemporalGraph, query_time: str = "request") -> tuple[Queries, Tensor]:
    """The questions of the test events, and what happened."""
    protocol = EvaluationProtocol(query_time=query_time)
    rows = protocol.target_rows(world, "test")
    return protocol.queries(world, rows), world.log.item[rows].long()


def hits(rank: Tensor) -> float:
    """Share of targets ranked first."""
    return float((rank <= 1).double().mean())


def routines(seed: int) -> TemporalGraph:
    """Each user has an item of the morning, of noon and of the evening of their own, and goes there on most days.

    Which of the three comes next is told by the hour alone: visits of all three are as many, and any may be left out.
    """
    rng = np.random.default_rng(seed)
    users, days, slots = 20, 24, np.array([8, 13, 20])
    own = np.stack([rng.permutation(40)[:3] for _ in range(users)])
    user, day, slot = (axis.ravel() for axis in np.meshgrid(range(users), range(days), range(3), indexing="ij"))
    went = rng.random(len(user)) < 0.7
    user, day, slot = user[went], day[went], slot[went]
    time = day * DAY + slots[slot] * HOUR + rng.integers(-40, 40, len(user)) * 60
    return planted(user, own[user, slot], time, day >= 20, users, 40)


def test_a_routine_of_the_day_is_found() -> None:
    world = routines(71)
    asked, target = held_out(world)
    found = hits(StgatRanker(world, fitted(world, 71, steps=120)).expected_ranks(asked, target))
    counted = hits(expected_rank(Counter(world).scores(asked), target))
    assert found > 0.9
    assert counted < 0.5


def walks(seed: int) -> TemporalGraph:
    """Everybody walks round the same ring of 25 items, hour by hour, from somewhere; five users only after training."""
    rng = np.random.default_rng(seed)
    users, steps, ring = 25, 16, rng.permutation(25)
    start, late = rng.integers(0, 25, users), np.arange(users) >= 20
    user, step = (axis.ravel() for axis in np.meshgrid(range(users), range(steps), indexing="ij"))
    time = step * HOUR + user * 60 + late[user] * DAY
    return planted(user, ring[(start[user] + step) % 25], time, late[user], users, 25)


def test_a_sequence_that_all_follow_is_found_for_users_never_seen_in_training() -> None:
    world = walks(72)
    model = fitted(world, 72, steps=100, query_time="last-event")
    asked, target = held_out(world, "last-event")
    rank = StgatRanker(world, model).expected_ranks(asked, target)
    follows = asked.time < world.log.time[world.log.split == TEST]  # the first step of a walk follows nothing
    assert int(follows.sum()) == 5 * 15
    assert hits(rank[follows]) > 0.9


def errands(seed: int, places: bool) -> tuple[TemporalGraph, Queries, Tensor]:
    """Users turn up anywhere in town and go to the nearest of 30 items, whatever they did before.

    Returns the world, a question from a place for each of its events, and what was nearest there.
    """
    rng = np.random.default_rng(seed)
    count, items = 1500, 30
    item_at, asked_at = (rng.uniform([40.70, -74.02], [40.78, -73.92], (n, 2)) for n in (items, count))
    apart = torch.cdist(*(unit_vectors(torch.tensor(at, dtype=torch.float32)).double() for at in (asked_at, item_at)))
    nearest = apart.argmin(1)
    user, time = rng.integers(0, 20, count), np.arange(count) * HOUR
    world = planted(user, nearest.numpy(), time, time >= 1200 * HOUR, 20, items)
    if places:
        table = replace(world.nodes["item"], coordinates=torch.tensor(item_at, dtype=torch.float32))
        world = alone(world, item=table)
    asked = Queries.from_users(world.log.user, world.log.time, coordinates=torch.tensor(asked_at, dtype=torch.float32))
    return world, asked, nearest


@pytest.mark.parametrize(("places", "least", "most"), [(True, 0.8, 1.0), (False, 0.0, 0.2)])
def test_the_nearest_is_found_if_places_are_known(places: bool, least: float, most: float) -> None:
    world, asked, nearest = errands(73, places)
    train, test = slice(0, 1200), slice(1200, 1500)
    model = trained(world, asked.rows(train), nearest[train], seed=73, steps=140)
    assert least <= hits(StgatRanker(world, model).expected_ranks(asked.rows(test), nearest[test])) <= most


def tastes(seed: int) -> TemporalGraph:
    """Items of four themes, told by their texts; each user likes one theme. A third of the items is never visited."""
    rng = np.random.default_rng(seed)
    users, items, visits = 40, 60, 25
    theme = np.arange(items) % 4
    text = np.eye(4)[theme] @ rng.normal(size=(4, 8)) + 0.3 * rng.normal(size=(items, 8))
    warm = np.arange(items) < 40
    user = np.repeat(np.arange(users), visits)
    item = np.array([rng.choice(np.flatnonzero(warm & (theme == who % 4))) for who in user])
    world = planted(user, item, rng.permutation(len(user)) * HOUR, np.zeros(len(user)), users, items)
    return alone(world, item=replace(world.nodes["item"], vectors=torch.tensor(text, dtype=torch.float16)))


def test_items_never_visited_are_ranked_by_what_their_text_says() -> None:
    world = tastes(74)
    user = torch.arange(40)
    asked = Queries.from_users(user, torch.full_like(user, int(world.log.time[-1]) + HOUR))
    cold = scores(world, fitted(world, 74, steps=140), asked)[:, 40:]
    liked = torch.arange(40, 60)[None] % 4 == user[:, None] % 4  # [users, cold items]
    pairs = torch.stack([cold[u][liked[u]][:, None] > cold[u][~liked[u]] for u in user])
    assert float(pairs.double().mean()) > 0.95


@pytest.mark.parametrize(("query_time", "seed"), [("request", 75), ("last-event", 76)])
def test_nothing_is_found_in_noise(query_time: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    users, items, count = 20, 25, 3000
    time = np.sort(rng.integers(0, 60 * DAY, count))
    user, item = rng.integers(0, users, count), rng.integers(0, items, count)
    world = planted(user, item, time, np.arange(count) >= 1500, users, items)
    asked, target = held_out(world, query_time)
    rank = StgatRanker(world, fitted(world, seed, 100, query_time)).expected_ranks(asked, target)
    chance = 1 / np.arange(1, items + 1)  # the reciprocal rank of a blind guess: each rank is as likely
    error = chance.std() / len(rank) ** 0.5
    assert abs(float((1 / rank).mean()) - chance.mean()) < 3 * error
