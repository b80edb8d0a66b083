"""The regression of what comes later against one by the normal equations, one event after another."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from graphrec.errors import ConfigError
from graphrec.evidence import shares
from graphrec.evidence.shares import explain
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models import item_transition as later
from graphrec.models.collaborative_filter import TRANSITION_WEIGHT
from graphrec.models.item_transition import ItemTransitionRegression, default_ridge
from graphrec.models.losses import MixtureNLL
from graphrec.models.ranking import StgatRanker
from graphrec.queries.query import Queries
from graphrec.queries.sampling import sample
from tests.networks import again, untrained
from tests.worlds import alone, town

ITEMS, RIDGE = 15, 0.7


def slow(world: TemporalGraph, history: Tensor) -> Tensor:
    """Everything after each moment on everything before it."""
    log = world.log
    train = [row for row in range(len(log)) if int(log.split[row]) == 0]
    gram, both = RIDGE * torch.eye(ITEMS, dtype=torch.float64), torch.zeros(ITEMS, ITEMS, dtype=torch.float64)
    for user in range(len(world.nodes["user"])):
        items = [int(log.item[row]) for row in train if int(log.user[row]) == user]
        for moment in range(1, len(items)):
            x, y = torch.zeros(2, ITEMS, dtype=torch.float64)
            for away, item in enumerate(reversed(items[:moment])):
                x[item] += math.exp(-away / later.HISTORY_DECAY)
            for away, item in enumerate(items[moment:]):
                y[item] += math.exp(-away / later.TARGET_DECAY)
            gram += torch.outer(x, x) / (len(items) - 1)
            both += torch.outer(x, y) / (len(items) - 1)
    expected = history.double() @ torch.linalg.solve(gram, both)
    visited = len({int(log.item[row]) for row in train})
    return expected / (expected.square().sum() / visited).sqrt() * (history == 0)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000))
def test_the_regression_equals_a_slow_reference(seed: int) -> None:
    world = town(seed, dated=False)
    history = torch.rand(3, ITEMS) * (torch.rand(3, ITEMS) < 0.4)
    history[:, int(world.log.item[0])] = 1.0
    found = ItemTransitionRegression(world, None, RIDGE)(history)
    for row in range(3):
        torch.testing.assert_close(found[row].double(), slow(world, history[row]), rtol=1e-3, atol=1e-4)


def test_the_most_visited_items_are_those_that_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    world = town(3)
    monkeypatch.setattr(later, "MAX_ITEMS", 4)
    history = torch.zeros(1, ITEMS)
    history[0, world.log.item[0].long()] = 1.0
    expected = ItemTransitionRegression(world, None, RIDGE)(history)
    visits = torch.bincount(world.log.item[world.log.split == 0].long(), minlength=ITEMS)
    told = expected[0].nonzero()[:, 0]
    assert len(told) in (3, 4)  # the history itself is not expected
    assert visits[told].min() >= visits[(expected[0] == 0) & (history[0] == 0)].max()


def test_events_too_far_apart_are_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    world = town(3)
    monkeypatch.setattr(later, "MAX_EVENT_DISTANCE", 1)
    assert not ItemTransitionRegression(world, None, RIDGE)(torch.eye(ITEMS)).any()


def test_what_follows_is_told_from_what_goes_together() -> None:
    """Everybody has 0, 1, 2 and so on: after 3 to 6 what comes next is expected, and not what comes before."""
    world = town(4, dated=False)
    log = replace(world.log, item=torch.zeros_like(world.log.item), split=torch.zeros_like(world.log.split))
    for user in range(8):
        own = (log.user == user).nonzero()[:, 0]
        log.item[own] = torch.arange(len(own), dtype=log.item.dtype).clamp(max=14)
    place = torch.arange(ITEMS)
    history = ((place > 2) & (place < 7)) * ((place - 6) / later.HISTORY_DECAY).exp()
    expected = ItemTransitionRegression(alone(world, log), None, RIDGE)(history[None])[0]
    assert expected[7:10].min() > expected[:3].max()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_event(count: int) -> None:
    world = town(5, dated=False)
    few = alone(world, world.log.rows(slice(0, count)))
    expected = ItemTransitionRegression(few, None, RIDGE)(torch.eye(ITEMS)[:4])
    assert expected.shape == (4, ITEMS)
    assert expected.isfinite().all()


def test_a_log_without_times_has_no_later() -> None:
    world = town(6)
    timeless = replace(world, manifest=world.manifest.model_copy(update={"mapping": {"timeless": True}}))
    with pytest.raises(ConfigError, match=r"transition_ridge=200: a log with times expected"):
        ItemTransitionRegression(timeless, None, 200.0)


def test_lists_with_times_get_it_unless_told_otherwise() -> None:
    world = town(9, dated=False)
    lists = replace(world, manifest=world.manifest.model_copy(update={"protocol": {"judge": "users"}}))
    timeless = replace(lists, manifest=lists.manifest.model_copy(update={"mapping": {"timeless": True}}))
    assert [default_ridge(one, None) for one in (world, lists, timeless)] == [0.0, 30.0, 0.0]
    assert [default_ridge(lists, asked) for asked in (0.0, 7.0)] == [0.0, 7.0]
    model = untrained(lists, 9)
    assert model.cf.transition is not None
    assert again(model, alone(lists, lists.log)).cf.transition is not None
    assert again(untrained(world, 9), lists).cf.transition is None  # trained before there was one


def test_a_network_learns_as_if_there_were_none_and_answers_with_it() -> None:
    world = town(8, dated=False)
    with_it, without = (untrained(world, 8, transition_ridge=ridge) for ridge in (2.0, None))
    asked = Queries.from_users(torch.arange(8), torch.full((8,), int(world.log.time[-1]) + 1))
    assert with_it.state_dict().keys() - without.state_dict().keys() == {"cf.transition.events"}
    lost = []
    for model in (with_it, without):
        torch.manual_seed(8)
        lost.append(MixtureNLL(model.train(), world, 0, 100)(asked, torch.arange(8)))
    assert torch.equal(*lost)
    states = [
        model.eval()(world, sample(world, asked, fan_out=model.config.fan_out), model.item_vectors())
        for model in (with_it, without)
    ]
    more = states[0].cf_logits - states[1].cf_logits
    assert (more.square().mean(1).sqrt() <= TRANSITION_WEIGHT * 1.1).all()
    assert more.any(1).all()


def test_what_is_expected_is_the_sum_of_what_each_item_adds() -> None:
    found = ItemTransitionRegression(town(10, dated=False), None, RIDGE)
    history = torch.rand(ITEMS) * (torch.arange(ITEMS) < 6)
    expected = found(history[None])[0]
    for item in range(ITEMS):
        parts = found.parts(history, item)
        assert float(parts.sum()) == pytest.approx(float(expected[item]), abs=1e-5)
        assert not parts[history == 0].any()


def test_a_reason_names_what_an_item_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody has 0, 1, 2 and so on: after eight of them what comes next follows one of these."""
    world = town(11, dated=False)
    log = replace(world.log, item=torch.zeros_like(world.log.item), split=torch.zeros_like(world.log.split))
    for user in range(8):
        own = (log.user == user).nonzero()[:, 0]
        log.item[own] = torch.arange(len(own), dtype=log.item.dtype).clamp(max=14)
    other, eighth = alone(world, log), (log.user == 0).nonzero()[7, 0]
    monkeypatch.setattr(shares, "MIN_LOGIT", 0.05)  # of 15 items none stands out as in a catalogue
    ranker = StgatRanker(other, untrained(other, 11, transition_ridge=RIDGE, fan_out={"own_history": 20}))
    asked = Queries.from_users(torch.tensor([0]), log.time[eighth][None] + 1)
    [told] = explain(ranker, asked, items=torch.tensor([[8, 0]]))
    words = [next(part.description for part in one.evidence if part.relation == "semantic") for one in told]
    label = other.nodes["item"].label
    assert any(f"what people turn to after {label(item)}" in words[0] for item in range(8))
    assert "turn to" not in words[1]
