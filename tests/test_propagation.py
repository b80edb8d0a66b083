"""Long-range propagation against a slow reference, and what the asking user's own visits may not do."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from graphrec.events import TRAIN
from graphrec.graph import TemporalGraph
from graphrec.propagation import Propagation
from graphrec.query import Queries
from graphrec.ranking import Ranker
from tests.networks import trained
from tests.worlds import alone, events, graph, random_world, town

SEEDS = st.integers(0, 10_000)


def moved(world: TemporalGraph, trips: int, seed: int) -> Propagation:
    """With powers and shares as training might leave them."""
    torch.manual_seed(seed)
    propagation = Propagation(world, trips)
    with torch.no_grad():
        for weight in propagation.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return propagation


def slow(world: TemporalGraph, propagation: Propagation, signal: Tensor, user: int) -> Tensor:
    """The same for one question by dense matrices, the user's own row taken out."""
    train = world.log.split == TRAIN
    visits = torch.zeros(len(world.nodes["user"]), len(world.nodes["item"]), dtype=torch.float64)
    for who, what in zip(world.log.user[train].tolist(), world.log.item[train].tolist(), strict=True):
        visits[who, what] += 1
    busy, popular = (visits > 0).sum(1).clamp(min=1).double(), (visits > 0).sum(0).clamp(min=1).double()
    others = (1 + visits).log2()
    if user >= 0:
        others[user] = 0
    here, mixed = signal.double(), torch.zeros(visits.shape[1], dtype=torch.float64)
    for trip, share in enumerate(propagation.share.double()):
        item = popular ** -propagation.item_power[trip].double()
        here = item * (others.T @ (busy ** -propagation.user_power[trip].double() * (others @ (here * item))))
        mixed = mixed + share * here / (here.square().sum() / int((visits > 0).any(0).sum()) + 1e-20).sqrt()
    return mixed


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(1, 3))
def test_round_trips_equal_a_slow_reference(seed: int, trips: int) -> None:
    world = random_world(seed)
    propagation, user = moved(world, trips, seed), torch.arange(-1, 12)
    signal = torch.rand(13, 30) * (torch.rand(13, 30) < 0.2)
    found = propagation.mixed(signal, user)
    for row in range(13):
        expected = slow(world, propagation, signal[row], int(user[row]))
        torch.testing.assert_close(found[row].double(), expected, rtol=1e-3, atol=1e-4)


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_gradients_are_those_of_dense_matrices(seed: int) -> None:
    world = random_world(seed, users=5, items=7, count=40)
    propagation = moved(world, 2, seed)
    signal = torch.rand(1, 7, requires_grad=True)
    wanted = torch.rand(7)
    (propagation.mixed(signal, torch.tensor([2]))[0] * wanted).sum().backward()
    fast = [signal.grad, *(weight.grad for weight in propagation.parameters())]
    copy = signal.detach().double().requires_grad_()
    propagation.zero_grad()
    (slow(world, propagation, copy[0], 2) * wanted).sum().backward()
    for one, other in zip(fast, [copy.grad, *(weight.grad for weight in propagation.parameters())], strict=True):
        assert one is not None and other is not None
        torch.testing.assert_close(one.double(), other.double(), rtol=2e-3, atol=1e-3)


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.integers(0, 7))
def test_what_a_user_visited_does_not_find_itself(seed: int, user: int) -> None:
    """Other items in the user's own train events: no answer to the user moves but by how many visits items have."""
    world = town(seed)
    own = (world.log.user == user) & (world.log.split == TRAIN)
    other = alone(world, replace(world.log, item=torch.where(own, (world.log.item + 3) % 15, world.log.item)))
    one, two = moved(world, 2, seed), moved(other, 2, seed)
    two.popular, two.busy, two.known = one.popular, one.busy, one.known
    signal = torch.rand(1, 15)
    asked = torch.tensor([user])
    torch.testing.assert_close(one(signal, asked), two(signal, asked))
    if not torch.equal(one.visited, two.visited):
        stranger = torch.tensor([-1])
        assert not torch.allclose(one.mixed(signal, stranger), two.mixed(signal, stranger))


def test_nothing_spreads_from_nothing() -> None:
    assert torch.equal(moved(town(3), 2, 3)(torch.zeros(2, 15), torch.tensor([0, -1])), torch.zeros(2, 15))


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_an_item_without_a_visit_stands_at_the_mean(seed: int) -> None:
    world = town(seed, count=30)
    propagation = moved(world, 2, seed)
    found = propagation(torch.rand(4, 15), torch.arange(4))
    visited = torch.zeros(15, dtype=torch.bool)
    visited[world.log.item[world.log.split == TRAIN].long()] = True
    assert (found[:, ~visited] == 0).all()
    torch.testing.assert_close(found.sum(1), torch.zeros(4), atol=1e-4, rtol=0)
    mixed = propagation.mixed(torch.rand(4, 15), torch.arange(4))
    assert (mixed[:, ~visited] == 0).all()


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
    asked = Queries.ask(world.log.user[held], world.log.time[held])
    target = world.log.item[held].long()
    train = (world.log.split == 0).nonzero()[:, 0]
    learnt = (Queries.ask(world.log.user[train], world.log.time[train]), world.log.item[train].long())
    found = {}
    for trips in (0, 2):
        model = trained(world, *learnt, seed=4, steps=60, identity=False, trips=trips, fan_out={"mine": 8})
        best = Ranker(world, model).top(asked, 4, novel=True).items
        found[trips] = float(((best // 10) == (target[:, None] // 10)).float().mean())
    assert found[2] > 0.9
    assert found[0] < 0.75
