"""Simulated log of a city with planted truth: the cause of each visit is known.

What is planted, and can be recovered by a model:

- routine: people have a habitual venue for each part of each weekday, near home or near work;
- taste: each person prefers three categories and one style (quiet, lively, green, ...). The style of a venue is only
  in its description, so text is informative, above all for venues not visited before;
- sequence: some categories are followed by another, as a gym by a juice bar (``follows`` in city.yaml);
- place: the next venue is near the last one, or near home or work;
- drift: a share of people move home or find a new taste, on a known day;
- noise: a share of visits is to random venues;
- cold start: some venues open late, some people join late.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from builders.simulation.city import City, degrees, generate_city
from builders.simulation.day import CAUSES, Day, SimulatedVisits
from builders.simulation.residents import Lifestyle, Residents, generate_residents
from graphrec.errors import ConfigError
from graphrec.progress import NoProgress, Progress
from graphrec.time_units import DAY

START = np.datetime64("2024-03-04")
"""First local day of every log, a Monday; summer time begins four weeks later."""
ORDER_SHARE = 0.25
"""Share of events of the kind ``order``, by chance; the others are of the kind ``visit``."""
MADE_BY = "graphrec simulate"
TRUTH = "truth.json"


@dataclass(frozen=True)
class Summary:
    """Summary of a simulation."""

    folder: str
    """Folder of the files."""
    counts: Mapping[str, int]
    """Rows by table: events, items, users, locations."""
    first: str | None
    """Time of the first event, ISO 8601 UTC; None without events."""
    last: str | None
    """Time of the last event."""
    causes: Mapping[str, int]
    """Events by planted cause."""


def simulate_city(
    out: Path, users: int = 400, *, days: int = 60, seed: int = 0, progress: Progress | None = None
) -> Summary:
    """Write a simulated log and its tables into the folder ``out``; the same seed gives the same bytes.

    ``events.csv``, ``items.csv``, ``users.csv`` and ``locations.csv`` are a log and tables as of a real city.
    ``truth.json`` holds what was planted: homes, tastes, changes, openings, and the cause of each event.

    Parameters
    ----------
    out
        A new or empty folder, or one that this function wrote before.
    users, days
        Size of the log: about 1.25 venues a user and 1.5 events a user and day.
    seed
        Of the random numbers, 0 or more.
    progress
        Advances with each day.

    Raises
    ------
    ConfigError
        A number is out of its range, or ``out`` holds something else.
    """
    _check(out, users, days, seed)
    city_rng, residents_rng, visits_rng, text_rng = np.random.default_rng(seed).spawn(4)
    city = generate_city(city_rng, venues=int(np.clip(users * 1.25, 120, 5000)), days=days)
    residents = generate_residents(residents_rng, city, users, days)
    visits = _simulate(visits_rng, city, residents, days, progress or NoProgress())
    tables = _tables(text_rng, city, residents, visits)
    truth = {"made_by": MADE_BY, "users": users, "days": days, "seed": seed, **_truth(city, residents, visits)}
    _write(out, tables, truth)
    times = tables["events"]["time"].to_pylist()
    return Summary(
        folder=str(out),
        counts={name: len(table) for name, table in tables.items()},
        first=min(times, default=None),
        last=max(times, default=None),
        causes=dict(zip(CAUSES, np.bincount(visits.cause, minlength=len(CAUSES)).tolist(), strict=True)),
    )


def _check(out: Path, users: int, days: int, seed: int) -> None:
    for name, value, lowest in (("users", users, 1), ("days", days, 1), ("seed", seed, 0)):
        if value < lowest:
            raise ConfigError(f"simulate: {name} of at least {lowest} expected, got {value}")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"simulate: a folder expected, but {out} is a file")
    if out.is_dir() and any(out.iterdir()) and not _is_simulated(out):
        raise ConfigError(f"simulate: {out} holds something else; give a new or an empty folder")


def _is_simulated(out: Path) -> bool:
    try:
        return bool(json.loads((out / TRUTH).read_text(encoding="utf-8"))["made_by"] == MADE_BY)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _simulate(
    rng: np.random.Generator, city: City, residents: Residents, days: int, progress: Progress
) -> SimulatedVisits:
    progress.start("simulate days in the city", days)
    steps: list[SimulatedVisits] = []
    for number in range(days):
        steps += Day(city, residents, number).visits(rng)
        progress.advance()
    progress.finish()
    return SimulatedVisits.join(steps)


def _tables(rng: np.random.Generator, city: City, residents: Residents, visits: SimulatedVisits) -> dict[str, pa.Table]:
    venues, names = degrees(city.xy), city.vocabulary["neighbourhoods"]
    items = {
        "item_id": _ids("v", len(venues)),
        "title": city.titles(rng),
        "category": [city.categories[code] for code in city.category],
        "description": city.descriptions(rng),
        **_position(venues),
    }
    users = {"user_id": _ids("u", len(residents.joins)), "profile": residents.profiles(rng, city)}
    locations = {"location_id": _ids("n", len(names)), "name": names, **_position(degrees(city.location_xy))}
    tables = {"events": _events(rng, city, residents, visits), "items": items, "users": users, "locations": locations}
    return {name: pa.table(columns) for name, columns in tables.items()}


def _events(rng: np.random.Generator, city: City, residents: Residents, visits: SimulatedVisits) -> dict[str, Any]:
    offset = _utc_offset(START + visits.second // DAY)
    time = START.astype("datetime64[s]") + visits.second - offset * 60
    seen_at = city.xy[visits.venue] + rng.normal(0, 0.008, (len(time), 2))  # error of a phone, some metres
    return {
        "user_id": _ids("u", len(residents.joins))[visits.user],
        "item_id": _ids("v", len(city.xy))[visits.venue],
        "location_id": _ids("n", len(city.location_xy))[city.location[visits.venue]],
        **_position(degrees(seen_at)),
        "time": np.char.add(np.datetime_as_string(time), "Z"),
        "utc_offset": offset,
        "kind": np.where(rng.random(len(time)) < ORDER_SHARE, "order", "visit"),
    }


def _ids(letter: str, count: int) -> np.ndarray:
    return np.array([f"{letter}{number:04d}" for number in range(count)])


def _position(position: np.ndarray) -> dict[str, np.ndarray]:
    return {"latitude": position[:, 0].round(6), "longitude": position[:, 1].round(6)}


def _utc_offset(day: np.ndarray) -> np.ndarray:
    """Central European minutes, 60 or 120 from the last Sunday of March to that of October, [n]."""
    year = day.astype("datetime64[Y]").astype("datetime64[M]")
    march, october = ((year + month).astype("datetime64[D]") - 1 for month in (3, 10))
    sundays = [end - (end.astype(int) + 4) % 7 for end in (march, october)]
    return np.asarray(60 + 60 * ((day >= sundays[0]) & (day < sundays[1])))


def _truth(city: City, residents: Residents, visits: SimulatedVisits) -> dict[str, Any]:
    """Planted truth, by the ids of the tables; days are local dates."""
    return {
        "causes": list(CAUSES),
        "cause": "".join(map(str, visits.cause.tolist())),  # one digit per row of events.csv
        "follows": city.vocabulary["follows"],
        "items": {
            name: {"style": city.styles[style], "opens": _day(opens)}
            for name, style, opens in zip(_ids("v", len(city.xy)), city.style, city.opens, strict=True)
        },
        "users": {
            name: _person(city, residents, user) for user, name in enumerate(_ids("u", len(residents.joins)).tolist())
        },
    }


def _person(city: City, residents: Residents, user: int) -> dict[str, Any]:
    changes = bool(residents.changes[user] < residents.days)
    later = {
        "day": _day(residents.changes[user]),
        "what": "home" if residents.moves[user] else "taste",
        **_lifestyle(city, residents.later, user),
    }
    joins = _day(residents.joins[user])
    return {**_lifestyle(city, residents.first, user), "joins": joins, "changes": later if changes else None}


def _lifestyle(city: City, lifestyle: Lifestyle, user: int) -> dict[str, Any]:
    names = city.vocabulary["neighbourhoods"]
    return {
        "home": names[lifestyle.home[user]],
        "work": names[lifestyle.work[user]],
        "likes": [city.categories[code] for code in lifestyle.likes[user]],
        "style": city.styles[lifestyle.style[user]],
    }


def _day(number: int) -> str:
    return str(START + int(number))


def _write(out: Path, tables: Mapping[str, pa.Table], truth: Mapping[str, Any]) -> None:
    """Write to a temporary folder, then rename; truth.json is renamed last: it marks a complete log."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as name:
        temporary = Path(name)
        for table, rows in tables.items():
            csv.write_csv(rows, temporary / f"{table}.csv", csv.WriteOptions(quoting_style="needed"))
        (temporary / TRUTH).write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
        out.mkdir(exist_ok=True)
        (out / TRUTH).unlink(missing_ok=True)
        for file in (*(f"{table}.csv" for table in tables), TRUTH):
            (temporary / file).replace(out / file)
