"""Where a user lives, works and keeps coming back to, as far as the log says, as of a time.

Home is where evenings, nights and weekends are spent around, work where the working hours of weekdays are. People are
seen around a place rather than at it, and everybody is seen in the middle of town. So each location where a user was
seen stands as a candidate, and each day at a location speaks for it by a law of gravity::

    P(at v | lives at h) = 0.8 m_v exp(-d_hv / 1.5 km) / sum_w m_w exp(-d_hw / 1.5 km) + 0.1 [v = h] + 0.1 m_v / sum m

with ``m`` the visits of all people in those hours and ``d`` the great-circle distance: Huff's model of 1963, with the
place itself and strays added. A day of 90 days ago weighs half. As days at one location hang together, ``n`` of them
speak as loud as ``0.4 n^0.7``; with that the confidence is near what comes true (docs/interest.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from graphrec.graph.event_kinds import habit
from graphrec.graph.geography import chord_to_km, unit_vectors
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.interest.history import History
from graphrec.time_units import DAY, FIRST_MONDAY

REACH_KM = 1.5
"""Distance at which a place draws e times less."""
ITSELF, STRAY = 0.1, 0.1
"""Share of the days at the place itself, and of those anywhere."""
HALF_LIFE_DAYS = 90
"""Age at which a day weighs half."""
WORTH, REPEATED = 0.4, 0.7
"""Independent days that ``n`` days at one location stand for: ``WORTH * n ** REPEATED``."""
CANDIDATES = 50
"""Locations looked at, those with the most days."""
FEWEST = 3
"""Days, or weeks of a habit, without which nothing is said."""
SURE = 0.5
"""Confidence under which home and work are unknown."""
HABITS = 6
"""Habit places told at most."""
HABIT_WEEKS = 12
"""Weeks before the time asked for in which a habit must show."""
OFTEN = 0.25
"""Part of those weeks in which a habit place is visited at least."""


@dataclass(frozen=True)
class Place:
    """A place of a user's, with the numbers that it stands on."""

    kind: str
    """Node type: ``location`` for home and work, ``item`` for a habit."""
    id: str
    """The node's own id."""
    label: str
    """Its name for people."""
    coordinates: tuple[float, float] | None
    """Latitude and longitude in degrees; None where unknown."""
    visits: int
    """Events there in the hours that count (of a habit: in the weeks that count)."""
    days: int
    """Days (of a habit: weeks) with such an event."""
    of: int
    """Days (of a habit: weeks) with such an event anywhere (of a habit: in all)."""
    confidence: float
    """[0, 1]: probability that it is this place and no other where the user was seen; of a habit, that a week sees it
    again, by Laplace's rule of succession ``(days + 1) / (of + 2)``."""
    when: str
    """When these visits were, such as ``mostly Friday evenings``."""
    rows: NDArray[np.int64]
    """[visits] rows of these events in the log."""


@dataclass(frozen=True)
class HabitualPlaces:
    """What the log says of a user's places before a time. Home, work and habits are personal data."""

    user: str
    """The user's own id."""
    until: int
    """UTC seconds; only events strictly before it count."""
    home: Place | None
    """None where the data do not say."""
    work: Place | None
    """None where the data do not say, or not apart from home."""
    habits: tuple[Place, ...]
    """Items that the user keeps coming back to, the most regular first; 6 at most."""


def habitual_places(graph: TemporalGraph, user: str, until: int) -> HabitualPlaces:
    """A user's home, work and habit places from the events strictly before ``until`` (UTC seconds).

    Raises InputError for a user not known by then.
    """
    view, history = graph.as_of(until), History.before(graph, user, until)
    home = _centre(view, history, at_home)
    work = _centre(view, history, at_work)
    apart = work if work is None or home is None or work.id != home.id else None
    return HabitualPlaces(user, until, home, apart, _habits(view, history))


def at_home(local_time: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which times are evenings and nights (19 to 9 o'clock) or of a weekend."""
    hour = local_time % DAY // 3600
    return (hour >= 19) | (hour < 9) | (_weekday(local_time) >= 5)


def at_work(local_time: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which times are from 9 to 17 o'clock on a weekday."""
    hour = local_time % DAY // 3600
    return (hour >= 9) & (hour < 17) & (_weekday(local_time) < 5)


def _weekday(local_time: NDArray[np.int64]) -> NDArray[np.int64]:
    return (local_time - FIRST_MONDAY) // DAY % 7  # 0 is Monday


Hours = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
"""Which local times count."""


def _centre(view: TemporalGraph, history: History, hours: Hours) -> Place | None:
    """Where a user is around in some hours; None where the days are few or do not agree."""
    counts = (history.location >= 0) & hours(history.local_time)
    location, day = history.location[counts], history.local_time[counts] // DAY
    days = np.unique(np.stack((day, location)), axis=1)  # a day at a location counts once
    if len(np.unique(day)) < FEWEST:
        return None
    age = history.local_until // DAY - days[0]
    codes, column = np.unique(days[1], return_inverse=True)
    weight = WORTH * np.bincount(column, 0.5 ** (age / HALF_LIFE_DAYS)) ** REPEATED
    candidates = np.sort(np.argsort(-weight, kind="stable")[:CANDIDATES])
    chance = _gravity(view, codes[candidates], codes, _visits(view, hours))
    posterior = _softmax(np.log(chance) @ weight)
    best = int(posterior.argmax())
    if posterior[best] < SURE:
        return None
    there = np.flatnonzero(counts & (history.location == codes[candidates[best]]))
    seen = len(np.unique(history.local_time[there] // DAY))
    node = ("location", int(codes[candidates[best]]))
    return _place(view, node, history.row[there], seen, len(np.unique(day)), float(posterior[best]))


def _gravity(
    view: TemporalGraph, homes: NDArray[np.int64], seen: NDArray[np.int64], visits: NDArray[np.float64]
) -> NDArray[np.float64]:
    """P(seen at a location | lives at another), [homes, seen]; a row at a time, as there may be many locations."""
    mass = visits + 0.5  # a place that nobody was seen at yet is not out of reach
    points = view.nodes["location"].coordinates
    where = None if points is None else unit_vectors(points.cpu())
    chance = np.empty((len(homes), len(seen)))
    for row, home in enumerate(homes):
        pull = mass * _nearness(where, int(home), len(mass))
        chance[row] = (1 - ITSELF - STRAY) * pull[seen] / pull.sum() + STRAY * mass[seen] / mass.sum()
        chance[row, seen == home] += ITSELF
    return chance


def _nearness(where: torch.Tensor | None, home: int, count: int) -> NDArray[np.float64]:
    """exp(-distance / reach) from a home to every location, [count]; 1 at home and 0 where the distance is unknown."""
    near = np.zeros(count)
    if where is not None:
        km = chord_to_km((where - where[home]).square().sum(dim=-1)).double().numpy()
        near = np.nan_to_num(np.exp(-km / REACH_KM), nan=0.0)
    near[home] = 1.0
    return near


def _visits(view: TemporalGraph, hours: Hours) -> NDArray[np.float64]:
    """Everybody's visible visits in these hours to each location, [locations]."""
    events = view.events
    local_time = (events.time + 60 * events.utc_offset.long()).cpu().numpy()
    location = events.location.cpu().numpy()
    counted = location[(location >= 0) & hours(local_time)]
    return np.bincount(counted, minlength=len(view.nodes["location"])).astype(np.float64)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(logits - logits.max())
    return np.asarray(raised / raised.sum())


def _habits(view: TemporalGraph, history: History) -> tuple[Place, ...]:
    """Items visited in many of the last weeks before the time asked for, the most regular first."""
    week = (history.until - 1 - history.time) // (7 * DAY)
    weeks = min(HABIT_WEEKS, int(week[0]) + 1) if len(week) else 0
    lately = np.flatnonzero(week < weeks)
    item, column, visits = np.unique(history.item[lately], return_inverse=True, return_counts=True)
    seen = np.bincount(np.unique(np.stack((column, week[lately])), axis=1)[0], minlength=len(item))
    regular = np.flatnonzero((seen >= FEWEST) & (seen >= OFTEN * weeks))
    order = regular[np.lexsort((item[regular], -visits[regular], -seen[regular]))][:HABITS]
    return tuple(
        _place(
            view,
            ("item", int(item[place])),
            history.row[lately[column == place]],
            int(seen[place]),
            weeks,
            (int(seen[place]) + 1) / (weeks + 2),
        )
        for place in order
    )


def _place(
    view: TemporalGraph, node: tuple[str, int], rows: NDArray[np.int64], days: int, of: int, confidence: float
) -> Place:
    kind, code = node
    table = view.nodes[kind]
    known = table.coordinates is not None and not bool(table.coordinates[code].isnan().any())
    latitude, longitude = table.coordinates[code].tolist() if known and table.coordinates is not None else (0.0, 0.0)
    return Place(
        kind=kind,
        id=table.ids[code].as_py(),
        label=table.label(code),
        coordinates=(latitude, longitude) if known else None,
        visits=len(rows),
        days=days,
        of=of,
        confidence=confidence,
        when=habit(view, torch.from_numpy(rows).to(view.log.time.device)),
        rows=rows,
    )
