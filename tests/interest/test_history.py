"""One user's history: what is before a time, in steps on the user's own clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from graphrec.errors import InputError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.interest.history import History
from graphrec.time_units import DAY
from tests import worlds

WEEK = 7 * DAY
MONDAY = 1_599_436_800  # 2020-09-07 00:00 UTC


def days(user: list[int], day: list[int]) -> TemporalGraph:
    return worlds.graph(worlds.events(user, [0] * len(user), [MONDAY + d * DAY for d in day]), users=2, items=1)


def test_a_history_is_one_users_and_ends_before_its_time() -> None:
    history = History.before(days([0, 1, 0, 0], [0, 1, 2, 3]), "user-0", MONDAY + 3 * DAY)
    assert history.row.tolist() == [0, 2]
    assert history.time.tolist() == [MONDAY, MONDAY + 2 * DAY]
    assert history.until == MONDAY + 2 * DAY + 1  # just after the last event that anybody can see


def test_a_history_goes_on_while_others_are_seen() -> None:
    assert History.before(days([0, 1], [0, 9]), "user-0", TIME_MAX).until == MONDAY + 9 * DAY + 1
    assert History.before(days([0, 1], [0, 9]), "user-0", MONDAY + 9 * DAY).until == MONDAY + 1


def test_whole_steps_are_counted_back_and_leave_the_first_out() -> None:
    """Events on days 0, 3, 8, 8 and another user's on day 20: weeks back from day 20 begin on days 14, 7, 0 and -7."""
    history = History.before(days([0, 0, 0, 0, 1], [0, 3, 8, 8, 20]), "user-0", TIME_MAX)
    assert history.whole_steps().tolist() == [2, 0]
    assert history.whole_steps(30).tolist() == []


def test_no_events_are_no_steps() -> None:
    history = History.before(days([1], [0]), "user-0", TIME_MAX)
    assert len(history) == 0
    assert history.whole_steps().tolist() == []
    with pytest.raises(InputError, match="user 'user-0' has no event before"):
        history.steps()


def test_time_is_on_the_users_own_clock() -> None:
    graph = days([0, 0], [0, 1])
    graph = replace(graph, log=replace(graph.log, utc_offset=torch.tensor([60, -120], dtype=torch.int16)))
    history = History.before(graph, "user-0", TIME_MAX)
    assert (history.local_time - history.time).tolist() == [3600, -7200]
    assert history.local_until == history.until - 7200
    step, start = history.steps(1)
    assert step.tolist() == [0, 0]
    np.testing.assert_array_equal(start, [MONDAY])


@pytest.mark.parametrize("ask", ["steps", "whole_steps"])
def test_a_step_has_at_least_a_day(ask: str) -> None:
    with pytest.raises(InputError, match="step of at least 1 day expected, got 0"):
        getattr(History.before(days([0], [0]), "user-0", TIME_MAX), ask)(0)


def test_a_log_without_times_has_no_steps_to_count() -> None:
    graph = days([0, 0], [0, 9])
    timeless = replace(graph, manifest=graph.manifest.model_copy(update={"mapping": {"timeless": True}}), _cache={})
    with pytest.raises(InputError, match="a log with times expected"):
        History.before(timeless, "user-0", TIME_MAX).whole_steps()
