from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.graph.events import TEST, TRAIN, Events
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.models.baselines import (
    Counter,
    DecayedCounter,
    Markov,
    Nearest,
    Popularity,
    RecentPopularity,
    all_baselines,
)
from graphrec.models.item_to_item import Ease, EaseConfig, ItemKNN, ItemKNNConfig
from graphrec.models.item_transition import HISTORY_DECAY, ItemTransitionRegression
from graphrec.models.score_ranker import ItemScorer
from graphrec.queries.query import Queries
from graphrec.queries.sampling import sample
from graphrec.queries.user_history import UserHistory, popularity
from tests.worlds import events, graph, random_world

DAY = 86_400
FITTED = ("item-knn", "ease")
SEEDS = st.integers(0, 10_000)


def city(seed: int) -> TemporalGraph:
    """A random world whose events also belong to sessions, three or so a user, and some to none."""
    world = random_world(seed, users=8, items=15, count=120, seconds=20 * DAY)
    session = 3 * world.log.user + torch.tensor(np.random.default_rng(seed).integers(0, 3, 120), dtype=torch.int32)
    session[::5] = -1
    return replace(world, log=replace(world.log, session=session))


def questions(world: TemporalGraph, seed: int, frozen: bool) -> Queries:
    """Every user and a stranger, at times of events and near them."""
    rng = np.random.default_rng(seed)
    user = torch.tensor([-1, *range(len(world.nodes["user"]))]).repeat(2)
    time = world.log.time[rng.integers(0, len(world.log), len(user))] + torch.tensor(rng.integers(-1, 2, len(user)))
    session = torch.where(user % 3 == 0, -1, 3 * user + torch.tensor(rng.integers(0, 3, len(user))))
    asked = Queries.from_users(user, time)
    return replace(asked, session=session, history_cutoff=int(world.log.time[60]) if frozen else TIME_MAX)


# --- by hand ------------------------------------------------------------------------------------------------------


def small_world() -> TemporalGraph:
    """Two users, four items, one month.

    day      0   1   2   3   20  21  22
    user 0   a   b   a       c
    user 1   b           c       b   c
    """
    day = [0, 0, 1, 2, 3, 20, 21, 22]
    user = [0, 1, 0, 0, 1, 0, 1, 1]
    item = [0, 1, 1, 0, 2, 2, 1, 2]
    return graph(events(user, item, [DAY * d for d in day]), users=2, items=4)


def ask(user: int, day: float) -> Queries:
    return Queries.from_users(torch.tensor([user]), torch.tensor([int(day * DAY)]))


def test_popularity_counts_what_is_strictly_before() -> None:
    baseline = Popularity(small_world())
    assert baseline.scores(ask(0, 2)).tolist() == [[1, 2, 0, 0]]
    assert baseline.scores(ask(0, 99)).tolist() == [[2, 3, 3, 0]]
    assert baseline.scores(ask(0, 0)).tolist() == [[0, 0, 0, 0]]


def test_recent_popularity_forgets_but_breaks_ties_by_all_time() -> None:
    assert RecentPopularity(small_world()).scores(ask(0, 21.5)).tolist() == [[2 / 3, 1 + 3 / 4, 1 + 2 / 3, 0]]


def test_counter_counts_own_visits_and_prefers_the_recent() -> None:
    found = Counter(small_world()).scores(ask(0, 21))
    assert found.tolist() == [[2 + 1 / (1 + 19), 1 + 1 / (1 + 20), 1 + 1 / (1 + 1), 0]]


def test_decayed_counter_halves_in_its_half_life() -> None:
    found = DecayedCounter(small_world(), half_life=10.0).scores(ask(0, 12))
    assert found[0].tolist() == pytest.approx([2**-1.2 + 2**-1.0, 2**-1.1, 0, 0])


def test_a_tie_break_survives_many_visits() -> None:
    n = 200_000
    log = events([0] * n, [0, 1] * (n // 2), list(range(n)))
    first, second = (
        Counter(graph(log, 1, 2)).scores(Queries.from_users(torch.tensor([0]), torch.tensor([n]))).tolist()[0]
    )
    assert 0 < second - first < 1


def test_markov_follows_the_last_item_and_trusts_the_own_steps_more() -> None:
    # steps within a day: a->b (day 1, user 0), b->a (day 2, user 0), b->c (day 22, user 1)
    baseline = Markov(small_world(), personal=10.0)
    assert baseline.scores(ask(0, 2)).tolist() == [[1 / 2, 2 / 3, 0, 0]]
    assert baseline.scores(ask(1, 21.5)).tolist() == [[1 + 2 / 3, 3 / 4, 2 / 3, 0]]
    asked_after = graph(events([0, 0, 0, 1, 1], [0, 1, 0, 0, 1], [0, 10, 20, 30, 40]), 2, 2)
    assert Markov(asked_after, personal=10.0).scores(ask(0, 1)).tolist() == [[3 / 4, 11 + 2 / 3]]
    assert Markov(asked_after, personal=10.0, max_transitions=1).scores(ask(0, 1)).tolist() == [[3 / 4, 1 + 2 / 3]]


def test_nearest_prefers_the_near_one_of_two_equally_popular() -> None:
    world = graph(events([0, 0, 0], [0, 1, 2], [0, 1, 2]), 1, 4, seed=0)
    nodes = {**world.nodes}
    places = torch.tensor([[40.0, -74.0], [40.0, -73.9], [40.0, -73.99], [float("nan")] * 2])
    nodes["item"] = replace(nodes["item"], coordinates=places)
    baseline = Nearest(replace(world, nodes=nodes), kilometres=2.0)
    found = baseline.scores(
        Queries.from_users(torch.tensor([0]), torch.tensor([9]), coordinates=torch.tensor([[40.0, -74.0]]))
    )[0]
    degree = 6371.0088 * math.pi / 180 * math.cos(math.radians(40))  # kilometres of a degree of longitude there
    away = [0, 0.1 * degree, 0.01 * degree]
    expected = [math.log(2) - km / 2 for km in away] + [-sum(away) / 3 / 2]
    assert found.tolist() == pytest.approx(expected, abs=1e-3)
    at_last_visit = baseline.scores(Queries.from_users(torch.tensor([0]), torch.tensor([2])))[0]
    assert at_last_visit[1] == pytest.approx(math.log(2), abs=1e-3)


def test_nearest_without_a_place_is_popularity() -> None:
    world = graph(events([0, 0], [0, 1], [0, 1]), 2, 2, seed=0)
    found = Nearest(world).scores(Queries.from_users(torch.tensor([1, -1]), torch.tensor([2, 2])))
    assert found.tolist() == [[math.log(2)] * 2] * 2


# --- against slow references --------------------------------------------------------------------------------------


def shared_events(world: TemporalGraph, asked: Queries, query: int) -> list[int]:
    before = min(int(asked.time[query]), asked.history_cutoff)
    return [row for row in range(len(world.log)) if world.log.time[row] < before]


def own_events(world: TemporalGraph, asked: Queries, query: int) -> list[int]:
    log = world.log
    return [
        row
        for row in range(len(log))
        if log.user[row] == asked.user[query]
        and log.time[row] < asked.time[query]
        and (log.time[row] < asked.history_cutoff or log.session[row] == asked.session[query] >= 0)
    ]


def slow_counts(world: TemporalGraph, rows: list[int]) -> np.ndarray:
    return np.bincount(world.log.item[rows].numpy(), minlength=len(world.nodes["item"])).astype(float)


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.booleans())
def test_own_visits_equal_a_slow_reference(seed: int, frozen: bool) -> None:
    world = city(seed)
    asked = questions(world, seed, frozen)
    visits = UserHistory.before(world, asked)
    last = visits.last()
    for query in range(len(asked)):
        own = own_events(world, asked, query)
        mine = visits.question == query
        assert visits.event[mine].tolist() == own
        assert visits.age[mine].tolist() == [int(asked.time[query] - world.log.time[row]) for row in own]
        assert last[query] == (own[-1] if own else -1)


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.booleans())
def test_counts_equal_a_slow_reference(seed: int, frozen: bool) -> None:
    world = city(seed)
    asked = questions(world, seed, frozen)
    popular, counter = Popularity(world).scores(asked).numpy(), Counter(world).scores(asked).numpy()
    for query in range(len(asked)):
        assert np.array_equal(popular[query], slow_counts(world, shared_events(world, asked, query)))
        assert np.array_equal(np.floor(counter[query]), slow_counts(world, own_events(world, asked, query)))


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.booleans())
def test_markov_equals_a_slow_reference(seed: int, frozen: bool) -> None:
    world = city(seed)
    asked, log, previous = questions(world, seed, frozen), world.log, world.previous.tolist()
    found = Markov(world, personal=10.0).scores(asked).floor()
    for query in range(len(asked)):
        expected, own = [0.0] * 15, own_events(world, asked, query)
        for row in shared_events(world, asked, query):
            from_last = own and previous[row] >= 0 and log.item[previous[row]] == log.item[own[-1]]
            if from_last and 0 < log.time[row] - log.time[previous[row]] <= DAY:
                expected[log.item[row]] += 10 if log.user[row] == asked.user[query] else 1
        assert found[query].tolist() == expected


def dense_history(world: TemporalGraph, asked: Queries) -> np.ndarray:
    return np.stack([slow_counts(world, own_events(world, asked, query)) for query in range(len(asked))])


def dense_train(world: TemporalGraph) -> np.ndarray:
    counts = np.zeros((len(world.nodes["user"]), len(world.nodes["item"])))
    for user, item, split in zip(world.log.user, world.log.item, world.log.split, strict=True):
        counts[user, item] += split == TRAIN
    return counts


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.booleans())
def test_item_knn_equals_dense_cosine(seed: int, frozen: bool) -> None:
    world = city(seed)
    asked, counts = questions(world, seed, frozen), dense_train(world)
    unit = counts / np.maximum(np.linalg.norm(counts, axis=0), 1e-12)
    found = ItemKNN(world, ItemKNNConfig(neighbours=15)).scores(asked).numpy()
    np.testing.assert_allclose(found, dense_history(world, asked) @ (unit.T @ unit), atol=1e-9)


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.integers(1, 14))
def test_item_knn_keeps_the_most_similar(seed: int, neighbours: int) -> None:
    world = city(seed)
    whole = ItemKNN(world, ItemKNNConfig(neighbours=15)).similarity.toarray()
    kept = ItemKNN(world, ItemKNNConfig(neighbours=neighbours)).similarity.toarray()
    np.testing.assert_allclose(-np.sort(-kept, axis=1)[:, :neighbours], -np.sort(-whole, axis=1)[:, :neighbours])
    assert (np.count_nonzero(kept, axis=1) <= neighbours).all()


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.booleans())
def test_ease_equals_the_dense_formula(seed: int, frozen: bool) -> None:
    world = city(seed)
    asked, counts = questions(world, seed, frozen), np.log1p(dense_train(world))
    precision = np.linalg.inv(counts.T @ counts + 3 * np.eye(15))
    weights = -precision / np.diag(precision)
    np.fill_diagonal(weights, 0)
    found = Ease(world, EaseConfig(ridge=3.0)).scores(asked).numpy()
    np.testing.assert_allclose(found, np.log1p(dense_history(world, asked)) @ weights, atol=1e-5)


# --- what holds for all of them -----------------------------------------------------------------------------------


def poisoned(world: TemporalGraph, time: int, seed: int) -> TemporalGraph:
    """The same world with another future: from ``time`` on other events, more of them, some in that very second."""
    rng = np.random.default_rng(seed + 1)
    past, future = world.log.count_before(time), 60
    later = np.sort(np.concatenate([np.full(10, time), time + rng.integers(0, 10 * DAY, future - 10)]))
    other = events(
        rng.integers(0, 8, future).tolist(),
        rng.integers(0, 15, future).tolist(),
        later.tolist(),
        rng.integers(0, 5, future).tolist(),
        [TEST] * future,
        rng.integers(0, 24, future).tolist(),
    )
    columns = {name: torch.cat((getattr(world.log, name)[:past], column)) for name, column in vars(other).items()}
    return replace(world, log=Events(**columns), _cache={})


def by_name(world: TemporalGraph) -> dict[str, ItemScorer]:
    return {baseline.name: baseline for baseline in all_baselines(world)}


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(0, 119), st.integers(0, 1), st.booleans())
def test_no_future_event_moves_a_score(seed: int, row: int, later: int, frozen: bool) -> None:
    world = city(seed)
    first_held_out = int(world.log.time[world.log.split != TRAIN].min())
    time = int(world.log.time[row]) + later
    user = torch.arange(-1, 8)
    asked = Queries.from_users(user, torch.full_like(user, time))
    asked = replace(
        asked, session=3 * user.clamp(min=0), history_cutoff=int(world.log.time[60]) if frozen else TIME_MAX
    )
    other = by_name(poisoned(world, time, seed))
    for name, baseline in by_name(world).items():
        if name in FITTED and time < first_held_out:
            continue  # fitted on the whole train split, as a model is: the promise starts where training ends
        assert torch.equal(baseline.scores(asked), other[name].scores(asked)), name


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.booleans())
def test_batch_size_changes_no_score(seed: int, frozen: bool) -> None:
    world = city(seed)
    asked = questions(world, seed, frozen)
    for baseline in all_baselines(world):
        alone = torch.cat([baseline.scores(asked.rows(slice(row, row + 1))) for row in range(len(asked))])
        assert torch.equal(baseline.scores(asked), alone), baseline.name


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_own_past_moves_own_scores_and_nobody_elses(seed: int) -> None:
    world = city(seed)
    user = torch.arange(8)
    asked = Queries.from_users(user, torch.full_like(user, int(world.log.time[-1]) + 1))
    item = world.log.item.clone()
    item[world.log.user == 0] = (item[world.log.user == 0] + 1) % 15
    other = by_name(replace(world, log=replace(world.log, item=item), _cache={}))
    for name in ("counter", "counter-decayed"):
        changed = (by_name(world)[name].scores(asked) != other[name].scores(asked)).any(1)
        assert changed.tolist() == [bool((world.log.user == 0).any())] + [False] * 7, name


def test_a_frozen_history_sees_its_own_session_only() -> None:
    log = events([0, 0, 0, 1, 0], [0, 1, 2, 3, 3], [0, 10, 20, 25, 30], session=[0, 1, 2, 3, -1])
    world = graph(log, 2, 4)
    asked = replace(ask(0, 1), session=torch.tensor([1]), history_cutoff=5)
    assert Counter(world).scores(asked).floor().tolist() == [[1, 1, 0, 0]]
    assert Popularity(world).scores(asked).tolist() == [[1, 0, 0, 0]]
    without = replace(asked, session=torch.tensor([-1]))
    assert Counter(world).scores(without).floor().tolist() == [[1, 0, 0, 0]]


def test_the_horizon_of_a_view_holds() -> None:
    world = random_world(3)
    time = int(world.log.time[250])
    asked, late = (Queries.from_users(torch.arange(12), torch.full((12,), when)) for when in (time, TIME_MAX))
    seen_late = by_name(world.as_of(time))
    for name, baseline in by_name(world).items():
        if name not in FITTED and "decayed" not in name and name != "counter":  # these weigh by age as well
            assert torch.equal(baseline.scores(asked), seen_late[name].scores(late)), name
    assert torch.equal(Counter(world).scores(asked).floor(), Counter(world.as_of(time)).scores(late).floor())


@pytest.mark.parametrize("users", [0, 3])
@pytest.mark.parametrize("items", [0, 4])
def test_a_graph_without_events_scores_nothing(users: int, items: int) -> None:
    world = graph(events([], [], []), users, items, seed=1)
    asked = Queries.from_users(torch.tensor([-1, 0]), torch.tensor([0, 100]))
    for baseline in all_baselines(world):
        found = baseline.scores(asked)
        assert (found.shape, found.dtype) == ((2, items), torch.float64), baseline.name
        assert not found.any(), baseline.name


def test_strangers_get_finite_scores_without_a_history() -> None:
    world = random_world(5, users=3)
    time = int(world.log.time[-1]) + 1
    asked = Queries.from_users(torch.tensor([-1, 3, 99]), torch.tensor([time] * 3))
    for baseline in all_baselines(world):
        found = baseline.scores(asked)
        assert torch.isfinite(found).all(), baseline.name
        assert found.any() == (baseline.name in {"popularity", "recent-popularity", "markov", "nearest"}), baseline.name


def test_no_question_has_no_scores() -> None:
    world = random_world(6)
    asked = Queries.from_users(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    for baseline in all_baselines(world):
        assert baseline.scores(asked).shape == (0, 30), baseline.name


def test_only_fitting_baselines_are_listed() -> None:
    names = [baseline.name for baseline in all_baselines(small_world())]
    assert names == ["popularity", "recent-popularity", "counter", "counter-decayed", "markov", "item-knn", "ease"]
    assert "nearest" in by_name(random_world(0))
    assert "ease" not in by_name(graph(events([0], [0], [0]), 1, 10_001))


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.booleans())
def test_item_transition_is_a_baseline_of_lists_and_equals_the_regression(seed: int, frozen: bool) -> None:
    world = city(seed)
    lists = replace(world, manifest=world.manifest.model_copy(update={"protocol": {"judge": "users"}}), _cache={})
    assert by_name(lists).keys() - by_name(world).keys() == {"item-transition"}
    asked, baseline = questions(world, seed, frozen), by_name(lists)["item-transition"]
    found, regression = baseline.scores(asked), ItemTransitionRegression(world, None, 30.0)
    for row in range(len(asked)):
        one = asked.rows(slice(row, row + 1))
        near = sample(world, one, fan_out={"own_history": 500}).neighbourhoods["own_history"]
        history = torch.zeros(1, 15)
        for away, event in enumerate(near.event[near.mask].tolist()):
            history[0, world.log.item[event].long()] += math.exp(-away / HISTORY_DECAY)
        torch.testing.assert_close(found[row : row + 1], regression(history).double(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(baseline.scores(one), found[row : row + 1], rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.lists(st.integers(-2, 130), min_size=1, max_size=9))
def test_popularity_at_any_times_in_any_order(seed: int, rows: list[int]) -> None:
    world = city(seed)
    time = torch.tensor([int(world.log.time[min(max(row, 0), 119)]) + 600 * (row > 119) - (row < 0) for row in rows])
    slow = [slow_counts(world, (world.log.time < t).nonzero()[:, 0].tolist()).tolist() for t in time]
    assert popularity(world, time).tolist() == slow
