"""Subgraphs: only what was there before the time, and all of it."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import InputError
from graphrec.graph.conversion import adjacency, to_hetero_data, to_networkx
from graphrec.graph.temporal_graph import EVENT_RELATIONS, TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX, TIME_MIN
from graphrec.subgraph.ego_network import difference, ego
from tests import worlds

DAY = 86_400
START = 1_600_000_000


def street() -> TemporalGraph:
    """Two users, three items, two places.

    ana:  item-0 @ day 0 (place 0)   item-1 @ day 1 (place 1)   item-0 @ day 3 (place 0)
    ben:                             item-1 @ day 2 (place 1)   item-2 @ day 2.5 (place 0)
    """
    log = worlds.events(
        user=[0, 0, 1, 1, 0],
        item=[0, 1, 1, 2, 0],
        time=[START, START + DAY, START + 2 * DAY, START + 5 * DAY // 2, START + 3 * DAY],
        location=[0, 1, 1, 0, 0],
    )
    return worlds.graph(log, users=2, items=3, locations=2, seed=0, vectors=4)


def hide(graph: TemporalGraph, kind: str, code: int, until: int) -> TemporalGraph:
    """The same graph with one node that is known only from ``until`` on."""
    first_seen = graph.nodes[kind].first_seen.clone()
    first_seen[code] = until
    return replace(graph, nodes={**graph.nodes, kind: replace(graph.nodes[kind], first_seen=first_seen)})


@given(seed=st.integers(0, 50), cut=st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_networkx_holds_exactly_the_events_before_the_horizon(seed: int, cut: float) -> None:
    graph = worlds.random_world(seed, count=80)
    time = int(graph.log.time[0]) + int(cut * int(graph.log.time[-1] - graph.log.time[0]))
    network = to_networkx(graph.as_of(time))
    log = graph.log
    expected = {
        row: (("user", f"user-{log.user[row]}"), ("item", f"item-{log.item[row]}"), int(log.time[row]))
        for row in range(len(log))
        if int(log.time[row]) < time
    }
    shown = {
        data["event"]: (source, target, data["time"])
        for source, target, data in network.edges(data=True)
        if data["relation"] == "user->item"
    }
    assert shown == expected
    assert all(data["time"] < time for _, _, data in network.edges(data=True) if "time" in data)


def test_attributes_that_do_not_apply_are_absent() -> None:
    network = to_networkx(street().as_of(START + 1))
    (edge,) = network["location", "location-0"]["location", "location-1"].values()
    assert edge == {"relation": "near", "weight": 1.0}
    assert set(network.nodes["user", "user-0"]) == {"label"}
    assert set(network.nodes["item", "item-0"]) == {"label", "lat", "lon"}


def test_networkx_of_an_empty_log_has_its_catalogue() -> None:
    network = to_networkx(worlds.graph(worlds.events([], [], []), users=1, items=2))
    assert set(network) == {("user", "user-0"), ("item", "item-0"), ("item", "item-1")}
    assert network.number_of_edges() == 0


def test_hetero_data_counts_what_the_view_sees() -> None:
    graph = street()
    data = graph.to_hetero_data(START + 2 * DAY)
    data.validate()
    assert data["user", "to", "item"].edge_index.tolist() == [[0, 0], [0, 1]]
    assert data["item", "to", "item"].edge_index.tolist() == [[0], [1]]
    assert data["item", "to", "item"].time.tolist() == [START + DAY]
    assert data["location", "near", "location"].time.tolist() == [TIME_MIN, TIME_MIN]
    assert data["item"].x.shape == (3, 4)
    assert "x" not in data["user"]
    assert data["user"].num_nodes == 2


def test_hetero_data_leaves_unseen_nodes_out_and_renumbers() -> None:
    graph = hide(hide(street(), "item", 0, START + 4 * DAY), "location", 0, START + 4 * DAY)
    data = to_hetero_data(graph.as_of(START + 3 * DAY))
    data.validate()
    assert data["item"].code.tolist() == [1, 2]
    assert data["location", "near", "location"].edge_index.shape == (2, 0)
    assert data["user", "to", "item"].edge_index.tolist() == [[0, 1, 1], [0, 0, 1]]


def test_hetero_data_goes_through_a_convolution() -> None:
    data = to_hetero_data(street())
    from torch_geometric.nn import HeteroConv, SAGEConv

    convolution = HeteroConv({("item", "to", "item"): SAGEConv((4, 4), 2)})
    out = convolution({"item": data["item"].x.float()}, {("item", "to", "item"): data["item", "item"].edge_index})
    assert out["item"].shape == (3, 2)


def test_ego_is_strictly_before_and_the_most_recent() -> None:
    network = ego(street(), "user-0", time=START + 3 * DAY, fan_out=1)
    assert network.nodes["user", "user-0"]["hop"] == 0
    assert set(network) == {("user", "user-0"), ("item", "item-1"), ("location", "location-1")}
    whole = ego(street(), "user-0", time=START + 3 * DAY + 1)
    assert whole.number_of_edges(("user", "user-0"), ("item", "item-0")) == 2


def test_a_second_hop_is_asked_as_of_the_event_it_came_through() -> None:
    """Ben visited item-1 on day 2: after ana's visit on day 1, so her ego graph does not know it."""
    network = ego(street(), "user-0", time=START + 4 * DAY, hops=2)
    assert ("user", "user-1") not in network
    ben = ego(street(), "user-1", time=START + 4 * DAY, hops=2)
    assert ben.nodes["user", "user-0"]["hop"] == 2
    assert ben.edges[("item", "item-1"), ("user", "user-0"), ("item->user", 2)]["time"] == START + DAY


@given(seed=st.integers(0, 30), hops=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_ego_equals_a_slow_reference(seed: int, hops: int) -> None:
    graph, fan_out = worlds.random_world(seed, count=60, users=5, items=8), 3
    time = int(graph.log.time[40])
    network = ego(graph, "user-1", time=time, hops=hops, fan_out=fan_out, relations=["user->item", "item->user"])
    frontier, expected = {("user", 1, time)}, set()
    for _ in range(hops):
        reached = set()
        for kind, code, asked in frontier:
            mine, other = (graph.log.user, graph.log.item) if kind == "user" else (graph.log.item, graph.log.user)
            rows = [row for row in range(len(graph.log)) if int(mine[row]) == code and int(graph.log.time[row]) < asked]
            for row in rows[-fan_out:]:
                target = "item" if kind == "user" else "user"
                expected.add((f"{kind}->{target}", row))
                reached.add((target, int(other[row]), int(graph.log.time[row])))
        frontier = reached
    assert {(data["relation"], data["event"]) for _, _, data in network.edges(data=True)} == expected


@given(seed=st.integers(0, 30))
@settings(max_examples=10, deadline=None)
def test_the_future_changes_no_ego_graph(seed: int) -> None:
    graph = worlds.random_world(seed)
    time = int(graph.log.time[150])
    poisoned = graph.log.item.clone()
    poisoned[graph.log.time >= time] = 0
    other = replace(graph, log=replace(graph.log, item=poisoned), _cache={})
    one, two = (ego(g, "user-2", time=time, hops=2, fan_out=4) for g in (graph, other))
    facts = [{(s, t, d["relation"], d.get("time")) for s, t, d in n.edges(data=True)} for n in (one, two)]
    assert facts[0] == facts[1]


def test_static_neighbours_are_hidden_until_they_are_known() -> None:
    graph = hide(street(), "location", 1, START + 4 * DAY)
    before = ego(graph, "user-0", time=START + DAY, hops=2, relations=["user->location", "near"])
    assert ("location", "location-1") not in before
    after = ego(street(), "user-0", time=START + DAY, hops=2, relations=["user->location", "near"])
    assert ("location", "location-1") in after


def test_difference_names_what_came_and_what_went() -> None:
    moved = difference(street(), "user-0", earlier=START + 2 * DAY, later=START + 4 * DAY)
    assert moved.added_nodes == set()
    assert {key for _, _, key in moved.added_edges} == {("user->item", 2), ("user->location", 2)}
    assert moved.removed_edges == set()
    narrow = difference(street(), "user-0", earlier=START + DAY, later=START + 2 * DAY, fan_out=1)
    assert narrow.added_nodes == {("item", "item-1"), ("location", "location-1")}
    assert narrow.removed_nodes == {("item", "item-0"), ("location", "location-0")}


def test_difference_refuses_times_out_of_order() -> None:
    with pytest.raises(InputError, match="earlier time must come first"):
        difference(street(), "user-0", earlier=10, later=5)


def test_an_unknown_user_gets_one_clear_line() -> None:
    with pytest.raises(InputError, match=r"user 'carla' is not among the 2 users .* such as 'user-0'"):
        ego(street(), "carla", time=TIME_MAX)


def test_a_user_of_the_future_gets_one_clear_line() -> None:
    graph = hide(street(), "user", 1, START + 2 * DAY)
    with pytest.raises(InputError, match="first seen at 2020-09-15 12:26:40 UTC, so not before 2020-09-14"):
        ego(graph, "user-1", time=START + DAY)


@pytest.mark.parametrize(
    ("arguments", "words"), [({"hops": 0}, "at least 1 hop"), ({"relations": ["likes"]}, "relation 'likes' is not in")]
)
def test_odd_requests_get_one_clear_line(arguments: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ego(street(), "user-0", time=TIME_MAX, **arguments)


def test_views_export_to_graphml(tmp_path) -> None:
    network = nx.relabel_nodes(ego(street(), "user-0", time=START + 4 * DAY), lambda node: "/".join(node))
    nx.write_graphml(network, tmp_path / "ego.graphml")
    assert nx.read_graphml(tmp_path / "ego.graphml").number_of_edges() == network.number_of_edges()


def test_a_graph_without_places_or_events_still_has_an_ego() -> None:
    graph = worlds.graph(worlds.events([], [], []), users=1, items=1)
    assert list(ego(graph, "user-0", time=5, hops=2)) == [("user", "user-0")]
    assert torch.equal(to_hetero_data(graph)["user", "to", "item"].edge_index, torch.zeros(2, 0, dtype=torch.int64))


@given(seed=st.integers(0, 10_000), row=st.integers(0, 119))
@settings(max_examples=20, deadline=None)
def test_adjacency_counts_and_weighs_what_networkx_shows(seed: int, row: int) -> None:
    world = worlds.town(seed, declared=True)
    time = int(world.log.time[row])
    network = to_networkx(world.as_of(time), [*EVENT_RELATIONS, *world.edges])
    for name in [*EVENT_RELATIONS, *world.edges]:
        counts, weights = adjacency(world, name, time=time), adjacency(world, name, time=time, values="weights")
        expected = np.zeros((2, *counts.shape))
        for (source_type, source), (target_type, target), data in network.edges(data=True):
            if data["relation"] == name:
                place = world.nodes[source_type].code(source), world.nodes[target_type].code(target)
                expected[:, *place] += 1, data["weight"]
        np.testing.assert_array_equal(counts.toarray(), expected[0])
        np.testing.assert_array_equal(weights.toarray(), expected[1])
        assert counts.has_canonical_format
        np.testing.assert_array_equal(counts.toarray(), adjacency(worlds.cut(world, time), name, time=time).toarray())


def test_adjacency_leaves_out_a_node_that_is_not_known_yet() -> None:
    graph = hide(street(), "item", 0, START + 4 * DAY)
    assert adjacency(graph, "user->item", time=START + 3 * DAY).toarray().tolist() == [[0, 1, 0], [0, 1, 1]]
    assert adjacency(graph, "user->item", time=TIME_MAX).toarray().tolist() == [[2, 1, 0], [0, 1, 1]]


def test_adjacency_of_an_empty_log_is_empty_and_of_no_relation_is_refused() -> None:
    empty = worlds.graph(worlds.events([], [], []), users=2, items=3)
    assert adjacency(empty, "user->item", time=TIME_MAX).toarray().tolist() == [[0, 0, 0], [0, 0, 0]]
    with pytest.raises(InputError, match="relation 'likes' is not in this graph"):
        adjacency(empty, "likes", time=TIME_MAX)
