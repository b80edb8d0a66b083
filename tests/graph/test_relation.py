from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import GraphError
from graphrec.graph.relation import Relation
from graphrec.graph.time_bounds import TIME_MAX, TIME_MIN

SOURCES = 4


def build(source: list[int], time: list[int], sources: int = SOURCES) -> Relation:
    """Edges in the order given; edge number n leads to node n and was made by event n."""
    number = torch.arange(len(source))
    return Relation.build(torch.tensor(source).long(), number, torch.tensor(time).long(), number, sources)


def slow_before(source: list[int], time: list[int], asked: int, when: int, k: int) -> list[int]:
    """Numbers of the latest k edges of a source strictly before a time, the latest first, ties in reverse."""
    found = [number for number in range(len(source)) if source[number] == asked and time[number] < when]
    return sorted(found, key=lambda number: (time[number], number), reverse=True)[:k]


def looked_up(relation: Relation, asked: list[int], when: list[int], k: int) -> list[list[int]]:
    rows, real = relation.before(torch.tensor(asked).long(), torch.tensor(when).long(), k)
    return [relation.target[row[good]].tolist() for row, good in zip(rows, real, strict=True)]


def test_the_latest_strictly_before_by_hand() -> None:
    """Source 0: edge 0 at 10, edge 2 at 20, edge 3 at 20; source 2: edge 1 at 15. Given unsorted."""
    relation = build([0, 2, 0, 0], [10, 15, 20, 20])
    assert looked_up(relation, [0, 0, 0, 0], [10, 20, 21, 99], 2) == [[], [0], [3, 2], [3, 2]]
    assert looked_up(relation, [2, 1, 3], [16, 99, 99], 3) == [[1], [], []]
    assert relation.count_before(torch.tensor([0, 0, 2]), torch.tensor([20, 21, 15])).tolist() == [1, 3, 0]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_before_equals_a_slow_reference(data: st.DataObject) -> None:
    edges = data.draw(st.lists(st.tuples(st.integers(0, SOURCES - 1), st.integers(-5, 5)), max_size=25))
    source, time = [edge[0] for edge in edges], [edge[1] for edge in edges]
    asked = data.draw(st.lists(st.tuples(st.integers(-2, SOURCES + 2), st.integers(-8, 8)), min_size=1, max_size=10))
    who, when, k = [ask[0] for ask in asked], [ask[1] for ask in asked], data.draw(st.integers(1, 6))
    relation = build(source, time)
    expected = [slow_before(source, time, *ask, k) for ask in asked]
    assert looked_up(relation, who, when, k) == expected
    counted = relation.count_before(torch.tensor(who), torch.tensor(when)).tolist()
    assert counted == [len(slow_before(source, time, *ask, len(source))) for ask in asked]


def test_rows_are_sorted_by_source_and_time_and_ties_keep_their_order() -> None:
    relation = build([1, 0, 1, 1, 0], [7, 9, 3, 7, 1])
    assert relation.target.tolist() == [4, 1, 2, 0, 3]
    assert relation.start.tolist() == [0, 2, 5, 5, 5]
    assert (relation.key.diff() >= 0).all()
    assert (len(relation), relation.sources) == (5, 4)


def test_far_times_do_not_spill_into_other_sources() -> None:
    relation = build([0, 1, 2], [10, 10, 10])
    assert looked_up(relation, [0, 1, 2], [TIME_MAX] * 3, 5) == [[0], [1], [2]]
    assert looked_up(relation, [0, 1, 2], [TIME_MIN] * 3, 5) == [[], [], []]
    assert looked_up(relation, [1, 1, 1], [-(10**12), 10**12, 10], 5) == [[], [1], []]


def test_timeless_edges_are_before_everything_but_always() -> None:
    relation = build([0, 0, 1], [TIME_MIN, 50, TIME_MIN])
    assert looked_up(relation, [0, 0, 1, 1], [0, 51, -(10**15), TIME_MIN], 5) == [[0], [1, 0], [2], []]


def test_an_edge_that_never_comes_is_never_seen() -> None:
    relation = build([0, 0], [TIME_MAX, 50])
    assert looked_up(relation, [0, 0], [10**15, TIME_MAX], 5) == [[1], [1]]


def test_a_batch_may_have_any_shape() -> None:
    relation = build([0, 1, 1], [1, 2, 3])
    rows, real = relation.before(torch.tensor([[0, 1], [1, -1]]), torch.full((2, 2), 9), 3)
    assert rows.shape == real.shape == (2, 2, 3)
    assert real.sum(-1).tolist() == [[1, 2], [2, 0]]
    assert (rows[~real] == 0).all()


@pytest.mark.parametrize("sources", [0, 3])
def test_an_empty_relation_has_no_neighbours(sources: int) -> None:
    relation = build([], [], sources)
    asked, when = torch.tensor([-1, 0, 2, 7]), torch.tensor([0, TIME_MAX, TIME_MIN, 5])
    rows, real = relation.before(asked, when, 2)
    assert not real.any()
    assert not rows.any()
    assert relation.count_before(asked, when).tolist() == [0, 0, 0, 0]
    assert (len(relation), relation.sources) == (0, sources)


def test_keys_that_do_not_fit_are_refused() -> None:
    with pytest.raises(GraphError, match="does not fit a 64-bit key"):
        build([0, 1], [0, 2**61])


def test_the_same_edges_on_another_device() -> None:
    relation = build([0, 1], [1, 2])
    moved = relation.to("cpu")
    assert torch.equal(moved.key, relation.key)
    assert (moved.origin, moved.span) == (relation.origin, relation.span)


def test_order_of_many_random_edges() -> None:
    rng = np.random.default_rng(7)
    source, time = rng.integers(0, 50, 5000), rng.integers(0, 1000, 5000)
    relation = build(source.tolist(), time.tolist(), 50)
    order = np.lexsort((np.arange(5000), time, source))
    assert relation.target.tolist() == order.tolist()
    assert relation.time.tolist() == time[order].tolist()
