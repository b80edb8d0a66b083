"""Personalised PageRank over who visited what, and how far a model's ranking agrees with it.

PageRank: Page et al. 1999; personalised to a topic: Haveliwala 2002.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import scipy.stats
from numpy.typing import NDArray

from graphrec.errors import InputError
from graphrec.graph.conversion import known_user
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.ranking import StgatRanker
from graphrec.queries.query import Queries

EPSILON = 1e-300
"""Smallest divisor."""
TOLERANCE = 1e-13
"""L1 change of the distribution in an iteration at which the iteration has converged."""


def power_iteration(
    step: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    teleport: NDArray[np.float64],
    restart: float,
    max_iterations: int,
) -> NDArray[np.float64]:
    """Stationary distribution of a walk that teleports with probability ``restart``, [nodes].

    ``step`` maps a distribution over nodes to that after one step; ``teleport`` is the distribution of a new start.
    """
    share = teleport
    for _ in range(max_iterations):
        previous, share = share, restart * teleport + (1 - restart) * step(share)
        if np.abs(share - previous).sum() <= TOLERANCE:
            break
    return share


def personalised_pagerank(
    graph: TemporalGraph, user: str, *, restart: float = 0.15, steps: int = 100
) -> NDArray[np.float64]:
    """Share of a walk's steps on items that falls on each, [items]; it sums to 1.

    The walk goes from a user to one of their visits at random, from the item to one of its visits, and returns to
    ``user`` with probability ``restart`` per iteration, until convergence; after ``steps`` iterations the error is at
    most ``(1 - restart) ** steps``. Only visits before the view's horizon count.

    Raises InputError for a user whom the view does not know, or a restart outside 0..1.
    """
    if not 0 < restart <= 1:
        raise InputError(f"personalised PageRank: a restart in 0..1 expected, got {restart}")
    start = known_user(graph, user)
    visits = graph.to_scipy("user->item", graph.horizon)
    to_items, to_users = row_stochastic(visits).T, row_stochastic(visits.T.tocsr()).T
    items = power_iteration(
        lambda share: to_items @ (to_users @ share), to_items[:, [start]].toarray()[:, 0], restart, steps
    )
    share: NDArray[np.float64] = items / max(items.sum(), EPSILON)
    return share


def row_stochastic(matrix: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Rows divided by their sums; an empty row stays empty."""
    total = np.asarray(matrix.sum(axis=1)).ravel()
    scaled: scipy.sparse.csr_array = scipy.sparse.diags_array(1 / np.maximum(total, EPSILON)).tocsr() @ matrix
    return scaled


@dataclass(frozen=True)
class PagerankAgreement:
    """Agreement of a model's ranking with personalised PageRank for one query."""

    overlap: float
    """Share of the model's ``k`` best items among the walk's, which may reach fewer than ``k``."""
    spearman: float
    """Rank correlation over the items that the walk reaches; NaN below two of them."""


def pagerank_agreement(
    ranker: StgatRanker, user: str, *, time: int, k: int = 10, restart: float = 0.15
) -> PagerankAgreement:
    """Compare a model's ranking for a user as of ``time`` (UTC seconds) with personalised PageRank as of then."""
    walk = personalised_pagerank(ranker.graph.as_of(time), user, restart=restart)
    answer = ranker.forward(Queries.from_user_ids(ranker.graph, [user], at=time))
    score = ranker.scores(answer, slice(0, len(walk)))[0].double().cpu().numpy()
    best, walked_most = (np.argsort(-values, kind="stable")[:k] for values in (score, walk))
    overlap = len(np.intersect1d(best, walked_most[walk[walked_most] > 0])) / k
    reached = (walk > 0) & np.isfinite(score)
    if reached.sum() < 2:
        return PagerankAgreement(overlap, float("nan"))
    return PagerankAgreement(overlap, float(scipy.stats.spearmanr(score[reached], walk[reached]).statistic))
