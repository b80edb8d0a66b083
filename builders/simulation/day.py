"""A day in the simulated city: who goes out, where to, why, and where they go on to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from builders.simulation.city import City, draw
from builders.simulation.residents import PARTS, Life, Residents
from graphrec.time_units import DAY, HOUR

CAUSES = ("routine", "taste", "noise", "sequence")
"""Why a visit happened, by code."""
SEQUENCE = CAUSES.index("sequence")
SHARES = (0.50, 0.44, 0.06)
"""Routine, taste and noise among visits that do not follow from another."""
BEGINS = np.array([6.5, 9.5, 12.0, 15.0, 18.0, 21.25]) * HOUR
"""Local second at which each part of a day begins; far enough apart for one visit and what follows from it."""


@dataclass(frozen=True)
class Visits:
    """Some visits, one row each."""

    user: np.ndarray
    """Who, [n]."""
    venue: np.ndarray
    """Where to, [n]."""
    second: np.ndarray
    """When, [n] local seconds since the log began."""
    cause: np.ndarray
    """Why, [n], index into CAUSES."""

    @staticmethod
    def join(parts: list[Visits]) -> Visits:
        """All of them, sorted by time, then by user."""
        user, venue, second, cause = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("user", "venue", "second", "cause")
        )
        order = np.lexsort((user, second))
        return Visits(user[order], venue[order], second[order], cause[order])


@dataclass(frozen=True)
class Day:
    """One day; ``number`` counts from 0, which is a Monday."""

    city: City
    residents: Residents
    number: int

    @property
    def weekday(self) -> int:
        """0 is Monday."""
        return self.number % 7

    @cached_property
    def life(self) -> Life:
        """How everyone lives on this day."""
        return self.residents.life(self.number)

    @cached_property
    def liking(self) -> np.ndarray:
        """What everyone gives for a venue's manner, [users, styles] log-odds."""
        return self.life.liking(self.city)

    def visits(self, rng: np.random.Generator) -> list[Visits]:
        """Everyone's visits; what is chosen next depends on where the part before has left people."""
        steps: list[Visits] = []
        for part in range(PARTS):
            here = self.life.anchor(self.city, self.weekday, part)
            for step in steps[-2:]:
                here[step.user] = self.city.xy[step.venue]
            first = self._go_out(rng, part, here)
            steps += [first, self._go_on(rng, first)]
        return steps

    def _go_out(self, rng: np.random.Generator, part: int, here: np.ndarray) -> Visits:
        """Visits out of habit, to one's taste near ``here`` [users, 2], or to anywhere at all."""
        chance = self.residents.rate[:, self.weekday, part] * (self.residents.joins <= self.number)
        user = np.flatnonzero(rng.random(len(chance)) < chance)
        category = draw(rng, self.city.hours[part] + self.life.taste[user])
        by_cause = [
            self.life.habits[user, self.weekday, part],
            self.city.choose_venue(rng, category, here[user], self.liking[user], self.number),
            rng.choice(np.flatnonzero(self.city.opens <= self.number), len(user)),
        ]
        cause = rng.choice(len(SHARES), len(user), p=SHARES)
        minute = (self.residents.minute[user, self.weekday, part] + rng.normal(0, 8, len(user))).clip(0, 75)
        second = self.number * DAY + BEGINS[part] + minute * 60
        return Visits(user, np.choose(cause, by_cause), second.astype(np.int64), cause)

    def _go_on(self, rng: np.random.Generator, before: Visits) -> Visits:
        """What follows from visits whose category calls for another, a short way and half an hour or more later."""
        target, chance = self.city.follows
        category = self.city.category[before.venue]
        on = rng.random(len(category)) < chance[category]
        user, place = before.user[on], self.city.xy[before.venue[on]]
        venue = self.city.choose_venue(rng, target[category[on]], place, self.liking[user], self.number, reach=0.5)
        second = before.second[on] + rng.integers(35 * 60, 65 * 60, len(user))
        return Visits(user, venue, second, np.full(len(user), SEQUENCE))
