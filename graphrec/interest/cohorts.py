"""People by when they began and by what they like: how many stay, what they do, who moves from group to group."""

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

STARTS = 5
"""Random starts of the clustering; the one of the least inertia stays."""
SAMPLE = 20_000
"""Pairs of a person and a step from which the groups' centres are learned."""
MOST_COHORTS = 60
"""Steps of time at most."""


@dataclass(frozen=True)
class Cohorts:
    """People by the step of time of their first event, ``c`` cohorts over ``w`` steps; steps are counted back from
    the time asked for, so that each is whole."""

    until: int
    """UTC seconds; only events strictly before it count."""
    step_days: int
    """Length of a step in days."""
    names: tuple[str, ...]
    """[c] first day of each cohort's step, ISO date (UTC)."""
    size: NDArray[np.int64]
    """[c] people who began in the step; 0 for none."""
    active: NDArray[np.int64]
    """[c, w] people of the cohort with an event so many steps after their first; 0 where the future begins."""
    events: NDArray[np.int64]
    """[c, w] their events."""
    themes: tuple[str, ...]
    """Names of the themes of all events."""
    share: NDArray[np.float64]
    """[c, w, themes] part of these events that each theme has; rows sum to 1, or 0 without events."""

    @property
    def retention(self) -> NDArray[np.float64]:
        """[c, w] part of the cohort that was active; NaN for nobody, or where the future begins."""
        age = np.arange(self.active.shape[1])
        seen = age[None] < len(self.size) - np.arange(len(self.size))[:, None]
        part = self.active / np.maximum(self.size, 1)[:, None]
        return np.where(seen & (self.size > 0)[:, None], part, np.nan)


@dataclass(frozen=True)
class InterestGroups:
    """Groups of people of like interest over ``w`` steps of time; the same groups in every step, ``k`` of them."""

    until: int
    """UTC seconds; only events strictly before it count."""
    step_days: int
    """Length of a step in days."""
    start: NDArray[np.int64]
    """[w] first second of each step, UTC."""
    names: tuple[str, ...]
    """[k] the themes that a group has most of beyond everybody, the largest group first."""
    themes: tuple[str, ...]
    """Names of the themes."""
    share: NDArray[np.float64]
    """[k, themes] mean share of each theme among the group."""
    size: NDArray[np.int64]
    """[w, k] people who were in the group in each step; those without events are in none."""
    transitions: NDArray[np.int64]
    """[k, k] times that a person was in one group and, when next seen, in the other; on the diagonal they stayed."""


def cohorts_by_start(graph: TemporalGraph, until: int, step_days: int = 28) -> Cohorts:
    """People by their first event before ``until`` (UTC seconds): sizes, retention, activity and themes by age.

    Raises InputError without events, for a step under one day, or for over 60 steps.
    """
    view = graph.as_of(until)
    user, item, step, start = _steps(view, step_days)
    count, people = len(start), len(view.nodes["user"])
    first = np.full(people, count)
    np.minimum.at(first, user, step)
    cohort, age = first[user], step - first[user]
    cell = cohort * count + age
    pairs = np.unique(user * count + age)  # a person and an age
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
    graph: TemporalGraph, until: int, groups: int = 5, step_days: int = 28, seed: int = 0
) -> InterestGroups:
    """People by the themes of their events of each step before ``until`` (UTC seconds), and who moves between them.

    A person's shares of the themes, as square roots, so that their distance is Hellinger's, are clustered by k-means++
    over all steps at once. Raises InputError without events, for fewer than 2 groups, a step under one day, or over 60
    steps.
    """
    if groups < 2:
        raise InputError(f"cohorts by interest: at least 2 groups expected, got {groups}")
    view = graph.as_of(until)
    user, item, step, start = _steps(view, step_days)
    themes, of_item = _themes(view, item)
    pair, place = np.unique(user * len(start) + step, return_inverse=True)  # a person in a step, in order of time
    share = _sums(place, of_item, themes.membership, len(pair))
    share /= share.sum(axis=1, keepdims=True)
    centres = _centres(np.sqrt(share), groups, np.random.default_rng(seed))
    group = vq(np.sqrt(share), centres)[0].astype(np.int64)
    order = np.argsort(-np.bincount(group, minlength=len(centres)), kind="stable")
    group = np.argsort(order)[group]
    count = len(order)
    who, when = pair // len(start), pair % len(start)
    again = np.flatnonzero(who[1:] == who[:-1])
    mean = (
        _sums(group, np.arange(len(pair)), share, count) / np.maximum(np.bincount(group, minlength=count), 1)[:, None]
    )
    return InterestGroups(
        until=until,
        step_days=step_days,
        start=start,
        names=_names(mean, share.mean(axis=0), themes.names),
        themes=themes.names,
        share=mean,
        size=np.bincount(when * count + group, minlength=len(start) * count).reshape(-1, count),
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
    if count > MOST_COHORTS:
        raise InputError(
            f"cohorts: {count:,} steps of {step_days} days; at most {MOST_COHORTS} expected, take longer ones"
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
    """Sum of ``values[column]`` by ``row``, [rows, names]; through counts, so no column is copied an event."""
    counts = scipy.sparse.csr_array((np.ones(len(row)), (row, column)), shape=(rows, len(values)))
    return np.asarray(counts @ values)


def _centres(points: NDArray[np.float64], groups: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Centres of the groups, [groups or fewer, themes], the best of some starts on a sample."""
    sample = points[np.sort(rng.permutation(len(points))[:SAMPLE])]
    groups = min(groups, len(np.unique(sample, axis=0)))
    tried = [kmeans2(sample, groups, minit="++", rng=rng, missing="warn")[0] for _ in range(STARTS)]
    return min(tried, key=lambda centres: float((vq(sample, centres)[1] ** 2).sum()))


def _names(mean: NDArray[np.float64], everybody: NDArray[np.float64], themes: tuple[str, ...]) -> tuple[str, ...]:
    """The theme that each group has most of beyond everybody, and the next ones as long as a name is taken."""
    names: list[str] = []
    for row in mean:
        ranked = [themes[place] for place in np.argsort(-(row - everybody), kind="stable").tolist()]
        ranked = [name for name in ranked if name != OTHER] or [OTHER]
        name = ranked[0] if row[themes.index(ranked[0])] > everybody[themes.index(ranked[0])] else "a bit of all"
        longer = iter(ranked[1:])
        while name in names:
            name += f", {next(longer, 'again')}"
        names.append(name)
    return tuple(names)
