"""Cohorts: sizes, retention and moves by hand; planted groups are found; nothing from the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from graphrec.errors import InputError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.interest.cohorts import _names, cohorts_by_interest, cohorts_by_start
from tests import worlds

DAY = 86_400
START = 1_599_436_800  # 2020-09-07 00:00 UTC
TEXTS = ["A. art.", "B. art.", "C. food.", "D. food."]


def world(visits: list[tuple[int, int, int]]) -> TemporalGraph:
    """Visits as (day, user, item); items 0 and 1 are art, 2 and 3 food."""
    visits = sorted(visits)
    log = worlds.events(
        [user for _, user, _ in visits], [item for _, _, item in visits], [START + day * DAY for day, _, _ in visits]
    )
    graph = worlds.graph(log, users=20, items=4)
    return replace(graph, nodes={**graph.nodes, "item": replace(graph.nodes["item"], texts=pa.array(TEXTS))})


def three() -> TemporalGraph:
    """Steps of 10 days up to day 30: users 0 and 1 begin in the first, user 2 in the second.

    user 0: art | food food | art      user 1: art | . | .      user 2: . | food | food      user 9: on day 30 only
    """
    return world([(0, 0, 0), (1, 1, 1), (11, 0, 2), (12, 0, 3), (13, 2, 2), (21, 0, 0), (29, 2, 3), (30, 9, 0)])


UNTIL = START + 30 * DAY


def test_cohorts_by_hand() -> None:
    cohorts = cohorts_by_start(three(), UNTIL, step_days=10)
    np.testing.assert_array_equal(cohorts.size, [2, 1, 0])
    np.testing.assert_array_equal(cohorts.active, [[2, 1, 1], [1, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(cohorts.events, [[2, 2, 1], [1, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(cohorts.retention, [[1, 0.5, 0.5], [1, 1, np.nan], [np.nan] * 3])
    art = cohorts.share[:, :, cohorts.themes.index("art")]
    np.testing.assert_array_equal(art, [[1, 0, 1], [0, 0, 0], [0, 0, 0]])


def test_groups_by_hand() -> None:
    groups = cohorts_by_interest(three(), UNTIL, groups=2, step_days=10)
    art, food = groups.names.index("art"), groups.names.index("food")
    np.testing.assert_array_equal(groups.size[:, art], [2, 0, 1])
    np.testing.assert_array_equal(groups.size[:, food], [0, 2, 1])
    assert (groups.transitions[art, food], groups.transitions[food, art], groups.transitions[food, food]) == (1, 1, 1)
    np.testing.assert_allclose(groups.share[art], np.eye(2)[groups.themes.index("art")])


def test_no_two_groups_have_one_name() -> None:
    mean = np.array([[0.5, 0.2, 0.3], [0.6, 0.3, 0.1], [0.7, 0.2, 0.1], [0.8, 0.1, 0.1], [0.9, 0.05, 0.05]])
    names = _names(mean, np.array([0.3, 0.3, 0.4]), ("art", "food", "other"))
    assert names[:2] == ("art", "art, food")
    assert len(set(names)) == 5


def test_planted_groups_and_those_who_change_are_found() -> None:
    """Ten people of art and ten of food, one visit in five to the other; user 0 turns to food half-way."""
    rng = np.random.default_rng(0)
    visits = []
    for day in range(80):
        for user in range(20):
            art = user < 10 and not (user == 0 and day >= 40)
            other = rng.random() < 0.2
            visits.append((day, user, int(rng.integers(2)) + 2 * int(art == other)))
    groups = cohorts_by_interest(world(visits), TIME_MAX, groups=2, step_days=20)
    art = groups.names.index("art")
    assert groups.size[:, art].tolist() == [10, 10, 9, 9]
    assert groups.transitions[art, 1 - art] == 1
    assert groups.transitions[1 - art, art] == 0
    assert 0.7 < groups.share[art, groups.themes.index("art")] < 0.9


def test_what_comes_later_changes_nothing() -> None:
    graph = worlds.random_world(4)
    until = int(graph.log.time[180])
    later = graph.log.time >= until
    poisoned = {name: torch.where(later, 0, getattr(graph.log, name)).int() for name in ("user", "item")}
    other = replace(graph, log=replace(graph.log, **poisoned), _cache={})
    assert repr(cohorts_by_start(graph, until, step_days=5)) == repr(cohorts_by_start(other, until, step_days=5))
    assert repr(cohorts_by_interest(graph, until, groups=3, step_days=5)) == repr(
        cohorts_by_interest(other, until, groups=3, step_days=5)
    )


def test_counts_add_up() -> None:
    graph = worlds.random_world(5)
    cohorts = cohorts_by_start(graph, TIME_MAX, step_days=4)
    assert cohorts.events.sum() == len(graph.log)
    assert cohorts.size.sum() == len(torch.unique(graph.log.user))
    np.testing.assert_array_equal(cohorts.active[:, 0], cohorts.size)
    np.testing.assert_allclose(cohorts.share.sum(axis=2), cohorts.events > 0)
    groups = cohorts_by_interest(graph, TIME_MAX, step_days=4)
    back = (int(graph.log.time[-1]) - graph.log.time) // (4 * DAY)
    seen = torch.unique(torch.stack((graph.log.user.long(), back)), dim=1)
    assert groups.size.sum() == seen.shape[1]
    assert groups.transitions.sum() == seen.shape[1] - len(torch.unique(graph.log.user))


def test_one_person_is_one_group() -> None:
    groups = cohorts_by_interest(world([(0, 3, 0)]), TIME_MAX)
    assert groups.size.tolist() == [[1]]
    assert groups.transitions.tolist() == [[0]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"until": START}, "no event before the time asked for"),
        ({"step_days": 0}, "a step of at least 1 day expected, got 0"),
        ({"groups": 1}, "at least 2 groups expected, got 1"),
    ],
)
def test_odd_requests_get_one_clear_line(options: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        cohorts_by_interest(three(), **{"until": TIME_MAX, **options})


def test_too_many_steps_are_refused() -> None:
    with pytest.raises(InputError, match="100 steps of 1 days; at most 60 expected"):
        cohorts_by_start(world([(0, 0, 0), (99, 0, 0)]), TIME_MAX, step_days=1)
