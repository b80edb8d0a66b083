from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.metrics import expected_rank
from graphrec.models import ranking
from graphrec.models.ranking import StgatRanker
from graphrec.queries.query import Queries
from tests.networks import scores, untrained
from tests.worlds import alone, events, graph, town

SEEDS = st.integers(0, 10_000)
SIZES = st.sampled_from([4, 7, 15, 100])


def questions(world: TemporalGraph, seed: int, frozen: bool = False) -> Queries:
    """Users, twice, and a stranger, at a time of their own and one past the last event, half of them from a place."""
    user = torch.arange(-1, len(world.nodes["user"])).repeat(2)
    draw = torch.Generator().manual_seed(seed)
    event = torch.randint(0, len(world.log), (len(user),), generator=draw)
    place = torch.where(torch.rand(len(user), 1, generator=draw) < 0.5, torch.tensor([[40.75, -73.99]]), torch.nan)
    history_cutoff = int(world.log.time[70]) if frozen else TIME_MAX
    return Queries(user, world.log.time[event] + 1, place, world.log.session[event].long(), history_cutoff)


def visited(world: TemporalGraph, asked: Queries, row: int) -> set[int]:
    """Items of the user's visible events, event by event."""
    log, session = world.log, int(asked.session[row])
    user, time = int(asked.user[row]), int(asked.time[row])
    past = zip(log.user.tolist(), log.time.tolist(), log.session.tolist(), log.item.tolist(), strict=True)
    own = [(when, within, item) for who, when, within, item in past if who == user and when < time]
    return {item for when, within, item in own if when < asked.history_cutoff or within == session >= 0}


def dense(
    world: TemporalGraph, ranker: StgatRanker, asked: Queries, candidates: Tensor | None = None, novel: bool = False
) -> Tensor:
    """Every score, with -inf for what may not be ranked."""
    found = scores(world, ranker.model, asked).clone()
    if candidates is not None:
        found = found.masked_fill(~candidates, -torch.inf)
    for row in range(len(asked) if novel else 0):
        found[row, list(visited(world, asked, row))] = -torch.inf
    return found


@pytest.fixture(autouse=True)
def _whole_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test set batch and tile: they are put back after it."""
    monkeypatch.setattr(ranking, "BATCH", ranking.BATCH)
    monkeypatch.setattr(ranking, "TILE", ranking.TILE)


def cut_up(batch: int, tile: int) -> None:
    ranking.BATCH, ranking.TILE = batch, tile


def assert_ranks(ranks: Tensor, whole: Tensor, target: Tensor) -> None:
    """Ranks are those of the scores, but for neighbours that differ in their last digits."""
    level = whole.gather(1, target[:, None])
    lowest, highest = (whole > level * (1 + 1e-4)).sum(1) + 1, (whole >= level * (1 - 1e-4)).sum(1)
    ranked = level[:, 0] > -torch.inf
    assert ((lowest <= ranks) & (ranks <= highest))[ranked].all()
    assert (ranks[~ranked] == torch.inf).all()


@settings(deadline=None, max_examples=20)
@given(SEEDS, SIZES, SIZES, st.booleans(), st.booleans(), st.booleans())
def test_ranks_and_best_are_those_of_the_dense_scores(
    seed: int, batch: int, tile: int, some: bool, novel: bool, frozen: bool
) -> None:
    world = town(seed)
    ranker, asked = StgatRanker(world, untrained(world, seed)), questions(world, seed, frozen)
    target = torch.arange(len(asked)) % 15
    candidates = torch.rand(15, generator=torch.Generator().manual_seed(seed)) < 0.7 if some else None
    cut_up(100, 100)
    whole = dense(world, ranker, asked, candidates, novel)
    assert torch.equal(
        ranker.expected_ranks(asked, target, candidates=candidates, novel=novel), expected_rank(whole, target)
    )
    cut_up(batch, tile)
    assert_ranks(ranker.expected_ranks(asked, target, candidates=candidates, novel=novel), whole, target)
    best = ranker.top(asked, 6, candidates=candidates, novel=novel)
    values = whole.topk(6, dim=1).values
    torch.testing.assert_close(best.scores, values.clamp(min=0), rtol=1e-5, atol=1e-6)
    assert torch.equal(best.items < 0, values == -torch.inf)
    of_items = torch.where(best.items >= 0, whole.gather(1, best.items.clamp(min=0)), 0)
    torch.testing.assert_close(of_items, best.scores, rtol=1e-5, atol=1e-6)
    assert all(
        len({code for code in row if code >= 0}) == sum(code >= 0 for code in row) for row in best.items.tolist()
    )


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.sampled_from([1, 5, 100]), st.sampled_from([1, 6, 100]))
def test_neither_batch_nor_tile_changes_a_score(seed: int, batch: int, tile: int) -> None:
    world = town(seed)
    ranker, asked = StgatRanker(world, untrained(world, seed)), questions(world, seed)
    cut_up(100, 100)
    whole = scores(world, ranker.model, asked)
    cut_up(batch, tile)
    for start in range(0, len(asked), batch):
        answer = ranker.forward(asked.rows(slice(start, start + batch)))
        for first in range(0, 15, tile):
            part = ranker.scores(answer, slice(first, min(first + tile, 15)))
            expected = whole[start : start + batch, first : first + tile]
            torch.testing.assert_close(part, expected, rtol=1e-5, atol=1e-6)


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.booleans())
def test_scores_add_up_to_one_over_known_items(seed: int, frozen: bool) -> None:
    world = town(seed)
    asked = questions(world, seed, frozen)
    found = scores(world, untrained(world, seed), asked)
    known = world.nodes["item"].first_seen < asked.time[:, None]
    assert torch.equal(found > -torch.inf, known)
    assert (found[known] > 0).all()
    torch.testing.assert_close(found.clamp(min=0).sum(1), torch.ones(len(asked)), rtol=0, atol=1e-5)


def test_a_view_ranks_only_what_it_knows() -> None:
    world = town(31)
    time = int(world.log.time[40])
    best = StgatRanker(world.as_of(time), untrained(world, 31)).top(
        Queries.from_users(torch.tensor([0]), torch.tensor([TIME_MAX])), 15
    )
    known = (world.nodes["item"].first_seen < time).nonzero()[:, 0].tolist()
    assert sorted(code for code in best.items[0].tolist() if code >= 0) == known


def test_fewer_items_than_asked_for() -> None:
    world = graph(events([0, 0], [0, 1], [10, 20]), 1, 3)
    ranker = StgatRanker(world, untrained(world, 32))
    asked = Queries.from_users(torch.tensor([0, -1]), torch.tensor([30, 30]))
    novel = ranker.top(asked, 5, novel=True)
    assert novel.items[0].tolist() == [2, -1, -1, -1, -1]
    assert novel.scores[0, 1:].tolist() == [0.0] * 4
    assert sorted(novel.items[1].tolist()) == [-1, -1, 0, 1, 2]
    nothing = ranker.top(asked, 2, candidates=torch.zeros(3, dtype=torch.bool))
    assert (nothing.items.tolist(), nothing.scores.tolist()) == ([[-1, -1]] * 2, [[0.0, 0.0]] * 2)


def test_a_target_that_is_no_candidate_has_no_rank() -> None:
    world = graph(events([0, 0], [0, 1], [10, 20]), 1, 3)
    ranker = StgatRanker(world, untrained(world, 33))
    asked = Queries.from_users(torch.tensor([0, 0, 0]), torch.tensor([30, 30, 30]))
    ranks = ranker.expected_ranks(asked, torch.tensor([0, 1, 2]), novel=True)
    assert ranks.tolist() == [torch.inf, torch.inf, 1]
    masked = ranker.expected_ranks(asked, torch.tensor([0, 1, 2]), candidates=torch.tensor([True, True, False]))
    assert (sorted(masked[:2].tolist()), masked[2]) == ([1, 2], torch.inf)
    assert ranker.expected_ranks(asked, torch.tensor([-1, 0, 1]))[0] == torch.inf


def test_items_that_tie_share_their_ranks() -> None:
    # a network without ids, texts and places tells items apart by their events alone: 2 to 4 have none
    world = graph(events([0, 0, 0], [0, 0, 1], [10, 20, 30]), 1, 5)
    ranker = StgatRanker(world, untrained(world, 34, ids=False))
    asked = Queries.from_users(torch.tensor([0] * 5), torch.tensor([40] * 5))
    ranks = ranker.expected_ranks(asked, torch.arange(5)).tolist()
    assert (sorted(ranks[:2]), ranks[2:]) == ([1, 2], [4, 4, 4])


def test_no_question_and_no_event() -> None:
    none = Queries.from_users(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    world = town(35)
    ranker = StgatRanker(world, untrained(world, 35))
    assert (ranker.top(none, 3).items.shape, len(ranker.expected_ranks(none, none.user))) == ((0, 3), 0)
    empty = graph(events([], [], []), 2, 4, seed=1)
    best = StgatRanker(empty, untrained(empty, 35)).top(
        Queries.from_users(torch.tensor([0, -1]), torch.tensor([5, 5])), 4, novel=True
    )
    assert [sorted(row) for row in best.items.tolist()] == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize("bare", [{}, {"locations": 0}, {"texts": 0}, {"places": False}])
def test_strangers_and_users_without_a_past_get_a_whole_ranking(bare: dict[str, Any]) -> None:
    world = town(36, dated=False, **bare)
    nobody = world.log.user == 3
    world = alone(world, replace(world.log, user=torch.where(nobody, 2, world.log.user)))
    asked = Queries.from_users(torch.tensor([-1, 3]), torch.tensor([int(world.log.time[-1]) + 1] * 2))
    best = StgatRanker(world, untrained(world, 36)).top(asked, 15, novel=True)
    assert [sorted(row) for row in best.items.tolist()] == [list(range(15))] * 2
    assert (best.scores.diff(dim=1) <= 0).all()
