"""Motifs and co-visits equal slow references, and see nothing of the future."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import InputError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.subgraph.item_pairs import co_occurring_items, item_transitions
from graphrec.time_units import DAY
from tests.worlds import cut, events, graph, town

SEEDS = st.integers(0, 10_000)


def slow(world: TemporalGraph, time: int, within: int, between: int) -> dict[tuple[int, int], tuple[int, int, float]]:
    """Times, people and lift of every pair, person by person."""
    own: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for user, item, when in zip(world.log.user.tolist(), world.log.item.tolist(), world.log.time.tolist(), strict=True):
        if when < time:
            own[user].append((item, when))
    times: Counter[tuple[int, int]] = Counter()
    people = defaultdict(set)
    for user, past in own.items():
        for place, (item, when) in enumerate(past):
            for earlier, before in past[max(0, place - between - 1) : place]:
                if 0 < when - before <= within:
                    times[earlier, item] += 1
                    people[earlier, item].add(user)
    total, first, then = sum(times.values()), Counter[int](), Counter[int]()
    for (one, other), count in times.items():
        first[one] += count
        then[other] += count
    return {
        pair: (count, len(people[pair]), count * total / (first[pair[0]] * then[pair[1]]))
        for pair, count in times.items()
    }


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(0, 119), st.sampled_from([3600, DAY, 5 * DAY]), st.integers(0, 3), st.integers(1, 3))
def test_motifs_equal_a_slow_reference(seed: int, row: int, within: int, between: int, least: int) -> None:
    world = town(seed)
    time = int(world.log.time[row])
    expected = {pair: found for pair, found in slow(world, time, within, between).items() if found[0] >= least}
    found = item_transitions(world.as_of(time), within, between=between, least=least).to_pylist()
    assert [one["times"] for one in found] == sorted((one["times"] for one in found), reverse=True)
    seen = {
        (int(one["first"].removeprefix("item-")), int(one["then"].removeprefix("item-"))): (
            one["times"],
            one["people"],
            pytest.approx(one["lift"]),
        )
        for one in found
    }
    assert seen == expected
    assert item_transitions(cut(world, time), within, between=between, least=least).to_pylist() == found


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(0, 119), st.integers(0, 14))
def test_co_visits_equal_a_slow_reference(seed: int, row: int, item: int) -> None:
    world = town(seed)
    time = int(world.log.time[row])
    who = defaultdict(set)
    for user, code, when in zip(world.log.user.tolist(), world.log.item.tolist(), world.log.time.tolist(), strict=True):
        if when < time:
            who[code].add(user)
    expected = {
        f"item-{other}": (len(both), pytest.approx(len(both) / (len(who[item]) * len(who[other])) ** 0.5))
        for other in list(who)
        if other != item and (both := who[item] & who[other])
    }
    found = co_occurring_items(world.as_of(time), f"item-{item}", k=99).to_pylist()
    assert {one["item"]: (one["people"], one["cosine"]) for one in found} == expected
    assert [one["cosine"] for one in found] == sorted((one["cosine"] for one in found), reverse=True)


def test_a_planted_habit_has_lift() -> None:
    """Item 1 always follows item 0 within the hour; items 2 and 3 come whenever."""
    times = [day * DAY + hour * 3600 for day in range(1, 11) for hour in (8, 9, 14, 20)]
    items = [0, 1, 2, 3] * 5 + [0, 1, 3, 2] * 5
    found = item_transitions(graph(events([0] * 40, items, times), 1, 4), within=3600).to_pylist()
    assert [(one["first"], one["then"], one["times"], one["people"]) for one in found] == [("item-0", "item-1", 10, 1)]


def test_nothing_follows_nothing() -> None:
    empty = graph(events([], [], []), 1, 2)
    assert item_transitions(empty).num_rows == 0
    assert co_occurring_items(empty, "item-1").num_rows == 0


def test_what_is_not_there_is_refused() -> None:
    world = town(1)
    with pytest.raises(InputError, match="item 'nowhere' is not among the 15 items"):
        co_occurring_items(world, "nowhere")
    with pytest.raises(InputError, match="within=0"):
        item_transitions(world, within=0)
