"""What would be without some visits: equal to a world without them, and what a planted habit rests on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import InputError
from graphrec.evidence.counterfactual import counterfactuals
from graphrec.formatting import ordinal
from graphrec.metrics import expected_rank
from graphrec.models.ranking import StgatRanker
from graphrec.models.stgat import Stgat
from graphrec.queries.query import Queries
from tests.networks import again, scores, untrained
from tests.worlds import alone, events, graph, town

DAY = 86_400
MONDAY = 4 * DAY
WEEKS = 8


def habits() -> tuple[Any, StgatRanker]:
    """One user: item 0 at noon of every Monday, item 1 at noon of every Friday, and a network that only counts visits.

    Besides item 2, visited once on a Wednesday.
    """
    times = [MONDAY + 7 * DAY * week + 43_200 + day * DAY for week in range(WEEKS) for day in (0, 4)]
    items = [0, 1] * WEEKS
    world = graph(events([0] * 17, [*items, 2], [*times, times[-1] + 5 * DAY]), 1, 4)
    model = untrained(world, 0, spread=0.0, fan_out={"own_history": 32}, propagation=False)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.gate.bias[1:] = 5.0
    return world, StgatRanker(world, model)


def test_a_habit_of_fridays_falls_without_them() -> None:
    world, ranker = habits()
    asked = Queries.from_users(torch.tensor([0]), world.log.time[-1:] + DAY)
    monday, friday, once, never = counterfactuals(ranker, asked, items=torch.tensor([0, 1, 2, -1]))
    assert monday is not None
    assert friday is not None
    assert once is not None
    assert never is None
    assert (friday.rank, friday.without, friday.visits) == (1.5, "your 8 Friday events", 8)
    assert (monday.rank, monday.without, monday.visits) == (1.5, "your 8 Monday events", 8)
    assert (once.rank, once.without, once.visits, once.rank_without) == (3.0, "your Wednesday event", 1, 3.5)
    assert friday.description == "without your 8 Friday events it would rank 4th"


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000))
def test_ranks_are_those_of_the_ranking(seed: int) -> None:
    world = town(seed)
    model: Stgat = untrained(world, seed, spread=0.1)
    asked = Queries.from_users(world.log.user[100:101].long(), world.log.time[100:101] + 1)
    whole = scores(world, model, asked)
    for code, found in enumerate(counterfactuals(StgatRanker(world, model), asked, items=torch.arange(15))):
        if found is not None:
            assert found.rank == float(expected_rank(whole, torch.tensor([code]))[0])
            assert found.rank_without > found.rank
            assert found.visits > 0


def test_a_stranger_has_no_visits_to_leave_out() -> None:
    world, ranker = habits()
    asked = Queries.from_users(torch.tensor([-1]), world.log.time[-1:] + DAY)
    assert counterfactuals(ranker, asked, items=torch.tensor([0, 1])) == [None, None]


def test_an_item_that_is_not_known_yet_does_not_fall() -> None:
    world, ranker = habits()
    item = world.nodes["item"]
    first_seen = torch.tensor([*item.first_seen[:3].tolist(), int(world.log.time[-1]) + 3 * DAY])
    later = alone(world, item=replace(item, first_seen=first_seen))
    asked = Queries.from_users(torch.tensor([0]), world.log.time[-1:] + DAY)
    assert counterfactuals(StgatRanker(later, again(ranker.model, later)), asked, items=torch.tensor([3])) == [None]


def test_one_question_at_a_time() -> None:
    _, ranker = habits()
    with pytest.raises(InputError, match="one question expected, got 2"):
        counterfactuals(ranker, Queries.from_users(torch.zeros(2), torch.zeros(2)), items=torch.tensor([0]))


def test_numbers_in_order() -> None:
    expected = {
        1: "1st",
        2: "2nd",
        3: "3rd",
        4: "4th",
        11: "11th",
        12: "12th",
        21: "21st",
        112: "112th",
        1002: "1,002nd",
    }
    assert {number: ordinal(number) for number in expected} == expected


def test_recommend_says_what_would_be(city_run: Path, graphrec: Callable[..., Any], tmp_path: Path) -> None:
    done = graphrec("recommend", city_run, "--user", "u0003", "-k", 4, "--what-if")
    (answer,) = json.loads(graphrec("recommend", city_run, "--user", "u0003", "-k", 4, "--what-if", "--json").out)
    said = [item["what_if"] for item in answer["items"]]
    assert any(said)
    for one in filter(None, said):
        assert one["rank_without"] > 1
        assert one["words"] in done.out
    novel = graphrec("recommend", city_run, "--user", "u0003", "-k", 4, "--what-if", "--novel", "--json")
    assert novel.code == 0
    table = pq.read_table(done_file(graphrec, city_run, tmp_path))
    assert table["what_if"].to_pylist() == [one and one["words"] for one in said]


def done_file(graphrec: Callable[..., Any], city_run: Path, folder: Path) -> Path:
    file = folder / "lists.parquet"
    assert graphrec("recommend", city_run, "--user", "u0003", "-k", 4, "--what-if", "--out", file).code == 0
    return file
