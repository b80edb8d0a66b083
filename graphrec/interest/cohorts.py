"""Cohorts of users: by the step of their first event (retention), and by their interest (groups and transitions)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2, vq

from graphrec.errors import InputError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.interest.themes import OTHER, Themes, themes_of
from graphrec.time_units import DAY

N_STARTS = 5
"""Random starts of the clustering; the one with the least inertia is used."""
MAX_SAMPLE = 20_000
"""Pairs of a user and a step that the clustering is fitted to."""
MAX_STEPS = 60
"""Steps of time at most."""


@dataclass(frozen=True)
class Cohorts:
    """Users by the step of time of their first event, ``c`` cohorts over ``w`` steps.

    Steps are counted back from ``until``, so that each is complete.
    """

    until: int
    """UTC seconds; only events strictly before it count."""
    step_days: int
    """Length of a step in days."""
    names: tuple[str, ...]
    """[c] first day of each cohort's step, ISO date (UTC)."""
    size: NDArray[np.int64]
    """[c] users whose first event fell in the step."""
    active: NDArray[np.int64]
    """[c, w] users of the cohort with an event so many steps after their first; 0 from ``until`` on."""
    events: NDArray[np.int64]
    """[c, w] their events."""
    themes: tuple[str, ...]
    """Names of the themes of all events."""
    share: NDArray[np.float64]
    """[c, w, themes] part of these events that each theme has; rows sum to 1, or 0 without events."""

    @property
    def retention(self) -> NDArray[np.float64]:
        """[c, w] share of the cohort that was active; NaN for an empty cohort and from ``until`` on."""
        observed = np.arange(self.active.shape[1])[None] < len(self.size) - np.arange(len(self.size))[:, None]
        share = self.active / np.maximum(self.size, 1)[:, None]
        return np.where(observed & (self.size > 0)[:, None], share, np.nan)


@dataclass(frozen=True)
class InterestGroups:
    """Clusters of users by interest over ``w`` steps of time; the same ``k`` groups in every step."""

    until: int
    """UTC seconds; only events strictly before it count."""
    step_days: int
    """Length of a step in days."""
    start: NDArray[np.int64]
    """[w] first second of each step, UTC."""
    names: tuple[str, ...]
    """[k] the theme whose share exceeds the average most, the largest group first."""
    themes: tuple[str, ...]
    """Names of the themes."""
    share: NDArray[np.float64]
    """[k, themes] mean share of each theme in the group."""
    size: NDArray[np.int64]
    """[w, k] users in the group in each step; those without events are in none."""
    transitions: NDArray[np.int64]
    """[k, k] number of times that a user was in one group and in the other at their next active step."""


def cohorts_by_start(graph: TemporalGraph, until: int, *, step_days: int = 28) -> Cohorts:
    """Users by their first event before ``until`` (UTC seconds): sizes, retention, activity and themes by age.

    Raises InputError without events, for a step under one day, or for over 60 steps.
    """
    view = graph.as_of(until)
    user, item, step, start = _steps(view, step_days)
    count = len(start)
    first = np.full(len(view.nodes["user"]), count)
    np.minimum.at(first, user, step)
    cohort, age = first[user], step - first[user]
    cell = cohort * count + age
    pairs = np.unique(user * count + age)  # a user and an age
    active = np.bincount(first[pairs // count] * count + pairs % count, minlength=count * count)
    themes, of_item = _themes(view, item)
    by_theme = _sums(cell, of_item, themes.membership, count * count)
    events = np.bincount(cell, minlength=count * count)
    return Cohorts(
        until=until,
        step_days=step_days,
        names=tuple(str(moment)[:10] for moment in start.astype("datetime64[s]")),
        size=np.bincount(first[first < count], minlength=count),
        active=active.reshape(count, count),
        events=events.reshape(count, count),
        themes=themes.names,
        share=(by_theme / np.maximum(events, 1)[:, None]).reshape(count, count, -1),
    )


def cohorts_by_interest(
    graph: TemporalGraph, until: int, *, groups: int = 5, step_days: int = 28, seed: int = 0
) -> InterestGroups:
    """Clusters of users by the themes of their events per step before ``until`` (UTC seconds), with transitions.

    The square roots of a user's shares of the themes, whose Euclidean distance is Hellinger's, are clustered by
    k-means++ over all steps at once. Raises InputError without events, for fewer than 2 groups, a step under one day,
    or over 60 steps.
    """
    if groups < 2:
        raise InputError(f"cohorts by interest: at least 2 groups expected, got {groups}")
    view = graph.as_of(until)
    user, item, step, start = _steps(view, step_days)
    themes, of_item = _themes(view, item)
    pair, row = np.unique(user * len(start) + step, return_inverse=True)  # a user in a step, in order of time
    share = _sums(row, of_item, themes.membership, len(pair))
    share /= share.sum(axis=1, keepdims=True)
    centres = _centres(np.sqrt(share), groups, np.random.default_rng(seed))
    group = vq(np.sqrt(share), centres)[0].astype(np.int64)
    order = np.argsort(-np.bincount(group, minlength=len(centres)), kind="stable")
    group = np.argsort(order)[group]
    count = len(order)
    pair_user, pair_step = pair // len(start), pair % len(start)
    again = np.flatnonzero(pair_user[1:] == pair_user[:-1])
    total = _sums(group, np.arange(len(pair)), share, count)
    mean = total / np.maximum(np.bincount(group, minlength=count), 1)[:, None]
    return InterestGroups(
        until=until,
        step_days=step_days,
        start=start,
        names=_names(mean, share.mean(axis=0), themes.names),
        themes=themes.names,
        share=mean,
        size=np.bincount(pair_step * count + group, minlength=len(start) * count).reshape(-1, count),
        transitions=np.bincount(group[again] * count + group[again + 1], minlength=count * count).reshape(count, count),
    )


def _steps(view: TemporalGraph, step_days: int) -> tuple[NDArray[np.int64], ...]:
    """User, item and step of each visible event, [n] each, and the first second of each step, [w]."""
    if step_days < 1:
        raise InputError(f"cohorts: a step of at least 1 day expected, got {step_days}")
    events = view.events
    if not len(events):
        raise InputError("cohorts: no event before the time asked for; ask for a later time")
    time = events.time.cpu().numpy()
    end, length = min(view.horizon, int(time[-1]) + 1), step_days * DAY
    back = (end - 1 - time) // length
    count = int(back[0]) + 1
    if count > MAX_STEPS:
        raise InputError(
            f"cohorts: {count:,} steps of {step_days} days; at most {MAX_STEPS} expected, take longer ones"
        )
    start = end - length * np.arange(count, 0, -1)
    return events.user.long().cpu().numpy(), events.item.long().cpu().numpy(), count - 1 - back, start


def _themes(view: TemporalGraph, item: NDArray[np.int64]) -> tuple[Themes, NDArray[np.int64]]:
    """Themes of all items with events, and the row of each event's item among them, [n]."""
    codes, row, count = np.unique(item, return_inverse=True, return_counts=True)
    return themes_of(view, codes, count), row


def _sums(
    row: NDArray[np.int64], column: NDArray[np.int64], values: NDArray[np.float64], rows: int
) -> NDArray[np.float64]:
    """Sum of ``values[column]`` by ``row``, [rows, names]; by a sparse product, so that no row is copied per event."""
    counts = scipy.sparse.csr_array((np.ones(len(row)), (row, column)), shape=(rows, len(values)))
    return np.asarray(counts @ values)


def _centres(points: NDArray[np.float64], groups: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Cluster centres, [groups or fewer, themes], the best of some starts on a sample."""
    sample = points[np.sort(rng.permutation(len(points))[:MAX_SAMPLE])]
    groups = min(groups, len(np.unique(sample, axis=0)))
    fits = [kmeans2(sample, groups, minit="++", rng=rng, missing="warn")[0] for _ in range(N_STARTS)]
    return min(fits, key=lambda centres: float((vq(sample, centres)[1] ** 2).sum()))


def _names(mean: NDArray[np.float64], average: NDArray[np.float64], themes: tuple[str, ...]) -> tuple[str, ...]:
    """Each group's theme that exceeds the average most, with the next ones as long as the name is taken."""
    names: list[str] = []
    for row in mean:
        ranked = [themes[index] for index in np.argsort(-(row - average), kind="stable").tolist()]
        ranked = [name for name in ranked if name != OTHER] or [OTHER]
        first = themes.index(ranked[0])
        name = ranked[0] if row[first] > average[first] else "a bit of all"
        longer = iter(ranked[1:])
        while name in names:
            name += f", {next(longer, 'again')}"
        names.append(name)
    return tuple(names)
