"""Forecasts: hand-computed steps, intervals that hold as often as they say, nothing from the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from graphrec.errors import InputError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.interest.forecast import ActivityRates, fit_activity_rates, forecast_interest
from graphrec.time_units import DAY
from tests import worlds

START = 1_599_436_800
WEEK = 7 * DAY


def crowd(rates: np.ndarray, seed: int = 0) -> TemporalGraph:
    """People whose weeks have as many events as Poisson counts of ``rates`` [users, weeks] say; four items in turn."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rates)
    counts[:, 0] = 1  # everybody is there from the first week on
    user, week = (code.repeat(counts.ravel()) for code in np.indices(counts.shape).reshape(2, -1))
    time = START + week * WEEK + rng.integers(0, WEEK, len(week))
    last = START + counts.shape[1] * WEEK - 1
    order = np.argsort(time, kind="stable")
    log = worlds.events(
        [*user[order].tolist(), len(counts)],
        [*(order % 4).tolist(), 0],
        [*time[order].tolist(), last],  # somebody else's event ends the log at the end of the last week
    )
    return worlds.graph(log, len(counts) + 1, 4)


def test_what_is_known_of_a_rate_by_hand() -> None:
    """People in general are gamma(2, 1), half is kept: after weeks of 4 and 0, and two ahead."""
    states = ActivityRates(0.5, 2.0, 1.0).filter(np.array([[4], [0]]), ahead=2)
    np.testing.assert_allclose(states[:, :, 0], [[2, 1], [3, 1], [1.5, 1], [0.75, 0.5]])


def test_a_user_who_is_not_there_yet_is_like_people_in_general() -> None:
    states = ActivityRates(0.5, 2.0, 1.0).filter(np.array([[0], [4]]), np.array([[False], [True]]), ahead=1)
    np.testing.assert_allclose(states[:, :, 0], [[2, 1], [2, 1], [3, 1]])


def test_shares_of_themes_by_hand() -> None:
    """An event of 45 days ago counts half, one of just now whole, and another is spread over both themes."""
    last = START + 45 * DAY - 1
    graph = worlds.graph(worlds.events([0, 0], [0, 1], [START, last]), 1, 2)
    coming = forecast_interest(graph, "user-0", until=TIME_MAX)
    assert coming.themes == ("item-0", "item-1")
    np.testing.assert_allclose(coming.share, [[1 / 2.5, 1.5 / 2.5]] * 4, atol=1e-6)


def test_steady_people_are_expected_to_go_on_and_restless_ones_to_be_as_lately() -> None:
    rng = np.random.default_rng(0)
    steady = np.repeat(rng.gamma(2, 3, (60, 1)), 30, axis=1)
    assert fit_activity_rates(crowd(steady)).discount >= 0.95
    restless = np.exp(1 + rng.normal(0, 0.6, (60, 30)).cumsum(axis=1)).clip(0, 60)
    assert fit_activity_rates(crowd(restless)).discount <= 0.7


def test_intervals_hold_as_often_as_they_say() -> None:
    """80% and a little more, as events are whole; far from all of the time, as they would if they were too wide."""
    rates = np.repeat(np.random.default_rng(1).gamma(3, 5, (60, 1)), 30, axis=1)
    graph = crowd(rates)
    until = START + 26 * WEEK
    user, time = graph.log.user.numpy(), graph.log.time.numpy()
    rates_then = fit_activity_rates(graph.as_of(until))
    held, error, naive = [], [], []
    for code in range(40):
        coming = forecast_interest(graph, f"user-{code}", until=until, rates=rates_then)
        first = coming.start[0]
        actual = np.bincount((time[(user == code) & (time >= first)] - first) // WEEK, minlength=4)[:4]
        last = int(((user == code) & (time < first) & (time >= first - WEEK)).sum())
        held.append((coming.events_interval[:, 0] <= actual) & (actual <= coming.events_interval[:, 1]))
        error.append(abs(coming.events - actual))
        naive.append(abs(last - actual))
    assert 0.76 <= np.mean(held) <= 0.93
    assert np.mean(error) <= 0.9 * np.mean(naive)


def test_themes_go_on_as_they_were_and_their_intervals_lie_around() -> None:
    graph = crowd(np.full((3, 20), 12.0))
    coming = forecast_interest(graph, "user-1", until=TIME_MAX, steps=2)
    assert set(coming.themes) == {f"item-{code}" for code in range(4)}
    np.testing.assert_allclose(coming.share.sum(axis=1), 1)
    np.testing.assert_allclose(coming.share, 0.25, atol=0.08)
    assert ((coming.theme_interval[..., 0] <= 3) & (coming.theme_interval[..., 1] >= 3)).all()
    assert coming.theme_interval.max() < 10
    assert (np.diff(coming.start) == WEEK).all()


def test_wider_levels_make_wider_intervals_and_seeds_repeat() -> None:
    graph = crowd(np.full((3, 12), 5.0))
    narrow, wide, again = (
        forecast_interest(graph, "user-0", until=TIME_MAX, level=level) for level in (0.5, 0.95, 0.95)
    )
    assert (np.ptp(narrow.events_interval, axis=1) < np.ptp(wide.events_interval, axis=1)).all()
    np.testing.assert_array_equal(wide.theme_interval, again.theme_interval)


def test_what_comes_later_changes_nothing() -> None:
    graph, until = crowd(np.full((4, 16), 4.0)), START + 9 * WEEK
    later = graph.log.time >= until
    poisoned = {name: torch.where(later, 0, getattr(graph.log, name)).int() for name in ("user", "item")}
    other = replace(graph, log=replace(graph.log, **poisoned), _cache={})
    mine, same = (forecast_interest(world, "user-1", until=until) for world in (graph, other))
    for name in ("events", "events_interval", "share", "theme_interval", "start"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(same, name))


def test_one_event_is_enough_to_be_like_people_in_general() -> None:
    graph = worlds.graph(worlds.events([0], [0], [START]), 1, 1)
    coming = forecast_interest(graph, "user-0", until=TIME_MAX)
    assert np.isfinite(coming.events).all()
    np.testing.assert_allclose(coming.share, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"user": "nobody"}, "user 'nobody' is not among"),
        ({"user": "user-5"}, "has no event before"),
        ({"steps": 0}, "at least 1 step"),
        ({"level": 1.0}, "level between 0 and 1"),
        ({"step_days": 0}, "step of at least 1 day"),
    ],
)
def test_odd_requests_get_one_clear_line(options: dict[str, object], words: str) -> None:
    graph = worlds.graph(worlds.events([0], [0], [START]), 6, 1)
    with pytest.raises(InputError, match=words):
        forecast_interest(graph, **{"user": "user-0", "until": TIME_MAX, **options})
