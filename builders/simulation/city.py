"""The simulated city: neighbourhoods, venues and the texts of venues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

CENTRE = (40.4168, -3.7038)
"""Latitude and longitude of the city centre, degrees."""
RADIUS = 5.5
"""Distance from the centre to the outer neighbourhoods, kilometres."""
LATE_VENUE_SHARE = 0.06
"""Share of venues that open after the log began."""
LATE_VENUE_APPEAL = 1.0
"""Log-odds added to the appeal of a venue that opens late."""


@dataclass(frozen=True)
class City:
    """Neighbourhoods (``location``) and venues; all positions are kilometres east and north of the centre."""

    vocabulary: Mapping[str, Any]
    """Content of city.yaml."""
    location_xy: np.ndarray
    """Centre of each neighbourhood, [locations, 2]."""
    location: np.ndarray
    """Neighbourhood of each venue, [venues]."""
    category: np.ndarray
    """Category of each venue, [venues], index into ``categories``."""
    style: np.ndarray
    """Style of each venue, [venues], index into ``styles``."""
    xy: np.ndarray
    """Position of each venue, [venues, 2]."""
    appeal: np.ndarray
    """Attractiveness of each venue at equal distance, [venues] log-odds."""
    opens: np.ndarray
    """Opening day of each venue, [venues]; 0 for venues older than the log."""

    @cached_property
    def categories(self) -> list[str]:
        """Names of the categories."""
        return list(self.vocabulary["categories"])

    @cached_property
    def styles(self) -> list[str]:
        """Names of the styles."""
        return list(self.vocabulary["styles"])

    @cached_property
    def hours(self) -> np.ndarray:
        """Log appeal of each category by part of the day, [parts, categories]."""
        when = np.array([entry["when"] for entry in self.vocabulary["categories"].values()], dtype=float)
        return np.log(when.T + 1e-3)

    @cached_property
    def transitions(self) -> tuple[np.ndarray, np.ndarray]:
        """For each category the following category and its probability, [categories] each."""
        target, chance = np.zeros(len(self.categories), dtype=int), np.zeros(len(self.categories))
        for before, after, probability in self.vocabulary["follows"]:
            target[self.categories.index(before)] = self.categories.index(after)
            chance[self.categories.index(before)] = probability
        return target, chance

    @cached_property
    def venues_of(self) -> np.ndarray:
        """Venues of each category, [categories, max], padded with -1."""
        groups = [np.flatnonzero(self.category == code) for code in range(len(self.categories))]
        table = np.full((len(groups), max(map(len, groups))), -1)
        for row, group in zip(table, groups, strict=True):
            row[: len(group)] = group
        return table

    def choose_venue(
        self,
        rng: np.random.Generator,
        category: np.ndarray,
        position: np.ndarray,
        style_logits: np.ndarray,
        day: int | np.ndarray,
        distance_scale: float = 1.0,
    ) -> np.ndarray:
        """One open venue of a category for each of n people.

        Parameters
        ----------
        category
            Wanted category, [n].
        position
            Position of each person, [n, 2] kilometres.
        style_logits
            Preference for each style, [n, styles] log-odds.
        day
            Days since the start of the log.
        distance_scale
            Kilometres after which a venue is e times less likely.
        """
        options = self.venues_of[category]  # [n, max]
        distance = np.linalg.norm(self.xy[options] - position[:, None], axis=-1)
        logits = (
            self.appeal[options]
            + np.take_along_axis(style_logits, self.style[options], axis=1)
            - distance / distance_scale
        )
        closed = (options < 0) | (self.opens[options] > np.reshape(day, (-1, 1)))
        choice = draw(rng, np.where(closed, -np.inf, logits))
        return np.take_along_axis(options, choice[:, None], axis=1)[:, 0]

    def titles(self, rng: np.random.Generator) -> list[str]:
        """A title of each venue; repeated titles include the neighbourhood."""
        used: set[str] = set()
        titles = []
        for category, location in zip(self.category, self.location, strict=True):
            endings = self._entry(category)["names"]
            parts = (self.vocabulary["adjectives"], self.vocabulary["nouns"], endings)
            title = " ".join(pick(rng, words) for words in parts)
            titles.append(f"{title}, {self.vocabulary['neighbourhoods'][location]}" if title in used else title)
            used.add(title)
        return titles

    def descriptions(self, rng: np.random.Generator) -> list[str]:
        """A description of each venue: its category, style, offers and neighbourhood."""
        return [self._describe(rng, venue) for venue in range(len(self.category))]

    def _describe(self, rng: np.random.Generator, venue: int) -> str:
        entry = self._entry(self.category[venue])
        first, second = rng.choice(entry["offers"], 2, replace=False)
        style = pick(rng, self.vocabulary["styles"][self.styles[self.style[venue]]]["says"])
        neighbourhood = self.vocabulary["neighbourhoods"][self.location[venue]]
        where = pick(rng, self.vocabulary["openings"]).format(place=neighbourhood)
        return f"{pick(rng, entry['about'])} {style} Known for {first} and {second}. {where}"

    def _entry(self, category: int) -> Mapping[str, Any]:
        return self.vocabulary["categories"][self.categories[category]]  # type: ignore[no-any-return]


def generate_city(rng: np.random.Generator, venues: int, days: int) -> City:
    """A city with ``venues`` venues, some of which open during the second half of the ``days`` of the log.

    Venues of a category cluster in some neighbourhoods; there are more of all categories near the centre.
    """
    vocabulary = yaml.safe_load(Path(__file__).with_name("city.yaml").read_text(encoding="utf-8"))
    location_xy = _sunflower(rng, len(vocabulary["neighbourhoods"]))
    category = rng.permutation(np.arange(venues) % len(vocabulary["categories"]))
    clustering = rng.normal(size=(len(vocabulary["categories"]), len(location_xy))) - centrality(location_xy)
    location = draw(rng, clustering[category])
    late = rng.random(venues) < LATE_VENUE_SHARE
    late[np.unique(category, return_index=True)[1]] = False  # every category has a venue from the first day on
    return City(
        vocabulary=vocabulary,
        location_xy=location_xy,
        location=location,
        category=category,
        style=rng.integers(len(vocabulary["styles"]), size=venues),
        xy=location_xy[location] + rng.normal(0, 0.25, (venues, 2)),
        appeal=rng.normal(0, 0.5, venues) + LATE_VENUE_APPEAL * late,
        opens=np.where(late, rng.integers(days // 2, max(days * 9 // 10, days // 2 + 1), venues), 0),
    )


def _sunflower(rng: np.random.Generator, count: int) -> np.ndarray:
    """Points spread evenly over a disc, the first in the centre, [count, 2] kilometres."""
    order = np.arange(count)
    angle, radius = order * np.pi * (3 - np.sqrt(5)), RADIUS * np.sqrt((order + 0.5) / count)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None] + rng.normal(0, 0.15, (count, 2))


def centrality(xy: np.ndarray) -> np.ndarray:
    """Distance from the centre in radii, [n]: 0 in the centre, 1 at the edge."""
    return np.asarray(np.linalg.norm(xy, axis=1) / RADIUS)


def draw(rng: np.random.Generator, logits: np.ndarray) -> np.ndarray:
    """A sampled index for each row of log-odds, by the Gumbel-max trick, [n]."""
    return np.asarray(np.argmax(logits + rng.gumbel(size=logits.shape), axis=-1))


def pick(rng: np.random.Generator, words: Sequence[str]) -> str:
    """A random word."""
    return words[int(rng.integers(len(words)))]


def degrees(xy: np.ndarray) -> np.ndarray:
    """Latitude and longitude of positions in kilometres, [n, 2] degrees."""
    north = CENTRE[0] + xy[:, 1] / 110.574
    east = CENTRE[1] + xy[:, 0] / (111.320 * np.cos(np.radians(CENTRE[0])))
    return np.stack([north, east], axis=1)
