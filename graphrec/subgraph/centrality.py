"""Which items matter to the whole: by their visitors, by where people end up, by what lies between others.

PageRank: Page et al. 1999; betweenness: Brandes 2001, doi 10.1080/0022250X.2001.9990249.
"""

from __future__ import annotations

import networkx as nx
import numpy as np
import pyarrow as pa
import scipy.sparse
from numpy.typing import NDArray

from graphrec.graph.conversion import adjacency, names
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.subgraph.pagerank import SETTLED, rows_to_one

MOST = 500
"""Items, the busiest, between which betweenness is measured."""
NEXT = 16
"""What comes next most often after each of them: the steps that its paths may take, at most."""
JUMP = 0.15
"""Chance of the walk to start anew at any visited item."""
ROUNDS = 200
"""Rounds of the walk at most."""


def centralities(graph: TemporalGraph, time: int) -> pa.Table:
    """How central each item is, of those visited strictly before ``time`` (UTC seconds); by PageRank, highest first.

    Returns
    -------
    Columns ``item`` (own ids), ``label``, ``visits``, ``people`` (how many visited it: its degree), ``pagerank`` (share
    of the steps of a walk along ``item->item``, what people did next, that starts anew at a random visited item with
    the chance .15; it sums to 1) and ``betweenness`` (share of the shortest paths between other items that lead through
    it; null beyond the ``MOST`` busiest). Betweenness follows each item's ``NEXT`` most frequent next items among
    those, so that its time does not grow with the log.
    """
    visits, following = adjacency(graph, "user->item", time), adjacency(graph, "item->item", time)
    amount = np.asarray(visits.sum(axis=0)).ravel()
    known = np.flatnonzero(amount)
    following = following[known][:, known]
    walk = _pagerank(following)
    busiest = np.sort(np.argsort(-amount[known], kind="stable")[:MOST])
    between = np.full(len(known), np.nan)
    between[busiest] = _betweenness(following[busiest][:, busiest])
    people = np.bincount(visits.indices, minlength=visits.shape[1])
    best = np.argsort(-walk, kind="stable")
    codes, table = pa.array(known[best]), graph.nodes["item"]
    return pa.table(
        {
            "item": table.ids.take(codes),
            "label": names(table, codes),
            "visits": amount[known[best]].astype(np.int64),
            "people": people[known[best]],
            "pagerank": walk[best],
            "betweenness": pa.array(between[best], from_pandas=True),
        }
    )


def _pagerank(steps: scipy.sparse.csr_array) -> NDArray[np.float64]:
    """Share of a walk's steps on each node; from one that leads nowhere it starts anew."""
    count = steps.shape[0]
    chance, lost = rows_to_one(steps), np.asarray(steps.sum(axis=1)).ravel() == 0
    share = np.full(count, 1 / max(count, 1))
    for _ in range(ROUNDS):
        anew = JUMP + (1 - JUMP) * share[lost].sum()
        before, share = share, (1 - JUMP) * (chance.T @ share) + anew / max(count, 1)
        if np.abs(share - before).sum() <= SETTLED:
            break
    return share


def _betweenness(steps: scipy.sparse.csr_array) -> NDArray[np.float64]:
    """Betweenness of each node over the most frequent steps."""
    often = steps.toarray()
    np.fill_diagonal(often, 0)
    best = np.argsort(-often, axis=1, kind="stable")[:, :NEXT]
    row, place = np.nonzero(np.take_along_axis(often, best, 1))
    network: nx.DiGraph[int] = nx.DiGraph()
    network.add_nodes_from(range(len(often)))
    network.add_edges_from(zip(row.tolist(), best[row, place].tolist(), strict=True))
    share = nx.betweenness_centrality(network)
    return np.array([share[node] for node in range(len(often))])
