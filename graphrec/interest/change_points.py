"""Change points of a user: the steps of time from which interest, activity or places differ, each with a p-value.

Binary segmentation (Scott and Knott 1974): a history is cut where the likelihood gains most, as long as a permutation
test of its steps (Matteson and James 2014, arXiv 1306.4933) rejects chance, and both parts are searched in the same
way. The gain is that of Poisson counts, ``sum_j C_j log(C_j / E)`` of either side less that of both together. With
the events of a step as its exposure ``E`` it is that of a multinomial, with 1 that of a rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.interest.history import History
from graphrec.interest.over_time import InterestOverTime
from graphrec.time_units import DAY

LEVEL = 0.01
"""Significance level of a change: the largest p-value that is reported."""
N_PERMUTATIONS = 999
"""Random orders of the steps in the permutation test."""
PERMUTATIONS_PER_BATCH = 37
"""Orders that are evaluated at once; a divisor of ``N_PERMUTATIONS``."""
MIN_STEPS = 2
"""Steps with events on either side of a change at least."""
MAX_LOCATIONS = 12
"""Most visited locations that are counted apart; the others are counted together."""


@dataclass(frozen=True)
class ChangePoint:
    """A step of time from which a user's counts differ from those before."""

    start: int
    """First second of that step in local time (UTC seconds plus the offset)."""
    p_value: float
    """Share of the random orders of the steps around it with as large a gain; 0.001 at least."""
    gain: float
    """Gain in log-likelihood of two parts over one, nats."""
    names: tuple[str, ...]
    """What is counted: themes, locations, or ``events`` alone."""
    before: NDArray[np.float64]
    """[names] mean since the change before: shares of the events, or events per step."""
    after: NDArray[np.float64]
    """[names] mean until the next change."""

    def ranked(self) -> list[int]:
        """Indices into ``names`` by size of the change, the largest first."""
        order: list[int] = np.argsort(-np.abs(self.after - self.before), kind="stable").tolist()
        return order


def interest_changes(interest: InterestOverTime, level: float = LEVEL, *, seed: int = 0) -> tuple[ChangePoint, ...]:
    """Change points of the shares of a user's themes, the earliest first.

    ``level`` is the largest p-value, ``seed`` that of the permutations. Nothing after the interest's ``until`` counts.
    """
    counts = interest.share * interest.events[:, None]
    return _change_points(counts, interest.events.astype(np.float64), interest.start, interest.themes, level, seed)


def place_changes(
    graph: TemporalGraph, user: str, *, until: int, step_days: int = 7, level: float = LEVEL, seed: int = 0
) -> tuple[ChangePoint, ...]:
    """Change points of the shares of a user's locations, from the events strictly before ``until`` (UTC seconds).

    The 12 most visited locations are counted apart; a log without locations has no change. Raises InputError for an
    unknown user, one without events by then, or a step under one day.
    """
    history = History.before(graph, user, until)
    step, start = history.steps(step_days)
    known = history.location >= 0
    codes, column, visits = np.unique(history.location[known], return_inverse=True, return_counts=True)
    order = np.argsort(-visits, kind="stable")
    rank = np.minimum(np.argsort(order), MAX_LOCATIONS)[column]  # 0 is the most visited location
    counts = np.zeros((len(start), min(len(codes), MAX_LOCATIONS + 1)))
    np.add.at(counts, (step[known], rank), 1)
    names = [graph.nodes["location"].label(int(code)) for code in codes[order[:MAX_LOCATIONS]]]
    names += ["elsewhere"] * (len(codes) > MAX_LOCATIONS)
    return _change_points(counts, counts.sum(axis=1), start, tuple(names), level, seed)


def activity_changes(
    graph: TemporalGraph, user: str, *, until: int, step_days: int = 7, level: float = LEVEL, seed: int = 0
) -> tuple[ChangePoint, ...]:
    """Change points of a user's events per step, from the events strictly before ``until`` (UTC seconds).

    Steps are counted back from ``until`` or the log's end; those without events count too. Raises InputError for an
    unknown user or a step under one day.
    """
    history = History.before(graph, user, until)
    events = history.whole_steps(step_days)
    start = history.local_until - np.arange(len(events), 0, -1) * step_days * DAY
    return _change_points(events[:, None].astype(np.float64), np.ones(len(events)), start, ("events",), level, seed)


def _change_points(
    counts: NDArray[np.float64],
    exposure: NDArray[np.float64],
    start: NDArray[np.int64],
    names: tuple[str, ...],
    level: float,
    seed: int,
) -> tuple[ChangePoint, ...]:
    """Change points of ``counts`` [steps, names] over their ``exposure`` [steps], where it is positive."""
    exposed = np.flatnonzero(exposure > 0)
    counts, exposure, start = counts[exposed], exposure[exposed], start[exposed]
    cuts = sorted(_cuts(counts, exposure, 0, level, np.random.default_rng(seed)))
    edges = [0, *(cut for cut, _, _ in cuts), len(exposed)]
    mean = [counts[a:b].sum(axis=0) / exposure[a:b].sum() for a, b in pairwise(edges) if b > a]
    return tuple(
        ChangePoint(int(start[cut]), p_value, gain, names, before, after)
        for (cut, p_value, gain), before, after in zip(cuts, mean[:-1], mean[1:], strict=True)
    )


def _cuts(
    counts: NDArray[np.float64], exposure: NDArray[np.float64], first: int, level: float, rng: np.random.Generator
) -> Iterator[tuple[int, float, float]]:
    """First step after each cut, its p-value and gain; ``first`` is the step of the first row."""
    if len(counts) < 2 * MIN_STEPS:
        return
    gains = _gains(counts, exposure)
    cut, gain = int(gains.argmax()) + MIN_STEPS, float(gains.max())
    p_value = _p_value(counts, exposure, gain, level, rng)
    if p_value <= level:
        yield first + cut, p_value, gain
        yield from _cuts(counts[:cut], exposure[:cut], first, level, rng)
        yield from _cuts(counts[cut:], exposure[cut:], first + cut, level, rng)


def _p_value(
    counts: NDArray[np.float64], exposure: NDArray[np.float64], gain: float, level: float, rng: np.random.Generator
) -> float:
    """Share of the random orders whose best cut gains as much; 1 as soon as it must exceed ``level``."""
    as_large = 1  # the observed order
    for _ in range(N_PERMUTATIONS // PERMUTATIONS_PER_BATCH):
        order = rng.permuted(np.tile(np.arange(len(counts)), (PERMUTATIONS_PER_BATCH, 1)), axis=1)
        best = _gains(counts[order], exposure[order]).max(axis=1)
        as_large += int((best >= gain - 1e-9).sum())
        if as_large > level * (1 + N_PERMUTATIONS):
            return 1.0
    return as_large / (1 + N_PERMUTATIONS)


def _gains(counts: NDArray[np.float64], exposure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain of a cut before each step from ``MIN_STEPS`` on, [..., steps - 2 * MIN_STEPS + 1] nats.

    ``counts`` are [..., steps, names], their ``exposure`` [..., steps].
    """
    left, time = counts.cumsum(axis=-2), exposure.cumsum(axis=-1)
    total, total_time = left[..., -1:, :], time[..., -1:]
    left, time = left[..., MIN_STEPS - 1 : -MIN_STEPS, :], time[..., MIN_STEPS - 1 : -MIN_STEPS]
    parts = _log_likelihood(left, time) + _log_likelihood(total - left, total_time - time)
    return parts - _log_likelihood(total, total_time)


def _log_likelihood(counts: NDArray[np.float64], exposure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-likelihood of Poisson counts [..., names] at their own mean, less what no cut changes, [...]."""
    return np.asarray((xlogy(counts, counts) - xlogy(counts, np.expand_dims(exposure, -1))).sum(axis=-1))
