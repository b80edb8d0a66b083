from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import GraphError
from graphrec.graph.nodes import Edges
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX, TIME_MIN
from graphrec.queries.query import Queries
from graphrec.queries.sampling import (
    MAX_NEAR_LOCATIONS,
    Context,
    check_relations,
    event_coordinates,
    nearest_location,
    previous_event,
    sample,
)
from graphrec.queries.user_history import UserHistory
from tests.worlds import DECLARED, alone, events, graph, nodes, town

SEEDS = st.integers(0, 10_000)
NOWHERE = (math.nan, math.nan)


def questions(world: TemporalGraph, seed: int, frozen: bool) -> Queries:
    """Users and strangers, at times of events and a second later, some from a place, some in a session."""
    rng = np.random.default_rng(seed)
    event = torch.tensor(rng.integers(0, len(world.log), 20))
    user = world.log.user[event].long()
    user[::7] = -1
    place = torch.tensor(rng.normal([40.75, -73.99], 0.02, (20, 2)), dtype=torch.float32)
    place[torch.tensor(rng.random(20) < 0.6)] = torch.nan
    time = world.log.time[event] + torch.tensor(rng.integers(0, 2, 20))
    history_cutoff = int(world.log.time[rng.integers(0, len(world.log))]) if frozen else TIME_MAX
    return Queries(user, time, place, world.log.session[event].long(), history_cutoff)


def metres(one: list[float], other: list[float]) -> float:
    (lat, lon), (lat2, lon2) = (map(math.radians, point) for point in (one, other))
    half = math.sin((lat2 - lat) / 2) ** 2 + math.cos(lat) * math.cos(lat2) * math.sin((lon2 - lon) / 2) ** 2
    return 2 * 6_371_009 * math.asin(math.sqrt(half))


class Slow:
    """One question, answered by going through the whole log."""

    def __init__(self, world: TemporalGraph, asked: Queries, row: int) -> None:
        self.world = world
        self.log = {name: column.tolist() for name, column in vars(world.log).items()}
        self.previous = world.previous.tolist()
        self.user, self.session = int(asked.user[row]), int(asked.session[row])
        self.time, self.shared = int(asked.time[row]), min(int(asked.time[row]), asked.history_cutoff)
        self.place = asked.coordinates[row].tolist()
        if self.user >= 0 and world.nodes["user"].first_seen[self.user] >= self.time:
            self.user = -1  # not known yet: a stranger
        self.mine = [event for event in self.newest() if self.own(event)]
        self.last = next(iter(self.mine), -1)

    def newest(self) -> range:
        """Rows of the log, the latest first."""
        return range(len(self.previous) - 1, -1, -1)

    def own(self, event: int) -> bool:
        within = self.log["session"][event] == self.session >= 0
        return self.log["user"][event] == self.user and self.log["time"][event] < (self.time if within else self.shared)

    def then(self) -> list[int]:
        if self.last < 0:
            return []
        return [event for event in self.newest() if self.follows(event) and self.log["time"][event] < self.shared]

    def follows(self, event: int) -> bool:
        """Whether its user had just done the last item of the question."""
        before, time = self.previous[event], self.log["time"]
        gap = time[event] - time[before] if before >= 0 else 0
        return 0 < gap <= self.world.follow_gap and self.log["item"][before] == self.log["item"][self.last]

    def location(self) -> int:
        table = self.world.nodes["location"]
        if any(map(math.isnan, self.place)):
            return self.log["location"][self.last] if self.last >= 0 else -1
        if table.coordinates is None:
            return -1
        apart = {code: metres(self.place, there) for code, there in enumerate(table.coordinates.tolist())}
        known = [code for code in apart if not math.isnan(apart[code]) and table.first_seen[code] < self.time]
        return min(known, key=apart.__getitem__, default=-1)

    def here(self) -> list[int]:
        places = {self.location(), *self.around(self.location())} - {-1}
        seen = [event for event in self.newest() if self.log["time"][event] < self.shared]
        return [event for event in seen if self.log["location"][event] in places]

    def around(self, location: int) -> list[int]:
        """The nearest of the near locations that are known by then."""
        if "near" not in self.world.edges:
            return []
        edges, at = self.world.edges["near"], self.world.nodes["location"].coordinates.tolist()
        rows = [row for row, source in enumerate(edges.source.tolist()) if source == location]
        near = [int(edges.target[row]) for row in rows if edges.valid_from[row] < self.shared]
        return sorted(near, key=lambda code: metres(at[location], at[code]))[:MAX_NEAR_LOCATIONS]

    def linked(self, name: str) -> list[int]:
        """Events of the nodes that a declared relation leads to by then."""
        edges = self.world.edges[name]
        start = {"user": self.user, "item": self.log["item"][self.last] if self.last >= 0 else -1}
        start = {**start, "location": self.location()}[edges.source_type]
        pairs = zip(edges.source.tolist(), edges.target.tolist(), edges.valid_from.tolist(), strict=True)
        known = [(source, target) for source, target, since in pairs if since < self.shared]
        nodes = {target for source, target in known if source == start}
        if edges.target_type != edges.source_type:
            nodes = {source for source, target in known if target in nodes} - {start}
        seen = [event for event in self.newest() if self.log["time"][event] < self.shared]
        return [event for event in seen if self.log[edges.source_type][event] in nodes]


def found(context: Context, name: str, row: int) -> list[int]:
    around = context.neighbourhoods[name]
    return around.event[row][around.mask[row]].tolist()


@settings(deadline=None, max_examples=25)
@given(
    SEEDS,
    st.booleans(),
    st.sampled_from([{}, {"locations": 0}, {"places": False}, {"dated": False}]),
    st.integers(1, 30),
)
def test_sampling_equals_a_slow_reference(seed: int, frozen: bool, bare: dict[str, int], own: int) -> None:
    """However few own events are looked at: those that a frozen history hides crowd no others out."""
    world = town(seed, **bare)
    asked = questions(world, seed, frozen)
    k = {"own_history": own, "transitions": 5, "nearby": 7}
    context = sample(world, asked, fan_out=k)
    for row in range(len(asked)):
        slow = Slow(world, asked, row)
        assert found(context, "own_history", row) == slow.mine[:own]
        assert found(context, "transitions", row) == slow.then()[:5]
        assert found(context, "nearby", row) == slow.here()[:7]
        assert (int(context.last_event[row]), int(context.location[row])) == (slow.last, slow.location())


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.booleans(), st.sampled_from(sorted(DECLARED)))
def test_a_declared_relation_equals_a_slow_reference(seed: int, frozen: bool, name: str) -> None:
    world = town(seed, declared=True)
    asked = questions(world, seed, frozen)
    context = sample(world, asked, fan_out={name: 9})
    for row in range(len(asked)):
        assert found(context, name, row) == Slow(world, asked, row).linked(name)[:9]


@settings(deadline=None, max_examples=15)
@given(SEEDS)
def test_dropped_events_are_masked(seed: int) -> None:
    world = town(seed)
    context = sample(world, questions(world, seed, frozen=False), fan_out=FAN_OUT)
    dropped = {name: torch.rand(near.mask.shape) < 0.3 for name, near in context.neighbourhoods.items()}
    for name, near in context.drop_events(torch.cat(list(dropped.values()), 1)).neighbourhoods.items():
        assert torch.equal(near.event, context.neighbourhoods[name].event)
        assert torch.equal(near.mask, context.neighbourhoods[name].mask & ~dropped[name])


def test_a_relation_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        GraphError, match=r"fan_out: one of own_history, transitions, nearby, near, friend, .* expected, got 'freinds'"
    ):
        check_relations(town(1, declared=True), ["own_history", "freinds"])


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.integers(1, 8))
def test_a_hidden_event_is_as_if_it_were_not_there(seed: int, k: int) -> None:
    """A log without times: everything of train happens at one second and is seen, but the event that is asked for."""
    world = town(seed, count=60)
    row = seed % 60
    asked = Queries.from_users(world.log.user[row : row + 1], world.log.time.max()[None] + 1)
    context = sample(world, replace(asked, masked_event=torch.tensor([row])), fan_out={**FAN_OUT, "own_history": k})
    others = [event for event in Slow(world, asked, 0).mine if event != row]
    assert found(context, "own_history", 0) == others[:k]
    assert int(context.last_event[0]) == (others[0] if others else -1)
    for near in context.neighbourhoods.values():
        assert not (near.event[near.mask] == row).any()
        assert not (previous_event(world, context.queries, near.event) == row).any()
    assert UserHistory.before(world, context.queries).event.tolist() == others[::-1]


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.integers(1, 5))
def test_a_small_fan_out_keeps_the_latest(seed: int, k: int) -> None:
    world = town(seed)
    asked = questions(world, seed, frozen=False)
    few, many = (
        sample(world, asked, fan_out=dict.fromkeys(("own_history", "transitions", "nearby"), size)) for size in (k, 100)
    )
    for name, around in few.neighbourhoods.items():
        assert around.event.shape == (len(asked), k)
        for row in range(len(asked)):
            assert found(few, name, row) == found(many, name, row)[:k]


def street() -> TemporalGraph:
    """Three locations in a row, 0 - 1 - 2, near the next one only; an item of the same code in each.

    row       0   1   2   3   4   5
    time     10  20  20  30  40  50
    user      0   0   1   0   1   0
    place     0   1   1   2   0   -
    session   0   0   1   2   2   2
    """
    place = [0, 1, 1, 2, 0, -1]
    log = events([0, 0, 1, 0, 1, 0], [0, 1, 1, 2, 0, 1], [10, 20, 20, 30, 40, 50], place, session=[0, 0, 1, 2, 3, 2])
    log = replace(log, utc_offset=torch.tensor([0, 60, 60, -120, 60, 0], dtype=torch.int16))
    world = graph(log, 2, 3, 3)
    row = torch.tensor([[40.0, -74.0], [40.0, -73.99], [40.0, -73.98]])
    table = replace(world.nodes["location"], coordinates=row)
    ends = torch.tensor([0, 1, 1, 2]), torch.tensor([1, 0, 2, 1])
    edges = Edges("location", "location", *ends, torch.full((4,), TIME_MIN), torch.full((4,), 850.0))
    return replace(alone(world, location=table), edges={"near": edges})


def ask(
    user: int, time: int, place: tuple[float, float] = NOWHERE, session: int = -1, history_cutoff: int = TIME_MAX
) -> Queries:
    return Queries(
        torch.tensor([user]), torch.tensor([time]), torch.tensor([place]), torch.tensor([session]), history_cutoff
    )


FAN_OUT = {"own_history": 5, "transitions": 5, "nearby": 5}


def test_an_event_of_the_same_second_is_not_seen() -> None:
    context = sample(street(), ask(0, 20), fan_out=FAN_OUT)
    assert [found(context, name, 0) for name in FAN_OUT] == [[0], [], [0]]
    assert context.last_event.tolist() == [0]
    assert found(sample(street(), ask(0, 21), fan_out=FAN_OUT), "own_history", 0) == [1, 0]


def test_what_people_did_next_is_dated_by_what_they_did() -> None:
    # user 0 did item 2 after item 1 at 30, user 1 did item 0 after item 1 at 40
    assert found(sample(street(), ask(1, 30), fan_out=FAN_OUT), "transitions", 0) == []
    assert found(sample(street(), ask(1, 31), fan_out=FAN_OUT), "transitions", 0) == [3]
    assert found(sample(street(), ask(0, 51), fan_out=FAN_OUT), "transitions", 0) == [
        4,
        3,
    ]  # last item of user 0 is 1 again


def test_here_is_the_place_of_the_last_event_and_what_is_near_it() -> None:
    context = sample(street(), ask(0, 31), fan_out=FAN_OUT)
    assert (context.location.tolist(), found(context, "nearby", 0)) == ([2], [3, 2, 1])
    at_corner = sample(street(), ask(0, 31, (40.0, -74.001)), fan_out=FAN_OUT)
    assert (at_corner.location.tolist(), found(at_corner, "nearby", 0)) == ([0], [2, 1, 0])
    assert torch.equal(at_corner.coordinates, torch.tensor([[40.0, -74.001]]))


def test_an_event_without_a_place_leaves_no_place() -> None:
    context = sample(street(), ask(0, 60), fan_out=FAN_OUT)
    assert (context.location.tolist(), found(context, "nearby", 0)) == ([-1], [])
    assert torch.isnan(context.coordinates).all()


def test_local_time_is_that_of_the_last_event() -> None:
    assert sample(street(), ask(0, 31), fan_out=FAN_OUT).local_time.tolist() == [31 - 7200]
    assert sample(street(), ask(-1, 31), fan_out=FAN_OUT).local_time.tolist() == [31]


def test_a_frozen_history_sees_only_its_own_session_later() -> None:
    frozen = sample(street(), ask(0, 60, session=2, history_cutoff=20), fan_out=FAN_OUT)
    assert found(frozen, "own_history", 0) == [5, 3, 0]
    assert found(frozen, "transitions", 0) == []
    without = sample(street(), ask(0, 60, history_cutoff=20), fan_out=FAN_OUT)
    assert found(without, "own_history", 0) == [0]
    assert found(without, "nearby", 0) == [0]


@pytest.mark.parametrize("first_seen", [TIME_MIN, 30, 31, TIME_MAX])
def test_the_nearest_location_is_one_that_is_known(first_seen: int) -> None:
    world = street()
    dated = replace(world.nodes["location"], first_seen=torch.tensor([first_seen, TIME_MIN, TIME_MIN]))
    asked = ask(-1, 31, (40.0, -74.0))
    assert nearest_location(alone(world, location=dated), asked).tolist() == [0 if first_seen < 31 else 1]
    assert nearest_location(alone(world, location=dated).as_of(30), asked).tolist() == [int(first_seen != TIME_MIN)]


def test_no_location_is_nearest_without_coordinates() -> None:
    here = ask(0, 30, (40.0, -74.0))
    world = street()
    unplaced = replace(world.nodes["location"], coordinates=None)
    nan = replace(world.nodes["location"], coordinates=torch.full((3, 2), math.nan))
    for table in (unplaced, nan):
        assert nearest_location(alone(world, location=table), here).tolist() == [-1]
    assert nearest_location(world, ask(0, 30)).tolist() == [-1]
    assert nearest_location(graph(events([0], [0], [0]), 1, 1, seed=3), here).tolist() == [-1]


def test_an_event_is_where_its_item_is_or_else_its_location() -> None:
    world = street()
    rows = torch.tensor([[3, 5, -1]])
    assert event_coordinates(world, rows)[0, 0].tolist() == pytest.approx([40.0, -73.98])
    assert torch.isnan(event_coordinates(world, rows)[0, 1:]).all()
    placed = torch.tensor([[1.0, 1.0], [math.nan, math.nan], [2.0, 2.0]])
    there = alone(world, item=replace(world.nodes["item"], coordinates=placed))
    assert event_coordinates(there, torch.tensor([3, 0, 1, 5]))[:2].tolist() == [[2.0, 2.0], [1.0, 1.0]]
    assert event_coordinates(there, torch.tensor([1]))[0].tolist() == pytest.approx([40.0, -73.99])


@pytest.mark.parametrize("fan_out", [{}, {"transitions": 3}, {"nearby": 2}, {"own_history": 1, "nearby": 2}])
def test_only_the_relations_asked_for(fan_out: dict[str, int]) -> None:
    context = sample(street(), ask(0, 31), fan_out=fan_out)
    assert {name: around.event.shape[1] for name, around in context.neighbourhoods.items()} == fan_out
    assert context.last_item.tolist() == [2]


def test_a_user_of_a_later_date_is_a_stranger() -> None:
    world = street()
    late = replace(nodes("user", 2, world.log), first_seen=torch.tensor([10, 20]))
    users = [sample(alone(world, user=late), ask(1, time), fan_out=FAN_OUT).queries.user.tolist() for time in (20, 21)]
    assert users == [[-1], [1]]
    assert sample(alone(world, user=late).as_of(20), ask(1, 99), fan_out=FAN_OUT).queries.user.tolist() == [-1]


def test_questions_of_nobody_and_no_question() -> None:
    context = sample(street(), ask(-1, 60), fan_out=FAN_OUT)
    assert not any(around.mask.any() for around in context.neighbourhoods.values())
    assert (context.last_event.tolist(), context.last_item.tolist(), context.location.tolist()) == ([-1], [-1], [-1])
    none = sample(street(), ask(0, 60).rows(slice(0, 0)), fan_out=FAN_OUT)
    assert all(around.event.shape == (0, 5) for around in none.neighbourhoods.values())


def test_rows_of_a_context() -> None:
    world = town(3)
    asked = questions(world, 3, frozen=True)
    whole, part = (sample(world, one, fan_out=FAN_OUT) for one in (asked, asked.rows(slice(4, 9))))
    assert torch.equal(whole.rows(slice(4, 9)).last_event, part.last_event)
    for name in FAN_OUT:
        assert torch.equal(whole.rows(slice(4, 9)).neighbourhoods[name].mask, part.neighbourhoods[name].mask)
    assert part.neighbourhoods["own_history"].mask.any()
    assert torch.equal(whole.rows(slice(4, 9)).local_time, part.local_time)
