"""The health of the data: counted by hand, blind to what comes later, at rest with nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from graphrec.graph.time_bounds import TIME_MAX
from graphrec.report.health import MAX_BARS, Coverage, DataHealth, Unseen, data_health
from tests.worlds import alone, events, graph, rewritten, town

DAY = 86_400
MONDAY = 1_583_107_200
"""2 March 2020, 00:00 UTC."""


def test_a_small_log_by_hand() -> None:
    """u0 and u1 in train, u2 new in test; item 3 is listed and never seen, item 2 is new in test."""
    time = [MONDAY, MONDAY + 5, MONDAY + DAY - 1, MONDAY + 3 * DAY, MONDAY + 3 * DAY + 1]
    world = graph(events([0, 1, 0, 0, 2], [0, 1, 1, 1, 2], time, split=[0, 0, 0, 2, 2]), 3, 4)
    texts = replace(world.nodes["item"], texts=pa.array(["bar", None, "gym", None], pa.string()))
    places = replace(texts, coordinates=torch.tensor([[1.0, 2.0], [float("nan")] * 2, [3.0, 4.0], [5.0, 6.0]]))
    found = data_health(alone(world, item=places), TIME_MAX)
    assert found.period == "day"
    assert found.starts == tuple(MONDAY + day * DAY for day in range(4))
    assert found.events == {"train": (3, 0, 0, 0), "val": (0, 0, 0, 0), "test": (0, 0, 0, 2)}
    assert found.coverage == (
        Coverage(kind="user", nodes=3, active=3, text=0, placed=0),
        Coverage(kind="item", nodes=4, active=3, text=2, placed=3),
    )
    assert found.unseen == (Unseen(split="test", events=2, users=2, new_users=1, items=2, new_items=1),)


@pytest.mark.parametrize(
    ("days", "period", "first"),
    [
        (MAX_BARS - 1, "day", "2020-03-04"),
        (MAX_BARS, "week", "2020-03-02"),
        (7 * MAX_BARS + 7, "month", "2020-03-01"),
        (40 * 365, "year", "2020-01-01"),
    ],
)
def test_the_period_grows_with_the_log(days: int, period: str, first: str) -> None:
    wednesday = MONDAY + 2 * DAY + 3600
    found = data_health(graph(events([0, 0], [0, 0], [wednesday, wednesday + days * DAY]), 1, 1), TIME_MAX)
    assert found.period == period
    starts = np.array(found.starts).astype("datetime64[s]")
    assert str(starts[0])[:10] == first
    assert (np.diff(found.starts) > 0).all()
    assert (found.events["train"][0], found.events["train"][-1], sum(found.events["train"])) == (1, 1, 2)


def test_a_log_of_many_centuries_still_fits() -> None:
    found = data_health(graph(events([0, 0], [0, 0], [-50_000_000_000, 50_000_000_000]), 1, 1), TIME_MAX)
    assert len(found.starts) <= MAX_BARS
    assert sum(found.events["train"]) == 2


@pytest.mark.parametrize("seed", range(3))
def test_what_comes_later_moves_nothing(seed: int) -> None:
    world = town(seed)
    time = int(world.log.time[80])
    assert data_health(rewritten(world, time, seed), time) == data_health(world, time)
    assert data_health(world, time) != data_health(world, TIME_MAX)


def test_nothing_is_healthy() -> None:
    empty = graph(events([], [], []), 0, 0)
    assert data_health(empty, TIME_MAX) == DataHealth(events={})
    assert data_health(town(0), 0).starts == ()


def test_a_log_without_times_has_no_periods() -> None:
    world = graph(events([0, 1], [0, 1], [0, 1], split=[0, 2]), 2, 2)
    timeless = replace(world, manifest=world.manifest.model_copy(update={"mapping": {"timeless": True}}))
    found = data_health(timeless, TIME_MAX)
    assert (found.period, found.starts, found.events) == ("", (), {})
    assert found.unseen[0].new_items == 1
