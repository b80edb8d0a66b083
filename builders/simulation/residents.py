"""The residents of the simulated city: homes, workplaces, preferences and habits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from builders.simulation.city import City, centrality, draw, pick

PARTS = 6
"""Parts of a day: early, morning, lunch, afternoon, evening, night."""
AT_WORK = (1, 2, 3)
"""Parts of a weekday spent near the workplace."""
ACTIVITY = np.array([0.18, 0.12, 0.26, 0.16, 0.30, 0.22])
"""Mean number of visits by part of the day."""
N_LIKES = 3
"""Number of preferred categories of a person."""
CATEGORY_WEIGHT = 2.5
"""Log-odds added to a preferred category."""
STYLE_WEIGHT = 1.6
"""Log-odds added to a venue of the preferred style."""
DEVIATION_SHARE = 0.3
"""Share of the cells of a week whose habit differs from that of other weekdays."""
DRIFT_SHARE = 0.15
"""Share of people with a change during the log."""
LATE_USER_SHARE = 0.06
"""Share of people who join during the log."""


@dataclass(frozen=True)
class Lifestyle:
    """Homes, workplaces, preferences and habits, one row per person."""

    home: np.ndarray
    """Neighbourhood, [users]."""
    work: np.ndarray
    """Neighbourhood, [users]."""
    likes: np.ndarray
    """Preferred categories, [users, N_LIKES]."""
    taste: np.ndarray
    """Log-odds of each category, [users, categories]."""
    style: np.ndarray
    """Preferred style, [users]."""
    habits: np.ndarray
    """Habitual venue by day of the week (Monday is 0) and part of the day, [users, 7, PARTS]."""

    def where(self, rows: np.ndarray, other: Lifestyle) -> Lifestyle:
        """This lifestyle for the people in ``rows`` (bool, [users]) and the ``other`` for the rest."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Lifestyle(*(np.where(rows.reshape(-1, *[1] * (one.ndim - 1)), one, two) for one, two in pairs))

    def anchor(self, city: City, weekday: int, part: int) -> np.ndarray:
        """Default positions of people, at work or at home, [users, 2] kilometres."""
        return np.asarray(city.location_xy[self.work if weekday < 5 and part in AT_WORK else self.home])

    def style_logits(self, city: City) -> np.ndarray:
        """Preference for each style, [users, styles] log-odds."""
        return np.asarray(STYLE_WEIGHT * np.eye(len(city.styles))[self.style])


@dataclass(frozen=True)
class Residents:
    """All residents with their first lifestyle and, for some, the one after a change."""

    first: Lifestyle
    later: Lifestyle
    changes: np.ndarray
    """Day of the change, [users]; ``days`` for people without one."""
    moves: np.ndarray
    """Whether the change is a new home (else a new taste), [users] bool."""
    joins: np.ndarray
    """First day of a person, [users]; 0 for most."""
    rate: np.ndarray
    """Probability of a visit, [users, 7, PARTS]."""
    minute: np.ndarray
    """Usual minute within the part of the day, [users, 7, PARTS]."""
    days: int
    """Length of the log."""

    def lifestyle(self, day: int) -> Lifestyle:
        """The lifestyle of everyone on a day."""
        return self.later.where(self.changes <= day, self.first)

    def profiles(self, rng: np.random.Generator, city: City) -> list[str | None]:
        """Profile texts at joining; None for a fifth of the people."""
        return [self._profile(rng, city, user) for user in range(len(self.joins))]

    def _profile(self, rng: np.random.Generator, city: City, user: int) -> str | None:
        names, lifestyle = city.vocabulary["neighbourhoods"], self.first
        completeness = rng.random()
        likes = [city.vocabulary["categories"][city.categories[code]]["fans"] for code in lifestyle.likes[user, :2]]
        manner = city.vocabulary["styles"][city.styles[lifestyle.style[user]]]["wants"]
        home, work = names[lifestyle.home[user]], names[lifestyle.work[user]]
        job = f"{pick(rng, city.vocabulary['jobs'])}, lives in {home}, works in {work}."
        if completeness < 0.2:
            return None
        return job if completeness < 0.4 else f"{job} Likes {likes[0]} and {likes[1]}; looks for {manner}."


def generate_residents(rng: np.random.Generator, city: City, users: int, days: int) -> Residents:
    """Residents of the city; their changes happen in the middle fifth of the ``days``."""
    first = _initial(rng, city, users)
    moves = rng.random(users) < 0.5
    changes = np.where(rng.random(users) < DRIFT_SHARE, rng.integers(days * 2 // 5, days * 3 // 5 + 1, users), days)
    activity = rng.gamma(4, 1 / 4, (users, 1, 1)) * rng.choice([0.3, 1.7], (users, 7, PARTS))
    return Residents(
        first=first,
        later=_changed(rng, city, first, moves, changes),
        changes=changes,
        moves=moves,
        joins=np.where(rng.random(users) < LATE_USER_SHARE, rng.integers(days // 2, max(days, 1), users), 0),
        rate=np.minimum(ACTIVITY * activity, 0.95),
        minute=rng.uniform(5, 70, (users, 7, PARTS)),
        days=days,
    )


def _initial(rng: np.random.Generator, city: City, users: int) -> Lifestyle:
    outward = centrality(city.location_xy)
    home = draw(rng, np.tile(1.5 * outward, (users, 1)))
    work = draw(rng, np.tile(-2.5 * outward, (users, 1)))
    likes, taste = _taste(rng, city, users)
    style = rng.integers(len(city.styles), size=users)
    lifestyle = Lifestyle(home, work, likes, taste, style, np.zeros((users, 7, PARTS), dtype=int))
    return _with_habits(rng, city, lifestyle, np.zeros(users, dtype=int))


def _changed(
    rng: np.random.Generator, city: City, first: Lifestyle, moves: np.ndarray, changes: np.ndarray
) -> Lifestyle:
    """Another home or another taste, with new habits."""
    other = _initial(rng, city, len(moves))
    liked, home = first.where(moves, other), np.where(moves, other.home, first.home)
    return _with_habits(rng, city, replace(first, home=home, likes=liked.likes, taste=liked.taste), changes)


def _taste(rng: np.random.Generator, city: City, users: int) -> tuple[np.ndarray, np.ndarray]:
    """Preferred categories and log-odds of all; categories that only follow others are never preferred."""
    taste = rng.normal(0, 0.3, (users, len(city.categories)))
    worth = np.where(np.exp(city.hours).max(axis=0) > 2.5, 0.0, -np.inf)
    order = np.argsort(-(rng.gumbel(size=taste.shape) + worth), axis=1)
    likes = order[:, :N_LIKES]
    np.put_along_axis(taste, likes, np.take_along_axis(taste, likes, axis=1) + CATEGORY_WEIGHT, axis=1)
    return likes, taste


def _with_habits(rng: np.random.Generator, city: City, lifestyle: Lifestyle, day: np.ndarray) -> Lifestyle:
    """The lifestyle with a habitual venue for each cell of the week, mostly the same on all weekdays."""
    habits = np.zeros_like(lifestyle.habits)
    for part in range(PARTS):
        usual = {weekday: _habit(rng, city, lifestyle, weekday, part, day) for weekday in (0, 5)}
        for weekday in range(7):
            own = rng.random(len(day)) < DEVIATION_SHARE
            cell = np.where(own, _habit(rng, city, lifestyle, weekday, part, day), usual[0 if weekday < 5 else 5])
            habits[:, weekday, part] = cell
    return replace(lifestyle, habits=habits)


def _habit(
    rng: np.random.Generator, city: City, lifestyle: Lifestyle, weekday: int, part: int, day: np.ndarray
) -> np.ndarray:
    category = draw(rng, city.hours[part] + lifestyle.taste)
    return city.choose_venue(
        rng, category, lifestyle.anchor(city, weekday, part), lifestyle.style_logits(city), day, distance_scale=0.7
    )
