"""When a user changed: the steps of time from which interest, activity or places are others, each with its chance.

A history is cut in two where the likelihood gains most, as long as few shuffles of its steps gain as much, and each
part is looked at in the same way: binary segmentation (Scott and Knott 1974) with the permutation test of Matteson and
James 2014, arXiv 1306.4933. The gain is that of Poisson counts, ``sum_j C_j log(C_j / E)`` of either side less that of
the whole. With the events of a step as its exposure ``E`` it is that of a multinomial, with 1 that of a rate.
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
"""Largest chance at which a change is told: how often steps in a random order would show as large a one."""
SHUFFLES = 999
"""Random orders that a cut is held against."""
AT_ONCE = 37
"""Orders that are looked at in one go; a divisor of ``SHUFFLES``."""
SHORTEST = 2
"""Steps with events on either side of a change."""
PLACES = 12
"""Locations that are told apart, the most visited ones; the rest are one."""


@dataclass(frozen=True)
class ChangePoint:
    """A step of time from which a user's counts are others than before."""

    start: int
    """First second of that step on the user's own clock (UTC seconds plus the offset)."""
    chance: float
    """Part of the random orders of the steps around it that show as large a change; 0.001 at least."""
    gain: float
    """What telling the two parts apart adds to the log-likelihood, nats."""
    names: tuple[str, ...]
    """What is counted: themes, locations, or ``events`` alone."""
    before: NDArray[np.float64]
    """[names] mean since the change before: shares of the events, or events a step."""
    after: NDArray[np.float64]
    """[names] mean until the next change."""

    def most(self) -> list[int]:
        """Places in ``names``, what changed most first."""
        order: list[int] = np.argsort(-np.abs(self.after - self.before), kind="stable").tolist()
        return order


def interest_changes(interest: InterestOverTime, level: float = LEVEL, seed: int = 0) -> tuple[ChangePoint, ...]:
    """When the shares of a user's themes changed, the earliest first.

    ``level`` is the largest chance at which a change is told, ``seed`` that of the shuffles. Nothing after the
    interest's own ``until`` counts.
    """
    counts = interest.share * interest.events[:, None]
    return _changes(counts, interest.events.astype(np.float64), interest.start, interest.themes, level, seed)


def place_changes(
    graph: TemporalGraph, user: str, until: int, step_days: int = 7, level: float = LEVEL, seed: int = 0
) -> tuple[ChangePoint, ...]:
    """When the shares of a user's locations changed, from the events strictly before ``until`` (UTC seconds).

    The 12 most visited locations are told apart. No change without locations. Raises InputError for an unknown user,
    one without events by then, or a step under one day.
    """
    history = History.before(graph, user, until)
    step, start = history.steps(step_days)
    placed = history.location >= 0
    codes, column, times = np.unique(history.location[placed], return_inverse=True, return_counts=True)
    order = np.argsort(-times, kind="stable")
    rank = np.minimum(np.argsort(order), PLACES)[column]  # 0 is the most visited location
    counts = np.zeros((len(start), min(len(codes), PLACES + 1)))
    np.add.at(counts, (step[placed], rank), 1)
    names = [graph.nodes["location"].label(int(code)) for code in codes[order[:PLACES]]]
    names += ["elsewhere"] * (len(codes) > PLACES)
    return _changes(counts, counts.sum(axis=1), start, tuple(names), level, seed)


def activity_changes(
    graph: TemporalGraph, user: str, until: int, step_days: int = 7, level: float = LEVEL, seed: int = 0
) -> tuple[ChangePoint, ...]:
    """When a user's number of events a step changed, from the events strictly before ``until`` (UTC seconds).

    Steps are whole and counted back from ``until`` or the log's end, those without events too. Raises InputError for
    an unknown user or a step under one day.
    """
    history = History.before(graph, user, until)
    events = history.whole_steps(step_days)
    start = history.local_until - np.arange(len(events), 0, -1) * step_days * DAY
    return _changes(events[:, None].astype(np.float64), np.ones(len(events)), start, ("events",), level, seed)


def _changes(
    counts: NDArray[np.float64],
    exposure: NDArray[np.float64],
    start: NDArray[np.int64],
    names: tuple[str, ...],
    level: float,
    seed: int,
) -> tuple[ChangePoint, ...]:
    """Changes of ``counts`` [steps, names] over their ``exposure`` [steps]; steps without exposure tell nothing."""
    told = np.flatnonzero(exposure > 0)
    counts, exposure, start = counts[told], exposure[told], start[told]
    cuts = sorted(_cuts(counts, exposure, 0, level, np.random.default_rng(seed)))
    edges = [0, *(cut for cut, _, _ in cuts), len(told)]
    mean = [counts[a:b].sum(axis=0) / exposure[a:b].sum() for a, b in pairwise(edges) if b > a]
    return tuple(
        ChangePoint(int(start[cut]), chance, gain, names, before, after)
        for (cut, chance, gain), before, after in zip(cuts, mean[:-1], mean[1:], strict=True)
    )


def _cuts(
    counts: NDArray[np.float64], exposure: NDArray[np.float64], first: int, level: float, rng: np.random.Generator
) -> Iterator[tuple[int, float, float]]:
    """First step after each cut, its chance and gain; ``first`` is the number of the first row."""
    steps = len(counts)
    if steps < 2 * SHORTEST:
        return
    gains = _gains(counts, exposure)
    cut, gain = int(gains.argmax()) + SHORTEST, float(gains.max())
    chance = _chance(counts, exposure, gain, level, rng)
    if chance <= level:
        yield first + cut, chance, gain
        yield from _cuts(counts[:cut], exposure[:cut], first, level, rng)
        yield from _cuts(counts[cut:], exposure[cut:], first + cut, level, rng)


def _chance(
    counts: NDArray[np.float64], exposure: NDArray[np.float64], gain: float, level: float, rng: np.random.Generator
) -> float:
    """Part of the random orders whose best cut gains as much; 1 as soon as it is sure to be over ``level``."""
    as_large = 1  # the order that happened
    for _ in range(SHUFFLES // AT_ONCE):
        order = rng.permuted(np.tile(np.arange(len(counts)), (AT_ONCE, 1)), axis=1)
        best = _gains(counts[order], exposure[order]).max(axis=1)
        as_large += int((best >= gain - 1e-9).sum())
        if as_large > level * (1 + SHUFFLES):
            return 1.0
    return as_large / (1 + SHUFFLES)


def _gains(counts: NDArray[np.float64], exposure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain of cutting before each step from ``SHORTEST`` on, [..., steps - 2 * SHORTEST + 1] nats.

    ``counts`` are [..., steps, names], their ``exposure`` [..., steps].
    """
    steps = exposure.shape[-1]
    left, time = counts.cumsum(axis=-2), exposure.cumsum(axis=-1)
    all_left, all_time = left[..., -1:, :], time[..., -1:]
    left, time = left[..., SHORTEST - 1 : steps - SHORTEST, :], time[..., SHORTEST - 1 : steps - SHORTEST]
    parts = _likelihood(left, time) + _likelihood(all_left - left, all_time - time)
    return parts - _likelihood(all_left, all_time)


def _likelihood(counts: NDArray[np.float64], exposure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-likelihood of Poisson counts [..., names] at their own mean, less what no cut changes, [...]."""
    return np.asarray((xlogy(counts, counts) - xlogy(counts, np.expand_dims(exposure, -1))).sum(axis=-1))
