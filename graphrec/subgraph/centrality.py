"""Centrality of items as of a time: number of visitors, PageRank, betweenness.

PageRank: Page et al. 1999; betweenness: Brandes 2001, doi 10.1080/0022250X.2001.9990249.
"""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pyarrow as pa
import scipy.sparse
from numpy.typing import NDArray

from graphrec.graph.conversion import adjacency, display_names
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.subgraph.pagerank import power_iteration, row_stochastic

MAX_NODES = 500
"""Most visited items that betweenness is computed for."""
MAX_SUCCESSORS = 16
"""Most frequent next items of each of them that the paths may take."""
TELEPORT = 0.15
"""Probability that the walk starts anew at any visited item."""
MAX_ITERATIONS = 200
"""Iterations of PageRank at most."""


def centralities(graph: TemporalGraph, time: int) -> pa.Table:
    """Centrality of each item visited strictly before ``time`` (UTC seconds), the highest PageRank first.

    Returns
    -------
    Columns ``item`` (own ids), ``label``, ``visits``, ``people`` (number of visitors: the degree), ``pagerank`` (share
    of the steps of a walk along ``item->item`` that starts anew at a random visited item with probability .15; it sums
    to 1) and ``betweenness`` (share of the shortest paths between other items that lead through it; null beyond the
    ``MAX_NODES`` most visited). Betweenness follows each item's ``MAX_SUCCESSORS`` most frequent next items among
    those, so that its time does not grow with the log.
    """
    visits, transitions = adjacency(graph, "user->item", time=time), adjacency(graph, "item->item", time=time)
    amount = np.asarray(visits.sum(axis=0)).ravel()
    known = np.flatnonzero(amount)
    transitions = transitions[known][:, known]
    walk = _pagerank(transitions)
    busiest = np.sort(np.argsort(-amount[known], kind="stable")[:MAX_NODES])
    between = np.full(len(known), np.nan)
    between[busiest] = _betweenness(transitions[busiest][:, busiest])
    people = np.bincount(visits.indices, minlength=visits.shape[1])
    order = np.argsort(-walk, kind="stable")
    codes, table = pa.array(known[order]), graph.nodes["item"]
    return pa.table(
        {
            "item": table.ids.take(codes),
            "label": display_names(table, codes),
            "visits": amount[known[order]].astype(np.int64),
            "people": people[known[order]],
            "pagerank": walk[order],
            "betweenness": pa.array(between[order], from_pandas=True),
        }
    )


def _pagerank(transitions: scipy.sparse.csr_array) -> NDArray[np.float64]:
    """PageRank of each node; the walk starts anew from a node without transitions."""
    uniform = np.full(transitions.shape[0], 1 / max(transitions.shape[0], 1))
    step, dangling = row_stochastic(transitions).T, np.asarray(transitions.sum(axis=1)).ravel() == 0
    return power_iteration(
        lambda share: step @ share + share[dangling].sum() * uniform, uniform, TELEPORT, MAX_ITERATIONS
    )


def _betweenness(transitions: scipy.sparse.csr_array) -> NDArray[np.float64]:
    """Betweenness of each node over the most frequent transitions."""
    counts = transitions.toarray()
    np.fill_diagonal(counts, 0)
    network = nx.from_numpy_array(largest_per_row(counts, MAX_SUCCESSORS), create_using=nx.DiGraph)
    return np.array([*nx.betweenness_centrality(network).values()])


def largest_per_row(matrix: NDArray[Any], k: int) -> NDArray[Any]:
    """The ``k`` largest entries of each row, the first of equal ones; 0 elsewhere."""
    columns = np.argsort(-matrix, axis=1, kind="stable")[:, :k]
    kept = np.zeros_like(matrix)
    np.put_along_axis(kept, columns, np.take_along_axis(matrix, columns, 1), 1)
    return kept
