"""Textual profile of a user as of a time: sentences from templates, each with its numbers and its events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphrec.formatting import format_date, format_percent, pluralize
from graphrec.graph.event_types import format_habit
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.interest.change_points import ChangePoint, interest_changes, place_changes
from graphrec.interest.forecast import Forecast, forecast_interest
from graphrec.interest.history import History
from graphrec.interest.over_time import InterestOverTime, interest_over_time
from graphrec.interest.places import Place, habitual_places
from graphrec.interest.themes import OTHER
from graphrec.time_units import DAY

MAX_PARTS = 3
"""Themes, habits or parts of a change in a sentence at most."""


@dataclass(frozen=True)
class Sentence:
    """One statement about a user."""

    topic: str
    """``activity``, ``hours``, ``themes``, ``returns``, ``home``, ``work``, ``habits``, ``change`` or ``forecast``."""
    description: str
    """The sentence."""
    numbers: Mapping[str, Any]
    """Every number in it, by name."""
    rows: NDArray[np.int64]
    """Rows of the log that support it; all are before the time of the query."""


@dataclass(frozen=True)
class Profile:
    """Statements about a user as of a time. They are personal data."""

    user: str
    """The user's own id."""
    until: int
    """UTC seconds; only events strictly before it count."""
    sentences: tuple[Sentence, ...]
    """Statements from activity to forecast, those that the log supports."""

    def to_dict(self) -> dict[str, Any]:
        """The profile as plain data, by the keys of ``graphrec profile --json``."""
        sentences = [
            {"about": one.topic, "words": one.description, "numbers": dict(one.numbers), "rows": one.rows.tolist()}
            for one in self.sentences
        ]
        return {"user": self.user, "until": self.until, "sentences": sentences}

    def __str__(self) -> str:
        return " ".join(sentence.description for sentence in self.sentences)


def user_profile(graph: TemporalGraph, user: str, *, until: int) -> Profile:
    """Textual profile of a user from the events strictly before ``until`` (UTC seconds).

    A log without times supports themes and returns alone. Raises InputError for an unknown user or one without an event
    by then.
    """
    history = History.before(graph, user, until).check()
    interest = interest_over_time(graph, user, until=until)
    return Profile(user, until, tuple(_sentences(graph, history, interest, until)))


def _sentences(graph: TemporalGraph, history: History, interest: InterestOverTime, until: int) -> Iterator[Sentence]:
    if not graph.timeless:
        yield _activity(history)
        when = format_habit(graph, torch.from_numpy(history.row).to(graph.log.time.device))
        yield Sentence("hours", f"Active {when}.", {"events": len(history)}, history.row)
    yield from _themes(history, interest)
    yield _returns(history)
    if graph.timeless:
        return
    places = habitual_places(graph, history.user, until=until)
    for name, place in (("home", places.home), ("work", places.work)):
        if place is not None:
            yield _anchor(name, place)
    if places.habits:
        yield _habits(places.habits[:MAX_PARTS])
    for change in interest_changes(interest):
        yield _change(history, change, "The interest")
    for change in place_changes(graph, history.user, until=until):
        yield _change(history, change, "Where they are seen")
    yield _forecast(history, forecast_interest(graph, history.user, until=until))


def _activity(history: History) -> Sentence:
    days = len(np.unique(history.local_time // DAY))
    first, last = int(history.local_time.min()), int(history.local_time.max())
    text = f"{pluralize(len(history), 'event')} on {pluralize(days, 'day')}"
    text += f", from {format_date(first)} to {format_date(last)}."
    numbers = {"events": len(history), "days": days, "first": first, "last": last}
    return Sentence("activity", text, numbers, history.row)


def _themes(history: History, interest: InterestOverTime) -> Iterator[Sentence]:
    """One sentence, or none without a named theme."""
    share = interest.events @ interest.share / interest.events.sum()
    named = [index for index in np.argsort(-share, kind="stable").tolist() if interest.themes[index] != OTHER]
    parts = {interest.themes[index]: float(share[index]) for index in named[:MAX_PARTS]}
    if parts:
        text = ", ".join(f"{name} ({format_percent(part)})" for name, part in parts.items())
        yield Sentence("themes", f"Most often about {text}.", {"events": len(history), **parts}, history.row)


def _returns(history: History) -> Sentence:
    repeat = np.ones(len(history), dtype=bool)
    repeat[np.unique(history.item, return_index=True)[1]] = False
    numbers = {"events": len(history), "returns": int(repeat.sum()), "items": int((~repeat).sum())}
    share, items = format_percent(numbers["returns"] / len(history)), pluralize(numbers["items"], "item")
    text = f"{share} of the events were returns, {items} were seen in all."
    return Sentence("returns", text, numbers, history.row[repeat])


def _anchor(name: str, place: Place) -> Sentence:
    hours = "Evenings, nights and weekends" if name == "home" else "Working hours"
    text = (
        f"{hours} are spent around {place.label}: seen there on {place.days} of "
        f"{pluralize(place.days_observed, 'such day')}; confidence {format_percent(place.confidence)}."
    )
    return Sentence(name, text, _numbers(place), place.rows)


def _habits(habits: tuple[Place, ...]) -> Sentence:
    text = "; ".join(
        f"{place.label} ({place.when}, in {place.days} of the last {place.days_observed} weeks)" for place in habits
    )
    numbers = {place.id: _numbers(place) for place in habits}
    return Sentence("habits", f"Keeps coming back to {text}.", numbers, np.concatenate([one.rows for one in habits]))


def _numbers(place: Place) -> dict[str, Any]:
    return {"visits": place.visits, "days": place.days, "of": place.days_observed, "confidence": place.confidence}


def _change(history: History, change: ChangePoint, subject: str) -> Sentence:
    parts = {
        change.names[index]: (float(change.before[index]), float(change.after[index]))
        for index in change.ranked()[:MAX_PARTS]
    }
    changes = [f"{name} from {format_percent(a)} to {format_percent(b)}" for name, (a, b) in parts.items()]
    text = (
        f"{subject} changed in the week of {format_date(change.start)}: {', '.join(changes)} "
        f"(as large by chance in {format_percent(change.p_value)} of random orders at most)."
    )
    numbers = {"start": change.start, "chance": change.p_value, "gain": change.gain, **parts}
    return Sentence("change", text, numbers, history.row[history.local_time >= change.start])


def _forecast(history: History, forecast: Forecast) -> Sentence:
    low, high = forecast.events_interval[0].tolist()
    amount = f"{low} to {high} events are" if low < high else f"{pluralize(low, 'event')} {'is' if low == 1 else 'are'}"
    text = f"{amount} expected in the next {forecast.step_days} days ({forecast.level:.0%} interval)."
    numbers = {"expected": int(forecast.events[0]), "low": low, "high": high, "level": forecast.level}
    return Sentence("forecast", text, numbers, history.row)
