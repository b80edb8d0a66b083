"""A user in words as of a time: sentences from templates, each with the numbers and the events that it stands on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphrec.formatting import format_date, format_percent, pluralize
from graphrec.graph.event_kinds import habit
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.interest.change_points import ChangePoint, interest_changes, place_changes
from graphrec.interest.forecast import Forecast, forecast_interest
from graphrec.interest.history import History
from graphrec.interest.over_time import InterestOverTime, interest_over_time
from graphrec.interest.places import Place, habitual_places
from graphrec.interest.themes import OTHER
from graphrec.time_units import DAY

TOLD = 3
"""Themes, habits or parts of a change that a sentence tells at most."""


@dataclass(frozen=True)
class Sentence:
    """One thing that the log says of a user."""

    topic: str
    """``activity``, ``hours``, ``themes``, ``returns``, ``home``, ``work``, ``habits``, ``change`` or ``forecast``."""
    description: str
    """The sentence."""
    numbers: Mapping[str, Any]
    """Every number in it, by name."""
    rows: NDArray[np.int64]
    """Rows of the log that it stands on; all are before the time asked for."""


@dataclass(frozen=True)
class Profile:
    """What the log says of a user before a time. It is personal data."""

    user: str
    """The user's own id."""
    until: int
    """UTC seconds; only events strictly before it count."""
    sentences: tuple[Sentence, ...]
    """What is known, from activity to forecast; what the log does not say is left out."""

    def to_dict(self) -> dict[str, Any]:
        """The profile as plain data, by the keys of ``graphrec profile --json``."""
        sentences = [
            {"about": one.topic, "words": one.description, "numbers": dict(one.numbers), "rows": one.rows.tolist()}
            for one in self.sentences
        ]
        return {"user": self.user, "until": self.until, "sentences": sentences}

    def __str__(self) -> str:
        return " ".join(sentence.description for sentence in self.sentences)


def user_profile(graph: TemporalGraph, user: str, until: int) -> Profile:
    """A user in words, from the events strictly before ``until`` (UTC seconds).

    A log without times tells of themes and returns alone. Raises InputError for an unknown user or one without an event
    by then.
    """
    history = History.before(graph, user, until).check()
    interest = interest_over_time(graph, user, until)
    return Profile(user, until, tuple(_sentences(graph, history, interest, until)))


def _sentences(graph: TemporalGraph, history: History, interest: InterestOverTime, until: int) -> Iterator[Sentence]:
    if not graph.timeless:
        yield _activity(history)
        yield _hours(graph, history)
    yield from _themes(history, interest)
    yield _returns(history)
    if graph.timeless:
        return
    places = habitual_places(graph, history.user, until)
    for name, place in (("home", places.home), ("work", places.work)):
        if place is not None:
            yield _anchor(name, place)
    if places.habits:
        yield _habits(places.habits[:TOLD])
    for change in interest_changes(interest):
        yield _change(history, change, "The interest")
    for change in place_changes(graph, history.user, until):
        yield _change(history, change, "Where they are seen")
    yield _forecast(history, forecast_interest(graph, history.user, until))


def _activity(history: History) -> Sentence:
    days = len(np.unique(history.local_time // DAY))
    first, last = int(history.local_time.min()), int(history.local_time.max())
    words = f"{pluralize(len(history), 'event')} on {pluralize(days, 'day')}"
    words += f", from {format_date(first)} to {format_date(last)}."
    return Sentence(
        "activity", words, {"events": len(history), "days": days, "first": first, "last": last}, history.row
    )


def _hours(graph: TemporalGraph, history: History) -> Sentence:
    when = habit(graph, torch.from_numpy(history.row).to(graph.log.time.device))
    return Sentence("hours", f"Active {when}.", {"events": len(history)}, history.row)


def _themes(history: History, interest: InterestOverTime) -> Iterator[Sentence]:
    """Nothing where no event is about a named theme."""
    share = interest.events @ interest.share / interest.events.sum()
    named = [place for place in np.argsort(-share, kind="stable").tolist() if interest.themes[place] != OTHER]
    most = {interest.themes[place]: float(share[place]) for place in named[:TOLD]}
    told = ", ".join(f"{name} ({format_percent(part)})" for name, part in most.items())
    if most:
        yield Sentence("themes", f"Most often about {told}.", {"events": len(history), **most}, history.row)


def _returns(history: History) -> Sentence:
    first = np.zeros(len(history), dtype=bool)
    first[np.unique(history.item, return_index=True)[1]] = True
    again = int((~first).sum())
    items = pluralize(int(first.sum()), "item")
    words = f"{format_percent(again / len(history))} of the events were returns, {items} were seen in all."
    numbers = {"events": len(history), "returns": again, "items": int(first.sum())}
    return Sentence("returns", words, numbers, history.row[~first])


def _anchor(name: str, place: Place) -> Sentence:
    hours = "evenings, nights and weekends" if name == "home" else "working hours"
    words = (
        f"{hours[0].upper()}{hours[1:]} are spent around {place.label}: seen there on {place.days} of "
        f"{pluralize(place.of, 'such day')}; confidence {format_percent(place.confidence)}."
    )
    return Sentence(name, words, _numbers(place), place.rows)


def _habits(habits: tuple[Place, ...]) -> Sentence:
    told = "; ".join(f"{place.label} ({place.when}, in {place.days} of the last {place.of} weeks)" for place in habits)
    numbers = {place.id: _numbers(place) for place in habits}
    return Sentence("habits", f"Keeps coming back to {told}.", numbers, np.concatenate([one.rows for one in habits]))


def _numbers(place: Place) -> dict[str, Any]:
    return {name: getattr(place, name) for name in ("visits", "days", "of", "confidence")}


def _change(history: History, change: ChangePoint, what: str) -> Sentence:
    moved = change.ranked()[:TOLD]
    parts = {change.names[place]: (float(change.before[place]), float(change.after[place])) for place in moved}
    told = ", ".join(
        f"{name} from {format_percent(before)} to {format_percent(after)}" for name, (before, after) in parts.items()
    )
    words = (
        f"{what} changed in the week of {format_date(change.start)}: {told} "
        f"(as large by chance in {format_percent(change.p_value)} of random orders at most)."
    )
    numbers = {"start": change.start, "chance": change.p_value, "gain": change.gain, **parts}
    return Sentence("change", words, numbers, history.row[history.local_time >= change.start])


def _forecast(history: History, coming: Forecast) -> Sentence:
    low, high = coming.events_interval[0].tolist()
    number = f"{low} to {high} events are" if low < high else f"{pluralize(low, 'event')} {'is' if low == 1 else 'are'}"
    words = f"{number} expected in the next {coming.step_days} days ({coming.level:.0%} interval)."
    numbers = {"expected": int(coming.events[0]), "low": low, "high": high, "level": coming.level}
    return Sentence("forecast", words, numbers, history.row)
