"""Interest over time and space, measured: changes found, homes and works, forecasts beside naive ones, and the cost.

    GRAPHREC_DATA=/data python benchmarks/interest.py [--seeds 0 1 2] [--rows 5] [--cache FOLDER] [--only places]

The truth is that of simulated cities (400 people, 182 days) and, for places, what people of nyc-getnext call their home
and their office; without GRAPHREC_DATA New York is left out and the page left alone. The code's constants were
chosen on city 0 and New York. Each part of the page beside this file is rewritten between its two marks.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from page import rewrite
from subgraph import Functions, ask, facts, graph_of, table
from subgraph import measure as measure_cost

from builders import build_graph, simulate_city
from graphrec import TemporalGraph
from graphrec.graph.geography import distance_km
from graphrec.interest import (
    Forecast,
    HabitualPlaces,
    Place,
    activity_changes,
    cohorts_by_interest,
    fit_activity_rates,
    forecast_interest,
    habitual_places,
    interest_changes,
    interest_over_time,
    place_changes,
    user_profile,
)
from graphrec.interest.history import History
from graphrec.interest.places import at_home, at_work
from graphrec.interest.themes import _categories
from graphrec.time_units import DAY, WEEK

PAGE = Path(__file__).with_suffix(".md")
PEOPLE, DAYS = 400, 182
"""Size of a simulated city."""
NEAR_DAYS, NEAR_KM = 14, 1.0
"""How near a change, and a place, counts as found."""
MIN_CONFIDENCE = 0.9
"""A confidence that is looked at by itself."""
OWN_VENUE = {"home": "Home (private)", "work": "Office"}
"""What the text of a New Yorker's own venue says."""
MIN_VISITS, MIN_VISIT_SHARE = 8, 0.7
"""Check-ins at it, at least, and their part among all of the user's at such venues."""
BACK, AHEAD, THERE, SAMPLE = (12, 8, 4), 4, 5, 500
"""Weeks before the end at which forecasts are asked for, weeks they look ahead, weeks a user was there, most users."""
USUAL = 1.28
"""Standard deviations on either side that hold 80% of a normal distribution."""

Column = NDArray[np.float64]
Truth = dict[str, Any]


@dataclass(frozen=True)
class Log:
    """A graph that is asked about, and what is known of its people."""

    name: str
    graph: TemporalGraph
    truth: Truth | None
    """What was planted; None of New York."""

    @property
    def users(self) -> list[str]:
        """Ids of all users."""
        ids: list[str] = self.graph.nodes["user"].ids.to_pylist()
        return ids

    @property
    def end(self) -> int:
        """Just after the last event, UTC seconds."""
        return int(self.graph.log.time[-1]) + 1

    def planted(self, user: str, kind: str) -> int | None:
        """The local second from which a user has another ``taste`` or ``home``; None without."""
        change = self.truth["users"][user]["changes"] if self.truth else None
        if change is None or change["what"] != kind:
            return None
        return int(np.datetime64(change["day"], "s").astype(np.int64))


def main() -> None:
    """Make the graphs, measure the parts that are asked for, write them to the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the simulated cities")
    parser.add_argument("--rows", type=float, default=5, help="millions of rows of the log whose cost is measured")
    parser.add_argument("--cache", type=Path, default=None, help="folder that keeps that graph; a temporary one")
    parser.add_argument("--only", nargs="*", default=[*PARTS, "cost"], choices=[*PARTS, "cost"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        parts = [part for part in PARTS if part in arguments.only]
        logs = [city(folder / str(seed), seed) for seed in arguments.seeds] if parts else []
        logs += new_york(folder / "new-york") if parts else []
        for part in parts:
            lines = [f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}.", ""]
            publish(part, lines + PARTS[part](logs), keep="GRAPHREC_DATA" in os.environ)
        if "cost" in arguments.only:
            graph = graph_of(int(arguments.rows * 1_000_000), arguments.cache or folder)
            measured = {name: ask(name, graph, "interest") for name in FUNCTIONS}
            publish("cost", [facts(next(iter(measured.values()))), "", *table(measured, FUNCTIONS)])


def publish(part: str, lines: Sequence[str], keep: bool = True) -> None:
    """Print what was measured; ``keep`` puts it on the page."""
    text = "\n".join(lines)
    print(text, flush=True)
    if keep:
        rewrite(PAGE, text, part)


def city(folder: Path, seed: int) -> Log:
    """A simulated city with what was planted in it."""
    simulate_city(folder, PEOPLE, days=DAYS, seed=seed)
    tables = {kind: folder / f"{kind}.csv" for kind in ("items", "users", "locations")}
    build_graph([folder / "events.csv"], folder / "graph", **tables, text_model="none")
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    return Log(f"city {seed}", TemporalGraph.open(folder / "graph"), truth)


def new_york(folder: Path) -> list[Log]:
    """New York's check-ins, where they are at hand."""
    if "GRAPHREC_DATA" not in os.environ:
        print("New York is skipped: set GRAPHREC_DATA to the folder that holds nyc-getnext/")
        return []
    data = Path(os.environ["GRAPHREC_DATA"]) / "nyc-getnext"
    build_graph([data], folder, preset="nyc-getnext", text_model="none")
    return [Log("New York", TemporalGraph.open(folder), None)]


def changes(logs: Sequence[Log]) -> list[str]:
    """Planted changes told within two weeks, changes told that are none, and people told one without reason."""
    lines = [
        "| | | planted | found | changes told | precision | people without a change | of them told one |",
        f"|---|---|{'---:|' * 6}",
    ]
    for log in (log for log in logs if log.truth):
        for name, (kind, told) in KINDS.items():
            lines.append(f"| {log.name} | {name} | {_changes(log, kind, told)} |")
    return lines


def _changes(log: Log, kind: str, told: Callable[[TemporalGraph, str, int], list[int]]) -> str:
    planted = found = right = everything = without = wrongly = 0
    for user in log.users:
        changed = log.planted(user, kind)
        if changed is None and any(log.planted(user, other) is not None for other in ("taste", "home")):
            continue  # another change than this one
        starts = told(log.graph, user, log.end)
        near = sum(abs(start - changed) <= NEAR_DAYS * DAY for start in starts) if changed is not None else 0
        everything, right = everything + len(starts), right + near
        planted, found = planted + (changed is not None), found + (near > 0)
        without, wrongly = without + (changed is None), wrongly + (changed is None and bool(starts))
    recall, precision = _part(found, planted), f"{right / everything:.0%}" if planted and everything else ""
    return f"{planted} | {recall} | {everything} | {precision} | {without} | {_part(wrongly, without)}"


def _part(count: int, of: int) -> str:
    return f"{count} ({count / of:.1%})" if of else ""


def _of_themes(graph: TemporalGraph, user: str, until: int) -> list[int]:
    return [change.start for change in interest_changes(interest_over_time(graph, user, until=until))]


def _of_places(graph: TemporalGraph, user: str, until: int) -> list[int]:
    return [change.start for change in place_changes(graph, user, until=until)]


def _of_activity(graph: TemporalGraph, user: str, until: int) -> list[int]:
    return [change.start for change in activity_changes(graph, user, until=until)]


KINDS: dict[str, tuple[str, Callable[[TemporalGraph, str, int], list[int]]]] = {
    "new taste, in the themes": ("taste", _of_themes),
    "new home, in the places": ("home", _of_places),
    "activity (none is planted)": ("activity", _of_activity),
}
"""What is looked for: the planted kind, and what tells it."""


def places(logs: Sequence[Log]) -> list[str]:
    """Homes and works told within a kilometre, and how sure they were said to be."""
    lines = [
        "| | | people | told | right | mean confidence | told above .9 | right | most days instead, all people |",
        f"|---|---|{'---:|' * 7}",
    ]
    for log in logs:
        answers = {user: habitual_places(log.graph, user, until=log.end) for user in log.users}
        for kind in OWN_VENUE:
            where = _own(log, kind)
            stay = {user: point for user, point in where.items() if log.planted(user, "home") is None}
            lines.append(f"| {log.name} | {kind} | {_places(log, kind, stay, answers)} |")
            moved = {user: point for user, point in where.items() if user not in stay}
            if moved and kind == "home":
                lines.append(f"| {log.name} | new home of those who moved | {_places(log, kind, moved, answers)} |")
    return lines


def _places(log: Log, kind: str, where: dict[str, Column], answers: dict[str, HabitualPlaces]) -> str:
    told = [(user, place) for user in where if (place := getattr(answers[user], kind)) is not None]
    right = np.array([_near(where[user], _at(place)) for user, place in told])
    sure = np.array([place.confidence for _, place in told])
    naive = np.mean([_near(where[user], _most_days(log, user, kind)) for user in where])
    above = (
        f"{(sure > MIN_CONFIDENCE).sum()} | {right[sure > MIN_CONFIDENCE].mean():.0%}"
        if (sure > MIN_CONFIDENCE).any()
        else "0 | "
    )
    return f"{len(where)} | {len(told)} | {right.mean():.0%} | {sure.mean():.2f} | {above} | {naive:.0%}"


def _at(place: Place) -> Column | None:
    return None if place.coordinates is None else np.array(place.coordinates)


def _near(one: Column, other: Column | None) -> bool:
    if other is None:
        return False
    points = torch.from_numpy(np.stack((one, other)))
    return bool(distance_km(points[0], points[1]) <= NEAR_KM)


def _own(log: Log, kind: str) -> dict[str, Column]:
    """Where people live or work in truth, degrees; in a city the place that they had at the end."""
    if log.truth is None:
        return _own_venues(log.graph, OWN_VENUE[kind])
    table = log.graph.nodes["location"]
    where = {table.label(code): table.coordinates[code].double().numpy() for code in range(len(table))}
    people = log.truth["users"]
    return {user: where[(people[user]["changes"] or people[user])[kind]] for user in log.users}


def _own_venues(graph: TemporalGraph, word: str) -> dict[str, Column]:
    """The venue of such a text that most of a user's check-ins at such venues are at."""
    table = graph.nodes["item"]
    such = np.array([word in (text or "") for text in table.texts.to_pylist()])
    user, item = graph.log.user.numpy(), graph.log.item.numpy()
    found = {}
    for code in np.unique(user[such[item]]).tolist():
        venues, times = np.unique(item[(user == code) & such[item]], return_counts=True)
        if times.max() >= MIN_VISITS and times.max() >= MIN_VISIT_SHARE * times.sum():
            found[graph.nodes["user"].ids[code].as_py()] = table.coordinates[venues[times.argmax()]].double().numpy()
    return found


def _most_days(log: Log, user: str, kind: str) -> Column | None:
    """Where the location of the most days in those hours is."""
    history, coordinates = History.before(log.graph, user, log.end), log.graph.nodes["location"].coordinates
    counts = (history.location >= 0) & (at_home if kind == "home" else at_work)(history.local_time)
    if not counts.any() or coordinates is None:
        return None
    days = np.unique(np.stack((history.location[counts], history.local_time[counts] // DAY)), axis=1)
    location = int(np.bincount(days[0]).argmax())
    return np.asarray(coordinates[location].double().numpy())


@dataclass(frozen=True)
class Asked:
    """One forecast, what was known before it and what came."""

    coming: Forecast
    past: Column
    """[w, themes] events of whole weeks back from the forecast, the earliest first."""
    came: Column
    """[AHEAD, themes] events of the weeks after it."""
    new: NDArray[np.bool_]
    """[AHEAD] weeks with an event of a theme that the forecast could not name."""
    events: Column
    """[AHEAD] events of these weeks, those of unnamed themes too."""


def asked(log: Log) -> Iterator[Asked]:
    """Forecasts of everybody, or of SAMPLE people, who had been there for weeks."""
    users = log.users
    chosen = np.linspace(0, len(users) - 1, min(len(users), SAMPLE)).astype(np.int64)
    for back in BACK:
        until = log.end - back * WEEK
        view = log.graph.as_of(until)
        rates, categories = fit_activity_rates(view), _categories(view, np.arange(len(view.nodes["item"])))
        known = view.visible("user").numpy()
        for user in (users[code] for code in chosen if known[code]):
            history = History.before(log.graph, user, until)
            if len(history) and history.until - history.time[0] >= THERE * WEEK:
                coming = forecast_interest(log.graph, user, until=until, steps=AHEAD, rates=rates)
                yield _asked(coming, history, History.before(log.graph, user, history.until + AHEAD * WEEK), categories)


def _asked(coming: Forecast, history: History, later: History, categories: Sequence[tuple[str, ...]]) -> Asked:
    names = {name: place for place, name in enumerate(coming.themes)}
    step = (later.time - history.until) // WEEK  # below 0 before the forecast
    weeks = -int(step.min())
    counts, new = np.zeros((weeks + AHEAD, len(names))), np.zeros(weeks + AHEAD)
    for item, week in zip(later.item, step + weeks, strict=True):
        theme = names.get(categories[item][0], names.get("other"))
        if theme is None:
            new[week] += 1
        else:
            counts[week, theme] += 1
    events = counts.sum(axis=1) + new
    return Asked(coming, counts[:weeks], counts[weeks:], new[weeks:] > 0, events[weeks:])


def forecasts(logs: Sequence[Log]) -> list[str]:
    """Errors and intervals of the events of a week, and of the shares of its themes."""
    found = {log.name: list(asked(log)) for log in logs}
    events = [
        "| events of a week | weeks ahead | forecasts | absolute error | last week's | mean of 4 weeks | mean of all "
        "| 80% interval holds | interval score | that of last week ± 1.28 s |",
        f"|---|{'---:|' * 9}",
    ]
    events += [f"| {name} | {ahead} | {_events(one, ahead)} |" for name, one in found.items() for ahead in (1, AHEAD)]
    themes = [f"| shares of themes | weeks | {' | '.join(('forecast', *NAIVE))} |", f"|---|---:|{'---:|' * 4}"]
    themes += [f"| {name}, {line}" for name, one in found.items() for line in _shares(one)]
    held = [
        "| events of a theme | forecasts | 80% interval holds | interval score | mean ± 1.28 s holds | its score |",
        f"|---|{'---:|' * 5}",
    ]
    held += [f"| {name} | {_held(one)} |" for name, one in found.items()]
    return [*events, "", *themes, "", *held]


def _events(found: Sequence[Asked], ahead: int) -> str:
    came = np.array([one.events[ahead - 1] for one in found])
    naive = [[one.past[-weeks:].sum(axis=1).mean() for one in found] for weeks in (1, 4, 0)]
    errors = [np.abs(came - guess).mean() for guess in ([one.coming.events[ahead - 1] for one in found], *naive)]
    low, high = np.array([one.coming.events_interval[ahead - 1] for one in found]).T
    spread = np.array([USUAL * np.diff(one.past.sum(axis=1)).std() for one in found])
    last = np.array(naive[0])
    scores = _score(low, high, came), _score(np.maximum(last - spread, 0), last + spread, came)
    numbers = [*(f"{error:.2f}" for error in errors), f"{_holds(low, high, came):.0%}", *(f"{s:.1f}" for s in scores)]
    return " | ".join([str(len(found)), *numbers])


NAIVE = {"last week": 1, "last 4 weeks": 4, "all weeks": 0}
"""Weeks that a naive share of a theme is taken from; 0: all of them."""


def _shares(found: Sequence[Asked]) -> list[str]:
    """Absolute error in weeks of 3 events or more, and nats an event in all that have any."""
    named = [one for one in found if one.events[0] and not one.new[0]]
    guesses = {"forecast": [one.coming.share[0] for one in named]}
    guesses |= {name: [_smooth(one.past[-weeks:].sum(axis=0)) for one in named] for name, weeks in NAIVE.items()}
    came = [one.came[0] for one in named]
    many = [place for place, week in enumerate(came) if week.sum() >= 3]
    errors = [
        np.mean([np.abs(came[place] / came[place].sum() - guess[place]).sum() / 2 for place in many])
        for guess in guesses.values()
    ]
    nats = [
        -sum(float(week @ np.log(share)) for week, share in zip(came, guess, strict=True)) / sum(map(np.sum, came))
        for guess in guesses.values()
    ]
    return [
        f"error | {len(many)} | {' | '.join(f'{error:.3f}' for error in errors)} |",
        f"nats an event | {len(came)} | {' | '.join(f'{one:.3f}' for one in nats)} |",
    ]


def _smooth(counts: Column) -> Column:
    """Shares with one event more over all themes alike: no theme is ruled out."""
    return np.asarray((counts + 1 / len(counts)) / (counts.sum() + 1))


def _held(found: Sequence[Asked]) -> str:
    """Intervals of all themes of the next week, weeks without events too; of unnamed themes nothing is asked."""
    came = np.concatenate([one.came[0] for one in found])
    low, high = np.concatenate([one.coming.theme_interval[0] for one in found]).T
    mean = np.concatenate([one.past.mean(axis=0) for one in found])
    spread = USUAL * np.concatenate([one.past.std(axis=0) for one in found])
    lower, upper = np.maximum(np.floor(mean - spread), 0), np.ceil(mean + spread)
    ours, naive = ((_holds(*ends, came), _score(*ends, came)) for ends in ((low, high), (lower, upper)))
    return f"{len(came)} | {ours[0]:.0%} | {ours[1]:.2f} | {naive[0]:.0%} | {naive[1]:.2f}"


def _holds(low: Column, high: Column, came: Column) -> float:
    return float(((low <= came) & (came <= high)).mean())


def _score(low: Column, high: Column, came: Column) -> float:
    """Width and 10 times the miss of an 80% interval, the mean (Gneiting and Raftery 2007)."""
    return float((high - low + 10 * np.maximum(low - came, 0) + 10 * np.maximum(came - high, 0)).mean())


PARTS = {"changes": changes, "places": places, "forecasts": forecasts}
"""Sections of the page that ask people of whom the truth is known."""

BUSY = 50
"""Code of the user whose cost is measured; those that come early in the log have many events."""


def _of_user(function: Callable[[TemporalGraph, str, int], object]) -> Callable[[Any], Callable[[], Any]]:
    def prepared(graph: TemporalGraph) -> Callable[[], Any]:
        user, end = graph.nodes["user"].ids[BUSY].as_py(), int(graph.log.time[-1]) + 1
        return lambda: function(graph, user, end)

    return prepared


def _of_everybody(graph: TemporalGraph) -> Callable[[], Any]:
    return lambda: cohorts_by_interest(graph, int(graph.log.time[-1]) + 1)


FUNCTIONS: Functions = {
    "interest": ("`interest_over_time` of a busy user", _of_user(interest_over_time)),
    "changes": ("`interest_changes`, the interest included", _of_user(_of_themes)),
    "places": ("`habitual_places`", _of_user(habitual_places)),
    "forecast": ("`forecast_interest`, rates learned", _of_user(forecast_interest)),
    "profile": ("`user_profile`", _of_user(user_profile)),
    "cohorts": ("`cohorts_by_interest` of everybody", _of_everybody),
}


def measure(name: str, directory: str) -> None:
    """Print what one function costs; for ``subgraph.ask``."""
    measure_cost(name, directory, FUNCTIONS)


if __name__ == "__main__":
    sys.exit(main())
