"""Evidence is what moves the score: a planted network whose score is its evidence, and one where events say nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.evidence.faithfulness import STEPS, measure_faithfulness
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.ranking import StgatRanker
from graphrec.models.stgat import Stgat
from graphrec.queries.query import Queries
from tests.models.test_ranking import questions
from tests.networks import scores, untrained
from tests.worlds import town

SEEDS = st.integers(0, 10_000)
FAN_OUT = {"transitions": 5, "own_history": 6, "nearby": 4}


def network(world: TemporalGraph, seed: int, gate: float) -> Stgat:
    """A network that listens to events as much as ``gate`` says, against the semantic space."""
    model = untrained(world, seed, spread=0.1, fan_out=FAN_OUT, propagation=False)
    with torch.no_grad():
        model.gate.weight.zero_()
        model.gate.bias[:1], model.gate.bias[1:] = -gate, gate
    return model


@settings(deadline=None, max_examples=8)
@given(SEEDS)
def test_a_score_made_of_events_falls_with_them(seed: int) -> None:
    world = town(seed)
    found = measure_faithfulness(StgatRanker(world, network(world, seed, 6.0)), questions(world, seed), seed=seed)
    assert found.steps == STEPS
    assert found.deletion[0] == found.deletion_at_random[0] == pytest.approx(1)
    assert found.deletion[-1] < 0.1
    assert found.deletion_at_random[-1] > found.deletion[-1] + 0.1
    assert list(found.deletion) == sorted(found.deletion, reverse=True)
    assert found.insertion[-1] > found.insertion_at_random[-1]
    assert found.gap is not None
    assert found.gap > 0


@settings(deadline=None, max_examples=8)
@given(SEEDS)
def test_events_that_say_nothing_leave_the_score(seed: int) -> None:
    """With the gate all but shut the state still reads the events: nothing but their pointing is worth nothing."""
    world = town(seed)
    model = network(world, seed, -9.0)
    with torch.no_grad():
        for attend in model.relation_attention.values():
            attend.out.weight.zero_()
    found = measure_faithfulness(StgatRanker(world, model), questions(world, seed), seed=seed)
    assert found.gap == pytest.approx(0, abs=0.15)


def test_scores_are_those_of_the_ranking() -> None:
    world = town(11)
    ranker, asked = StgatRanker(world, network(world, 11, 0.0)), questions(world, 11)
    item = torch.arange(len(asked)) % 15
    whole = scores(world, ranker.model, asked)
    torch.testing.assert_close(ranker.scores_of(ranker.forward(asked), item), whole.gather(1, item[:, None])[:, 0])


def test_the_same_seed_finds_the_same() -> None:
    world = town(12)
    ranker, asked = StgatRanker(world, network(world, 12, 2.0)), questions(world, 12)
    assert measure_faithfulness(ranker, asked, seed=1) == measure_faithfulness(ranker, asked, seed=1)
    assert measure_faithfulness(ranker, asked, seed=1) != measure_faithfulness(ranker, asked, seed=2)


def test_strangers_have_no_evidence() -> None:
    world = town(13)
    nobody = Queries.from_users(torch.full((3,), -1), torch.full((3,), int(world.log.time[0])))
    found = measure_faithfulness(StgatRanker(world, network(world, 13, 0.0)), nobody)
    assert (found.questions, found.deletion, found.gap, found.gap_error) == (0, (), None, None)
