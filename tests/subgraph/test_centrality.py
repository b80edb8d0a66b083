"""Centralities equal networkx's over the same graph, find a planted bridge, and see nothing of the future."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.graph.conversion import adjacency
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.subgraph import centrality
from graphrec.subgraph.centrality import centralities
from tests.worlds import continued, cut, events, graph, town


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000), st.integers(10, 119))
def test_they_equal_networkx(seed: int, row: int) -> None:
    world = town(seed)
    time = int(world.log.time[row])
    found = centralities(world, time)
    assert found.equals(centralities(cut(world, time), time))
    assert found.equals(centralities(continued(world, time, seed), time))
    past = world.as_of(time).events
    visited = {f"item-{code}" for code in past.item.tolist()}
    network = nx.from_scipy_sparse_array(adjacency(world, "item->item", time=time), create_using=nx.DiGraph)
    network = nx.relabel_nodes(network, lambda code: f"item-{code}").subgraph(visited)
    walk, between = nx.pagerank(network, tol=1e-12, max_iter=1_000), nx.betweenness_centrality(network)
    assert set(found["item"].to_pylist()) == visited
    for one in found.to_pylist():
        code = int(one["item"].removeprefix("item-"))
        assert one["visits"] == int((past.item == code).sum())
        assert one["people"] == len(past.user[past.item == code].unique())
        assert one["pagerank"] == pytest.approx(walk[one["item"]], abs=1e-9)
        assert one["betweenness"] == pytest.approx(between[one["item"]], abs=1e-12)
    assert found["pagerank"].to_pylist() == sorted(found["pagerank"].to_pylist(), reverse=True)


def test_a_bridge_lies_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items 0, 1 and 3, 4 follow each other; item 2 alone leads from the ones to the others. Item 5 comes once."""
    items = [0, 1, 0, 2, 3, 4, 3, 4, 3] * 4 + [5]
    world = graph(events([0] * len(items), items, [60 * (n + 1) for n in range(len(items))]), 1, 6)
    found = {one["item"]: one for one in centralities(world, TIME_MAX).to_pylist()}
    assert max(found, key=lambda item: found[item]["betweenness"]) in {"item-0", "item-2", "item-3"}
    assert found["item-2"]["betweenness"] > found["item-1"]["betweenness"] == 0
    monkeypatch.setattr(centrality, "MAX_NODES", 5)
    assert {one["item"] for one in centralities(world, TIME_MAX).to_pylist() if one["betweenness"] is None} == {
        "item-5"
    }


def test_paths_take_the_most_frequent_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centrality, "MAX_SUCCESSORS", 1)
    steps = np.array([[9, 2, 1], [0, 0, 3], [0, 0, 0]])  # 0 stays 9 times, goes on to 1 twice and to 2 once
    np.testing.assert_allclose(centrality._betweenness(centrality.scipy.sparse.csr_array(steps)), [0, 0.5, 0])


def test_an_empty_log_has_none() -> None:
    assert centralities(graph(events([], [], []), 1, 2), TIME_MAX).num_rows == 0
