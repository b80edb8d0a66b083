"""A networkx subgraph for other programs: a file in GraphML (yEd, Cytoscape) or GEXF (Gephi), or PyG's HeteroData."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
import torch

from graphrec.errors import InputError
from graphrec.files import atomic_write
from graphrec.graph.conversion import Node, empty_hetero_data
from graphrec.graph.temporal_graph import EVENT_RELATIONS, TemporalGraph
from graphrec.graph.time_bounds import TIME_MIN

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

WRITERS: dict[str, Callable[..., None]] = {".graphml": nx.write_graphml, ".gexf": nx.write_gexf}


def write_subgraph(network: nx.MultiDiGraph[Node], path: str | Path) -> Path:
    """Write a subgraph, by the ending of the path; a node is called ``type:id`` and has its type as an attribute.

    Raises InputError for another ending.
    """
    target = Path(path)
    if target.suffix not in WRITERS:
        raise InputError(f"{target}: a file name ending in {' or '.join(WRITERS)} expected")
    plain: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for (kind, identity), attributes in network.nodes(data=True):
        plain.add_node(f"{kind}:{identity}", type=kind, **attributes)
    for place, (source, goal, attributes) in enumerate(network.edges(data=True)):
        plain.add_edge(":".join(source), ":".join(goal), key=place, **attributes)
    with atomic_write(target) as temporary:
        WRITERS[target.suffix](plain, temporary)
    return target


EDGE_FACTS: dict[str, Any] = {"time": TIME_MIN, "event": -1, "weight": 1.0, "mass": 0.0}
"""What an edge may say, and what stands for one that does not."""


def as_hetero_data(network: nx.MultiDiGraph[Node], graph: TemporalGraph) -> HeteroData:
    """A subgraph of ``graph`` as PyG HeteroData, as ``graph.to_hetero_data(time)`` gives the whole.

    Per node type: ``x`` [n, d_text] (missing without text vectors), ``code`` [n], which leads back, and ``hop`` [n]
    where the subgraph has it. Edges are called ``(source, "to", target)`` for the relations of the events, by name
    otherwise; each has ``edge_index`` [2, e], ``time`` [e] UTC seconds (TIME_MIN for a timeless edge), ``event`` [e]
    (-1 for none), ``weight`` [e] and, where the subgraph has it, ``mass`` [e].
    """
    data = empty_hetero_data()
    place: dict[Node, int] = {}
    for kind in dict.fromkeys(kind for kind, _ in network):
        nodes = [node for node in network if node[0] == kind]
        place |= {node: row for row, node in enumerate(nodes)}
        table = graph.nodes[kind]
        codes = torch.tensor([table.code(identity) for _, identity in nodes])
        data[kind].num_nodes, data[kind].code = len(nodes), codes
        if table.vectors is not None:
            data[kind].x = table.vectors[codes.to(table.vectors.device)]
        if all("hop" in network.nodes[node] for node in nodes):
            data[kind].hop = torch.tensor([network.nodes[node]["hop"] for node in nodes])
    for (source, name, target), found in _edges_by_type(network).items():
        edges = data[source, name, target]
        edges.edge_index = torch.tensor([[place[one], place[other]] for one, other, _ in found]).T.contiguous()
        for fact, missing in EDGE_FACTS.items():
            if fact != "mass" or any(fact in facts for *_, facts in found):
                edges[fact] = torch.tensor([facts.get(fact, missing) for *_, facts in found])
    return data


def _edges_by_type(
    network: nx.MultiDiGraph[Node],
) -> dict[tuple[str, str, str], list[tuple[Node, Node, dict[str, Any]]]]:
    """Edges by source type, relation and target type."""
    found: dict[tuple[str, str, str], list[tuple[Node, Node, dict[str, Any]]]] = {}
    for source, target, facts in network.edges(data=True):
        name = "to" if facts["relation"] in EVENT_RELATIONS else facts["relation"]
        found.setdefault((source[0], name, target[0]), []).append((source, target, facts))
    return found
