"""How a user's interest moves: shares of themes, activity and drift, week by week."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray

from graphrec.errors import InputError
from graphrec.graph import TemporalGraph
from graphrec.subgraph import known_user, utc
from graphrec.themes import themes_of, unit_vectors_of

DAY = 86_400
MONDAY = 4 * DAY
"""1970-01-05, the first Monday of the epoch: weeks start there, so those of two users line up."""


@dataclass(frozen=True)
class InterestOverTime:
    """A user's interest in ``w`` steps of time that follow each other without a hole."""

    user: str
    """The user's own id."""
    until: int
    """UTC seconds; only events strictly before it count."""
    step_days: int
    """Length of a step in days."""
    start: NDArray[np.int64]
    """[w] first second of each step on the user's own clock (UTC seconds plus the offset); of a week, a Monday."""
    themes: tuple[str, ...]
    """Names of the themes, the most frequent first."""
    share: NDArray[np.float64]
    """[w, themes] part of the step's events that each theme has; rows sum to 1, or 0 in a step without events."""
    events: NDArray[np.int64]
    """[w] number of events."""
    drift: NDArray[np.float64]
    """[w] cosine distance between the mean text vector (without vectors: the themes) of a step and that of the
    last step with events before it; NaN where there is nothing to compare."""


def interest_over_time(graph: TemporalGraph, user: str, until: int, step_days: int = 7) -> InterestOverTime:
    """A user's interest from their first event to their last one strictly before ``until`` (UTC seconds).

    Raises InputError for an unknown user, one without an event before ``until``, or a step under one day.
    """
    if step_days < 1:
        raise InputError(f"interest over time: a step of at least 1 day expected, got {step_days}")
    item, local_time = user_events(graph, user, until)
    if not len(item):
        raise InputError(f"user {user!r} has no event before {utc(until)}; ask for a later time")
    step = (local_time - MONDAY) // (step_days * DAY)
    codes, column = np.unique(item, return_inverse=True)
    first, steps = int(step.min()), int(np.ptp(step)) + 1
    counts = scipy.sparse.csr_array((np.ones(len(item)), (step - first, column)), shape=(steps, len(codes)))
    themes = themes_of(graph.as_of(until), codes, np.bincount(column))
    events: NDArray[np.float64] = counts.sum(axis=1)
    by_theme = np.asarray(counts @ themes.membership)
    vectors = unit_vectors_of(graph, codes)
    return InterestOverTime(
        user=user,
        until=until,
        step_days=step_days,
        start=(first + np.arange(steps)) * step_days * DAY + MONDAY,
        themes=themes.names,
        share=by_theme / np.maximum(events, 1)[:, None],
        events=events.astype(np.int64),
        drift=_drift(by_theme if vectors is None else np.asarray(counts @ vectors)),
    )


def user_events(graph: TemporalGraph, user: str, until: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Item codes and local times (UTC seconds plus offset) of a user's events strictly before ``until``, in order."""
    view = graph.as_of(until)
    code = torch.tensor([known_user(view, user)], device=view.log.time.device)
    mine = view.relation("user->item")
    rows = mine.event[mine.start[code] : mine.end(code, torch.full_like(code, view.horizon))].long()
    local_time = view.log.time[rows] + 60 * view.log.utc_offset[rows].long()
    return view.log.item[rows].long().cpu().numpy(), local_time.cpu().numpy()


def _drift(meaning: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine distance of each row that is not zero to the one before it, [w]; NaN elsewhere."""
    length = np.linalg.norm(meaning, axis=1)
    active = np.flatnonzero(length > 0)
    unit = meaning[active] / length[active, None]
    drift = np.full(len(meaning), np.nan)
    drift[active[1:]] = 1 - (unit[1:] * unit[:-1]).sum(axis=1)
    return drift
