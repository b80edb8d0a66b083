"""Home, work and habit places of a user as of a time, estimated from the log.

Home is where evenings, nights and weekends are spent, work where the working hours of weekdays are. Users are seen
around a place rather than at it, and many users are seen in the centre of town. Each location where a user was seen is
a candidate, and each day at a location ``v`` has the likelihood of a gravity model given the candidate ``h``::

    P(at v | lives at h) = 0.8 m_v exp(-d_hv / 1.5 km) / sum_w m_w exp(-d_hw / 1.5 km) + 0.1 [v = h] + 0.1 m_v / sum m

with ``m`` the visits of all users in those hours and ``d`` the great-circle distance: Huff's model of 1963, with the
place itself and a uniform part added. A day of 90 days ago weighs half. As days at one location are dependent, ``n`` of
them count as ``0.4 n^0.7`` independent ones; with that the confidence is calibrated (docs/interest.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from graphrec.graph.event_types import format_habit
from graphrec.graph.geography import chord_to_km, unit_vectors
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.interest.history import History
from graphrec.time_units import DAY, FIRST_MONDAY, HOUR, WEEK

DISTANCE_DECAY_KM = 1.5
"""Distance at which the attraction of a place falls to 1/e."""
P_AT_HOME, P_ANYWHERE = 0.1, 0.1
"""Probability of a day at the place itself, and of a day anywhere."""
HALF_LIFE_DAYS = 90
"""Age at which a day weighs half."""
EVIDENCE_SCALE, EVIDENCE_POWER = 0.4, 0.7
"""Independent days that ``n`` days at one location count as: ``EVIDENCE_SCALE * n ** EVIDENCE_POWER``."""
MAX_CANDIDATES = 50
"""Candidate locations, those with the most days."""
MIN_DAYS = 3
"""Days of a home or work, or weeks of a habit, at least."""
MIN_CONFIDENCE = 0.5
"""Confidence of home and work at least."""
MAX_HABITS = 6
"""Habit places at most."""
HABIT_WEEKS = 12
"""Weeks before the time of the query in which habits are counted."""
MIN_WEEK_SHARE = 0.25
"""Share of those weeks with a visit to a habit place at least."""


@dataclass(frozen=True)
class Place:
    """A place of a user with its evidence."""

    kind: str
    """Node type: ``location`` for home and work, ``item`` for a habit."""
    id: str
    """The node's own id."""
    label: str
    """Its name for people."""
    coordinates: tuple[float, float] | None
    """Latitude and longitude in degrees; None where unknown."""
    visits: int
    """Events there within the hours considered (of a habit: within the weeks considered)."""
    days: int
    """Days (of a habit: weeks) with such an event."""
    days_observed: int
    """Days with such an event anywhere (of a habit: number of weeks considered)."""
    confidence: float
    """[0, 1]: probability that it is this place and no other where the user was seen; of a habit, that a week sees it
    again, by Laplace's rule of succession ``(days + 1) / (days_observed + 2)``."""
    when: str
    """When these visits were, such as ``mostly Friday evenings``."""
    rows: NDArray[np.int64]
    """[visits] rows of these events in the log."""


@dataclass(frozen=True)
class HabitualPlaces:
    """Home, work and habit places of a user before a time. They are personal data."""

    user: str
    """The user's own id."""
    until: int
    """UTC seconds; only events strictly before it count."""
    home: Place | None
    """None where uncertain."""
    work: Place | None
    """None where uncertain or at home."""
    habits: tuple[Place, ...]
    """Items visited in most weeks, the most regular first; 6 at most."""


def habitual_places(graph: TemporalGraph, user: str, *, until: int) -> HabitualPlaces:
    """Home, work and habit places of a user from the events strictly before ``until`` (UTC seconds).

    Raises InputError for a user not known by then.
    """
    view, history = graph.as_of(until), History.before(graph, user, until)
    home, work = _anchor(view, history, at_home), _anchor(view, history, at_work)
    same = home is not None and work is not None and work.id == home.id
    return HabitualPlaces(user, until, home, None if same else work, _habits(view, history))


def at_home(local_time: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask of evenings and nights (19 to 9 o'clock) and weekends."""
    hour = local_time % DAY // HOUR
    return (hour >= 19) | (hour < 9) | (_weekday(local_time) >= 5)


def at_work(local_time: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask of 9 to 17 o'clock on weekdays."""
    hour = local_time % DAY // HOUR
    return (hour >= 9) & (hour < 17) & (_weekday(local_time) < 5)


def _weekday(local_time: NDArray[np.int64]) -> NDArray[np.int64]:
    return (local_time - FIRST_MONDAY) // DAY % 7  # 0 is Monday


HoursMask = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
"""Mask of local times."""


def _anchor(view: TemporalGraph, history: History, hours: HoursMask) -> Place | None:
    """The place around which a user spends some hours; None for too few days or too little confidence."""
    considered = (history.location >= 0) & hours(history.local_time)
    location, day = history.location[considered], history.local_time[considered] // DAY
    days = np.unique(np.stack((day, location)), axis=1)  # a day at a location counts once
    observed = len(np.unique(day))
    if observed < MIN_DAYS:
        return None
    age = history.local_until // DAY - days[0]
    codes, column = np.unique(days[1], return_inverse=True)
    evidence = EVIDENCE_SCALE * np.bincount(column, 0.5 ** (age / HALF_LIFE_DAYS)) ** EVIDENCE_POWER
    candidates = codes[np.sort(np.argsort(-evidence, kind="stable")[:MAX_CANDIDATES])]
    posterior = softmax(np.log(_gravity(view, candidates, codes, _visits(view, hours))) @ evidence)
    best = int(posterior.argmax())
    if posterior[best] < MIN_CONFIDENCE:
        return None
    rows = np.flatnonzero(considered & (history.location == candidates[best]))
    days_here = len(np.unique(history.local_time[rows] // DAY))
    return _place(view, "location", candidates[best], history.row[rows], (days_here, observed), float(posterior[best]))


def _gravity(
    view: TemporalGraph, homes: NDArray[np.int64], seen: NDArray[np.int64], visits: NDArray[np.float64]
) -> NDArray[np.float64]:
    """P(seen at a location | lives at another), [homes, seen]; computed by row, as there may be many locations."""
    mass = visits + 0.5  # an unvisited location keeps a positive probability
    coordinates = view.nodes["location"].coordinates
    points = None if coordinates is None else unit_vectors(coordinates.cpu())
    chance = np.empty((len(homes), len(seen)))
    for row, home in enumerate(homes):
        attraction = mass * _distance_decay(points, int(home), len(mass))
        chance[row] = (1 - P_AT_HOME - P_ANYWHERE) * attraction[seen] / attraction.sum()
        chance[row] += P_ANYWHERE * mass[seen] / mass.sum() + P_AT_HOME * (seen == home)
    return chance


def _distance_decay(points: torch.Tensor | None, home: int, count: int) -> NDArray[np.float64]:
    """exp(-distance / decay) from a home to every location, [count]; 1 at home, 0 for an unknown distance."""
    decay = np.zeros(count)
    if points is not None:
        km = chord_to_km((points - points[home]).square().sum(dim=-1)).double().numpy()
        decay = np.nan_to_num(np.exp(-km / DISTANCE_DECAY_KM), nan=0.0)
    decay[home] = 1.0
    return decay


def _visits(view: TemporalGraph, hours: HoursMask) -> NDArray[np.float64]:
    """Visible visits of all users in these hours to each location, [locations]."""
    events = view.events
    location = events.location.cpu().numpy()
    considered = location[(location >= 0) & hours(events.local_time(slice(None)).cpu().numpy())]
    return np.bincount(considered, minlength=len(view.nodes["location"])).astype(np.float64)


def _habits(view: TemporalGraph, history: History) -> tuple[Place, ...]:
    """Items visited in many of the last weeks before the time of the query, the most regular first."""
    week = (history.until - 1 - history.time) // WEEK
    weeks = min(HABIT_WEEKS, int(week[0]) + 1) if len(week) else 0
    recent = np.flatnonzero(week < weeks)
    item, column, visits = np.unique(history.item[recent], return_inverse=True, return_counts=True)
    active = np.bincount(np.unique(np.stack((column, week[recent])), axis=1)[0], minlength=len(item))
    regular = np.flatnonzero((active >= MIN_DAYS) & (active >= MIN_WEEK_SHARE * weeks))
    order = regular[np.lexsort((item[regular], -visits[regular], -active[regular]))][:MAX_HABITS]
    habits = []
    for index in order:
        days, rows = int(active[index]), history.row[recent[column == index]]
        habits.append(_place(view, "item", item[index], rows, (days, weeks), (days + 1) / (weeks + 2)))
    return tuple(habits)


def _place(
    view: TemporalGraph,
    kind: str,
    code: np.int64,
    rows: NDArray[np.int64],
    days: tuple[int, int],
    confidence: float,
) -> Place:
    table = view.nodes[kind]
    return Place(
        kind=kind,
        id=table.ids[int(code)].as_py(),
        label=table.label(int(code)),
        coordinates=table.position(int(code)),
        visits=len(rows),
        days=days[0],
        days_observed=days[1],
        confidence=confidence,
        when=format_habit(view, torch.from_numpy(rows).to(view.log.time.device)),
        rows=rows,
    )
