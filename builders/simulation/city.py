"""The ground of the simulated city: neighbourhoods and the venues in them, with what they say of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

CENTRE = (40.4168, -3.7038)
"""Latitude and longitude of the city's middle, degrees."""
RADIUS = 5.5
"""From the middle to the outer neighbourhoods, kilometres."""
LATE_VENUES = 0.06
"""Share of venues that open after the log began."""
LATE_APPEAL = 1.0
"""A venue that opens late is talked about: what that adds to its appeal."""


@dataclass(frozen=True)
class City:
    """Neighbourhoods (``location``) and venues; all positions are kilometres east and north of the middle."""

    words: Mapping[str, Any]
    """The vocabulary, city.yaml."""
    location_xy: np.ndarray
    """Middle of each neighbourhood, [locations, 2]."""
    location: np.ndarray
    """Neighbourhood of each venue, [venues]."""
    category: np.ndarray
    """Category of each venue, [venues], index into ``categories``."""
    style: np.ndarray
    """Manner of each venue, [venues], index into ``styles``."""
    xy: np.ndarray
    """Position of each venue, [venues, 2]."""
    appeal: np.ndarray
    """How much likelier than another at the same distance a venue is chosen, [venues] log-odds."""
    opens: np.ndarray
    """Day on which each venue opens, [venues]; 0 for one that was always there."""

    @cached_property
    def categories(self) -> list[str]:
        """Names of the categories."""
        return list(self.words["categories"])

    @cached_property
    def styles(self) -> list[str]:
        """Names of the manners."""
        return list(self.words["styles"])

    @cached_property
    def hours(self) -> np.ndarray:
        """Log appeal of each category by part of the day, [parts, categories]."""
        when = np.array([entry["when"] for entry in self.words["categories"].values()], dtype=float)
        return np.log(when.T + 1e-3)

    @cached_property
    def follows(self) -> tuple[np.ndarray, np.ndarray]:
        """For each category the one that often comes next, and with what probability, [categories] each."""
        target, chance = np.zeros(len(self.categories), dtype=int), np.zeros(len(self.categories))
        for before, after, probability in self.words["follows"]:
            target[self.categories.index(before)] = self.categories.index(after)
            chance[self.categories.index(before)] = probability
        return target, chance

    @cached_property
    def venues_of(self) -> np.ndarray:
        """Venues of each category, [categories, most], filled up with -1."""
        groups = [np.flatnonzero(self.category == code) for code in range(len(self.categories))]
        table = np.full((len(groups), max(map(len, groups))), -1)
        for row, group in zip(table, groups, strict=True):
            row[: len(group)] = group
        return table

    def choose_venue(
        self,
        rng: np.random.Generator,
        category: np.ndarray,
        place: np.ndarray,
        liking: np.ndarray,
        day: int | np.ndarray,
        reach: float = 1.0,
    ) -> np.ndarray:
        """One open venue of a category for each of n people.

        Parameters
        ----------
        category
            What each is looking for, [n].
        place
            Where each is, [n, 2] kilometres.
        liking
            What each gives for a manner, [n, styles] log-odds.
        day
            Days since the log began.
        reach
            Kilometres after which a venue is e times less likely.
        """
        options = self.venues_of[category]  # [n, most]
        distance = np.linalg.norm(self.xy[options] - place[:, None], axis=-1)
        logits = self.appeal[options] + np.take_along_axis(liking, self.style[options], axis=1) - distance / reach
        closed = (options < 0) | (self.opens[options] > np.reshape(day, (-1, 1)))
        choice = draw(rng, np.where(closed, -np.inf, logits))
        return np.take_along_axis(options, choice[:, None], axis=1)[:, 0]

    def titles(self, rng: np.random.Generator) -> list[str]:
        """A name for each venue; a second one of the same name also says its neighbourhood."""
        taken: set[str] = set()
        titles = []
        for category, location in zip(self.category, self.location, strict=True):
            endings = self._entry(category)["names"]
            title = " ".join(pick(rng, words) for words in (self.words["adjectives"], self.words["nouns"], endings))
            titles.append(f"{title}, {self.words['neighbourhoods'][location]}" if title in taken else title)
            taken.add(title)
        return titles

    def descriptions(self, rng: np.random.Generator) -> list[str]:
        """What each venue says of itself: its kind, its manner, what it is known for, where it is."""
        return [self._describe(rng, venue) for venue in range(len(self.category))]

    def _describe(self, rng: np.random.Generator, venue: int) -> str:
        entry = self._entry(self.category[venue])
        first, second = rng.choice(entry["offers"], 2, replace=False)
        manner = pick(rng, self.words["styles"][self.styles[self.style[venue]]]["says"])
        where = pick(rng, self.words["openings"]).format(place=self.words["neighbourhoods"][self.location[venue]])
        return f"{pick(rng, entry['about'])} {manner} Known for {first} and {second}. {where}"

    def _entry(self, category: int) -> Mapping[str, Any]:
        return self.words["categories"][self.categories[category]]  # type: ignore[no-any-return]


def found_city(rng: np.random.Generator, venues: int, days: int) -> City:
    """A city of neighbourhoods with ``venues`` venues, some of which open in the last ``days`` of the log.

    Venues of a category gather in some neighbourhoods; there are more of everything near the middle.
    """
    words = yaml.safe_load(Path(__file__).with_name("city.yaml").read_text(encoding="utf-8"))
    location_xy = _sunflower(rng, len(words["neighbourhoods"]))
    category = rng.permutation(np.arange(venues) % len(words["categories"]))
    gathering = rng.normal(size=(len(words["categories"]), len(location_xy))) - centrality(location_xy)
    location = draw(rng, gathering[category])
    late = rng.random(venues) < LATE_VENUES
    late[np.unique(category, return_index=True)[1]] = False  # every category has a venue from the first day on
    return City(
        words=words,
        location_xy=location_xy,
        location=location,
        category=category,
        style=rng.integers(len(words["styles"]), size=venues),
        xy=location_xy[location] + rng.normal(0, 0.25, (venues, 2)),
        appeal=rng.normal(0, 0.5, venues) + LATE_APPEAL * late,
        opens=np.where(late, rng.integers(days // 2, max(days * 9 // 10, days // 2 + 1), venues), 0),
    )


def _sunflower(rng: np.random.Generator, count: int) -> np.ndarray:
    """Points spread evenly over a disc, the first in the middle, [count, 2] kilometres."""
    order = np.arange(count)
    angle, radius = order * np.pi * (3 - np.sqrt(5)), RADIUS * np.sqrt((order + 0.5) / count)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None] + rng.normal(0, 0.15, (count, 2))


def centrality(xy: np.ndarray) -> np.ndarray:
    """Distance from the middle in radii, [n]: 0 in the middle, 1 at the edge."""
    return np.asarray(np.linalg.norm(xy, axis=1) / RADIUS)


def draw(rng: np.random.Generator, logits: np.ndarray) -> np.ndarray:
    """One index for each row of log-odds, by the Gumbel-max trick, [n]."""
    return np.asarray(np.argmax(logits + rng.gumbel(size=logits.shape), axis=-1))


def pick(rng: np.random.Generator, words: Sequence[str]) -> str:
    """One of the words."""
    return words[int(rng.integers(len(words)))]


def degrees(xy: np.ndarray) -> np.ndarray:
    """Latitude and longitude of positions in kilometres, [n, 2] degrees."""
    north = CENTRE[0] + xy[:, 1] / 110.574
    east = CENTRE[1] + xy[:, 0] / (111.320 * np.cos(np.radians(CENTRE[0])))
    return np.stack([north, east], axis=1)
