"""How many people could be told apart in a graph by where they usually are at which hour of the week.

A user's top cell-hours are the four pairs (cell, local hour of the week) in which the user was seen most often. Four
such points were enough to single out 95 of 100 people in the records of a phone network: de Montjoye, Hidalgo,
Verleysen, Blondel 2013, "Unique in the Crowd: The privacy bounds of human mobility", Scientific Reports 3, 1376.
There the points are drawn at random and looked for in whole traces; here they are the four that are easiest to learn
(home, work, ...), and users are alike when these four are the same, as in Zang, Bolot 2011, "Anonymization of location
data does not work". Whoever is unique among whole traces is unique here too, so the figure errs on the safe side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from graphrec.errors import GraphError, translate_errors
from graphrec.time_units import FIRST_MONDAY, HOUR, WEEK

N_POINTS = 4
"""Cell-hours of a user that an attacker is assumed to know."""
K_ANONYMITY = 5
"""Users who share their top cell-hours with fewer users than this, themselves included, count as ``few``."""
HOURS = WEEK // HOUR
"""Hours of a week."""


@dataclass(frozen=True)
class Risk:
    """How many users their top cell-hours tell apart."""

    users: int
    """Users with an event."""
    unique: int
    """Users whose top cell-hours are those of nobody else."""
    few: int
    """Users whose top cell-hours are those of fewer than ``K_ANONYMITY`` people, the unique ones included."""

    @property
    def share(self) -> float:
        """Part of the users who are unique, 0 to 1; 0 without users."""
        return self.unique / self.users if self.users else 0.0

    def __str__(self) -> str:
        return f"unique by their top {N_POINTS} cell-hours: {self.unique:,} of {self.users:,} users ({self.share:.0%})"

    def to_json(self) -> dict[str, int]:
        """The counts as a manifest keeps them."""
        return asdict(self)

    @staticmethod
    def of(values: Mapping[str, Any]) -> Risk:
        """The counts out of a manifest; GraphError if they are not there."""
        try:
            return Risk(**{name: int(values[name]) for name in Risk.__dataclass_fields__})
        except (KeyError, TypeError, ValueError) as error:
            raise GraphError(f"manifest.json: the risk as counts of users expected ({error!r}); build again") from error


def reidentification_risk(
    user: NDArray[np.integer[Any]],
    cell: NDArray[np.integer[Any]],
    time: NDArray[np.integer[Any]],
    utc_offset: NDArray[np.integer[Any]],
) -> Risk:
    """The risk of events.

    Parameters
    ----------
    user, cell
        Of each event, [n]: any integers that tell users and places apart.
    time, utc_offset
        Of each event, [n]: UTC seconds, and minutes from there to local time.

    Among cell-hours in which a user was seen equally often, the earlier hour of the week and then the lower cell go
    first, for all users alike: two users with the same events have the same top.
    """
    if not len(user):
        return Risk(0, 0, 0)
    user, cell, hour = _dense(user), _dense(cell), hours_of_week(time, utc_offset)
    cells = int(cell.max()) + 1
    place, count = np.unique((user * HOURS + hour) * cells + cell, return_counts=True)  # by user, hour, cell
    top = _top(place // (HOURS * cells), place % (HOURS * cells), count)
    group_size = np.unique(top, axis=0, return_counts=True)[1]
    return Risk(len(top), int((group_size == 1).sum()), int(group_size[group_size < K_ANONYMITY].sum()))


def hours_of_week(time: NDArray[np.integer[Any]], utc_offset: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Local hours of the week, [n], 0 to 167, the first that of Monday after midnight."""
    local = np.asarray(time, np.int64) + 60 * np.asarray(utc_offset, np.int64)
    return np.asarray((local - FIRST_MONDAY) // HOUR % HOURS, np.int64)


def _dense(values: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """The values, or codes of them where they are too large to be put together with others in 64 bits."""
    if values.min() >= 0 and values.max() < 2**27:  # 2^27 users times 2^27 cells times 168 hours is below 2^63
        return values.astype(np.int64)
    codes: NDArray[np.int64] = np.unique(values, return_inverse=True)[1].astype(np.int64)
    return codes


def _top(user: NDArray[np.int64], pair: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ``N_POINTS`` commonest pairs of each user, [users, N_POINTS], rising; -1 where a user has fewer.

    ``user``, ``pair`` and ``count`` are one row a pair of a user, sorted by user.
    """
    order = np.argsort(user * (int(count.max()) + 1) - count, kind="stable")
    user, pair = user[order], pair[order]
    start = np.flatnonzero(np.diff(user, prepend=-1))
    rank = np.arange(len(user)) - np.repeat(start, np.diff(start, append=len(user)))
    row = np.repeat(np.arange(len(start)), np.diff(start, append=len(user)))
    top = np.full((len(start), N_POINTS), -1, np.int64)
    chosen = rank < N_POINTS
    top[row[chosen], rank[chosen]] = pair[chosen]
    top.sort(axis=1)
    return top


def risk_of(directory: str | Path) -> Risk:
    """The risk of a graph directory: cells are its locations, and the item where an event has none.

    Raises GraphError where the events cannot be read.
    """
    path = Path(directory) / "events.parquet"
    expected, remedy = f"{path}: the events of a graph expected", "; build the graph again"
    with translate_errors(OSError, ValueError, to=GraphError, expected=expected, remedy=remedy):  # so are Arrow's
        table = pq.read_table(path, columns=["user", "item", "location", "time", "utc_offset"])
    return risk_of_events(**{name: table[name].to_numpy() for name in table.column_names})


def risk_of_events(
    user: NDArray[np.integer[Any]],
    item: NDArray[np.integer[Any]],
    location: NDArray[np.integer[Any]],
    time: NDArray[np.integer[Any]],
    utc_offset: NDArray[np.integer[Any]],
) -> Risk:
    """The risk of a graph's events, columns as in events.parquet: an event without a location is at its item."""
    place = location.astype(np.int64)
    beyond = int(place.max(initial=-1)) + 1
    return reidentification_risk(user, np.where(place >= 0, place, beyond + item.astype(np.int64)), time, utc_offset)
