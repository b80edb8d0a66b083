"""The map: every question is accounted for, nobody can be found on it, and it is true to scale."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import h3.api.basic_str as h3
import numpy as np
import pytest
import torch

from graphrec.evaluation.h3_cells import map_queries
from graphrec.evaluation.query_map import MIN_USERS, MapCell, QueryMap
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.report.map_chart import Hexagon, centre, hexagon_map, question_maps
from tests.worlds import alone, events, graph, rewritten, town

MADRID, PARIS = (40.4168, -3.7038), (48.8566, 2.3522)


def two_cities(crowd: int, few: int, known: bool = True) -> TemporalGraph:
    """``crowd`` users go to item 0 in Madrid, twice each; ``few`` others to item 1 in Paris, ten times each.

    Item 2 has no place.
    """
    madrid = [user for user in range(crowd) for _ in range(2)]
    paris = [crowd + user for user in range(few) for _ in range(10)]
    users, items = [*madrid, *paris, 0], [0] * len(madrid) + [1] * len(paris) + [2]
    log = events(users, items, list(range(1_600_000_000, 1_600_000_000 + len(users))))
    world = graph(log, crowd + few, 3, seed=0)
    nan = float("nan")
    points = torch.tensor([MADRID, PARIS, (nan, nan)]) if known else torch.full((3, 2), nan)
    table = world.nodes["item"]
    return alone(world, item=type(table)(**{**vars(table), "coordinates": points}))


def test_a_cell_of_few_users_is_hidden_however_many_questions_it_has() -> None:
    world = two_cities(crowd=MIN_USERS, few=MIN_USERS - 1)
    rows = torch.arange(len(world.log))
    right = torch.zeros(len(rows), dtype=torch.float64)
    right[:3] = 1
    found = map_queries(world, rows, right)
    assert found is not None
    ((cell,), hidden) = (found.cells, found.hidden)
    assert (cell.n, cell.users, cell.accuracy) == (10, 5, pytest.approx(0.3))
    assert cell.cell == h3.latlng_to_cell(*MADRID, found.resolution)
    assert (hidden, found.unplaced, found.background) == (40, 1, ())
    paris = h3.latlng_to_cell(*PARIS, found.resolution)
    assert paris not in found.model_dump_json()


def test_one_user_more_and_it_is_shown() -> None:
    world = two_cities(crowd=MIN_USERS, few=MIN_USERS)
    found = map_queries(world, torch.arange(len(world.log)), torch.ones(len(world.log), dtype=torch.float64))
    assert found is not None
    assert [(cell.n, cell.users, cell.accuracy) for cell in found.cells] == [(50, 5, 1.0), (10, 5, 1.0)]


def test_ground_is_where_as_many_went_before() -> None:
    world = two_cities(crowd=MIN_USERS, few=MIN_USERS)
    rows = torch.arange(2 * MIN_USERS, len(world.log))  # nobody is asked in Madrid
    found = map_queries(world, rows, torch.ones(len(rows), dtype=torch.float64))
    assert found is not None
    assert [cell.n for cell in found.cells] == [50]
    assert found.background == (h3.latlng_to_cell(*MADRID, found.resolution),)


def test_both_sides_of_the_180th_meridian_are_as_fine_as_anywhere() -> None:
    world = two_cities(crowd=MIN_USERS, few=MIN_USERS)
    table, rows = world.nodes["item"], torch.arange(len(world.log))
    found = []
    for east in (179.5, 10.0):
        points = torch.tensor([(-17.0, east), (-17.0, (east + 1 + 180) % 360 - 180), (torch.nan, torch.nan)])
        moved = alone(world, item=type(table)(**{**vars(table), "coordinates": points}))
        questions = map_queries(moved, rows, torch.ones(len(rows), dtype=torch.float64))
        assert questions is not None
        found.append((questions.resolution, [cell.n for cell in questions.cells]))
    assert found[0] == found[1]


def test_without_places_or_questions_there_is_no_map() -> None:
    nowhere = two_cities(crowd=9, few=9, known=False)
    assert map_queries(nowhere, torch.arange(len(nowhere.log)), torch.ones(len(nowhere.log)).double()) is None
    world = two_cities(crowd=9, few=9)
    assert map_queries(world, torch.arange(0), torch.ones(0).double()) is None
    lonely = two_cities(crowd=2, few=2)
    assert map_queries(lonely, torch.arange(len(lonely.log)), torch.ones(len(lonely.log)).double()) is None


@pytest.mark.parametrize("seed", range(3))
def test_what_comes_later_moves_nothing(seed: int) -> None:
    world = town(seed, users=12, count=240)
    rows = torch.arange(100, 160)
    right = torch.tensor(np.random.default_rng(seed).random(60))
    after = int(world.log.time[rows[-1]]) + 1
    found = map_queries(world, rows, right)
    assert found is not None
    assert sum(cell.n for cell in found.cells) + found.hidden + found.unplaced == 60
    assert map_queries(rewritten(world, after, seed), rows, right) == found


# drawn


def corners(polygon: ElementTree.Element) -> np.ndarray:
    return np.array([pair.split(",") for pair in polygon.get("points", "").split()], float)


@pytest.mark.parametrize("latitude", [-35.0, 0.0, 60.0])
def test_the_map_and_its_scale_bar_agree(latitude: float) -> None:
    near, far = (h3.latlng_to_cell(latitude, longitude, 7) for longitude in (10.0, 10.2))
    drawn = ElementTree.fromstring(hexagon_map("two", [Hexagon(near, 0, "n"), Hexagon(far, 1, "<f>")]))
    west, east = (corners(polygon).mean(0) for polygon in drawn.iter("polygon"))
    km = h3.great_circle_distance(h3.cell_to_latlng(near), h3.cell_to_latlng(far))
    (bar,) = (path.get("d", "") for path in drawn.iter("path"))
    length = float(re.findall(r"h([0-9.]+)v", bar)[0])
    (told,) = (text.text or "" for text in drawn.iter("text"))
    assert length / float(told.split()[0]) == pytest.approx(math.dist(west, east) / km, rel=0.01)
    assert east[0] > west[0]


def test_cells_on_both_sides_of_the_180th_meridian_lie_beside_each_other() -> None:
    cells = [h3.latlng_to_cell(-17.0, longitude, 4) for longitude in (179.7, -179.7)]
    drawn = ElementTree.fromstring(hexagon_map("Fiji", [Hexagon(cell, 0) for cell in cells]))
    west, east = (corners(polygon) for polygon in drawn.iter("polygon"))
    assert west[:, 0].mean() < east[:, 0].mean()
    assert np.ptp(west[:, 0]) > 100  # 460 wide: two cells fill it, a world map would not


def test_one_cell_is_a_map_inside_its_frame() -> None:
    drawn = ElementTree.fromstring(hexagon_map("one", [Hexagon(h3.latlng_to_cell(*MADRID, 9), 0)]))
    (polygon,) = drawn.iter("polygon")
    _, _, width, height = map(float, drawn.get("viewBox", "").split())
    assert ((corners(polygon) >= 0) & (corners(polygon) <= [width, height])).all()


def test_levels_follow_the_numbers_and_are_explained() -> None:
    places = [h3.latlng_to_cell(40 + step / 10, -3.7, 7) for step in range(6)]
    cells = [
        MapCell(cell=place, n=n, users=5, right=right)
        for place, n, right in zip(places, (60, 9, 8, 7, 6, 5), (1.0, 0.8, 0.79, 0.5, 0.2, 0.0), strict=True)
    ]
    many, right = question_maps(QueryMap(resolution=7, cells=tuple(cells)))
    assert [polygon.get("class") for polygon in ElementTree.fromstring(right.picture).iter("polygon")] == [
        "level-4", "level-4", "level-3", "level-2", "level-1", "level-0",
    ]  # fmt: skip
    assert dict(right.levels)[4] == "80 to 100%"
    drawn = [polygon.get("class") for polygon in ElementTree.fromstring(many.picture).iter("polygon")]
    assert drawn == sorted(drawn, reverse=True)
    assert many.levels[-1][1].endswith("60")
    assert "60 questions of 5 users, 100.0% right" in many.picture


def test_one_count_everywhere_is_one_level() -> None:
    cells = tuple(MapCell(cell=h3.latlng_to_cell(at, 0.0, 5), n=7, users=5, right=0.5) for at in (1.0, 2.0))
    assert question_maps(QueryMap(resolution=5, cells=cells))[0].levels == ((0, "7"),)


def test_a_cell_has_a_name_in_degrees() -> None:
    assert centre(h3.latlng_to_cell(*MADRID, 9)) == "40.42 N, 3.70 W"
    assert centre(h3.latlng_to_cell(-33.87, 151.21, 9)) == "33.87 S, 151.21 E"
