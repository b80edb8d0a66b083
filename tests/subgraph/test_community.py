"""Communities: planted ones are found, noise has weaker ones, and the future moves none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import InputError
from graphrec.graph.conversion import adjacency
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.subgraph import community
from graphrec.subgraph.community import communities
from tests.worlds import continued, cut, events, graph, town

CAMPS = 3


def camps(faithful: float, seed: int = 0, count: int = 1_500) -> TemporalGraph:
    """45 users and 60 items of three camps, user and item n of camp n mod 3; a visit stays in its camp so often."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 45, count), rng.integers(0, 60, count)
    own = item // CAMPS * CAMPS + user % CAMPS
    item = np.where(rng.random(count) < faithful, own, item)
    return graph(events(user.tolist(), item.tolist(), list(range(1, count + 1))), 45, 60)


def parts(found: community.Communities) -> set[frozenset[int]]:
    members: dict[int, set[int]] = {}
    for row in found.table.to_pylist():
        members.setdefault(row["community"], set()).add(int(row["id"].split("-")[1]))
    return {frozenset(part) for part in members.values()}


@pytest.mark.parametrize(("kind", "count"), [("item", 60), ("user", 45)])
def test_planted_camps_are_found(kind: str, count: int) -> None:
    found = communities(camps(0.9), TIME_MAX, kind=kind)
    assert parts(found) == {frozenset(range(camp, count, CAMPS)) for camp in range(CAMPS)}
    assert found.modularity > 0.5


def test_noise_has_weaker_communities_than_camps() -> None:
    assert communities(camps(0.0), TIME_MAX).modularity < 0.3


def test_the_others_join_the_camp_that_they_share_visitors_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(community, "MAX_NODES", 24)
    assert parts(communities(camps(0.95), TIME_MAX)) == {frozenset(range(camp, 60, CAMPS)) for camp in range(CAMPS)}


def test_blocks_and_a_sample_of_the_visitors_find_the_same_camps(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = communities(camps(0.9), TIME_MAX)
    monkeypatch.setattr(community, "BLOCK", 7)
    assert communities(camps(0.9), TIME_MAX) == whole
    monkeypatch.setattr(community, "MAX_PAIRS", 10_000)  # every third visitor or so
    assert parts(communities(camps(0.9), TIME_MAX)) == parts(whole)


def test_ties_are_the_cosines_of_the_most_alike() -> None:
    """Items 0 and 1 share users 0 and 1, item 2 shares one of them with each: too few to be tied."""
    world = graph(events([0, 1, 0, 1, 2, 0, 0], [0, 0, 1, 1, 1, 2, 0], list(range(7))), 3, 3)
    visits = adjacency(world, "user->item", time=TIME_MAX)
    visits.data[:] = 1
    tied = 2 / 6**0.5
    np.testing.assert_allclose(community._ties(visits).toarray(), [[0, tied, 0], [tied, 0, 0], [0, 0, 0]])


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000), st.integers(10, 119))
def test_every_visited_item_has_a_community_and_the_future_moves_none(seed: int, row: int) -> None:
    world = town(seed)
    time = int(world.log.time[row])
    found = communities(world, time)
    assert found == communities(cut(world, time), time)
    assert found == communities(continued(world, time, seed), time)
    rows = found.table.to_pylist()
    visits = torch.bincount(world.as_of(time).events.item.long(), minlength=15)
    assert {one["id"]: one["visits"] for one in rows} == {
        f"item-{code}": count for code, count in enumerate(visits.tolist()) if count
    }
    assert [one["community"] for one in rows] == sorted(one["community"] for one in rows)
    sizes = np.bincount([one["community"] for one in rows])
    assert (sizes > 0).all()
    assert sizes.tolist() == sorted(sizes, reverse=True)


def test_an_empty_log_has_none_and_an_odd_kind_is_refused() -> None:
    empty = communities(graph(events([], [], []), 1, 2), TIME_MAX)
    assert (empty.table.num_rows, empty.modularity) == (0, 0)
    with pytest.raises(InputError, match="a kind of item or user expected, got 'shop'"):
        communities(town(1), TIME_MAX, kind="shop")
