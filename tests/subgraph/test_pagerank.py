"""Personalised PageRank equals the solution of its equation; a model that ranks by it agrees, another does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import InputError
from graphrec.models.ranking import StgatRanker
from graphrec.subgraph.pagerank import pagerank_agreement, personalised_pagerank
from tests.networks import untrained
from tests.worlds import cut, events, graph, town

SEEDS = st.integers(0, 10_000)


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.integers(20, 119))
def test_it_solves_its_equation(seed: int, row: int) -> None:
    world = town(seed)
    time, user = int(world.log.time[row]), int(world.log.user[0])
    visits = np.zeros((8, 15))
    for who, what, when in zip(world.log.user.tolist(), world.log.item.tolist(), world.log.time.tolist(), strict=True):
        visits[who, what] += when < time
    to_items = visits / np.maximum(visits.sum(1, keepdims=True), 1)
    to_users = visits.T / np.maximum(visits.T.sum(1, keepdims=True), 1)
    home = np.eye(8)[user]
    there = np.linalg.solve(np.eye(8) - 0.8 * (to_items @ to_users).T, 0.2 * home)
    expected = to_items.T @ there
    found = personalised_pagerank(world.as_of(time), f"user-{user}", restart=0.2, steps=200)
    np.testing.assert_allclose(found, expected / expected.sum(), atol=1e-12)
    assert found.sum() == pytest.approx(1)
    np.testing.assert_array_equal(
        found, personalised_pagerank(cut(world, time), f"user-{user}", restart=0.2, steps=200)
    )


def test_a_walk_stays_in_its_part_of_the_graph() -> None:
    world = graph(events([0, 0, 1, 2, 2], [0, 1, 1, 2, 3], [1, 2, 3, 4, 5]), 3, 4)
    found = personalised_pagerank(world, "user-0")
    assert (found[:2] > 0).all()
    assert (found[2:] == 0).all()
    assert found[1] > found[0]


def test_a_ranking_by_the_walk_agrees_and_its_opposite_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    world = town(4)
    time, user = int(world.log.time[100]), f"user-{int(world.log.user[0])}"
    ranker = StgatRanker(world, untrained(world, 4))
    walk = torch.tensor(personalised_pagerank(world.as_of(time), user))
    monkeypatch.setattr(ranker, "scores", lambda answer, tile: walk[None])
    found = pagerank_agreement(ranker, user, time=time, k=3)
    assert (found.overlap, found.spearman) == (1, pytest.approx(1))
    monkeypatch.setattr(ranker, "scores", lambda answer, tile: -walk[None])
    found = pagerank_agreement(ranker, user, time=time, k=3)
    assert (found.overlap, found.spearman) == (0, pytest.approx(-1))


def test_items_that_the_walk_does_not_reach_agree_with_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = graph(events([0, 1, 1], [0, 1, 2], [10, 10, 20]), 2, 3)  # nobody links the two users
    ranker = StgatRanker(world, untrained(world, 4))
    monkeypatch.setattr(ranker, "scores", lambda answer, tile: torch.tensor([[3.0, 2.0, 1.0]]))
    assert pagerank_agreement(ranker, "user-0", time=30, k=2).overlap == 1 / 2


def test_a_stranger_has_no_walk() -> None:
    with pytest.raises(InputError, match="'nobody' is not among"):
        personalised_pagerank(town(1), "nobody")
    with pytest.raises(InputError, match="restart in"):
        personalised_pagerank(town(1), "user-0", restart=0.0)
