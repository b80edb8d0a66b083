"""Pictures of places, outlooks and cohorts: they draw what the records say, without a display or a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.collections import PolyCollection
from matplotlib.text import Text

from graphrec.errors import InputError
from graphrec.formatting import format_date
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.interest.change_points import ChangePoint
from graphrec.interest.cohorts import cohorts_by_interest, cohorts_by_start
from graphrec.interest.forecast import forecast_interest
from graphrec.interest.over_time import interest_over_time
from graphrec.pictures.interest import draw_forecast, draw_groups, draw_retention
from graphrec.pictures.places import _kilometres, draw_places
from tests import worlds

DAY = 86_400


@pytest.fixture(autouse=True)
def no_figure_left_open() -> Iterator[None]:
    plt.switch_backend("agg")
    yield
    plt.close("all")


def commuter() -> TemporalGraph:
    """Twelve evenings in the north and twelve noons 11 km further south, in October 2020."""
    plan = sorted([(day, 20, 0) for day in range(12)] + [(day, 12, 1) for day in range(12) if day % 7 < 5])
    place = [where for _, _, where in plan]
    log = worlds.events([0] * len(plan), place, [1_601_856_000 + d * DAY + hour * 3600 for d, hour, _ in plan], place)
    graph = worlds.graph(log, 1, 2, 2, seed=0)
    where = torch.tensor([(60.1, 24.9), (60.0, 24.9)])
    tables = {kind: replace(graph.nodes[kind], coordinates=where) for kind in ("item", "location")}
    return replace(graph, nodes={**graph.nodes, **tables})


def test_cells_hold_the_events_and_home_and_work_are_marked() -> None:
    figure = draw_places(commuter(), "user-0", time=TIME_MAX)
    figure.canvas.draw()
    (cells,) = [drawn for drawn in figure.axes[0].collections if isinstance(drawn, PolyCollection)]
    assert sorted(np.asarray(cells.get_array()).tolist()) == [10, 12]
    words = {text.get_text() for text in figure.axes[0].texts}
    assert {"home", "work", "2 km"} <= words
    assert any(text.startswith("22 events in 2 cells of 920 m, until 16 October 2020") for text in words)


def test_a_map_without_names_or_coarse_gives_no_home_away() -> None:
    assert "home" not in {
        text.get_text() for text in draw_places(commuter(), "user-0", time=TIME_MAX, named=False).axes[0].texts
    }
    coarse = draw_places(commuter(), "user-0", time=TIME_MAX, resolution=3).axes[0]
    (cells,) = [drawn for drawn in coarse.collections if isinstance(drawn, PolyCollection)]
    assert np.asarray(cells.get_array()).tolist() == [22]


def test_no_cell_is_cut_and_what_lies_far_off_is_counted() -> None:
    """Of 211 events 200 lie in two cells 11 km apart, 10 a bit further north, and one on the other side of the sea."""
    code = [*[0, 1] * 100, *[2] * 10, 3]
    log = worlds.events([0] * 211, code, [DAY * day for day in range(211)], code)
    graph = worlds.graph(log, 1, 4, 4, seed=0)
    where = torch.tensor([(60.1, 24.9), (60.0, 24.9), (60.11, 24.9), (52.0, 5.0)])
    tables = {kind: replace(graph.nodes[kind], coordinates=where) for kind in ("item", "location")}
    ax = draw_places(replace(graph, nodes={**graph.nodes, **tables}), "user-0", time=TIME_MAX).axes[0]
    (cells,) = [drawn for drawn in ax.collections if isinstance(drawn, PolyCollection)]
    assert sorted(np.asarray(cells.get_array()).tolist()) == [10, 100, 100]
    corners = np.concatenate([path.vertices for path in cells.get_paths()])
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert (corners.min(axis=0) > [left, bottom]).all()
    assert (corners.max(axis=0) < [right, top]).all()
    assert any(text.get_text().endswith(" · 1 farther off") for text in ax.texts)


def test_a_degree_of_longitude_is_half_as_long_at_60_north() -> None:
    east, north = _kilometres(np.array([[60.0, 1.0], [61.0, 0.0]]), np.array([60.0, 0.0]))
    np.testing.assert_allclose((east, north), [[55.5975, 0], [0, 111.195]], atol=1e-9)
    across = _kilometres(np.array([[0.0, -179.0]]), np.array([0.0, 179.0]))
    np.testing.assert_allclose(across, [[222.39, 0]], atol=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"time": 0}, "no event at a known place"), ({"resolution": 16}, "resolution from 0 to 15 expected, got 16")],
)
def test_a_map_of_nothing_is_refused(options: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        draw_places(commuter(), "user-0", **{"time": TIME_MAX, **options})


def test_the_fan_lies_where_the_forecast_says_and_changes_are_named() -> None:
    graph = worlds.random_world(2, users=2, items=5)
    interest, coming = (
        interest_over_time(graph, "user-0", until=TIME_MAX),
        forecast_interest(graph, "user-0", until=TIME_MAX),
    )
    before, after = np.array([0.9, 0.1]), np.array([0.3, 0.9])
    change = ChangePoint(int(interest.start[2]), 0.001, 9.0, ("art", "food"), before, after)
    figure = draw_forecast(interest, coming, changes=[change])
    figure.canvas.draw()
    fan = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (fan.min(), fan.max()) == (coming.events_interval.min(), coming.events_interval.max())
    assert figure.get_supxlabel() == f"1   {format_date(change.start)}: more food, less art"
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == list(interest.themes[::-1])


def test_many_changes_are_numbered_and_told_one_below_the_other() -> None:
    graph = worlds.random_world(2, users=2, items=5)
    interest, coming = (
        interest_over_time(graph, "user-0", until=TIME_MAX),
        forecast_interest(graph, "user-0", until=TIME_MAX),
    )
    before, after = np.array([0.9, 0.1]), np.array([0.3, 0.9])
    names = ("a theme of a very long name", "another theme of a very long name")
    first, last = int(interest.start[0]), int(interest.start[-1])
    changes = [ChangePoint(round(when), 0.001, 9.0, names, before, after) for when in np.linspace(first, last, 12)]
    figure = draw_forecast(interest, coming, changes=changes)
    figure.canvas.draw()
    numbers = [text for text in figure.axes[0].texts if text.get_text().isdigit()]
    assert [text.get_text() for text in numbers] == [str(number) for number in range(1, 13)]
    told = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_text().startswith("1   "))
    boxes = [artist.get_window_extent() for artist in (*numbers, *told, figure.axes[1].xaxis)]
    assert len(boxes) == 14
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(figure.bbox.containsx(box.x1) and figure.bbox.containsy(box.y0) for box in boxes)
    assert figure.get_supxlabel().count("\n") == 11


def test_cohorts_draw_their_figures() -> None:
    graph = worlds.random_world(3)
    cohorts = cohorts_by_start(graph, TIME_MAX, step_days=10)
    figure = draw_retention(cohorts)
    figure.canvas.draw()
    shown = [text.get_text() for text in figure.axes[0].texts if text.get_text().endswith("%")]
    assert len(shown) == int((~np.isnan(cohorts.retention)).sum())
    groups = cohorts_by_interest(graph, TIME_MAX, groups=3, step_days=10)
    heights = np.array([[bar.get_height() for bar in part] for part in draw_groups(groups).axes[0].containers])
    np.testing.assert_allclose(heights.sum(axis=0), 1)
