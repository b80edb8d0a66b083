from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import InputError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.queries.query import Queries, queries_for_events
from tests.worlds import events, graph, random_world


def small_world() -> TemporalGraph:
    """Rows 0 to 5.

    time     10  20  20  20  30  40
    user 0   0       2   3   4
    user 1       1
    user 2                       5
    """
    log = events([0, 1, 0, 0, 0, 2], [0, 1, 2, 0, 1, 2], [10, 20, 20, 20, 30, 40], session=[7, -1, 7, 8, 8, 9])
    return graph(log, users=3, items=3)


def test_last_event_asks_a_second_after_the_preceding_event_of_an_earlier_second() -> None:
    asked = queries_for_events(small_world(), torch.arange(6))
    assert asked.time.tolist() == [10, 20, 11, 11, 21, 40]  # firsts are asked at their own time


def test_request_asks_at_the_time_of_the_event() -> None:
    asked = queries_for_events(small_world(), torch.tensor([4, 0]), "request", history_cutoff=25)
    assert asked.time.tolist() == [30, 10]
    assert (asked.user.tolist(), asked.session.tolist(), asked.history_cutoff) == ([0, 0], [8, 7], 25)


def test_a_question_of_an_event_knows_nothing_of_the_place() -> None:
    assert torch.isnan(queries_for_events(random_world(0), torch.arange(5)).coordinates).all()


@pytest.mark.parametrize("query_time", ["last-event", "request"])
def test_no_row_and_no_event_give_no_question(query_time: str) -> None:
    none = torch.zeros(0, dtype=torch.int64)
    assert len(queries_for_events(small_world(), none, query_time)) == 0
    assert len(queries_for_events(graph(events([], [], []), 1, 1), none, query_time)) == 0


def test_queries_of_user_ids_have_one_time_and_one_place() -> None:
    world = small_world()
    known = str(world.nodes["user"].ids[1].as_py())
    queries = Queries.from_user_ids(world, [known, "nobody"], near=(1.0, 2.0))
    assert (queries.user.tolist(), queries.time.tolist()) == ([1, -1], [41, 41])
    assert queries.coordinates.tolist() == [[1.0, 2.0], [1.0, 2.0]]
    assert Queries.from_user_ids(world, [known], at=20).coordinates.isnan().all()
    assert len(Queries.from_user_ids(world, [])) == 0


@pytest.mark.parametrize(("at", "near"), [(10**13, None), (20, (91.0, 0.0)), (20, (0.0, float("nan")))])
def test_a_time_off_the_calendar_or_a_place_off_the_globe_is_refused(at: int, near: tuple[float, float] | None) -> None:
    with pytest.raises(InputError, match="expected"):
        Queries.from_user_ids(small_world(), ["user-0"], at=at, near=near)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_last_event_equals_a_slow_reference(seed: int) -> None:
    world = random_world(seed, users=6, count=100, seconds=86_400)
    log = world.log
    asked = queries_for_events(world, torch.arange(len(log)))
    for row in range(len(log)):
        earlier = [
            int(t) for t, user in zip(log.time, log.user, strict=True) if user == log.user[row] and t < log.time[row]
        ]
        assert asked.time[row] == (max(earlier) + 1 if earlier else log.time[row])
        assert asked.time[row] <= log.time[row]


def test_asking_without_coordinates_or_session() -> None:
    asked = Queries.from_users(torch.tensor([3, -1], dtype=torch.int32), torch.tensor([5, 6], dtype=torch.int32))
    assert (len(asked), asked.user.dtype, asked.time.dtype) == (2, torch.int64, torch.int64)
    assert torch.isnan(asked.coordinates).all()
    assert (asked.session.tolist(), asked.history_cutoff) == ([-1, -1], TIME_MAX)


def test_rows_and_device_keep_every_column() -> None:
    places = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    asked = queries_for_events(small_world(), torch.tensor([0, 2, 4]), history_cutoff=15)
    asked = Queries(asked.user, asked.time, places, asked.session, asked.history_cutoff)
    part = asked.rows(torch.tensor([2, 0])).to("cpu")
    assert (part.time.tolist(), part.coordinates.tolist()) == ([21, 10], [[5, 6], [1, 2]])
    assert (part.session.tolist(), part.history_cutoff) == ([8, 7], 15)
