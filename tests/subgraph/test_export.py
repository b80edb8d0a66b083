"""What is written is what was there, for other programs."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest
import torch

from graphrec.errors import InputError
from graphrec.graph.conversion import to_hetero_data, to_networkx
from graphrec.graph.time_bounds import TIME_MIN
from graphrec.models.ranking import StgatRanker
from graphrec.subgraph.ego_network import ego
from graphrec.subgraph.export import as_hetero_data, write_subgraph
from graphrec.subgraph.neighbourhood import model_neighbourhood
from tests.networks import untrained
from tests.worlds import town


@pytest.mark.parametrize("ending", ["graphml", "gexf"])
def test_a_subgraph_reads_back(ending: str, tmp_path: Path) -> None:
    world = town(6)
    network = ego(world, f"user-{int(world.log.user[0])}", time=int(world.log.time[90]), hops=2, fan_out=5)
    path = write_subgraph(network, tmp_path / "new" / f"mine.{ending}")
    read = (nx.read_graphml if ending == "graphml" else nx.read_gexf)(path)
    assert set(read) == {":".join(node) for node in network}
    assert read.number_of_edges() == network.number_of_edges()
    one = next(iter(network.edges(data=True)))
    again = [
        data for source, target, data in read.edges(data=True) if (source, target) == tuple(map(":".join, one[:2]))
    ]
    assert one[2]["relation"] in {data["relation"] for data in again}
    assert all(data["type"] in {"user", "item", "location"} for _, data in read.nodes(data=True))


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ending in \.graphml or \.gexf expected"):
        write_subgraph(to_networkx(town(1)), tmp_path / "mine.png")
    assert not list(tmp_path.iterdir())


def test_a_whole_view_is_the_same_hetero_data_by_either_way() -> None:
    """Sorted by event and ends, for the two list edges in other orders."""
    world = town(6)
    view = world.as_of(int(world.log.time[90]))
    names = ["user->item", "item->user", "user->location", "location->item", "item->item", "near"]
    one, other = as_hetero_data(to_networkx(view, names), world), to_hetero_data(view)
    one.validate()
    assert set(one.node_types) <= set(other.node_types)
    for kind in one.node_types:
        assert one[kind].code.tolist() == other[kind].code.tolist()
        torch.testing.assert_close(one[kind].x, other[kind].x)
    for ends in one.edge_types:
        found = [
            sorted(map(tuple, torch.stack((*data[ends].edge_index, data[ends].event)).T.tolist()))
            for data in (one, other)
        ]
        assert found[0] == found[1]
        assert sorted(one[ends].time.tolist()) == sorted(other[ends].time.tolist())


def test_what_the_model_read_keeps_its_mass_and_hops() -> None:
    world = town(2)
    time, user = int(world.log.time[100]), f"user-{int(world.log.user[0])}"
    network = model_neighbourhood(StgatRanker(world, untrained(world, 1)), user, time=time)
    data = as_hetero_data(network, world)
    data.validate()
    assert data["user"].code.tolist() == [int(world.log.user[0])]
    assert data["user"].hop.tolist() == [0]
    mine = data["user", "own_history", "item"]
    events = {
        facts["event"]: facts["mass"] for *_, facts in network.edges(data=True) if facts["relation"] == "own_history"
    }
    assert dict(zip(mine.event.tolist(), mine.mass.tolist(), strict=True)) == pytest.approx(events)
    assert torch.equal(world.log.item[mine.event].long(), data["item"].code[mine.edge_index[1]])
    assert data["user", "place", "location"].time.tolist() == [TIME_MIN]
    assert "mass" not in data["user", "place", "location"]
