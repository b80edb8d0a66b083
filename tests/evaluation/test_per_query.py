"""Users judged by lists, against going through everything by hand."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.evaluation.per_query import per_query_metrics
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import query_metrics
from graphrec.models.baselines import Popularity
from graphrec.models.score_ranker import ScoreRanker
from graphrec.queries.protocol import EvaluationProtocol
from tests.worlds import events, graph, town

SEEDS = st.integers(0, 10_000)


class Fixed:
    """Scores by code: item 0 is best."""

    name = "fixed"

    def __init__(self, graph: TemporalGraph) -> None:
        self.graph = graph

    def scores(self, queries: object) -> torch.Tensor:
        items = len(self.graph.nodes["item"])
        return -torch.arange(items, dtype=torch.float64).expand(len(queries), items)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.booleans(), st.sampled_from(["val", "test"]))
def test_lists_are_judged_as_by_hand(seed: int, novel: bool, split: str) -> None:
    world = town(seed, count=200, dated=False)
    protocol = EvaluationProtocol(task="top-n", novel=novel)
    rows = protocol.target_rows(world, split)
    found = per_query_metrics(world, ScoreRanker(world, Fixed(world)), protocol, rows, (3,))
    every = EvaluationProtocol(novel=novel).target_rows(world, split).tolist()
    users = world.log.user.tolist()
    first = {users[row]: row for row in reversed(every)}
    assert rows.tolist() == sorted(first.values())
    for place, row in enumerate(rows.tolist()):
        right = {int(world.log.item[other]) for other in every if users[other] == users[row]}
        before = (world.log.user == users[row]) & (world.log.time < world.log.time[row])
        seen = set(world.log.item[before].tolist()) if novel else set()
        best = [item for item in range(15) if item not in seen][:3]
        assert float(found["recall@3"][place]) == sum(item in right for item in best) / len(right)
        gain = sum(1 / math.log2(rank + 2) for rank, item in enumerate(best) if item in right)
        ideal = sum(1 / math.log2(rank + 2) for rank in range(min(3, len(right))))
        assert math.isclose(float(found["ndcg@3"][place]), gain / ideal)


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_events_are_judged_by_their_ranks(seed: int) -> None:
    world, protocol = town(seed), EvaluationProtocol()
    rows, ranker = protocol.target_rows(world, "test"), ScoreRanker(world, Popularity(world))
    ranks = ranker.expected_ranks(protocol.queries(world, rows), world.log.item[rows].long())
    found = per_query_metrics(world, ranker, protocol, rows)
    for name, values in query_metrics(ranks).items():
        assert torch.equal(found[name], values), name


def test_an_item_wanted_twice_counts_once() -> None:
    world = graph(events([0, 0, 0], [1, 0, 0], [10, 20, 30], split=[0, 1, 1]), 1, 3)
    protocol = EvaluationProtocol(task="top-n")
    rows = protocol.target_rows(world, "val")
    assert rows.tolist() == [1]
    found = per_query_metrics(world, ScoreRanker(world, Fixed(world)), protocol, rows, (1, 5))
    assert (float(found["recall@1"]), float(found["ndcg@5"])) == (1, 1)


def test_nobody_to_judge() -> None:
    world = graph(events([0], [1], [10]), 1, 3)
    protocol = EvaluationProtocol(task="top-n")
    assert not len(protocol.target_rows(world, "test"))
