from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.losses import MixtureNLL
from graphrec.models.stgat import Stgat, UserState
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.queries.query import Queries
from graphrec.queries.user_history import UserHistory
from tests.networks import scores, untrained
from tests.worlds import alone, events, graph, town

SEEDS = st.integers(0, 10_000)


def questions(world: TemporalGraph, novel: bool = False) -> tuple[Queries, torch.Tensor]:
    """What training asks, and what happened."""
    protocol = EvaluationProtocol(novel=novel)
    rows = protocol.training_rows(world)
    return protocol.queries(world, rows), world.log.item[rows].long()


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.sampled_from([{}, {"locations": 0}, {"texts": 0}, {"places": False}]))
def test_the_loss_is_the_score_that_ranking_gives(seed: int, bare: dict[str, int]) -> None:
    world = town(seed, dated=False, **bare)
    model, (asked, target) = untrained(world, seed, spread=0.1), questions(world)
    score = scores(world, model, asked).gather(1, target[:, None])[:, 0]
    likely = score > 1e-5  # the loss is bounded, far below
    loss = MixtureNLL(model, world, negatives=0, full_softmax=100)(asked.rows(likely), target[likely])
    assert float(loss.detach()) == pytest.approx(float(-score[likely].log().mean()), rel=1e-4)


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.sampled_from([{}, {"locations": 0}, {"texts": 0}]))
def test_among_new_items_the_loss_is_the_share_of_the_score_of_all_that_are_new(
    seed: int, bare: dict[str, int]
) -> None:
    world = town(seed, dated=False, **bare)
    model, (asked, target) = untrained(world, seed, spread=0.1), questions(world, novel=True)
    score, seen = scores(world, model, asked).clone(), UserHistory.before(world, asked)
    score[seen.question, seen.item] = 0.0
    share = score.gather(1, target[:, None])[:, 0] / score.sum(1)
    likely = (share > 1e-4) & (score.sum(1) > 1e-3)  # the loss is bounded, far below
    loss = MixtureNLL(model, world, negatives=0, full_softmax=100, novel=True)(asked.rows(likely), target[likely])
    assert float(loss.detach()) == pytest.approx(float(-share[likely].log().mean()), rel=1e-4)


def test_a_pointer_to_what_was_visited_is_no_way_out_of_a_loss_among_new_items() -> None:
    world = town(48, dated=False)
    model, (asked, target) = untrained(world, 48), questions(world, novel=True)
    with torch.no_grad():
        model.gate.bias[1 : 1 + model.config.heads] += 60.0  # the gate trusts the user's own events alone
    loss = MixtureNLL(model, world, negatives=0, full_softmax=100, novel=True)
    assert float(loss(asked, target).detach()) > 1.0


@pytest.mark.parametrize("negatives", [0, 200])
def test_items_of_a_later_date_than_training_do_not_exist_for_it(negatives: int) -> None:
    late = torch.tensor([False] * 10 + [True] * 5)
    world = town(41, dated=False)
    world = alone(world, replace(world.log, item=world.log.item % 10))
    table = world.nodes["item"]
    end = int(world.log.time[world.log.split == 0].max())
    world = alone(world, item=replace(table, first_seen=torch.where(late, end + 1, table.first_seen)))
    model, (asked, target) = untrained(world, 41, spread=0.1), questions(world)
    loss = MixtureNLL(model, world, negatives, full_softmax=0 if negatives else 100)

    def lost() -> float:
        torch.manual_seed(41)
        return float(loss(asked, target).detach())

    before = lost()
    table.vectors[late] += 3.0
    assert lost() == pytest.approx(before, rel=1e-6)
    table.vectors[~late] += 3.0
    assert lost() != pytest.approx(before, rel=1e-3)


@pytest.mark.parametrize("novel", [False, True])
@pytest.mark.parametrize("seed", [42, 43, 44])
def test_a_sample_estimates_the_whole_softmax(seed: int, novel: bool) -> None:
    world = town(seed, dated=False, items=40)
    model, (asked, target) = untrained(world, seed, spread=0.1), questions(world, novel)
    whole, sampled = (MixtureNLL(model, world, 20_000, full_softmax=size, novel=novel) for size in (40, 39))
    torch.manual_seed(seed)
    with torch.inference_mode():
        draws = torch.stack([sampled(asked, target) for _ in range(80)])
        assert float(draws.std()) > 0  # it did sample
        assert float(draws.mean()) == pytest.approx(float(whole(asked, target)), abs=0.01)


@pytest.mark.parametrize("negatives", [0, 6])
def test_every_part_of_the_network_learns(negatives: int) -> None:
    world = town(46, dated=False)
    model, (asked, target) = untrained(world, 46), questions(world)
    MixtureNLL(model, world, negatives, full_softmax=0 if negatives else 100)(asked, target).backward()
    idle = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


def test_a_network_that_knows_nothing_loses_the_logarithm_of_the_catalogue() -> None:
    world = graph(events([0, 1, 2, 3], [0, 1, 2, 3], [10, 10, 10, 10]), 4, 8)
    model, (asked, target) = untrained(world, 47), questions(world)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    loss = MixtureNLL(model, world, negatives=0, full_softmax=100)(asked, target)
    assert float(loss.detach()) == pytest.approx(math.log(8), rel=1e-6)


def test_the_log_of_a_very_unlikely_item_is_exact_and_learns() -> None:
    log_softmax = torch.tensor([[-200.0], [-200.0], [-2.0]], requires_grad=True)
    weights = torch.tensor([[0.0, -1e9], [math.log(0.25), -1e9], [math.log(0.25), math.log(0.75)]])
    state = UserState(torch.zeros(3, 4), torch.zeros(3, 4), weights, {})
    log_prob = Stgat.log_prob(state, log_softmax, pointer=torch.tensor([[0.0], [0.0], [0.1]]))
    log_prob.sum().backward()
    assert log_prob[:2, 0].detach().tolist() == pytest.approx([-200, -200 + math.log(0.25)])
    assert float(log_prob[2].detach()) == pytest.approx(math.log(0.25 * math.exp(-2) + 0.1))
    assert log_softmax.grad is not None
    assert log_softmax.grad[:2, 0].tolist() == [1, 1]
