"""Numbers, sizes, times and labels as people read them, in the terminal, the report and messages alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import humanize

from graphrec.time_units import DAY, HOUR, MINUTE

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PARTS_OF_DAY = ((5, "nights"), (12, "mornings"), (18, "afternoons"), (24, "evenings"))
"""Last hour (exclusive) of each part of the day; nights begin again at midnight."""
FORGOTTEN = "(forgotten)"
"""Label of a node whose user was forgotten."""


def format_count(value: int) -> str:
    """1234567 as 1,234,567."""
    return f"{value:,}"


def plural(noun: str) -> str:
    """Plural of a noun: users, entities, days."""
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else f"{noun}s"


def pluralize(number: int, noun: str) -> str:
    """1 rating; 1,234 ratings."""
    return f"{format_count(number)} {noun if number == 1 else plural(noun)}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 1,004th."""
    return format_count(number) + humanize.ordinal(number)[-2:]


def format_number(value: int | float | None) -> str:
    """Three decimals; a dash for an unknown value."""
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def format_delta(value: int | float) -> str:
    """A difference with its sign and without the leading zero: +.062."""
    return f"{value:+.3f}".replace("+0.", "+.").replace("-0.", "-.")


def format_percent(share: int | float) -> str:
    """0.316 as 31.6%."""
    return f"{100 * share:.1f}%"


def format_bytes(size: int | float) -> str:
    """Sizes in binary units (powers of 1024): 3.4 MiB, 1.2 GiB."""
    return humanize.naturalsize(size, binary=True)


def format_duration(seconds: int | float) -> str:
    """Durations as 0.4 s, 12 s, 3 min 05 s, 2 h 07 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), MINUTE)
    hours, rest_of_hour = divmod(minutes, 60)
    if hours:
        return f"{hours} h {rest_of_hour:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def format_ago(seconds: int) -> str:
    """A time span before now: 40 minutes ago, 3 days ago."""
    for size, name in ((365 * DAY, "year"), (30 * DAY, "month"), (7 * DAY, "week"), (DAY, "day"), (HOUR, "hour")):
        if seconds >= (2 if size >= 7 * DAY else 1) * size:
            return f"{pluralize(round(seconds / size), name)} ago"
    return f"{pluralize(max(1, round(seconds / MINUTE)), 'minute')} ago"


def format_date(seconds: int, month: str = "%B") -> str:
    """UTC seconds as 3 April 2012 (``month="%b"``: 3 Apr 2012); the number itself outside the calendar."""
    date = _calendar_time(seconds)
    return f"{date.day} {date.strftime(month)} {date.year}" if date else str(seconds)


def format_utc(seconds: int) -> str:
    """UTC seconds as 2012-04-03 18:00:00 UTC; the number itself outside the calendar."""
    date = _calendar_time(seconds)
    return f"{date.replace(tzinfo=None)} UTC" if date else str(seconds)


def format_time(iso: str) -> str:
    """An ISO time as Friday 18 January 2013, 18:20; any other text unchanged."""
    try:
        date = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{date:%A} {date.day} {date:%B %Y, %H:%M}" + (" UTC" if date.tzinfo is UTC else "")


def _calendar_time(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def metric_label(name: str) -> str:
    """The usual spelling of a metric: ndcg@10 as NDCG@10, acc@1 as Acc@1."""
    stem, at, depth = name.partition("@")
    usual = {"mrr": "MRR", "ndcg": "NDCG", "dcg": "DCG", "map": "MAP"}.get(stem, humanize_key(stem).capitalize())
    return usual + at + depth


def humanize_key(name: str) -> str:
    """A key as words: recent_popularity as recent popularity."""
    return name.replace("_", " ").replace("-", " ")


def split_label(split: str) -> str:
    """val as validation, train as training."""
    return {"val": "validation", "train": "training"}.get(split, split)


def describe_protocol(protocol: Mapping[str, Any]) -> str:
    """An evaluation protocol in sentences, one for each field that has one."""
    sentences = (values.get(str(protocol.get(name)), "") for name, values in _PROTOCOL_SENTENCES.items())
    return " ".join(filter(None, sentences))


_PROTOCOL_SENTENCES = {
    "judge": {
        "events": "Each evaluated event is a query with one relevant item.",
        "users": "Each user is one query; the relevant items are all that the split has of the user.",
    },
    "targets": {
        "session-last": "Evaluated is the last event of each session.",
        "session-last-of-three": "Evaluated is the last known event of each session of at least three.",
    },
    "query_time": {
        "request": "A query is asked at the time of its event.",
        "last-event": "A query is asked one second after the user's previous event: neither the time of its own event "
        "nor what others did since is known.",
    },
    "history": {
        "streaming": "All earlier events are visible, and no later one.",
        "frozen": "Events before the split are visible, and the earlier ones of the query's own session.",
    },
    "candidates": {
        "known": "Candidates are all items known by then.",
        "train": "Candidates are all items of the training events.",
    },
    "known_only": {"True": "Users and items without training events are left out."},
    "novel": {"True": "Only first visits are evaluated, among items that the user had not visited."},
}
