"""Where a walk over who visited what, that keeps coming back to one user, spends its time; and whether a model agrees.

Personalised PageRank: Page et al. 1999; for recommendation: Haveliwala 2002.
"""

from __future__ import annotations

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

TINY = 1e-300
"""Keeps nothing from being divided by nothing."""
SETTLED = 1e-13
"""A walk has settled when a round moves no more of its steps than this."""


def personalised_pagerank(
    graph: TemporalGraph, user: str, restart: float = 0.15, steps: int = 100
) -> NDArray[np.float64]:
    """Share of a walk's steps on items that it spends on each, [items]; it sums to 1.

    The walk goes from a user to one of their visits at random, from the item to one of its visits, and returns to
    ``user`` with the chance ``restart`` a round, until it has settled; what is still to settle after ``steps`` rounds
    is ``(1 - restart) ** steps`` at most. Only visits before the view's horizon are there.

    Raises InputError for a user whom the view does not know, or a restart outside 0..1.
    """
    if not 0 < restart <= 1:
        raise InputError(f"personalised PageRank: a restart in 0..1 expected, got {restart}")
    start = known_user(graph, user)
    visits = graph.to_scipy("user->item", graph.horizon)
    to_items, to_users = rows_to_one(visits), rows_to_one(visits.T.tocsr())
    home = np.zeros(visits.shape[0])
    home[start] = 1.0
    items = to_items.T @ home
    for _ in range(steps):
        before, items = items, to_items.T @ (restart * home + (1 - restart) * (to_users.T @ items))
        if np.abs(items - before).sum() <= SETTLED:
            break
    share: NDArray[np.float64] = items / max(items.sum(), TINY)
    return share


def rows_to_one(table: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Rows divided by their sums; an empty row stays empty."""
    total = np.asarray(table.sum(axis=1)).ravel()
    scaled: scipy.sparse.csr_array = scipy.sparse.diags_array(1 / np.maximum(total, TINY)).tocsr() @ table
    return scaled


@dataclass(frozen=True)
class Agreement:
    """How alike a model's ranking and that of a walk are, for one question."""

    overlap: float
    """Share of the model's ``k`` best items that are among the walk's, which has fewer where it reaches fewer."""
    spearman: float
    """Rank correlation over the items that the walk reaches; NaN below two of them."""


def agreement(ranker: StgatRanker, user: str, time: int, k: int = 10, restart: float = 0.15) -> Agreement:
    """Compare a model's ranking for a user as of a time (UTC seconds) with personalised PageRank as of then."""
    view = ranker.graph.as_of(time)
    walk = personalised_pagerank(view, user, restart)
    answer = ranker.forward(Queries.from_user_ids(ranker.graph, [user], time))
    score = ranker.scores(answer, slice(0, len(walk)))[0].double().cpu().numpy()
    best, reached_first = (np.argsort(-values, kind="stable")[:k] for values in (score, walk))
    overlap = len(np.intersect1d(best, reached_first[walk[reached_first] > 0])) / k
    reached = (walk > 0) & np.isfinite(score)
    if reached.sum() < 2:
        return Agreement(overlap, float("nan"))
    return Agreement(overlap, float(scipy.stats.spearmanr(score[reached], walk[reached]).statistic))
