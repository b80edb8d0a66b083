"""Nothing at or after a time moves an answer asked as of it: not an event, not a node, not by a tie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.build import build_graph
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.models.ranking import StgatRanker
from graphrec.models.stgat import Stgat
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.queries.query import Queries
from graphrec.queries.sampling import Neighbourhood, sample
from tests.networks import again, scores, untrained
from tests.worlds import DECLARED, alone, continued, cut, rewritten, town

SEEDS = st.integers(0, 10_000)
ROWS = st.integers(0, 119)
FUTURES = {
    "cut": lambda world, time, seed: cut(world, time),
    "rewritten": rewritten,
    "continued": continued,
}
BARE: dict[str, dict[str, Any]] = {
    "all": {},
    "no locations": {"locations": 0},
    "no texts": {"texts": 0},
    "no places": {"places": False},
    "undated": {"dated": False},
    "declared": {"declared": True},
}
"""What a world may lack, or have besides."""
FAN_OUT = {"own_history": 6, "transitions": 5, "nearby": 4}


def network(world: TemporalGraph, seed: int) -> Stgat:
    """Every relation of the world, and every part of the collaborative filter."""
    fan_out = {**FAN_OUT, **dict.fromkeys(DECLARED.keys() & world.edges.keys(), 4)}
    return untrained(world, seed, fan_out=fan_out, low_pass=2, transition_ridge=2.0)


def everybody(world: TemporalGraph, time: int, history_cutoff: int = TIME_MAX) -> Queries:
    """Every user and a stranger at one time; each user in the session of one of their events, if any has one."""
    user = torch.arange(-1, len(world.nodes["user"]))
    session = torch.full_like(user, -1)
    session[world.log.user.long() + 1] = world.log.session.long()
    place = torch.full((len(user), 2), torch.nan)
    place[::3] = torch.tensor([40.75, -73.99])
    return Queries(user, torch.full_like(user, time), place, session, history_cutoff)


def assert_same(one: torch.Tensor, other: torch.Tensor, items: int) -> None:
    """The first ``items`` scores are the same; nodes that came later are not ranked."""
    torch.testing.assert_close(other[:, :items], one, rtol=1e-5, atol=1e-7)
    assert (other[:, items:] == -torch.inf).all()


def looked_at(around: Neighbourhood) -> list[list[int]]:
    """Rows of the events of each question, in order."""
    return [row[mask].tolist() for row, mask in zip(around.event, around.mask, strict=True)]


def assert_answers_same(one: TemporalGraph, other: TemporalGraph, model: Stgat, asked: Queries) -> None:
    """The very same events are looked at, and every score is the same."""
    config = model.config
    seen, seen_other = (sample(world, asked, fan_out=config.fan_out) for world in (one, other))
    for name, around in seen.neighbourhoods.items():
        assert looked_at(around) == looked_at(seen_other.neighbourhoods[name]), name
    assert torch.equal(seen.last_event, seen_other.last_event)
    assert torch.equal(seen.location, seen_other.location)
    assert_same(scores(one, model, asked), scores(other, again(model, other), asked), len(one.nodes["item"]))


@settings(deadline=None, max_examples=60)
@given(SEEDS, ROWS, st.integers(0, 1), st.sampled_from(sorted(FUTURES)), st.sampled_from(sorted(BARE)), st.booleans())
def test_no_future_moves_a_score(seed: int, row: int, later: int, future: str, bare: str, frozen: bool) -> None:
    world = town(seed, **BARE[bare])
    time = int(world.log.time[row]) + later
    asked = everybody(world, time, int(world.log.time[row // 2]) if frozen else TIME_MAX)
    assert_answers_same(world, FUTURES[future](world, time, seed), network(world, seed), asked)


@settings(deadline=None, max_examples=25)
@given(SEEDS, ROWS, st.sampled_from(sorted(FUTURES)), st.sampled_from([0, 1, 864_000, TIME_MAX]))
def test_a_view_asked_later_is_asked_as_of_its_horizon(seed: int, row: int, future: str, later: int) -> None:
    world = town(seed)
    time, model = int(world.log.time[row]), network(world, seed)
    at_once, late = everybody(world, time), everybody(world, min(time + later, TIME_MAX))
    other = FUTURES[future](world, time, seed).as_of(time)
    assert_answers_same(world.as_of(time), other, model, late)
    found = scores(world.as_of(time), model, late)
    assert_same(scores(world, model, at_once), found, len(world.nodes["item"]))


@settings(deadline=None, max_examples=25)
@given(SEEDS, ROWS, st.sampled_from(["streaming", "frozen"]))
def test_a_last_event_question_knows_nothing_of_its_answer(seed: int, row: int, history: Any) -> None:
    world = town(seed)
    protocol, rows = EvaluationProtocol(query_time="last-event", history=history), torch.tensor([row])
    asked = protocol.queries(world, rows)
    late = world.log.time >= asked.time
    assert late[row]
    log = replace(
        world.log,
        item=torch.where(late, (world.log.item + 1) % 15, world.log.item),
        location=torch.where(late, (world.log.location + 1) % 9, world.log.location),
        weight=torch.where(late, 9.0, world.log.weight),
        utc_offset=torch.where(late, 0, world.log.utc_offset),
    )
    other = alone(world, log)
    again_asked = protocol.queries(other, rows)
    assert (again_asked.time, again_asked.session) == (asked.time, asked.session)
    assert_answers_same(world, other, network(world, seed), asked)


@settings(deadline=None, max_examples=40)
@given(SEEDS, ROWS, st.integers(0, 119))
def test_a_frozen_history_sees_nothing_of_other_sessions(seed: int, row: int, frozen: int) -> None:
    world = town(seed)
    history_cutoff, log = int(world.log.time[frozen]), world.log
    asked = EvaluationProtocol(query_time="request").queries(world, torch.tensor([row]))
    asked = replace(asked, history_cutoff=history_cutoff)
    hidden = (log.time >= history_cutoff) & ((log.session != asked.session) | (log.session < 0))
    changed = replace(
        log,
        item=torch.where(hidden, (log.item + 1) % 15, log.item),
        location=torch.where(hidden, (log.location + 1) % 9, log.location),
        weight=torch.where(hidden, 9.0, log.weight),
    )
    assert_answers_same(world, alone(world, changed), network(world, seed), asked)


@settings(deadline=None, max_examples=20)
@given(SEEDS, ROWS, st.sampled_from(sorted(FUTURES)), st.booleans())
def test_no_future_moves_a_ranking(seed: int, row: int, future: str, novel: bool) -> None:
    world = town(seed)
    time, model = int(world.log.time[row]), network(world, seed)
    asked, other = everybody(world, time), FUTURES[future](world, time, seed)
    target = torch.arange(len(asked)) % 15
    one, two = StgatRanker(world, model), StgatRanker(other, again(model, other))
    ranks = [ranker.expected_ranks(asked, target, novel=novel) for ranker in (one, two)]
    torch.testing.assert_close(ranks[0], ranks[1], rtol=0, atol=1)  # scores that differ in their last digits may swap
    best = [ranker.top(asked, 5, novel=novel) for ranker in (one, two)]
    torch.testing.assert_close(best[0].scores, best[1].scores, rtol=1e-5, atol=1e-7)
    assert (best[1].items < 15).all()


def test_rows_appended_to_a_log_move_no_score_before_them(tmp_path: Path) -> None:
    draw = np.random.default_rng(81)
    lat, lon = draw.uniform(40.70, 40.75, 40), draw.uniform(-74.0, -73.95, 40)
    place = np.concatenate((draw.integers(0, 20, 200), draw.integers(0, 40, 100)))  # half of the places come late
    rows = [f"{draw.integers(10)},{p},{p},{1_600_000_000 + 3600 * i},{lat[p]},{lon[p]}" for i, p in enumerate(place)]
    graphs = []
    for count in (200, 300):
        log = tmp_path / f"{count}.csv"
        log.write_text("\n".join(["user,item,location,time,lat,lon", *rows[:count]]) + "\n")
        build_graph([log], tmp_path / f"{count}", text_model="none")
        graphs.append(TemporalGraph.open(tmp_path / f"{count}"))
    asked = Queries.from_users(torch.arange(10), torch.full((10,), 1_600_000_000 + 3600 * 200))
    assert_answers_same(*graphs, network(graphs[0], 81), asked)


@pytest.mark.parametrize("bare", sorted(BARE))
def test_the_second_before_is_seen(bare: str) -> None:
    """The proofs above could pass if scores never moved: what happened just before the question moves them."""
    world = town(7, **BARE[bare])
    model, user = network(world, 7), int(world.log.user[60])
    asked = Queries.from_users(torch.tensor([user]), world.log.time[60:61] + 1)
    item = world.log.item.clone()
    item[60] = (item[60] + 1) % 15
    other = alone(world, replace(world.log, item=item))
    assert not torch.allclose(scores(world, model, asked), scores(other, again(model, other), asked), atol=1e-3)
