from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import ConfigError, InputError
from graphrec.metrics import (
    RankCounts,
    bootstrap_interval,
    expected_rank,
    means,
    query_metrics,
    ranked_metrics,
    resampled_means,
    standard_error,
    summarise,
)

INF = math.inf


def ranks(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def mean_rank_over_orders(scores: list[float], target: int) -> float:
    """The slow, obvious rank: the average place of the target over every order that respects the scores."""
    better = [item for item, score in enumerate(scores) if score > scores[target]]
    level = [item for item, score in enumerate(scores) if score == scores[target]]
    places = range(len(better) + 1, len(better) + len(level) + 1)
    return sum(places) / len(places)


# --- the rank -----------------------------------------------------------------------------------------------------


def test_rank_of_distinct_scores_counts_the_better_ones() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.5], [3.0, 2.0, 1.0]])
    assert expected_rank(scores, torch.tensor([2, 0])).tolist() == [2, 1]


def test_a_constant_model_gets_the_rank_of_chance() -> None:
    assert expected_rank(torch.zeros(1, 5), torch.tensor([3])).tolist() == [(1 + 2 + 3 + 4 + 5) / 5]


def test_ties_below_the_best_share_their_places() -> None:
    scores = torch.tensor([[9.0, 5.0, 5.0, 1.0]])
    assert expected_rank(scores, torch.tensor([1])).tolist() == [(2 + 3) / 2]


def test_what_cannot_be_ranked_has_an_infinite_rank() -> None:
    scores = torch.tensor([[1.0, 2.0], [-INF, 2.0], [math.nan, 2.0]])
    assert expected_rank(scores, torch.tensor([-1, 0, 0])).tolist() == [INF, INF, INF]
    assert expected_rank(torch.zeros(2, 0), torch.tensor([-1, -1])).tolist() == [INF, INF]


def test_nan_candidates_count_against_the_target() -> None:
    scores = torch.tensor([[math.nan, 2.0, math.nan]])
    assert expected_rank(scores, torch.tensor([1])).tolist() == [3]


def test_masked_candidates_do_not_count() -> None:
    assert expected_rank(torch.tensor([[-INF, 2.0, -INF]]), torch.tensor([1])).tolist() == [1]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 12))
def test_rank_equals_the_mean_over_all_orders(seed: int, batch: int, items: int) -> None:
    rng = np.random.default_rng(seed)
    scores, target = rng.integers(0, 4, (batch, items)).astype(np.float64), rng.integers(0, items, batch)
    expected = [mean_rank_over_orders(row.tolist(), goal) for row, goal in zip(scores, target, strict=True)]
    assert expected_rank(torch.tensor(scores), torch.tensor(target)).tolist() == expected


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 7))
def test_tiles_count_what_the_whole_catalogue_counts(seed: int, tile: int) -> None:
    rng = np.random.default_rng(seed)
    scores, target = torch.tensor(rng.integers(0, 5, (6, 20)).astype(np.float32)), torch.tensor(rng.integers(0, 20, 6))
    scores[0, 3] = -INF
    counts = RankCounts.start(scores.gather(1, target[:, None])[:, 0])
    for part in scores.split(tile, dim=1):
        counts.add(part)
    assert torch.equal(counts.rank(), expected_rank(scores, target))


def test_a_target_that_no_tile_held_is_not_ranked() -> None:
    counts = RankCounts.start(torch.tensor([5.0]))
    counts.add(torch.tensor([[1.0, 9.0]]))
    assert counts.rank().tolist() == [INF]


# --- one relevant item --------------------------------------------------------------------------------------------


def test_single_target_measures_are_these_fractions() -> None:
    found = summarise(ranks(1, 3, 10, INF), k=(1, 5))
    assert found == pytest.approx(
        {
            **dict.fromkeys(
                ("acc@1", "hit_rate@1", "recall@1", "precision@1", "f1@1", "dcg@1", "ndcg@1", "map@1"), 1 / 4
            ),
            **dict.fromkeys(("acc@5", "hit_rate@5", "recall@5"), 2 / 4),
            "precision@5": 1 / 4 * (1 / 5 + 1 / 5),
            "f1@5": 1 / 4 * 2 * (2 * (1 / 5) * 1 / (1 / 5 + 1)),
            **dict.fromkeys(("dcg@5", "ndcg@5"), 1 / 4 * (1 + 1 / math.log2(4))),
            "map@5": 1 / 4 * (1 + 1 / 3),
            "mrr": 1 / 4 * (1 + 1 / 3 + 1 / 10),
        }
    )


def test_a_tie_across_the_boundary_is_outside() -> None:
    found = summarise(ranks(10.5), k=(10, 11))
    assert (found["acc@10"], found["acc@11"], found["mrr"]) == (0, 1, 1 / 10.5)


def test_default_depths_give_every_key_once() -> None:
    names = ("acc", "hit_rate", "recall", "precision", "f1", "dcg", "ndcg", "map")
    assert set(summarise(ranks(1))) == {f"{name}@{k}" for name in names for k in (1, 5, 10, 20)} | {"mrr"}


def test_no_query_is_not_a_zero() -> None:
    assert all(math.isnan(value) for value in summarise(ranks()).values())


@pytest.mark.parametrize("rank", [0.0, 0.5, -1.0, math.nan])
def test_a_rank_below_one_is_refused(rank: float) -> None:
    with pytest.raises(InputError, match="ranks from 1 expected"):
        summarise(ranks(1, rank))


@pytest.mark.parametrize("k", [(0,), (5, -1)])
def test_a_depth_below_one_is_refused(k: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        summarise(ranks(1), k)
    with pytest.raises(ConfigError, match="at least 1"):
        ranked_metrics(torch.tensor([[True]]), torch.tensor([1]), k=k)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_one_relevant_item_is_a_set_of_one(rank: list[int]) -> None:
    listed = torch.arange(1, 31)[None] == torch.tensor(rank)[:, None]
    alone, as_set = query_metrics(ranks(*rank)), ranked_metrics(listed, torch.ones(len(rank), dtype=torch.int64))
    for name, values in as_set.items():
        torch.testing.assert_close(values, alone[name], msg=name)


# --- sets of relevant items ---------------------------------------------------------------------------------------


def relevance(*rows: str) -> torch.Tensor:
    """``relevance("x-x")``: the first and the third of a list are relevant."""
    return torch.tensor([[mark == "x" for mark in row] for row in rows], dtype=torch.bool)


def test_average_precision_by_hand() -> None:
    found = ranked_metrics(relevance("x-x---"), torch.tensor([6]), k=(6, 3, 2))
    assert found["map@6"].item() == pytest.approx(1 / 6 * (1 / 1 + 2 / 3))
    assert found["map@3"].item() == pytest.approx(1 / 3 * (1 / 1 + 2 / 3))  # no list of 3 can hold more than 3
    assert found["map@2"].item() == pytest.approx(1 / 2 * (1 / 1))


def test_set_measures_are_these_fractions() -> None:
    found = {name: value.item() for name, value in ranked_metrics(relevance("-xx-"), torch.tensor([3]), k=(4,)).items()}
    gain, ideal = 1 / math.log2(3) + 1 / math.log2(4), 1 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert found == pytest.approx(
        {
            "hit_rate@4": 1,
            "recall@4": 2 / 3,
            "precision@4": 2 / 4,
            "f1@4": 2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3),
            "dcg@4": gain,
            "ndcg@4": gain / ideal,
            "map@4": 1 / 3 * (1 / 2 + 2 / 3),
            "mrr": 1 / 2,
        }
    )


def test_a_perfect_list_earns_one_however_many_are_relevant() -> None:
    found = means(ranked_metrics(relevance("xxxxx", "xx---"), torch.tensor([50, 2]), k=(5,)))
    assert found["ndcg@5"] == pytest.approx(1)
    assert found["map@5"] == pytest.approx(1)
    assert found["recall@5"] == pytest.approx((5 / 50 + 2 / 2) / 2)


def test_f1_is_averaged_over_queries_not_made_of_averages() -> None:
    found = means(ranked_metrics(relevance("x-", "--"), torch.tensor([1, 1]), k=(2,)))
    assert found["f1@2"] == pytest.approx(1 / 2 * (2 * (1 / 2) * 1 / (1 / 2 + 1)))


def test_a_short_list_has_nothing_beyond_its_end() -> None:
    found = means(ranked_metrics(relevance("x"), torch.tensor([2]), k=(10,)))
    assert found["precision@10"] == pytest.approx(1 / 10)
    assert found["recall@10"] == pytest.approx(1 / 2)
    assert means(ranked_metrics(relevance(""), torch.tensor([2]), k=(10,)))["mrr"] == 0


def test_a_query_without_relevant_items_is_refused() -> None:
    with pytest.raises(InputError, match="query 1 has no relevant item"):
        ranked_metrics(relevance("x", "-"), torch.tensor([1, 0]))


def test_more_hits_than_relevant_items_are_refused() -> None:
    with pytest.raises(InputError, match="query 0: at most 1 relevant items expected in the list, got 2"):
        ranked_metrics(relevance("xx"), torch.tensor([1]))


def slow_measures(row: list[bool], relevant: int, k: int) -> dict[str, float]:
    """Textbook definitions, one query, one line each."""
    top = row[:k]
    hits = sum(top)
    precision, recall = hits / k, hits / relevant
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(k, relevant) + 1))
    dcg = sum(1 / math.log2(place + 1) for place, hit in enumerate(top, 1) if hit)
    return {
        f"hit_rate@{k}": float(hits > 0),
        f"recall@{k}": recall,
        f"precision@{k}": precision,
        f"f1@{k}": 2 * precision * recall / (precision + recall) if hits else 0,
        f"dcg@{k}": dcg,
        f"ndcg@{k}": dcg / ideal,
        f"map@{k}": sum(sum(top[:place]) / place for place, hit in enumerate(top, 1) if hit) / min(k, relevant),
        "mrr": 1 / (row.index(True) + 1) if any(row) else 0,
    }


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 12), st.integers(1, 15))
def test_set_measures_equal_a_slow_reference(seed: int, queries: int, depth: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.random((queries, depth)) < 0.4
    relevant = np.maximum(rows.sum(1) + rng.integers(0, 5, queries), 1)
    found = ranked_metrics(torch.tensor(rows), torch.tensor(relevant), k=(k,))
    for query in range(queries):
        slow = slow_measures(rows[query].tolist(), int(relevant[query]), k)
        assert {name: value[query].item() for name, value in found.items()} == pytest.approx(slow)


# --- how sure -----------------------------------------------------------------------------------------------------


def test_standard_error_by_hand() -> None:
    values = ranks(1, 0, 0, 1)  # mean 1/2, squared deviations 4 x 1/4, over n - 1 = 3
    assert standard_error(values) == pytest.approx(math.sqrt(1 / 3) / math.sqrt(4))
    assert math.isnan(standard_error(ranks(1)))


def test_bootstrap_interval_holds_the_mean_and_agrees_with_the_standard_error() -> None:
    values = torch.tensor(np.random.default_rng(1).random(1500))
    low, high = bootstrap_interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * standard_error(values), rel=0.15)
    assert bootstrap_interval(values) == (low, high)


def test_bootstrap_of_almost_nothing() -> None:
    assert bootstrap_interval(ranks(1, 1, 1)) == (1, 1)
    assert all(math.isnan(edge) for edge in bootstrap_interval(ranks(1)))
    one_user = torch.zeros(4, dtype=torch.int64)
    assert all(math.isnan(edge) for edge in bootstrap_interval(ranks(1, 2, 3, 4), group=one_user))


def test_questions_that_say_the_same_do_not_make_an_interval_narrower() -> None:
    values = torch.tensor(np.random.default_rng(2).random(40))
    users = torch.arange(40) + 7
    tenfold = bootstrap_interval(values.repeat_interleave(10), group=users.repeat_interleave(10))
    assert tenfold == pytest.approx(bootstrap_interval(values))
    low, high = bootstrap_interval(values.repeat_interleave(10))  # as if they were independent
    assert high - low < 0.5 * (tenfold[1] - tenfold[0])


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    held = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        users = np.repeat(np.arange(60), rng.integers(1, 6, 60))
        values = torch.tensor(rng.normal(0, 1, 60)[users] + rng.normal(0, 1, len(users)))  # the true mean is 0
        low, high = bootstrap_interval(values, resamples=400, seed=seed, group=torch.tensor(users))
        held.append(low <= 0 <= high)
    assert 0.90 <= np.mean(held) <= 0.98


def test_a_group_counts_for_as_much_as_it_holds() -> None:
    values, users = ranks(1, 5, 5, 5), torch.tensor([9, 4, 4, 4])
    drawn = resampled_means(values[:, None], users, resamples=200)
    assert set(drawn[:, 0].tolist()) == {1.0, 5.0, (1 + 3 * 5) / 4}


def test_columns_share_their_draws() -> None:
    values = torch.tensor(np.random.default_rng(3).random(30))
    users = torch.tensor(np.random.default_rng(4).integers(0, 9, 30))
    drawn = resampled_means(torch.stack([values, values + 0.25], 1), users, resamples=50, seed=5)
    assert (drawn[:, 1] - drawn[:, 0]).tolist() == pytest.approx([0.25] * 50)
    assert drawn[:, 0].std() > 0.01
    assert not torch.equal(drawn, resampled_means(torch.stack([values, values + 0.25], 1), users, 50, seed=6))
