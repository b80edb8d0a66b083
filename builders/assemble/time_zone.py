"""The time zone of a log: how its times declare it, and whether the hours of the day or the sun contradict it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from builders.assemble.data_issue import MAX_EXAMPLES, DataIssue, Example, event_examples
from builders.assemble.tables import Tables
from builders.ingest.inputs import BuildInputs
from builders.mapping.timestamps import EPOCHS
from graphrec.time_units import DAY, HOUR

WRITTEN_ZONE = re.compile(r"\d:\d\d(:\d\d([.,]\d+)?)?\s*(Z|UTC|GMT|[+-]\d\d(:?\d\d){0,2}|[A-Za-z_]+/[A-Za-z_/]+)$")
"""The zone or offset after a time of day."""
NIGHT = 4.0
"""Middle of the night in hours of local time: most logs have the fewest events from two to six."""
WINDOW = 5
"""Length of the quietest part of a day in hours."""
MIN_EVENTS = 500
"""Events without which the hours of the day are not judged."""
MIN_HOURS, MIN_SHARE = 8, 0.01
"""Hours of the day with at least this share of all events; fewer such hours are dates without a time of day."""
MAX_NIGHT_RATIO = 0.4
"""Events of the quietest part of a day, as a ratio to the same number of average hours."""
NIGHT_TOLERANCE = 0.01
"""Parts of a day with at most this share of all events more than the quietest one are as quiet."""
MAX_NIGHT_SHIFT = 4.0
"""Hours between the quietest part of a day and the night above which the two contradict each other."""
MAX_SOLAR_MINUTES, MIN_SOLAR_SHARE = 180, 0.05
"""Difference of local and solar time that no zone exceeds; share of events above it that is reported."""


def local_hours(time: np.ndarray, utc_offset: np.ndarray) -> np.ndarray:
    """Events in each hour of the local day, [24], from times [n] in UTC seconds and offsets [n] in minutes."""
    hour = (time + 60 * utc_offset.astype(np.int64)) % DAY // HOUR
    return np.bincount(hour, minlength=24)


def night_centre(events: np.ndarray) -> float | None:
    """Centre of the quietest hours, 0 to 24, of events per hour [24]; None without quiet hours.

    Where several parts of the day are equally quiet, such as a shop's whole night, it is their circular mean.
    """
    total = events.sum()
    if total < MIN_EVENTS or (events >= MIN_SHARE * total).sum() < MIN_HOURS:
        return None
    windows = np.sum([np.roll(events, -hour) for hour in range(WINDOW)], axis=0)  # by their first hour
    if windows.min() > MAX_NIGHT_RATIO * total * WINDOW / 24:
        return None
    centres = np.flatnonzero(windows <= windows.min() + NIGHT_TOLERANCE * total) + WINDOW / 2
    mean = np.exp(2j * np.pi * centres / 24).mean()
    return None if abs(mean) < 0.5 else float(np.angle(mean) * 24 / (2 * np.pi) % 24)  # below: spread over the day


def offset_error(events: np.ndarray) -> int | None:
    """Hours to add to local times, -11 to 12, to move the quiet hours to the night; None without a contradiction."""
    centre = night_centre(events)
    if centre is None:
        return None
    shift = (NIGHT - centre + 12) % 24 - 12
    return round(shift) if abs(shift) > MAX_NIGHT_SHIFT else None


def declared_zone(sample: Sequence[str], time_format: str) -> str:
    """How times declare their zone, in words, from a sample and their format."""
    if time_format in EPOCHS:
        return "UTC, since they count from 1970"
    declared = sum(WRITTEN_ZONE.search(value.strip()) is not None for value in sample)
    if "%z" in time_format or declared == len(sample) > 0:
        return "written in each time"
    return "written in some times; the others are taken as UTC" if declared else "taken as UTC, for none is written"


def zone_mismatch(inputs: BuildInputs, tables: Tables) -> Iterator[DataIssue]:
    """Whether the quiet hours of a log are in its day."""
    mapping, time = inputs.mapping, tables.events["time"].to_numpy()
    offset = tables.events["utc_offset"].to_numpy()
    hours = local_hours(time, offset)
    centre, shift = night_centre(hours), offset_error(hours)
    if centre is None or shift is None or mapping.timeless:
        return
    begin = round(centre - WINDOW / 2) % 24
    expected = (int(offset[0]) + 60 * shift + 719) % 1440 - 719  # minutes, above -720 and up to 720
    if mapping.utc_offset is None:
        remedy = f"say which time zone it is, such as 'utc_offset_constant: {expected}', if people here sleep at night"
    elif offset_error(local_hours(time, np.zeros_like(offset))) is None:
        remedy = "the times seem to be local already: leave 'utc_offset' out of the mapping, or write times in UTC"
    else:
        remedy = f"see whether '{mapping.utc_offset}' has minutes from UTC to local time: {shift:+d} hours would fit"
    yield DataIssue(
        "time zone that the hours of the day contradict",
        len(time),
        (Example(f"least happens from {begin}:00 to {(begin + WINDOW) % 24}:00 local time"),),
        remedy,
    )


def solar_mismatch(inputs: BuildInputs, tables: Tables) -> Iterator[DataIssue]:
    """Whether UTC offsets fit the longitudes, in a log with both."""
    mapping = inputs.mapping
    if mapping.utc_offset is None and mapping.utc_offset_constant is None:
        return
    lat, lon = _coordinates(tables)
    offset = tables.events["utc_offset"].to_numpy().astype(np.float64)
    wrong = _clock_difference(offset, 4 * lon) > MAX_SOLAR_MINUTES  # the sun takes four minutes per degree
    if wrong.mean() < MIN_SOLAR_SHARE:
        return
    remedy = "see whether 'utc_offset' has minutes from UTC to local time, and whether the coordinates are in degrees"
    if np.median(_clock_difference(offset, 4 * lat)[wrong]) < MAX_SOLAR_MINUTES / 2:
        remedy = "exchange the columns of 'lat' and 'lon' in the mapping: then the two fit"
    elif np.median(_clock_difference(offset, -4 * lon)[wrong]) < MAX_SOLAR_MINUTES / 2:
        remedy = "see which has the wrong sign, longitudes or offsets: west of Greenwich both are below zero"
    rows = np.flatnonzero(wrong)[:MAX_EXAMPLES]
    values = [f"{lat[row]:.5g}, {lon[row]:.5g} at UTC{offset[row] / 60:+.4g} h" for row in rows]
    examples = event_examples(inputs, tables, rows, values)
    yield DataIssue("coordinates that the time zone contradicts", int(wrong.sum()), examples, remedy)


def _coordinates(tables: Tables) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes of the events [n]: of their locations, or else of their items; NaN where unknown."""
    kind = "location" if tables.nodes["location"]["lat"].null_count < len(tables.nodes["location"]) else "item"
    code = tables.events[kind].to_numpy()
    lat, lon = (tables.nodes[kind][name].to_numpy() for name in ("lat", "lon"))
    return np.append(lat, np.nan)[code], np.append(lon, np.nan)[code]  # code -1 is the appended NaN


def _clock_difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Minutes between times of the day, [n]; -1 where either is unknown."""
    return np.asarray(np.nan_to_num(np.abs((one - other + 720) % 1440 - 720), nan=-1.0))
