"""Paths: as short as networkx finds them, made of edges that were there, and blind to the future."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import InputError
from graphrec.graph.conversion import Node, to_networkx
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.subgraph import paths
from graphrec.subgraph.paths import shortest_path
from tests.worlds import alone, continued, cut, events, graph, town

SEEDS = st.integers(0, 10_000)
HOUR = 3_600


def chain() -> TemporalGraph:
    """Two ways from ana to ben, through item-0 or item-1, and one, two hops longer, to cas; dan is alone.

    ana (user-0)   item-0 @ 1 h   item-1 @ 2 h
    ben (user-1)   item-0 @ 3 h, 4 h   item-1 @ 3 h   item-2 @ 5 h
    cas (user-2)                                      item-2 @ 6 h
    dan (user-3)                                                     item-3 @ 7 h
    """
    hours = [1, 2, 3, 3, 4, 5, 6, 7]
    log = events([0, 0, 1, 1, 1, 1, 2, 3], [0, 1, 0, 1, 0, 2, 2, 3], [HOUR * hour for hour in hours])
    return graph(log, 4, 4)


def ana_to(user: int, time: int = TIME_MAX) -> paths.Path | None:
    return shortest_path(
        chain(), ("user", "user-0"), target=("user", f"user-{user}"), time=time, relations=["user->item"]
    )


def test_a_path_says_what_it_walked() -> None:
    found = ana_to(2)
    assert found is not None
    assert found.nodes == (
        ("user", "user-0"),
        ("item", "item-0"),  # of the two ways the one whose last steps are newer
        ("user", "user-1"),
        ("item", "item-2"),
        ("user", "user-2"),
    )
    assert found.description.splitlines() == [
        "user-0 visited item-0 on 1970-01-01 01:00:00 UTC",
        "user-1 visited item-0 2 times, last on 1970-01-01 04:00:00 UTC",
        "user-1 visited item-2 on 1970-01-01 05:00:00 UTC",
        "user-2 visited item-2 on 1970-01-01 06:00:00 UTC",
    ]
    assert [(hop.times, hop.time) for hop in found.hops] == [(1, 3600), (2, 14_400), (1, 18_000), (1, 21_600)]


def test_a_log_without_times_says_no_day() -> None:
    world = chain()
    world = replace(world, manifest=world.manifest.model_copy(update={"mapping": {"timeless": True}}))
    world = alone(world, replace(world.log, time=world.log.time * 0))
    found = shortest_path(world, ("item", "item-0"), target=("item", "item-2"), time=TIME_MAX, relations=["user->item"])
    assert found is not None
    assert found.description.splitlines() == ["user-1 visited item-0 2 times", "user-1 visited item-2"]
    assert [hop.time for hop in found.hops] == [None, None]


def test_before_the_newer_visit_the_other_way_is_as_new() -> None:
    found = ana_to(1, 4 * HOUR)
    assert found is not None
    assert found.hops[1].times == 1
    assert len(found.hops) == 2


def test_what_nothing_links_has_no_path() -> None:
    assert ana_to(3) is None
    assert ana_to(2, 6 * HOUR) is None  # cas came at that very second


def test_from_a_node_to_itself_has_no_hop() -> None:
    found = ana_to(0)
    assert found is not None
    assert (found.nodes, found.description) == ((("user", "user-0"),), "")


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.integers(20, 119), st.integers(1, 50))
def test_it_is_as_short_as_networkx_finds_it(seed: int, row: int, chunk: int) -> None:
    world = town(seed, declared=True)
    time = int(world.log.time[row])
    network = to_networkx(world.as_of(time)).to_undirected()
    rng = np.random.default_rng(seed)
    nodes = sorted(network)
    source, target = (nodes[place] for place in rng.integers(0, len(nodes), 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "EDGES_PER_CHUNK", chunk)
        found = shortest_path(world, source, target=target, time=time)
    assert found == shortest_path(cut(world, time), source, target=target, time=time)
    assert found == shortest_path(continued(world, time, seed), source, target=target, time=time)
    if found is None:
        assert not nx.has_path(network, source, target)
        return
    assert len(found.hops) == nx.shortest_path_length(network, source, target)
    at: Node = source
    for hop in found.hops:
        assert hop.source == at
        edges = [data for data in network[at][hop.target].values() if data["relation"] == hop.relation]
        assert len(edges) >= hop.times >= 1
        assert max((data["time"] for data in edges if "time" in data), default=None) == hop.time
        at = hop.target
    assert at == target


def test_a_hidden_node_is_no_way_through() -> None:
    world = chain()
    late = replace(world.nodes["item"], first_seen=torch.tensor([TIME_MAX, TIME_MAX, 0, 0]))
    assert (
        shortest_path(
            alone(world, item=late),
            ("user", "user-0"),
            target=("user", "user-1"),
            time=9 * HOUR,
            relations=["user->item"],
        )
        is None
    )


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (("user", "eve"), "user 'eve' is not among the 4 users"),
        (("shop", "item-0"), "a node of a type among user, item, location expected"),
    ],
)
def test_what_is_not_there_is_refused(target: Node, words: str) -> None:
    with pytest.raises(InputError, match=words):
        shortest_path(chain(), ("user", "user-0"), target=target, time=TIME_MAX)
    with pytest.raises(InputError, match="relation 'likes' is not in this graph"):
        shortest_path(chain(), ("user", "user-0"), target=("user", "user-1"), time=TIME_MAX, relations=["likes"])
