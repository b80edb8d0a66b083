"""Which items the same people visit, or which people visit the same items: communities, as of a time.

Louvain: Blondel et al. 2008, arXiv 0803.0476; modularity: Newman and Girvan 2004, arXiv cond-mat/0308217.
"""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np
import pyarrow as pa
import scipy.sparse
from networkx.algorithms.community import louvain_communities, modularity
from numpy.typing import NDArray

from graphrec.errors import InputError
from graphrec.graph.conversion import adjacency, display_names
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.subgraph.centrality import largest_per_row

MAX_NODES = 5_000
"""Most active nodes among which communities are detected; the others then join them."""
MAX_NEIGHBOURS = 10
"""Most similar nodes that each node is linked to, at most."""
MIN_COMMON = 2
"""Neighbours that a linked pair has in common, at least."""
MAX_PAIRS = 500_000_000
"""Pairs counted, at most; beyond, every second neighbour counts, or every third, and so on."""
BLOCK = 256
"""Nodes whose cosines with all others are in memory together."""


@dataclass(frozen=True)
class Communities:
    """Who or what belongs together."""

    table: pa.Table
    """``id`` (the node's own), ``label``, ``community`` (0 the largest) and ``visits`` of each node visited or visiting
    before the time; community by community, the most visits first."""
    modularity: float
    """How much more the ties lie within communities than by chance, of the nodes they were looked for among; 0 without
    ties. Ties drawn at random reach .2 to .5 as well, the fewer ties the more (Guimera et al. 2004)."""


def communities(graph: TemporalGraph, time: int, *, kind: str = "item", seed: int = 0) -> Communities:
    """Communities of items by their visitors strictly before ``time``, or of users by what they visited.

    The ``MAX_NODES`` most active nodes are each linked to the ``MAX_NEIGHBOURS`` with the highest cosine of their
    visitors, and Louvain's method (networkx) divides them. Each other node joins the community whose modularity gains
    most by it. So a large log costs one sparse product of the busiest nodes, taken in blocks, and a network of
    ``MAX_NODES * MAX_NEIGHBOURS`` ties at most.
    """
    if kind not in ("item", "user"):
        raise InputError(f"communities: a kind of item or user expected, got {kind!r}")
    visits = adjacency(graph, "user->item", time=time)
    visits = visits.T.tocsr() if kind == "user" else visits
    amount = np.asarray(visits.sum(axis=0), dtype=np.float64).ravel()
    visits.data[:] = 1  # a visitor, however often
    order = np.argsort(-amount, kind="stable")[: np.count_nonzero(amount)]
    busiest, others = np.sort(order[:MAX_NODES]), np.sort(order[MAX_NODES:])
    found, strength = _divided(_ties(visits[:, busiest]), seed)
    community = np.full(len(amount), -1)
    community[busiest] = found
    community[others] = _joined(visits[:, busiest], found, visits[:, others])
    return Communities(_table(graph, kind, community, amount), strength)


def _ties(visits: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Cosines of who visited, of each node with the most alike ones, [nodes, nodes], symmetric."""
    visits = visits[:: 1 + int((np.diff(visits.indptr).astype(np.float64) ** 2).sum() // MAX_PAIRS)]
    reach = np.sqrt(np.maximum(np.asarray(visits.sum(axis=0)).ravel(), 1))
    count, by_node = visits.shape[1], visits.T.tocsr()
    blocks = [scipy.sparse.csr_array((0, count))]
    for start in range(0, count, BLOCK):
        common = (by_node[start : start + BLOCK] @ visits).toarray()
        node = np.arange(start, start + len(common))
        common[node - start, node] = 0
        cosine = np.where(common >= MIN_COMMON, common, 0) / reach[node][:, None] / reach
        blocks.append(scipy.sparse.csr_array(largest_per_row(cosine, MAX_NEIGHBOURS)))
    one_way = scipy.sparse.vstack(blocks, format="csr")
    both: scipy.sparse.csr_array = one_way.maximum(one_way.T).tocsr()
    return both


def _divided(ties: scipy.sparse.csr_array, seed: int) -> tuple[NDArray[np.int64], float]:
    """Community of each node, the largest first, and the modularity; a node without ties is its own."""
    network: nx.Graph[int] = nx.from_scipy_sparse_array(ties)
    label = np.arange(ties.shape[0])
    if not network.number_of_edges():
        return label, 0.0
    parts = sorted(louvain_communities(network, seed=seed), key=lambda part: (-len(part), min(part)))
    for number, part in enumerate(parts):
        label[list(part)] = number
    return label, float(modularity(network, parts))


def _joined(
    visits: scipy.sparse.csr_array, community: NDArray[np.int64], others: scipy.sparse.csr_array
) -> NDArray[np.int64]:
    """Community of each other node, where ``common - expected`` is highest; one of its own where it shares nobody."""
    count = int(community.max(initial=-1)) + 1
    members = (np.ones(len(community)), (np.arange(len(community)), community))
    inside = scipy.sparse.csr_array(members, shape=(len(community), count))
    common = (others.T @ (visits @ inside)).tocoo()
    label = count + np.arange(others.shape[1])
    if not common.nnz:
        return label
    row, column = common.coords
    by_node, by_community = common.sum(axis=1), common.sum(axis=0)
    gain = common.data - by_node[row] * by_community[column] / common.sum()
    order = np.lexsort((-column, gain, row))
    last = np.flatnonzero(np.append(row[order][1:] != row[order][:-1], True))
    label[row[order][last]] = column[order][last]
    return label


def _table(graph: TemporalGraph, kind: str, community: NDArray[np.int64], amount: NDArray[np.float64]) -> pa.Table:
    """The nodes of a community, communities numbered anew by their size."""
    nodes = np.flatnonzero(community >= 0)
    _, label, size = np.unique(community[nodes], return_inverse=True, return_counts=True)
    number = np.argsort(np.argsort(-size, kind="stable"))[label]
    order = np.lexsort((nodes, -amount[nodes], number))
    codes, table = pa.array(nodes[order]), graph.nodes[kind]
    return pa.table(
        {
            "id": table.ids.take(codes),
            "label": display_names(table, codes),
            "community": number[order],
            "visits": amount[nodes[order]].astype(np.int64),
        }
    )
