"""A day in the simulated city: independent visits and the visits that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from builders.simulation.city import City, draw
from builders.simulation.residents import PARTS, Lifestyle, Residents
from graphrec.time_units import DAY, HOUR

CAUSES = ("routine", "taste", "noise", "sequence")
"""Causes of a visit, by code."""
SEQUENCE = CAUSES.index("sequence")
SHARES = (0.50, 0.44, 0.06)
"""Shares of routine, taste and noise among independent visits."""
PART_STARTS = np.array([6.5, 9.5, 12.0, 15.0, 18.0, 21.25]) * HOUR
"""Local second of the start of each part of a day; each has room for a visit and its follow-up."""


@dataclass(frozen=True)
class SimulatedVisits:
    """Visits, one row each."""

    user: np.ndarray
    """User, [n]."""
    venue: np.ndarray
    """Venue, [n]."""
    second: np.ndarray
    """Local seconds since the start of the log, [n]."""
    cause: np.ndarray
    """Cause, [n], index into CAUSES."""

    @staticmethod
    def join(parts: list[SimulatedVisits]) -> SimulatedVisits:
        """All of them, sorted by time, then by user."""
        user, venue, second, cause = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("user", "venue", "second", "cause")
        )
        order = np.lexsort((user, second))
        return SimulatedVisits(user[order], venue[order], second[order], cause[order])


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
    def lifestyle(self) -> Lifestyle:
        """The lifestyle of everyone on this day."""
        return self.residents.lifestyle(self.number)

    @cached_property
    def style_logits(self) -> np.ndarray:
        """Preference of everyone for each style, [users, styles] log-odds."""
        return self.lifestyle.style_logits(self.city)

    def visits(self, rng: np.random.Generator) -> list[SimulatedVisits]:
        """Everyone's visits; each part of the day begins where the previous one ended."""
        steps: list[SimulatedVisits] = []
        for part in range(PARTS):
            position = self.lifestyle.anchor(self.city, self.weekday, part)
            for step in steps[-2:]:
                position[step.user] = self.city.xy[step.venue]
            first = self._independent_visits(rng, part, position)
            steps += [first, self._follow_up_visits(rng, first)]
        return steps

    def _independent_visits(self, rng: np.random.Generator, part: int, position: np.ndarray) -> SimulatedVisits:
        """Visits by routine, by taste near ``position`` [users, 2], or by noise."""
        chance = self.residents.rate[:, self.weekday, part] * (self.residents.joins <= self.number)
        user = np.flatnonzero(rng.random(len(chance)) < chance)
        category = draw(rng, self.city.hours[part] + self.lifestyle.taste[user])
        by_cause = [
            self.lifestyle.habits[user, self.weekday, part],
            self.city.choose_venue(rng, category, position[user], self.style_logits[user], self.number),
            rng.choice(np.flatnonzero(self.city.opens <= self.number), len(user)),
        ]
        cause = rng.choice(len(SHARES), len(user), p=SHARES)
        minute = (self.residents.minute[user, self.weekday, part] + rng.normal(0, 8, len(user))).clip(0, 75)
        second = self.number * DAY + PART_STARTS[part] + minute * 60
        return SimulatedVisits(user, np.choose(cause, by_cause), second.astype(np.int64), cause)

    def _follow_up_visits(self, rng: np.random.Generator, before: SimulatedVisits) -> SimulatedVisits:
        """Visits that follow from those of some categories, nearby and at least half an hour later."""
        target, chance = self.city.transitions
        category = self.city.category[before.venue]
        followed = rng.random(len(category)) < chance[category]
        user, position = before.user[followed], self.city.xy[before.venue[followed]]
        venue = self.city.choose_venue(
            rng, target[category[followed]], position, self.style_logits[user], self.number, distance_scale=0.5
        )
        second = before.second[followed] + rng.integers(35 * 60, 65 * 60, len(user))
        return SimulatedVisits(user, venue, second, np.full(len(user), SEQUENCE))
