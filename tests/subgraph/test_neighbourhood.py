"""The model's neighbourhood: exactly the events that it read, each with what the model gave it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import InputError, RunError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.baselines import Nearest
from graphrec.models.ranking import StgatRanker
from graphrec.models.score_ranker import ScoreRanker
from graphrec.queries.query import Queries, queries_for_events
from graphrec.queries.sampling import sample
from graphrec.runs.run import Run
from graphrec.subgraph.neighbourhood import model_neighbourhood, neighbourhood_of
from tests.networks import again, untrained
from tests.worlds import continued, rewritten, town

SEEDS = st.integers(0, 10_000)
FAN_OUT = {"own_history": 6, "transitions": 5, "nearby": 4, "friend": 3, "made_by": 3, "goes_with": 3, "district": 3}


def read(network: nx.MultiDiGraph) -> dict[tuple[str, int], float]:
    """Mass of each event by relation."""
    return {(data["relation"], data["event"]): data["mass"] for *_, data in network.edges(data=True) if "event" in data}


def ranked(world: TemporalGraph, seed: int, **changes: Any) -> StgatRanker:
    return StgatRanker(world, untrained(world, seed, **{"fan_out": FAN_OUT, **changes}))


@settings(deadline=None, max_examples=5)
@given(SEEDS, st.integers(20, 119), st.booleans())
def test_its_events_are_those_that_the_model_read(seed: int, row: int, frozen: bool) -> None:
    world = town(seed, declared=True)
    start = int(world.log.time[row // 2]) if frozen else int(world.log.time[-1]) + 1
    asked = queries_for_events(world, torch.tensor([row]), "request", history_cutoff=start)
    ranker = ranked(world, seed)
    context = sample(world, asked, fan_out=FAN_OUT)
    if int(context.queries.user[0]) < 0:
        with pytest.raises(InputError, match="a user whom the graph knows"):
            neighbourhood_of(ranker, asked)
        return
    network = neighbourhood_of(ranker, asked)
    expected = {
        (name, event) for name, near in context.neighbourhoods.items() for event in near.event[0][near.mask[0]].tolist()
    }
    assert read(network).keys() == expected
    semantic = float(ranker.forward(asked).state.log_mixture_weights[0, 0].exp())
    assert sum(read(network).values()) == pytest.approx(1 - semantic, abs=1e-5)
    for source, target, data in network.edges(data=True):
        assert network.nodes[target]["hop"] <= network.nodes[source]["hop"] + 1
        if "event" in data:
            assert target == ("item", f"item-{int(world.log.item[data['event']])}")
            assert data["time"] == int(world.log.time[data["event"]]) < int(asked.time[0])
    assert nx.is_weakly_connected(network)


@settings(deadline=None, max_examples=5)
@given(SEEDS, st.integers(20, 119))
def test_an_items_edges_carry_what_the_pointers_give_it(seed: int, row: int) -> None:
    world = town(seed)
    time, user = int(world.log.time[row]), f"user-{int(world.log.user[0])}"
    if int(world.nodes["user"].first_seen[int(world.log.user[0])]) >= time:
        return
    ranker = ranked(world, seed, fan_out={"own_history": 6, "transitions": 5, "nearby": 4})
    mass = torch.zeros(len(world.nodes["item"]))
    for (_, event), share in read(model_neighbourhood(ranker, user, time=time)).items():
        mass[int(world.log.item[event])] += share
    asked = Queries.from_users(torch.tensor([int(world.log.user[0])]), torch.tensor([time]))
    answer = ranker.forward(asked)
    pointed = torch.zeros_like(mass).index_add(0, answer.event_item[0], answer.event_probability[0])
    torch.testing.assert_close(mass, pointed)


@settings(deadline=None, max_examples=5)
@given(SEEDS, st.integers(20, 100))
def test_the_future_moves_nothing(seed: int, row: int) -> None:
    world = town(seed, declared=True)
    time, code = int(world.log.time[row]), int(world.log.user[0])
    if int(world.nodes["user"].first_seen[code]) >= time:
        return
    model = untrained(world, seed, fan_out=FAN_OUT)
    found = [
        model_neighbourhood(StgatRanker(other, again(model, other)), f"user-{code}", time=time)
        for other in (world, rewritten(world, time, seed), continued(world, time, seed))
    ]
    for other in found[1:]:
        assert read(other) == pytest.approx(read(found[0]), abs=1e-5)
        assert set(other) == set(found[0])


def test_a_place_that_is_given_is_where_it_looks() -> None:
    world = town(3)
    time, user = int(world.log.time[-1]) + 1, f"user-{int(world.log.user[0])}"
    ranker = ranked(world, 3, fan_out={"own_history": 6, "nearby": 4})
    table = world.nodes["location"]
    code = next(code for code in range(9) if not bool(table.coordinates[code].isnan().any()))
    latitude, longitude = table.coordinates[code].tolist()
    network = model_neighbourhood(ranker, user, time=time, near=(latitude, longitude))
    assert ("location", f"location-{code}") in network
    (edge,) = network["user", user]["location", f"location-{code}"].values()
    assert edge["relation"] == "place"


def test_without_own_events_the_last_one_leads_to_what_comes_next() -> None:
    world = town(5)
    time, code = int(world.log.time[-1]) + 1, int(world.log.user[-1])
    network = model_neighbourhood(ranked(world, 5, fan_out={"transitions": 5}), f"user-{code}", time=time)
    mine = [event for relation, event in read(network) if relation == "own_history"]
    assert len(mine) <= 1
    assert all(int(world.log.user[event]) == code for event in mine)
    assert nx.is_weakly_connected(network)


def test_a_trained_run_is_asked_by_the_users_id(city_run: Path) -> None:
    run = Run.open(city_run)
    end = int(run.graph.log.time[-1]) + 1
    network = model_neighbourhood(run.ranker, "u0001", time=end)
    assert network.graph == {"user": "u0001", "time": end, "fan_out": run.config.model.fan_out}
    asked = Queries.from_users(torch.tensor([run.graph.nodes["user"].code("u0001")]), torch.tensor([end]))
    around = sample(run.graph, asked, fan_out=run.config.model.fan_out).neighbourhoods
    assert len(read(network)) == sum(int(near.mask.sum()) for near in around.values()) > 0


def test_what_has_no_neighbourhood_is_refused() -> None:
    world = town(1)
    ranker = ranked(world, 1, fan_out={"own_history": 6})
    with pytest.raises(InputError, match="'nobody' is not among"):
        model_neighbourhood(ranker, "nobody", time=1_700_000_000)
    with pytest.raises(InputError, match="one question expected, got 2"):
        neighbourhood_of(ranker, Queries.from_users(torch.tensor([0, 1]), torch.tensor([1_700_000_000] * 2)))
    with pytest.raises(RunError, match="a model that reads events"):
        model_neighbourhood(ScoreRanker(world, Nearest(world)), "user-0", time=1_700_000_000)
