from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from graphrec.errors import GraphError
from graphrec.graph.events import Events
from graphrec.graph.time_bounds import TIME_MAX, TIME_MIN
from tests.worlds import events


def log() -> Events:
    return events([0, 1, 0, 2], [3, 4, 5, 3], [10, 20, 20, 30], location=[0, -1, 1, 1], session=[5, -1, 5, 6])


def test_columns_of_different_lengths_are_refused() -> None:
    uneven = object.__new__(Events)  # the tests' shape checker would refuse it in __init__ already
    vars(uneven).update({**vars(log()), "item": torch.zeros(3, dtype=torch.int32)})
    with pytest.raises(GraphError, match=r"columns of one length expected, got .*'item': 3"):
        uneven.__post_init__()


def test_time_that_goes_back_is_refused_and_says_where() -> None:
    with pytest.raises(GraphError, match="row 2 is earlier than row 1"):
        events([0, 0, 0], [0, 0, 0], [5, 9, 8])


def test_ties_are_in_order() -> None:
    assert len(events([0, 0], [0, 1], [7, 7])) == 2


def test_no_event_is_a_log_too() -> None:
    empty = events([], [], [])
    assert (len(empty), empty.count_before(TIME_MAX)) == (0, 0)
    assert len(empty.rows(slice(0, 10))) == 0


@pytest.mark.parametrize(("time", "count"), [(TIME_MIN, 0), (10, 0), (11, 1), (20, 1), (21, 3), (30, 3), (TIME_MAX, 4)])
def test_count_before_is_strict(time: int, count: int) -> None:
    assert log().count_before(time) == count


def test_a_slice_of_rows_is_a_view_and_an_index_a_copy() -> None:
    whole = log()
    part = whole.rows(slice(1, 3))
    assert part.item.tolist() == [4, 5]
    assert part.time.data_ptr() == whole.time[1:].data_ptr()
    assert whole.rows(torch.tensor([0, 3])).session.tolist() == [5, 6]


def test_rows_out_of_time_order_are_refused() -> None:
    with pytest.raises(GraphError, match="time must not decrease"):
        log().rows(torch.tensor([3, 0]))


def test_every_column_moves_to_another_device() -> None:
    moved = replace(log()).to("cpu")
    assert all(torch.equal(getattr(moved, field.name), getattr(log(), field.name)) for field in fields(Events))
