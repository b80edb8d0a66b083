"""Pictures: they draw what the data say, for odd data too, without a display."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from graphrec.evidence.shares import Recommendation
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.interest.over_time import interest_over_time
from graphrec.pictures.ego import draw_ego
from graphrec.pictures.palette import SHARES, THEMES
from graphrec.pictures.radial import radial
from graphrec.pictures.shares import draw_shares
from graphrec.pictures.stream import draw_interest
from graphrec.pictures.week import draw_hour_of_week
from graphrec.recommendation import RecommendationList
from graphrec.subgraph.ego_network import ego
from tests import worlds

DAY = 86_400
MONDAY = 1_599_436_800  # 2020-09-07 00:00 UTC


@pytest.fixture(autouse=True)
def no_figure_left_open() -> Iterator[None]:
    plt.switch_backend("agg")
    yield
    plt.close("all")


def neighbourhood(location: list[int] | None = None) -> nx.MultiDiGraph:
    """A user who was at item-0 three times, last a day ago, and at item-1 once, ten days ago."""
    log = worlds.events([0] * 4, [1, 0, 0, 0], [DAY * day for day in (1, 2, 3, 10)], location)
    return ego(worlds.graph(log, 1, 2, 2 if location else 0, seed=0), "user-0", time=11 * DAY)


def test_the_longer_ago_the_further_out() -> None:
    plane = radial(neighbourhood())
    assert plane.position["user", "user-0"] == (0, 0)
    assert math.hypot(*plane.position["item", "item-0"]) == pytest.approx(0.25)
    assert math.hypot(*plane.position["item", "item-1"]) == pytest.approx(1)
    assert 0.25 < plane.rings["1 week"] < 1
    assert plane.visits["item", "item-0"] == 3


def test_items_lie_right_of_locations() -> None:
    plane = radial(neighbourhood([0, 1, 1, 1]))
    assert all((x > 0) == (kind == "item") for (kind, _), (x, _) in plane.position.items() if kind != "user")


def test_an_item_that_is_its_own_location_is_drawn_once() -> None:
    same = nx.relabel_nodes(neighbourhood([0, 1, 1, 1]), {("location", "location-0"): ("location", "item-0")})
    assert ("location", "item-0") not in radial(same).position
    assert ("location", "location-1") in radial(same).position


def test_ego_names_its_nodes_and_saves(tmp_path: Path) -> None:
    figure = draw_ego(neighbourhood())
    words = {text.get_text() for text in figure.axes[0].texts}
    assert {"item-0  ×3", "item-1", "1 week"} <= words
    figure.savefig(tmp_path / "ego.png")
    assert (tmp_path / "ego.png").stat().st_size > 5_000


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_ego_draws_random_worlds(hops: int) -> None:
    graph = worlds.random_world(3)
    figure, ax = plt.subplots()
    assert draw_ego(ego(graph, "user-1", time=TIME_MAX, hops=hops, fan_out=4), ax) is figure


def test_ego_draws_a_user_without_events() -> None:
    graph = worlds.graph(worlds.events([], [], []), users=1, items=1)
    assert isinstance(draw_ego(ego(graph, "user-0", time=1_000)), Figure)


def test_the_stream_is_as_wide_as_the_events_and_other_is_grey() -> None:
    graph = worlds.graph(worlds.random_world(1, items=40, count=400).log, users=12, items=40, locations=5)
    interest = interest_over_time(graph, "user-0", until=TIME_MAX)
    figure = draw_interest(interest)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == list(interest.themes[::-1])
    outline = np.concatenate([path.vertices for area in figure.axes[0].collections for path in area.get_paths()])
    assert np.ptp(outline[:, 1]) == pytest.approx(interest.events.max(), rel=0.05)
    assert interest.themes[-1] == "other"
    other = figure.axes[0].collections[-1].get_facecolor()[0]
    np.testing.assert_allclose(other[:3], [int(THEMES[-1][place : place + 2], 16) / 255 for place in (1, 3, 5)])


@pytest.mark.parametrize("weeks", [1, 2, 3])
def test_the_stream_draws_short_histories(weeks: int) -> None:
    log = worlds.events([0] * weeks, [0] * weeks, [MONDAY + 7 * DAY * week for week in range(weeks)])
    figure = draw_interest(interest_over_time(worlds.graph(log, 1, 1), "user-0", until=TIME_MAX))
    figure.canvas.draw()


def test_the_week_is_the_users_own() -> None:
    """Sunday 23:30 UTC is Monday 01:30 two hours further east."""
    log = worlds.events([0, 0], [0, 0], [MONDAY - 1800, MONDAY + 5 * 3600])
    log = replace(log, utc_offset=torch.tensor([120, 0], dtype=torch.int16))
    figure = draw_hour_of_week(worlds.graph(log, 1, 1), "user-0", time=TIME_MAX)
    counts = np.asarray(figure.axes[0].collections[0].get_array()).reshape(7, 24)
    assert np.argwhere(counts).tolist() == [[0, 1], [0, 5]]


def test_shares_are_stacked_to_the_score() -> None:
    shares = dict(zip(SHARES, (0.2, 0.05, 0.03, 0.01, 0.01), strict=True))
    items = [
        Recommendation("a", "A place", 0.3, shares),
        Recommendation("b", "b", 0.1, {"my history": 0.1}),
    ]
    figure = draw_shares(RecommendationList("ana", True, None, None, "", tuple(items)))
    widths = [[bar.get_width() for bar in container] for container in figure.axes[0].containers]
    np.testing.assert_allclose(np.sum(widths, axis=0), [0.3, 0.1])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["A place", "b"]


def test_shares_of_an_empty_list_are_an_empty_picture() -> None:
    draw_shares(RecommendationList("ana", True, None, None, "", ())).canvas.draw()
