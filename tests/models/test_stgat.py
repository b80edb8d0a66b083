from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from graphrec.errors import GraphError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX, TIME_MIN
from graphrec.models.stgat import ModelConfig, Stgat
from graphrec.queries.query import Queries
from tests.networks import again, scores, settings, untrained
from tests.worlds import alone, continued, cut, events, first_times, graph, nodes, town

SEEDS = st.integers(0, 10_000)
CONFIGS: dict[str, dict[str, Any]] = {
    "all": {},
    "no ids": {"ids": False},
    "no ids and no relation": {"ids": False, "fan_out": {}},
    "one relation": {"fan_out": {"transitions": 3}},
    "no relation": {"fan_out": {}},
}


def everybody(world: TemporalGraph, time: int) -> Queries:
    user = torch.arange(-1, len(world.nodes["user"]))
    return Queries.from_users(user, torch.full_like(user, time))


def now(world: TemporalGraph) -> int:
    return int(world.log.time[-1]) + 1 if len(world.log) else 0


def changed(world: TemporalGraph, event: Tensor, **columns: Tensor) -> TemporalGraph:
    """The world with other values in some events."""
    log = {name: getattr(world.log, name).clone() for name in columns}
    for name, value in columns.items():
        log[name][event] = value.to(log[name].dtype)
    return alone(world, replace(world.log, **log))


def moved(world: TemporalGraph, other: TemporalGraph, seed: int, asked: Queries) -> list[bool]:
    """Which questions get other scores in the other world."""
    model = untrained(world, seed)
    one, two = scores(world, model, asked), scores(other, again(model, other), asked)
    return ((one - two).abs() > 1e-6).any(1).tolist()


def islands(seed: int) -> TemporalGraph:
    """Two towns that share no item, no location and no way: users 0 to 3 in one, 4 to 7 in the other."""
    world = town(seed, items=20, locations=6, dated=False)
    far = (world.log.user >= 4).int()
    place = torch.where(world.log.location >= 0, world.log.location % 3 + 3 * far, -1)
    edges = world.edges["near"]
    inside = (edges.source < 3) == (edges.target < 3)
    columns = ("source", "target", "valid_from", "metres")
    edges = replace(edges, **{name: getattr(edges, name)[inside] for name in columns})
    log = replace(world.log, item=world.log.item % 10 + 10 * far, location=place)
    return replace(alone(world, log), edges={"near": edges})


@within(deadline=None, max_examples=20)
@given(SEEDS, st.integers(0, 119))
def test_a_users_own_past_moves_their_scores(seed: int, row: int) -> None:
    world = town(seed)
    last = int((world.log.user == world.log.user[row]).nonzero()[-1])
    other = changed(world, torch.tensor([last]), item=(world.log.item[last] + 1) % 15)
    asked = Queries.from_users(world.log.user[row : row + 1], torch.tensor([now(world)]))
    assert moved(world, other, seed, asked) == [True]


@within(deadline=None, max_examples=20)
@given(SEEDS, st.integers(1, 9), st.integers(1, 2))
def test_what_happens_on_another_island_moves_nobody_here(seed: int, item: int, place: int) -> None:
    world = islands(seed)
    there = world.log.user >= 4
    away = there & (world.log.location >= 0)
    other = changed(world, there, item=(world.log.item[there] + item) % 10 + 10)
    other = changed(other, away, location=(world.log.location[away] + place) % 3 + 3)
    other = changed(other, there, weight=torch.tensor(9), utc_offset=torch.tensor(77))
    found = moved(world, other, seed, everybody(world, now(world)))
    assert found[:5] == [False] * 5  # the stranger and the users of this island
    assert any(found[5:])


@within(deadline=None, max_examples=20)
@given(SEEDS, st.randoms())
def test_questions_of_a_batch_do_not_see_each_other(seed: int, random: Any) -> None:
    world = town(seed)
    model, asked = untrained(world, seed), everybody(world, now(world))
    order = torch.tensor(random.sample(range(len(asked)), len(asked)))
    whole = scores(world, model, asked)
    torch.testing.assert_close(scores(world, model, asked.rows(order)), whole[order], rtol=1e-5, atol=1e-6)
    few = order[:3]
    torch.testing.assert_close(scores(world, model, asked.rows(few)), whole[few], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bare", [{}, {"locations": 0}, {"texts": 0}, {"places": False}, {"dated": False}])
@pytest.mark.parametrize("config", sorted(CONFIGS))
def test_scores_are_a_distribution_whatever_there_is(bare: dict[str, Any], config: str) -> None:
    world = town(11, **bare)
    found = scores(world, untrained(world, 11, **CONFIGS[config]), everybody(world, now(world)))
    known = world.nodes["item"].first_seen < now(world)
    assert (found[:, known] > 0).all()
    assert (found[:, ~known] == -torch.inf).all()
    assert found[:, known].sum(1).tolist() == pytest.approx([1.0] * len(found), abs=1e-5)


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("bare", [{}, {"locations": 0}, {"places": False}])
@pytest.mark.parametrize("history_cutoff", [TIME_MAX, 5])
def test_no_event_and_one_event(count: int, bare: dict[str, Any], history_cutoff: int) -> None:
    world = town(12, dated=False, **bare)
    world = alone(world, world.log.rows(slice(60, 60 + count)))
    asked = replace(everybody(world, now(world) + 10), history_cutoff=history_cutoff)
    found = scores(world, untrained(world, 12), asked)
    assert found.sum(1).tolist() == pytest.approx([1.0] * 9, abs=1e-5)


def test_before_everything_there_is_only_the_catalogue() -> None:
    world = town(13)
    found = scores(world, untrained(world, 13), everybody(world, 0))
    listed = world.nodes["item"].first_seen == TIME_MIN
    assert ((found > -torch.inf) == listed).all()
    assert found[:, listed].sum(1).tolist() == pytest.approx([1.0] * 9, abs=1e-5)


def test_a_user_without_past_text_or_training_is_a_stranger() -> None:
    log = events([0, 0, 1], [0, 1, 2], [10, 20, 30])
    world = graph(log, 3, 4, seed=14)
    asked = Queries.from_users(torch.tensor([2, -1, 7, 0]), torch.tensor([40] * 4))
    found = scores(world, untrained(world, 14), asked)
    torch.testing.assert_close(found[1:3], found[:1].expand(2, -1))
    assert not torch.allclose(found[3], found[0], atol=1e-3)


def test_a_learned_id_counts_only_where_training_saw_the_node() -> None:
    world = graph(events([0, 1], [0, 1], [10, 20], split=[0, 2]), 3, 3)
    model = untrained(world, 15)
    one = scores(world, model, everybody(world, 5))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("identity.weight") or name == "bias.weight":
                weight[1:] += 1.0  # nodes 1 and 2 occur in no train event
    torch.testing.assert_close(scores(world, model, everybody(world, 5)), one)


@pytest.mark.parametrize("feature", ["vectors", "coordinates"])
def test_text_and_coordinates_count(feature: str) -> None:
    world = town(16)
    tables = {}
    for kind, table in world.nodes.items():
        column = getattr(table, feature)
        tables[kind] = replace(table, **{feature: None if column is None else column.flip(0)})
    other = alone(world, **tables)
    asked = everybody(world, now(world))
    model = untrained(world, 16)
    assert not torch.allclose(scores(world, model, asked), scores(other, again(model, other), asked), atol=1e-6)


def test_appended_events_and_nodes_count_at_once() -> None:
    world = town(17)
    model, time = untrained(world, 17), now(world)
    grown = continued(world, time, 17, new=4)
    asked = everybody(grown, now(grown))
    found = scores(grown, again(model, grown), asked)
    known = grown.nodes["item"].first_seen < now(grown)
    assert known[-4:].any()
    assert found[:, known].sum(1).tolist() == pytest.approx([1.0] * len(found), abs=1e-5)
    assert (found[:, known] > 0).all()
    before = scores(cut(grown, time), again(model, cut(grown, time)), asked)
    assert ((found - before).abs() > 1e-6).any(1).sum() > 8


def test_a_graph_may_grow_its_first_nodes_of_a_type() -> None:
    world = town(18, locations=0)
    grown = continued(world, now(world), 18)
    found = scores(grown, again(untrained(world, 18), grown), everybody(grown, now(grown)))
    known = grown.nodes["item"].first_seen < now(grown)
    assert found[:, known].sum(1).tolist() == pytest.approx([1.0] * len(found), abs=1e-5)


def test_local_time_and_not_the_machines_decides_the_hour() -> None:
    day = 86_400
    log = events([0] * 4, [0, 1, 0, 1], [9 * 3600, 20 * 3600, day + 9 * 3600, day + 20 * 3600])
    west = replace(log, time=log.time + 5 * 3600, utc_offset=torch.full((4,), -300, dtype=torch.int16))
    model = untrained(graph(log, 1, 3), 19)
    here = scores(graph(log, 1, 3), model, Queries.from_users(torch.tensor([0]), torch.tensor([2 * day])))
    there = scores(graph(west, 1, 3), model, Queries.from_users(torch.tensor([0]), torch.tensor([2 * day + 5 * 3600])))
    torch.testing.assert_close(here, there)


def test_items_of_one_text_and_place_are_alike_to_a_network_without_ids() -> None:
    log = events([0, 0], [0, 1], [10, 20])
    world = graph(log, 1, 4, seed=20, vectors=4)
    table = world.nodes["item"]
    twins = replace(table, vectors=table.vectors[[0, 1, 2, 2]], coordinates=table.coordinates[[0, 1, 2, 2]])
    world = alone(world, item=twins)
    found = scores(world, untrained(world, 20, ids=False), everybody(world, 30))
    torch.testing.assert_close(found[:, 2], found[:, 3])


def test_dropout_and_hidden_ids_are_of_training_only() -> None:
    world = town(21)
    model, asked = untrained(world, 21, dropout=0.5, id_dropout=0.5), everybody(world, now(world))
    assert torch.equal(scores(world, model, asked), scores(world, model, asked))


def test_the_same_seed_makes_the_same_network() -> None:
    world = town(22)
    one, two, other = (untrained(world, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "wrong",
    [
        {"heads": 3},
        {"dimension": 2},
        {"dropout": 1.0},
        {"fan_out": {"own_history": 0}},
        {"width": 4},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


def test_a_neighbourhood_that_the_graph_does_not_have_is_refused() -> None:
    with pytest.raises(GraphError, match="got 'there'"):
        Stgat(town(1), settings(fan_out={"there": 3}))


def test_the_defaults_are_valid() -> None:
    assert ModelConfig() == ModelConfig.model_validate(ModelConfig().model_dump())


def test_dates_of_nodes_are_those_of_first_events() -> None:
    log = events([0, 1, 1], [2, 2, 0], [10, 20, 30])
    assert first_times(log.item, log.time, 4).tolist() == [30, TIME_MAX, 10, TIME_MAX]
    assert len(nodes("item", 4, log)) == 4
