"""The people of the simulated city: where they live and work, what they like, and what they do by habit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from builders.simulation.city import City, centrality, draw, pick

PARTS = 6
"""Parts of a day: early, morning, lunch, afternoon, evening, night."""
AT_WORK = (1, 2, 3)
"""Parts of a weekday that are spent around the workplace."""
ACTIVITY = np.array([0.18, 0.12, 0.26, 0.16, 0.30, 0.22])
"""Mean visits by part of the day."""
LIKES = 3
"""Categories that a person likes best."""
LIKING = 2.5
"""What liking a category adds to its log-odds."""
MANNER = 1.6
"""What a liked manner adds to a venue's log-odds."""
OWN_DAY = 0.3
"""Share of the cells of a week that break with the habit of other weekdays."""
DRIFT = 0.15
"""Share of people whose life changes midway."""
LATE_USERS = 0.06
"""Share of people who join after the log began."""


@dataclass(frozen=True)
class Life:
    """How people live, one row a person."""

    home: np.ndarray
    """Neighbourhood, [users]."""
    work: np.ndarray
    """Neighbourhood, [users]."""
    likes: np.ndarray
    """Best-liked categories, [users, LIKES]."""
    taste: np.ndarray
    """Log-odds of each category, [users, categories]."""
    style: np.ndarray
    """Best-liked manner, [users]."""
    habits: np.ndarray
    """Habitual venue by day of the week (Monday is 0) and part of the day, [users, 7, PARTS]."""

    def where(self, rows: np.ndarray, other: Life) -> Life:
        """This life for the people in ``rows`` (bool, [users]) and the ``other`` for the rest."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Life(*(np.where(rows.reshape(-1, *[1] * (mine.ndim - 1)), mine, theirs) for mine, theirs in pairs))

    def anchor(self, city: City, weekday: int, part: int) -> np.ndarray:
        """Where people are when nothing else is known of them: at work or at home, [users, 2] kilometres."""
        return np.asarray(city.location_xy[self.work if weekday < 5 and part in AT_WORK else self.home])

    def liking(self, city: City) -> np.ndarray:
        """What people give for a manner, [users, styles] log-odds."""
        return np.asarray(MANNER * np.eye(len(city.styles))[self.style])


@dataclass(frozen=True)
class Residents:
    """Everyone, with the life they lead at first and, for some, the one they change to."""

    first: Life
    later: Life
    changes: np.ndarray
    """Day on which the later life begins, [users]; ``days`` for those whose life stays."""
    moves: np.ndarray
    """Whether the change is a new home (else it is a new hobby), [users] bool."""
    joins: np.ndarray
    """Day from which a person is seen, [users]; 0 for most."""
    rate: np.ndarray
    """Probability of going out, [users, 7, PARTS]."""
    minute: np.ndarray
    """Usual minute within the part of the day, [users, 7, PARTS]."""
    days: int
    """Length of the log."""

    def life(self, day: int) -> Life:
        """How everyone lives on a day."""
        return self.later.where(self.changes <= day, self.first)

    def profiles(self, rng: np.random.Generator, city: City) -> list[str | None]:
        """What people say of themselves on joining; None for a fifth, who say nothing."""
        return [self._profile(rng, city, user) for user in range(len(self.joins))]

    def _profile(self, rng: np.random.Generator, city: City, user: int) -> str | None:
        names, life = city.words["neighbourhoods"], self.first
        told = rng.random()
        likes = [city.words["categories"][city.categories[code]]["fans"] for code in life.likes[user, :2]]
        manner = city.words["styles"][city.styles[life.style[user]]]["wants"]
        job = f"{pick(rng, city.words['jobs'])}, lives in {names[life.home[user]]}, works in {names[life.work[user]]}."
        if told < 0.2:
            return None
        return job if told < 0.4 else f"{job} Likes {likes[0]} and {likes[1]}; looks for {manner}."


def settle(rng: np.random.Generator, city: City, users: int, days: int) -> Residents:
    """People for the city; changes of life fall into the middle fifth of the ``days``."""
    first = _begin(rng, city, users)
    moves = rng.random(users) < 0.5
    changes = np.where(rng.random(users) < DRIFT, rng.integers(days * 2 // 5, days * 3 // 5 + 1, users), days)
    activity = rng.gamma(4, 1 / 4, (users, 1, 1)) * rng.choice([0.3, 1.7], (users, 7, PARTS))
    return Residents(
        first=first,
        later=_change(rng, city, first, moves, changes),
        changes=changes,
        moves=moves,
        joins=np.where(rng.random(users) < LATE_USERS, rng.integers(days // 2, max(days, 1), users), 0),
        rate=np.minimum(ACTIVITY * activity, 0.95),
        minute=rng.uniform(5, 70, (users, 7, PARTS)),
        days=days,
    )


def _begin(rng: np.random.Generator, city: City, users: int) -> Life:
    outward = centrality(city.location_xy)
    home = draw(rng, np.tile(1.5 * outward, (users, 1)))
    work = draw(rng, np.tile(-2.5 * outward, (users, 1)))
    likes, taste = _taste(rng, city, users)
    style = rng.integers(len(city.styles), size=users)
    life = Life(home, work, likes, taste, style, np.zeros((users, 7, PARTS), dtype=int))
    return _with_habits(rng, city, life, np.zeros(users, dtype=int))


def _change(rng: np.random.Generator, city: City, first: Life, moves: np.ndarray, changes: np.ndarray) -> Life:
    """Another home, or another taste; either way habits are found anew."""
    other = _begin(rng, city, len(moves))
    likes = np.where(moves[:, None], first.likes, other.likes)
    taste = np.where(moves[:, None], first.taste, other.taste)
    home = np.where(moves, other.home, first.home)
    return _with_habits(rng, city, Life(home, first.work, likes, taste, first.style, first.habits), changes)


def _taste(rng: np.random.Generator, city: City, users: int) -> tuple[np.ndarray, np.ndarray]:
    """Best-liked categories and log-odds of all; what only ever follows something else is nobody's favourite."""
    taste = rng.normal(0, 0.3, (users, len(city.categories)))
    worth = np.where(np.exp(city.hours).max(axis=0) > 2.5, 0.0, -np.inf)
    order = np.argsort(-(rng.gumbel(size=taste.shape) + worth), axis=1)
    likes = order[:, :LIKES]
    np.put_along_axis(taste, likes, np.take_along_axis(taste, likes, axis=1) + LIKING, axis=1)
    return likes, taste


def _with_habits(rng: np.random.Generator, city: City, life: Life, day: np.ndarray) -> Life:
    """The same life with a venue for each cell of the week, most of them the same on all weekdays."""
    habits = np.zeros_like(life.habits)
    for part in range(PARTS):
        usual = {weekday: _habit(rng, city, life, weekday, part, day) for weekday in (0, 5)}
        for weekday in range(7):
            own = rng.random(len(day)) < OWN_DAY
            cell = np.where(own, _habit(rng, city, life, weekday, part, day), usual[0 if weekday < 5 else 5])
            habits[:, weekday, part] = cell
    return Life(life.home, life.work, life.likes, life.taste, life.style, habits)


def _habit(rng: np.random.Generator, city: City, life: Life, weekday: int, part: int, day: np.ndarray) -> np.ndarray:
    category = draw(rng, city.hours[part] + life.taste)
    return city.choose_venue(rng, category, life.anchor(city, weekday, part), life.liking(city), day, reach=0.7)
