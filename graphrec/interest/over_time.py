"""A user's interest per step of time: shares of themes, activity and drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.interest.history import History
from graphrec.interest.themes import themes_of, unit_vectors_of


@dataclass(frozen=True)
class InterestOverTime:
    """A user's interest in ``w`` consecutive steps of time."""

    user: str
    """The user's own id."""
    until: int
    """UTC seconds; only events strictly before it count."""
    step_days: int
    """Length of a step in days."""
    start: NDArray[np.int64]
    """[w] first second of each step in local time (UTC seconds plus the offset); of a week, a Monday."""
    themes: tuple[str, ...]
    """Names of the themes, the most frequent first."""
    share: NDArray[np.float64]
    """[w, themes] share of each theme in the step's events; rows sum to 1, or 0 in a step without events."""
    events: NDArray[np.int64]
    """[w] number of events."""
    drift: NDArray[np.float64]
    """[w] cosine distance between the mean text vector (without vectors: the themes) of a step and that of the
    last step with events before it; NaN without one."""


def interest_over_time(graph: TemporalGraph, user: str, *, until: int, step_days: int = 7) -> InterestOverTime:
    """A user's interest from their first event to their last one strictly before ``until`` (UTC seconds).

    Raises InputError for an unknown user, one without an event before ``until``, or a step under one day.
    """
    history = History.before(graph, user, until)
    step, start = history.steps(step_days)
    codes, column = np.unique(history.item, return_inverse=True)
    counts = scipy.sparse.csr_array((np.ones(len(step)), (step, column)), shape=(len(start), len(codes)))
    themes = themes_of(graph.as_of(until), codes, np.bincount(column))
    events: NDArray[np.float64] = counts.sum(axis=1)
    by_theme = np.asarray(counts @ themes.membership)
    vectors = unit_vectors_of(graph, codes)
    return InterestOverTime(
        user=user,
        until=until,
        step_days=step_days,
        start=start,
        themes=themes.names,
        share=by_theme / np.maximum(events, 1)[:, None],
        events=events.astype(np.int64),
        drift=_drift(by_theme if vectors is None else np.asarray(counts @ vectors)),
    )


def _drift(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine distance of each nonzero row to the one before it, [w]; NaN elsewhere."""
    length = np.linalg.norm(vectors, axis=1)
    active = np.flatnonzero(length > 0)
    unit = vectors[active] / length[active, None]
    drift = np.full(len(vectors), np.nan)
    drift[active[1:]] = 1 - (unit[1:] * unit[:-1]).sum(axis=1)
    return drift
