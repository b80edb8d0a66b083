"""Simulated check-in logs of any length for the build benchmark: the same seed makes the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

COLUMNS = (
    "user_id", "venue_id", "category", "latitude", "longitude", "timezone_offset", "time", "rating", "session",
)  # fmt: skip
MAPPING = {
    "user": "user_id",
    "item": "venue_id",
    "text": "category",
    "lat": "latitude",
    "lon": "longitude",
    "utc_offset": "timezone_offset",
    "time": "time",
    "weight": "rating",
    "session": "session",
    "kind_constant": "check-in",
    "h3_resolution": 8,
}
"""What `graphrec build` is told of the log."""
CATEGORIES = (
    "Coffee Shop", "Bar", "Park", "Gym", "Train Station", "Office", "Italian Restaurant", "Bakery", "Museum",
    "Bookstore", "Supermarket", "University", "Airport", "Cinema", "Hotel", "Pharmacy", "Beach", "Pizza Place",
)  # fmt: skip
CITIES, SPREAD = 25, 0.06
"""Venues lie around so many centres, with this deviation in degrees."""
START, YEAR = 1_704_067_200, 366 * 86_400
"""2024-01-01 in UTC seconds, and the seconds of that year."""
SESSION = 14 * 86_400
"""A user's events within so many seconds share a session, so that one has about three."""
CHUNK = 1_000_000
"""Rows that are made at a time."""
BROKEN = {
    "user_id": ("",),
    "venue_id": ("",),
    "time": ("", "yesterday", "2024-13-45T00:00:00Z", "1802-01-01T00:00:00Z"),
    "latitude": ("", "n/k", "95.250000"),
    "longitude": ("", "E013", "-204.500000"),
    "timezone_offset": ("CET", "9000"),
    "rating": ("great",),
    "session": ("s1,2",),
}
"""What stands in a column of a broken row; the last one has a field too many."""


def write_log(path: Path, rows: int, seed: int = 0, broken: float = 0.001, repeated: float = 0.001) -> None:
    """Write a CSV of ``rows`` check-ins in no order of time, of which a share is broken and a share said twice.

    There are ``rows / 50`` users and ``rows / 100`` venues, both with heavy tails.
    """
    venues = _venues(np.random.default_rng(seed), max(rows // 100, 10))
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        file.write((",".join(COLUMNS) + "\n").encode())
        for number, begin in enumerate(range(0, rows, CHUNK)):
            rng = np.random.default_rng((seed, number))
            lines = _lines(rng, venues, min(CHUNK, rows - begin), max(rows // 50, 10), broken)
            file.write(_bytes(_repeat(rng, lines, repeated)))
    temporary.rename(path)


def _venues(rng: np.random.Generator, count: int) -> pa.Table:
    city = rng.integers(0, CITIES, count)
    lat, lon = rng.uniform(25, 60, CITIES)[city], rng.uniform(-120, 140, CITIES)[city]
    identifier = [f"{high:08x}{low:016x}" for high, low in zip(*_bits(rng, count), strict=True)]
    return pa.table(
        {
            "venue_id": identifier,
            "category": pa.array(CATEGORIES).take(pa.array(rng.integers(0, len(CATEGORIES), count))),
            "latitude": _decimals(lat + rng.normal(0, SPREAD, count)),
            "longitude": _decimals(lon + rng.normal(0, SPREAD, count)),
            "timezone_offset": pc.cast(pa.array(np.round(lon / 15).astype(np.int64) * 60), pa.string()),
        }
    )


def _bits(rng: np.random.Generator, count: int) -> tuple[list[int], list[int]]:
    return rng.integers(0, 2**32, count).tolist(), rng.integers(0, 2**63, count).tolist()


def _decimals(degrees: np.ndarray) -> pa.Array:
    return pa.array([f"{value:.6f}" for value in degrees.tolist()])


def _lines(rng: np.random.Generator, venues: pa.Table, rows: int, users: int, broken: float) -> pa.Array:
    user = _heavy_tailed(rng, users, 0.6, rows)
    time = START + rng.integers(0, YEAR, rows)
    at = venues.take(pa.array(_heavy_tailed(rng, len(venues), 0.9, rows))).combine_chunks()
    text = {name: at[name].combine_chunks() for name in at.column_names}
    text["user_id"] = pc.binary_join_element_wise("u", pc.utf8_lpad(_text(user), 7, "0"), "")
    text["time"] = pc.strftime(pa.array(time, pa.timestamp("s", "UTC")), format="%Y-%m-%dT%H:%M:%SZ")
    text["rating"] = pc.cast(pa.array(rng.integers(2, 11, rows) / 2), pa.string())
    text["session"] = pc.binary_join_element_wise(_text(user), _text((time - START) // SESSION), "-")
    return _break(rng, text, rows, broken)


def _break(rng: np.random.Generator, text: dict[str, pa.Array], rows: int, share: float) -> pa.Array:
    """The lines, some of them broken in one of the ways of `BROKEN` or cut short."""
    ways = [(column, value) for column, values in BROKEN.items() for value in values]
    way = np.where(rng.random(rows) < share, rng.integers(0, len(ways) + 1, rows), -1)
    for number, (column, value) in enumerate(ways):
        text[column] = pc.if_else(pa.array(way == number), value, text[column])
    whole = pc.binary_join_element_wise(*(text[name] for name in COLUMNS), ",")
    short = pc.binary_join_element_wise(*(text[name] for name in COLUMNS[:5]), ",")
    return pc.if_else(pa.array(way == len(ways)), short, whole)


def _repeat(rng: np.random.Generator, lines: pa.Array, share: float) -> pa.Array:
    """The lines, some of them replaced by one that came before."""
    source = np.arange(len(lines))
    again = np.flatnonzero(rng.random(len(lines)) < share)
    source[again] = rng.integers(0, again + 1)
    return lines.take(pa.array(source))


def _heavy_tailed(rng: np.random.Generator, count: int, exponent: float, rows: int) -> np.ndarray:
    """Numbers below ``count``, the n-th one n^-exponent as often as the first."""
    weight = np.cumsum(np.arange(1, count + 1) ** -exponent)
    return np.searchsorted(weight, rng.random(rows) * weight[-1])


def _text(values: np.ndarray) -> pa.Array:
    return pc.cast(pa.array(values), pa.string())


def _bytes(lines: pa.Array) -> bytes:
    return pc.binary_join_element_wise(lines, "", "\n").buffers()[2].to_pybytes()
