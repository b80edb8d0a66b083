"""A networkx subgraph as a file for other programs: GraphML (yEd, Cytoscape) or GEXF (Gephi)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import networkx as nx

from graphrec.errors import InputError
from graphrec.run import aside
from graphrec.subgraph import Node

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
    with aside(target) as temporary:
        WRITERS[target.suffix](plain, temporary)
    return target
