"""Attention flows are the score: what enters a node leaves it, and what reaches the item is its probability."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import InputError, RunError
from graphrec.evidence.flow import UNKNOWN_USER, AttentionFlow, attention_flow, capture_attention, flow_to
from graphrec.evidence.shares import explain
from graphrec.graph.geography import distance_features, distance_km
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.item_to_item import ItemKNN, ItemKNNConfig
from graphrec.models.ranking import StgatRanker
from graphrec.queries.query import Queries
from graphrec.recommendation import recommend
from graphrec.runs.run import Run
from tests.networks import again, scores, untrained
from tests.worlds import events, graph, rewritten, town

SEEDS = st.integers(0, 10_000)
DAY = 86_400


def question(world: TemporalGraph, row: int = 100) -> Queries:
    """One second after an event, by its user."""
    return Queries.from_users(world.log.user[row : row + 1].long(), world.log.time[row : row + 1] + 1)


def masses(network: nx.DiGraph) -> nx.DiGraph:
    """The layer of the flow whose numbers are parts of the score."""
    return nx.DiGraph(network.edge_subgraph([edge[:2] for edge in network.edges(data="layer") if edge[2] == "score"]))


def weights_into(network: nx.DiGraph, node: tuple[str, str]) -> float:
    return sum(weight for _, _, weight in network.in_edges(node, data="weight"))


@settings(deadline=None, max_examples=12)
@given(SEEDS, st.booleans())
def test_what_enters_a_node_leaves_it(seed: int, declared: bool) -> None:
    world = town(seed, declared=declared, dated=False)
    fan_out = {"own_history": 6, "transitions": 5, "nearby": 4} | ({"friend": 4} if declared else {})
    model = untrained(world, seed, spread=0.2, fan_out=fan_out)
    asked = question(world)
    dense = scores(world, model, asked)[0]
    for item in (int(dense.argmax()), int(dense.argmin())):
        flow = flow_to(StgatRanker(world, model), asked, item)
        network = masses(flow.to_networkx())
        assert flow.score == pytest.approx(float(dense[item]), abs=1e-6)
        assert network.in_degree(("item", flow.item), "mass") == pytest.approx(flow.score, abs=1e-6)
        assert network.out_degree(("user", flow.user), "mass") == pytest.approx(flow.score, abs=1e-6)
        for node in network.nodes - {("item", flow.item), ("user", flow.user)}:
            assert network.in_degree(node, "mass") == pytest.approx(network.out_degree(node, "mass"), abs=1e-6)
        assert nx.is_directed_acyclic_graph(network)


@settings(deadline=None, max_examples=8)
@given(SEEDS)
def test_weights_are_those_of_the_askings(seed: int) -> None:
    world = town(seed, dated=False)
    model = untrained(world, seed, spread=0.2)
    flow = flow_to(StgatRanker(world, model), question(world), 3)
    network = flow.to_networkx()
    relations = {one.relation for one in flow.events}
    assert "own_history" in relations
    for name in relations:
        assert weights_into(network, ("read", name)) == pytest.approx(1, abs=1e-5)
    assert weights_into(network, ("propagation", "cf")) == pytest.approx(1, abs=1e-5)
    assert sum(flow.gates.values()) == pytest.approx(1, abs=1e-5)
    assert flow.path_decay == {name: model.attention(name).path_decay.item() for name in model.config.fan_out}
    for source, target, share in network.edges(data="weight"):
        if source[0] == "before":
            earlier, later = int(source[1]), network.nodes[target]["event"]
            assert world.log.user[earlier] == world.log.user[later]
            assert earlier < later
            assert share == flow.path_decay[target[0]]


def test_the_flow_is_the_evidence() -> None:
    world = town(5, dated=False)
    ranker, asked = StgatRanker(world, untrained(world, 5, spread=0.2)), question(world)
    [[told]] = explain(ranker, asked, items=torch.tensor([[4]]))
    through = flow_to(ranker, asked, 4).share_by_relation()
    assert {part.relation: part.share for part in told.evidence if part.share} == pytest.approx(
        {name: mass for name, mass in through.items() if mass}, abs=1e-6
    )


@torch.inference_mode()
def test_terms_are_the_logit() -> None:
    world = town(6, dated=False)
    model = untrained(world, 6, spread=0.2)
    ranker, asked = StgatRanker(world, model), question(world)
    answer = ranker.forward(asked)
    flow = flow_to(ranker, asked, 2)
    logit = ranker.item_logits(answer.state, answer.context)[0, 2]
    assert sum(flow.logit.values()) == pytest.approx(float(logit), abs=1e-5)
    assert flow.semantic == pytest.approx(
        flow.gates["semantic"] * float((logit - answer.log_partition[0]).exp()), abs=1e-6
    )
    away = distance_km(answer.context.coordinates, world.nodes["item"].coordinates[2])
    distance = (answer.state.distance_weights * distance_features(away)).sum()
    assert flow.logit["distance"] == pytest.approx(float(distance), abs=1e-5)
    placeless = town(6, dated=False, places=False)
    bare = flow_to(
        StgatRanker(placeless, untrained(placeless, 6, spread=0.2, propagation=False)), question(placeless), 2
    )
    assert (bare.logit["distance"], bare.logit["cf"]) == (0.0, 0.0)
    assert not any(one.recency_weight for one in bare.events)


@settings(deadline=None, max_examples=8)
@given(SEEDS)
def test_the_future_moves_nothing(seed: int) -> None:
    world = town(seed)
    model, asked = untrained(world, seed, spread=0.2), question(world, 80)
    item = int(world.nodes["item"].first_seen.argmin())
    later = rewritten(world, int(asked.time), seed)
    assert not torch.equal(later.log.item, world.log.item)
    assert flow_to(StgatRanker(later, again(model, later)), asked, item) == flow_to(
        StgatRanker(world, model), asked, item
    )


def test_a_planted_flow_by_hand() -> None:
    """User 0 had item 0, 1, 0 and 2; a network of zeros gives a half to each part, and a quarter of one to each event.

    Item 0: 1/2 * 2/4 by events, and 1/2 * 1/5 by the semantic space that knows five items.
    """
    world = graph(events([0] * 4, [0, 1, 0, 2], [DAY * day for day in range(4)]), 1, 5)
    model = untrained(world, 0, spread=0.0, fan_out={"own_history": 8}, propagation=False, heads=1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "path_decay" not in name:
                weight.zero_()
    flow = flow_to(StgatRanker(world, model), Queries.from_users(torch.tensor([0]), torch.tensor([9 * DAY])), 0)
    assert flow.gates == pytest.approx({"semantic": 1 / 2, "own_history": 1 / 2})
    assert flow.share_by_relation() == pytest.approx({"semantic": 1 / 10, "own_history": 1 / 4})
    assert [(one.event, one.previous) for one in flow.supporting_events] == [(2, 1), (0, None)]
    assert [one.mass for one in flow.supporting_events] == pytest.approx([1 / 8, 1 / 8])
    assert [one.summary_weight for one in flow.events] == pytest.approx([1 / 4] * 4)
    network = flow.to_networkx()
    assert network.edges[("before", "1"), ("own_history", "2")] == {"layer": "before", "weight": 1.0}


def test_a_stranger_is_answered_by_the_semantic_space_alone() -> None:
    world = town(7, dated=False, locations=0)
    nobody = Queries.from_users(torch.tensor([-1]), world.log.time[-1:] + 1)
    flow = flow_to(StgatRanker(world, untrained(world, 7, spread=0.2)), nobody, 1)
    assert (flow.user, flow.events, flow.supporting_events) == (UNKNOWN_USER, (), ())
    assert flow.score == flow.semantic
    assert masses(flow.to_networkx()).in_degree(("item", "item-1"), "mass") == pytest.approx(flow.score)


def test_without_a_log_there_is_a_flow_still() -> None:
    world = graph(events([], [], []), 1, 3)
    flow = flow_to(StgatRanker(world, untrained(world, 8)), Queries.from_users(torch.tensor([0]), torch.tensor([0])), 1)
    assert flow.score == pytest.approx(flow.semantic)


def test_without_relations_there_is_a_flow_still() -> None:
    world = town(8, dated=False)
    flow = flow_to(StgatRanker(world, untrained(world, 8, fan_out={})), question(world), 1)
    assert (flow.score, flow.gates) == (flow.semantic, {"semantic": pytest.approx(1)})
    assert masses(flow.to_networkx()).in_degree(("item", "item-1"), "mass") == pytest.approx(flow.score)


def test_one_question_of_an_item_that_is_known() -> None:
    world = town(9)
    ranker = StgatRanker(world, untrained(world, 9))
    with pytest.raises(InputError, match="one question expected, got 2"):
        flow_to(ranker, Queries.from_users(torch.tensor([0, 1]), torch.tensor([0, 0])), 1)
    late = int(world.nodes["item"].first_seen.argmax())
    early = Queries.from_users(torch.tensor([0]), world.log.time[:1])
    with pytest.raises(InputError, match=f"item 'item-{late}' is first seen at .* so not before"):
        flow_to(ranker, early, late)


def test_nothing_is_left_listening() -> None:
    world = town(10)
    model = untrained(world, 10)
    with pytest.raises(InputError), capture_attention(model):
        raise InputError("stop")
    assert not any(module._forward_hooks for module in model.modules())


def test_the_flow_of_a_run(city_run: Path) -> None:
    run = Run.open(city_run, device="cpu")
    best: AttentionFlow = attention_flow(run, "u0003")
    code = run.graph.nodes["user"].code("u0003")
    asked = Queries.from_users(torch.tensor([code]), run.graph.log.time[-1:] + 1)
    first = run.ranker.top(asked, 1, candidates=run.protocol.candidate_mask(run.graph))
    assert (best.code, best.score) == (int(first.items), pytest.approx(float(first.scores), abs=1e-6))
    other = str(run.graph.nodes["item"].ids[4].as_py())
    assert attention_flow(run, "u0003", item=other).item == other
    judged = replace(run, protocol=run.protocol.model_copy(update={"novel": True}))
    [new] = recommend(run, ["u0003"], k=1, novel=True)
    assert attention_flow(judged, "u0003").item == new.items[0].item != best.item
    assert attention_flow(run, "nobody", near=(40.4, -3.7)).user == UNKNOWN_USER
    with pytest.raises(InputError, match="item 'nowhere' is not among the"):
        attention_flow(run, "u0003", item="nowhere")


def test_only_stgat_has_a_flow(city_run: Path) -> None:
    run = Run.open(city_run, device="cpu")
    config = run.config.model_copy(update={"model": ItemKNNConfig()})
    with pytest.raises(RunError, match="only stgat can take its scores apart"):
        attention_flow(replace(run, config=config, model=ItemKNN(run.graph)), "u0003")
