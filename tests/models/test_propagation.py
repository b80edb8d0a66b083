"""Long-range propagation against a slow reference, and what the asking user's own visits may not do."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from graphrec.graph.events import TRAIN
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.propagation import (
    ITEM_POWER,
    LOW_PASS,
    LOW_PASS_POWER,
    SAVED_INTERACTIONS,
    SHARPENING,
    SHARPENING_TIME,
    USER_POWER,
    GraphFilter,
)
from graphrec.models.ranking import StgatRanker
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.queries.query import Queries
from tests.networks import again, scores, trained, untrained
from tests.worlds import alone, continued, events, graph, random_world, town

SEEDS = st.integers(0, 10_000)


def slow(world: TemporalGraph, signal: Tensor, user: int, low_pass: int = 0) -> Tensor:
    """The same for one question by dense matrices, the user's own row taken out of the trips."""
    train = world.log.split == TRAIN
    visits = torch.zeros(len(world.nodes["user"]), len(world.nodes["item"]), dtype=torch.float64)
    for who, what in zip(world.log.user[train].tolist(), world.log.item[train].tolist(), strict=True):
        visits[who, what] += 1
    often = (1 + visits).log2()
    counted = often if low_pass else (visits > 0).double()
    user_power, item_power = (LOW_PASS_POWER, LOW_PASS_POWER) if low_pass else (USER_POWER, ITEM_POWER)
    busy, popular = (counted.sum(axis).clamp(min=1) for axis in (1, 0))
    others = often * busy[:, None] ** -user_power * popular**-item_power
    _, size, axes = torch.linalg.svd(others)
    apart = size[:-1] - size[1:] > 1e-3 * size[0]
    assume(low_pass >= len(size) or not low_pass or bool(apart[low_pass - 1]))  # else which factors come first is open
    axes = axes[: len(size)][size > 1e-4 * size[0]][:low_pass]
    kept = popular**item_power * (axes.T @ (axes @ (signal.double() / popular**item_power)))
    if user >= 0:
        others[user] = 0
    reached = int((visits > 0).any(0).sum())

    def in_units(here: Tensor) -> Tensor:
        return here / (here.square().sum() / reached + 1e-20).sqrt()

    trip = others.T @ others
    once = trip @ signal.double()
    if low_pass:  # one step of the 3/8 rule is the exponential's series up to the fourth power
        z = -SHARPENING_TIME * trip
        series = sum(torch.linalg.matrix_power(z, power) / math.factorial(power) for power in range(5))
        return in_units(series @ (once + LOW_PASS * kept))
    return in_units(once) - SHARPENING * in_units(trip @ once)


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.sampled_from([0, 1, 3, 99]))
def test_trips_equal_a_slow_reference(seed: int, low_pass: int) -> None:
    """Of 99 factors there are as many as the visits have: the low pass then keeps all that they span."""
    world = random_world(seed)
    user = torch.arange(-1, 12)
    signal = torch.rand(13, 30) * (torch.rand(13, 30) < 0.2)
    found = GraphFilter(world, low_pass=low_pass).filtered(signal, user)
    for row in range(13):
        wanted = slow(world, signal[row], int(user[row]), low_pass)
        torch.testing.assert_close(found[row].double(), wanted, rtol=1e-3, atol=1e-4)


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_gradients_are_those_of_dense_matrices(seed: int) -> None:
    world = random_world(seed, users=5, items=7, count=40)
    signal, wanted = torch.rand(1, 7, requires_grad=True), torch.rand(7)
    (GraphFilter(world).filtered(signal, torch.tensor([2]))[0] * wanted).sum().backward()
    copy = signal.detach().double().requires_grad_()
    (slow(world, copy[0], 2) * wanted).sum().backward()
    assert signal.grad is not None
    assert copy.grad is not None
    torch.testing.assert_close(signal.grad.double(), copy.grad, rtol=2e-3, atol=1e-3)


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.integers(0, 7))
def test_what_a_user_visited_does_not_find_itself(seed: int, user: int) -> None:
    """Had the user been to the same items more often, only others would get other answers."""
    world = town(seed)
    one = GraphFilter(world)
    own = one.interactions[0] == user
    two = GraphFilter(
        world, {"interactions": one.interactions, "log_counts": torch.where(own, one.log_counts * 3, one.log_counts)}
    )
    signal = torch.rand(1, 15)
    torch.testing.assert_close(one.filtered(signal, torch.tensor([user])), two.filtered(signal, torch.tensor([user])))
    if own.any():
        stranger = torch.tensor([-1])
        assert not torch.allclose(one.filtered(signal, stranger), two.filtered(signal, stranger))


def test_factors_are_the_same_after_the_graph_grew_and_leave_the_random_state_alone() -> None:
    world = town(5, count=60)
    state = torch.get_rng_state()
    one = GraphFilter(world, low_pass=4)
    assert torch.equal(torch.get_rng_state(), state)
    saved = {name: getattr(one, name) for name in SAVED_INTERACTIONS}
    grown = GraphFilter(continued(world, int(world.log.time[-1]) + 1, 5, new=4), saved, low_pass=4)
    assert torch.equal(grown.item_factors[:15], one.item_factors)
    assert not grown.item_factors[15:].any()


def test_nothing_spreads_from_nothing() -> None:
    assert torch.equal(GraphFilter(town(3))(torch.zeros(2, 15), torch.tensor([0, -1])), torch.zeros(2, 15))


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_an_item_without_a_visit_stands_at_the_mean(seed: int) -> None:
    world = town(seed, count=30)
    propagation = GraphFilter(world)
    found = propagation(torch.rand(4, 15), torch.arange(4))
    visited = torch.zeros(15, dtype=torch.bool)
    visited[world.log.item[world.log.split == TRAIN].long()] = True
    assert (found[:, ~visited] == 0).all()
    torch.testing.assert_close(found.sum(1), torch.zeros(4), atol=1e-4, rtol=0)
    mixed = propagation.filtered(torch.rand(4, 15), torch.arange(4))
    assert (mixed[:, ~visited] == 0).all()


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_a_question_of_a_log_without_times_does_not_see_its_answer(seed: int) -> None:
    world = town(seed, dated=False)
    timeless = world.manifest.model_copy(update={"mapping": {"timeless": True}})
    world = alone(replace(world, manifest=timeless), replace(world.log, time=world.log.split.long()))
    rows = torch.arange(96)[seed % 7 :: 7]
    asked = EvaluationProtocol().queries(world, rows)
    assert (asked.time == 1).all()
    assert torch.equal(asked.masked_event, rows)
    model = untrained(world, seed)
    for place, row in enumerate(rows.tolist()):
        item, location = world.log.item.clone(), world.log.location.clone()
        item[row], location[row] = (item[row] + 1) % 15, (location[row] + 1) % 9
        other = alone(world, replace(world.log, item=item, location=location))
        one = slice(place, place + 1)
        found = [scores(graph, net, asked.rows(one)) for graph, net in ((world, model), (other, again(model, other)))]
        torch.testing.assert_close(*found, rtol=1e-5, atol=1e-7)


def circles(seed: int) -> TemporalGraph:
    """Forty users of two circles that go to ten items each, every user to six, at random and never twice."""
    torch.manual_seed(seed)
    user, item = [], []
    for person in range(40):
        user += [person] * 6
        item += (torch.randperm(10)[:6] + 10 * (person % 2)).tolist()
    order = torch.randperm(len(user)).tolist()
    split = [0 if place < 200 else 1 for place in range(240)]
    return graph(
        events([user[i] for i in order], [item[i] for i in order], list(range(1000, 1240)), None, split), 40, 20
    )


def test_a_new_item_is_found_by_those_of_a_like_history() -> None:
    """Nothing but who visited what tells the circles apart; without ids no other way leads there."""
    world = circles(4)
    held = (world.log.split == 1).nonzero()[:, 0]
    asked = Queries.from_users(world.log.user[held], world.log.time[held])
    target = world.log.item[held].long()
    train = (world.log.split == 0).nonzero()[:, 0]
    learnt = (Queries.from_users(world.log.user[train], world.log.time[train]), world.log.item[train].long())
    found = {}
    for spreads in (False, True):
        model = trained(world, *learnt, seed=4, steps=60, ids=False, propagation=spreads, fan_out={"own_history": 8})
        best = StgatRanker(world, model).top(asked, 4, novel=True).items
        found[spreads] = float(((best // 10) == (target[:, None] // 10)).float().mean())
    assert found[True] > 0.9
    assert found[False] < 0.75
