"""The time zone of a log: whether its times tell it, and whether the hours of the day and the sun contradict it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from builders.assemble.data_issue import EXAMPLES, Example, Finding, event_examples
from builders.assemble.tables import Tables
from builders.ingest.inputs import BuildInputs
from builders.mapping.timestamps import EPOCHS
from graphrec.time_units import DAY, HOUR

WRITTEN_ZONE = re.compile(r"\d:\d\d(:\d\d([.,]\d+)?)?\s*(Z|UTC|GMT|[+-]\d\d(:?\d\d){0,2}|[A-Za-z_]+/[A-Za-z_/]+)$")
"""The zone or offset behind a time of day."""
NIGHT = 4.0
"""The middle of the night, in hours of local time: in most logs least happens from two to six."""
WINDOW = 5
"""Hours of the quietest time of a day."""
LEAST_EVENTS = 500
"""Fewer say nothing of the hours."""
LEAST_HOURS, LEAST_SHARE = 8, 0.01
"""Hours of the day that have this share of all events at least; fewer hours are dates without a time of day."""
QUIET = 0.4
"""The quietest time has at most this share of the events that it would have if all hours were alike."""
PLATEAU = 0.01
"""Windows that have at most this share of all events more than the quietest one are as quiet."""
FAR = 4.0
"""Hours from the middle of the night at which the quietest time contradicts it."""
FAR_MINUTES, FAR_SHARE = 180, 0.05
"""No clock is so far from its sun; and the share of events that may seem to be, for whatever reason."""


def local_hours(time: np.ndarray, utc_offset: np.ndarray) -> np.ndarray:
    """Events in each hour of the local day, [24], from times [n] in UTC seconds and offsets [n] in minutes."""
    hour = (time + 60 * utc_offset.astype(np.int64)) % DAY // HOUR
    return np.bincount(hour, minlength=24)


def quietest(events: np.ndarray) -> float | None:
    """The middle of the quietest hours, 0 to 24, of the events of each hour [24]; None where no hours are that quiet.

    In a shop, all of the night is as quiet: then it is the middle of the night.
    """
    total = events.sum()
    if total < LEAST_EVENTS or (events >= LEAST_SHARE * total).sum() < LEAST_HOURS:
        return None
    windows = np.sum([np.roll(events, -hour) for hour in range(WINDOW)], axis=0)  # by the hour in which they begin
    if windows.min() > QUIET * total * WINDOW / 24:
        return None
    middles = np.flatnonzero(windows <= windows.min() + PLATEAU * total) + WINDOW / 2
    mean = np.exp(2j * np.pi * middles / 24).mean()
    return None if abs(mean) < 0.5 else float(np.angle(mean) * 24 / (2 * np.pi) % 24)  # no one time of the day is it


def hours_off(events: np.ndarray) -> int | None:
    """Hours to add to local times, -11 to 12, so that their night is at night; None where nothing contradicts it."""
    middle = quietest(events)
    if middle is None:
        return None
    apart = (NIGHT - middle + 12) % 24 - 12
    return round(apart) if abs(apart) > FAR else None


def told_zone(sample: Sequence[str], time_format: str) -> str:
    """Whether times tell their zone, in words, from some of them and their format."""
    if time_format in EPOCHS:
        return "UTC, since they count from 1970"
    told = sum(WRITTEN_ZONE.search(value.strip()) is not None for value in sample)
    if "%z" in time_format or told == len(sample) > 0:
        return "written in each time"
    return "taken as UTC, for none is written" if not told else "written in some times; the others are taken as UTC"


def wrong_zone(origin: BuildInputs, found: Tables) -> Iterator[Finding]:
    """Whether the log sleeps by day."""
    mapping, time = origin.mapping, found.events["time"].to_numpy()
    offset = found.events["utc_offset"].to_numpy()
    hours = local_hours(time, offset)
    middle, apart = quietest(hours), hours_off(hours)
    if middle is None or apart is None or mapping.timeless:
        return
    begins = round(middle - WINDOW / 2) % 24
    right = (int(offset[0]) + 60 * apart + 719) % 1440 - 719  # minutes, above -720 and up to 720
    if mapping.utc_offset is None:
        remedy = f"say which time zone it is, such as 'utc_offset_constant: {right}', if people here sleep at night"
    elif hours_off(local_hours(time, np.zeros_like(offset))) is None:
        remedy = "the times seem to be local already: leave 'utc_offset' out of the mapping, or write times in UTC"
    else:
        remedy = f"see whether '{mapping.utc_offset}' has minutes from UTC to local time: {apart:+d} hours would fit"
    yield Finding(
        "time zone that the hours of the day contradict",
        len(time),
        (Example(f"least happens from {begins}:00 to {(begins + WINDOW) % 24}:00 local time"),),
        remedy,
    )


def far_from_sun(origin: BuildInputs, found: Tables) -> Iterator[Finding]:
    """Whether clocks are set to where the coordinates are, if the log has both."""
    mapping = origin.mapping
    if mapping.utc_offset is None and mapping.utc_offset_constant is None:
        return
    lat, lon = _coordinates(found)
    offset = found.events["utc_offset"].to_numpy().astype(np.float64)
    far = _apart(offset, 4 * lon) > FAR_MINUTES  # the sun takes four minutes for a degree
    if far.mean() < FAR_SHARE:
        return
    remedy = "see whether 'utc_offset' has minutes from UTC to local time, and whether the coordinates are in degrees"
    if np.median(_apart(offset, 4 * lat)[far]) < FAR_MINUTES / 2:
        remedy = "exchange the columns of 'lat' and 'lon' in the mapping: then the two fit"
    elif np.median(_apart(offset, -4 * lon)[far]) < FAR_MINUTES / 2:
        remedy = "see which has the wrong sign, longitudes or offsets: west of Greenwich both are below zero"
    rows = np.flatnonzero(far)[:EXAMPLES]
    values = [f"{lat[row]:.5g}, {lon[row]:.5g} at UTC{offset[row] / 60:+.4g} h" for row in rows]
    yield Finding(
        "coordinates that the time zone contradicts",
        int(far.sum()),
        event_examples(origin, found, rows, values),
        remedy,
    )


def _coordinates(found: Tables) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes of the events [n]: of their locations, or else of their items; NaN where unknown."""
    kind = "location" if found.nodes["location"]["lat"].null_count < len(found.nodes["location"]) else "item"
    code = found.events[kind].to_numpy()
    lat, lon = (found.nodes[kind][name].to_numpy() for name in ("lat", "lon"))
    return np.append(lat, np.nan)[code], np.append(lon, np.nan)[code]  # a code of -1 takes the last


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Minutes between times of the day, [n]; -1 where either is unknown."""
    apart: np.ndarray = np.nan_to_num(np.abs((one - other + 720) % 1440 - 720), nan=-1.0)
    return apart
