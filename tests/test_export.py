"""What is written is what was there, for other programs."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest

from graphrec.errors import InputError
from graphrec.export import write_subgraph
from graphrec.subgraph import ego, to_networkx
from tests.worlds import town


@pytest.mark.parametrize("ending", ["graphml", "gexf"])
def test_a_subgraph_reads_back(ending: str, tmp_path: Path) -> None:
    world = town(6)
    network = ego(world, f"user-{int(world.log.user[0])}", int(world.log.time[90]), hops=2, fan_out=5)
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
