"""Home, work and habit places: planted ones are found, and what the data do not say stays unknown."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from graphrec.errors import InputError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.interest.history import History
from graphrec.interest.places import _gravity, at_home, at_work, habitual_places
from graphrec.time_units import DAY
from tests import worlds

MONDAY = 1_599_436_800  # 2020-09-07 00:00 UTC
HOUR = 3600
HOME, WORK, GYM = 0, 1, 2
EVENING, NOON = 20 * HOUR, 12 * HOUR


def town(visits: list[tuple[int, int, int]], at: list[tuple[float, float]] | None = None) -> TemporalGraph:
    """One user's visits as (day, second of the day, place); items stand one at each of three places on a line.

    HOME (52.50, 13.40) --- 7 km --- WORK (52.50, 13.50) --- 7 km --- GYM (52.50, 13.60)
    """
    visits = sorted(visits)
    place = [where for _, _, where in visits]
    log = worlds.events([0] * len(visits), place, [MONDAY + day * DAY + second for day, second, _ in visits], place)
    graph = worlds.graph(log, 1, 3, 3, seed=0)
    where = torch.tensor(at or [(52.5, 13.4), (52.5, 13.5), (52.5, 13.6)])
    tables = {kind: replace(graph.nodes[kind], coordinates=where) for kind in ("item", "location")}
    return replace(graph, nodes={**graph.nodes, **tables})


def routine(weeks: int = 6) -> list[tuple[int, int, int]]:
    """Home in the evening, work at noon from Monday to Friday, the gym on Saturday morning."""
    days = [7 * week + day for week in range(weeks) for day in range(5)]
    gym = [(7 * week + 5, 10 * HOUR, GYM) for week in range(weeks)]
    return [(day, EVENING, HOME) for day in days] + [(day, NOON, WORK) for day in days] + gym


def test_hours_are_the_users_own() -> None:
    times = MONDAY + np.array([8 * HOUR, 9 * HOUR, 17 * HOUR, 19 * HOUR, 5 * DAY + NOON])
    assert at_home(times).tolist() == [True, False, False, True, True]
    assert at_work(times).tolist() == [False, True, False, False, False]


def test_home_work_and_habits_with_their_numbers() -> None:
    places = habitual_places(town(routine()), "user-0", until=TIME_MAX)
    assert places.home is not None
    assert places.work is not None
    home, work = places.home, places.work
    assert (home.id, home.visits, home.days, home.days_observed) == (
        "location-0",
        30,
        30,
        36,
    )  # 30 evenings, 6 Saturdays
    assert (work.id, work.visits, work.days, work.days_observed) == ("location-1", 30, 30, 30)
    assert home.when == "always evenings"
    assert home.coordinates == pytest.approx((52.5, 13.4))
    assert len(home.rows) == 30
    gym = next(place for place in places.habits if place.id == "item-2")
    assert (gym.days, gym.days_observed, gym.when) == (6, 6, "always Saturday mornings")
    assert gym.confidence == 7 / 8


def test_gravity_by_hand() -> None:
    """Two places 1.5 km apart with 9.5 and 19.5 visits, half a visit more each."""
    metres = 1.5 / 6371.0088 * 180 / math.pi
    graph = town([(0, NOON, 0)], [(0.0, 0.0), (metres, 0.0), (math.nan, math.nan)])
    chance = _gravity(graph, np.array([0]), np.array([0, 1]), np.array([9.5, 19.5, -0.5]))
    near = 20 * math.exp(-1)
    expected = [0.8 * 10 / (10 + near) + 0.1 * 10 / 30 + 0.1, 0.8 * near / (10 + near) + 0.1 * 20 / 30]
    np.testing.assert_allclose(chance, [expected], rtol=1e-4)


def test_what_the_data_do_not_say_is_unknown() -> None:
    few = habitual_places(town([(0, EVENING, HOME), (1, EVENING, HOME)]), "user-0", until=TIME_MAX)
    assert (few.home, few.work, few.habits) == (None, None, ())
    torn = [(day, EVENING, day % 3) for day in range(6)]
    assert habitual_places(town(torn), "user-0", until=TIME_MAX).home is None
    nowhere = worlds.random_world(0, locations=0)
    assert habitual_places(nowhere, "user-0", until=TIME_MAX).home is None


def test_who_works_at_home_has_no_work_apart_from_it() -> None:
    visits = [(day, second, HOME) for day in range(12) for second in (NOON, EVENING)]
    places = habitual_places(town(visits), "user-0", until=TIME_MAX)
    assert places.home is not None
    assert places.work is None


def test_without_coordinates_the_most_days_decide() -> None:
    graph = town(routine())
    bare = {kind: replace(graph.nodes[kind], coordinates=None) for kind in ("item", "location")}
    places = habitual_places(replace(graph, nodes={**graph.nodes, **bare}), "user-0", until=TIME_MAX)
    assert places.home is not None
    assert (places.home.id, places.home.coordinates) == ("location-0", None)


def test_who_moved_lives_at_the_new_place_and_lived_at_the_old_one() -> None:
    visits = [(day, EVENING, HOME if day < 90 else GYM) for day in range(270)]
    graph = town(visits)
    then, now = (habitual_places(graph, "user-0", until=MONDAY + day * DAY).home for day in (90, 270))
    assert then is not None
    assert now is not None
    assert (then.id, now.id) == ("location-0", "location-2")


def test_what_comes_later_changes_nothing() -> None:
    graph, until = town(routine(8)), MONDAY + 4 * 7 * DAY
    later = graph.log.time >= until
    poisoned = {name: torch.where(later, 2, getattr(graph.log, name)).int() for name in ("item", "location")}
    other = replace(graph, log=replace(graph.log, **poisoned), _cache={})
    mine, same = (habitual_places(world, "user-0", until=until) for world in (graph, other))
    assert repr(mine) == repr(same)
    assert mine.home is not None
    assert mine.home.visits == 20


def test_a_habit_of_long_ago_is_none() -> None:
    old = [(7 * week, NOON, GYM) for week in range(10)]
    lately = [(7 * week, NOON, WORK) for week in range(30, 45)]
    habits = habitual_places(town(old + lately), "user-0", until=TIME_MAX).habits
    assert [place.id for place in habits] == ["item-1"]


def test_an_unknown_user_is_refused() -> None:
    with pytest.raises(InputError, match="user 'nobody' is not among"):
        habitual_places(town(routine()), "nobody", until=TIME_MAX)


def kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    return math.hypot((one[0] - other[0]) * 111.2, (one[1] - other[1]) * 111.2 * math.cos(math.radians(other[0])))


def most_days(history: History) -> int:
    """The location with the most evenings, nights and weekend days."""
    counts = at_home(history.local_time)
    days = np.unique(np.stack((history.local_time[counts] // DAY, history.location[counts])), axis=1)
    return int(np.bincount(days[1]).argmax())


def test_planted_homes_are_found_better_than_by_counting_days(long_city: Path) -> None:
    """Nobody is seen at home in the simulated city, only around it; docs/interest.md measures 800 people.

    Here a neighbourhood has four venues or so, so people go far: a third of the homes is found by name.
    """
    graph = TemporalGraph.open(long_city / "graph")
    people: dict[str, dict[str, Any]] = json.loads((long_city / "truth.json").read_text())["users"]
    table = graph.nodes["location"]
    assert table.coordinates is not None
    where = dict(zip(table.labels.to_pylist(), map(tuple, table.coordinates.tolist()), strict=True))
    away, counted = [], []
    for user, life in people.items():
        home = habitual_places(graph, user, until=TIME_MAX).home
        if home is not None and home.coordinates is not None:
            planted = where[(life["changes"] or life)["home"]]
            most = table.coordinates[most_days(History.before(graph, user, TIME_MAX))].tolist()
            away.append(kilometres(home.coordinates, planted))
            counted.append(kilometres((most[0], most[1]), planted))
    assert len(away) >= 0.5 * len(people)
    assert np.mean(np.array(away) < 3) >= 0.8
    assert np.mean(np.array(away) < 0.1) >= 1.5 * np.mean(np.array(counted) < 0.1)


def test_labels_are_those_of_the_graph() -> None:
    graph = town(routine())
    named = replace(graph.nodes["location"], labels=pa.array(["Hillside", "Harbour", "Park"]))
    places = habitual_places(replace(graph, nodes={**graph.nodes, "location": named}), "user-0", until=TIME_MAX)
    assert places.home is not None
    assert places.home.label == "Hillside"
