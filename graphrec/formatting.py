"""Numbers, times and names as people write them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

MINUTE, HOUR, DAY = 60, 3_600, 86_400
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PARTS_OF_DAY = ((5, "nights"), (12, "mornings"), (18, "afternoons"), (24, "evenings"))
"""Last hour (exclusive) of each part of the day; nights begin again at midnight."""
FORGOTTEN = "(forgotten)"
"""The name of a node that a person was forgotten with."""


def count(value: int) -> str:
    """1234567 as 1,234,567."""
    return f"{value:,}"


def counted(number: int, noun: str) -> str:
    """1 rating; 1,234 ratings."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def number(value: int | float | None) -> str:
    """Three decimals; a dash for what is not known."""
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def signed(value: int | float) -> str:
    """A difference without its zero, as tables of results write it: +.062."""
    return f"{value:+.3f}".replace("+0.", "+.").replace("-0.", "-.")


def percent(part: int | float) -> str:
    """0.316 as 31.6%."""
    return f"{100 * part:.1f}%"


def duration(seconds: int | float) -> str:
    """95 as 1 min 35 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def day(seconds: int) -> str:
    """UTC seconds as 3 April 2012; the plain number where no calendar reaches."""
    try:
        date = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return str(seconds)
    return f"{date.day} {date:%B %Y}"


def short_day(seconds: int) -> str:
    """UTC seconds as 3 Apr 2012; the plain number where no calendar reaches."""
    try:
        date = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return str(seconds)
    return f"{date.day} {date:%b %Y}"


def moment(iso: str) -> str:
    """An ISO time as Friday 18 January 2013, 18:20; what is no ISO time stays as it is."""
    try:
        date = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{date:%A} {date.day} {date:%B %Y, %H:%M}" + (" UTC" if date.tzinfo is UTC else "")


def measure(name: str) -> str:
    """The usual spelling of a measure: ndcg@10 as NDCG@10, acc@1 as Acc@1."""
    stem, at, depth = name.partition("@")
    usual = {"mrr": "MRR", "ndcg": "NDCG", "dcg": "DCG", "map": "MAP"}.get(stem, plain(stem).capitalize())
    return usual + at + depth


def plain(name: str) -> str:
    """A key as words: recent_popularity as recent popularity."""
    return name.replace("_", " ").replace("-", " ")


def split_name(split: str) -> str:
    """val as validation."""
    return {"val": "validation", "train": "training"}.get(split, split)


def protocol_in_words(protocol: Mapping[str, Any]) -> str:
    """How questions were asked, from the fields of a protocol: a sentence for each that says something."""
    said = (meaning.get(str(protocol.get(name)), "") for name, meaning in _PROTOCOL.items())
    return " ".join(filter(None, said))


_PROTOCOL = {
    "judge": {
        "events": "Each judged event is a question: which item is it? One answer is right.",
        "users": "Each user is asked once, for a list that should hold all that the split has of them.",
    },
    "targets": {
        "session-last": "Judged is the last event of each session.",
        "session-last-of-three": "Judged is the last known event of each session of at least three.",
    },
    "query_time": {
        "request": "A question knows the time of its event.",
        "last-event": "It is asked one second after the user's event before: neither the time of the answer nor what "
        "others did since is known.",
    },
    "history": {
        "streaming": "All that happened before may be used, and nothing later.",
        "frozen": "What happened before the split may be used, and the question's own session so far.",
    },
    "candidates": {
        "known": "Any item known by then may be the answer.",
        "train": "Any item of the training events may be the answer.",
    },
    "known_only": {"True": "Users and items that training had not seen are left out."},
    "novel": {"True": "Only first visits count, among items that the user had not visited."},
}


def memory(size: int | float) -> str:
    """Bytes as 1.2 GB or 3.0 MB (powers of 1024)."""
    return f"{size / 2**30:.1f} GB" if size >= 2**30 else f"{size / 2**20:.1f} MB"


def utc(seconds: int) -> str:
    """A time for people, whatever its size."""
    return str(np.datetime64(seconds, "s")).replace("T", " ") + " UTC"


def ago(seconds: int) -> str:
    """A time span in words: ``40 minutes ago``, ``3 days ago``."""
    for size, name in ((365 * DAY, "year"), (30 * DAY, "month"), (7 * DAY, "week"), (DAY, "day"), (HOUR, "hour")):
        if seconds >= (2 if size >= 7 * DAY else 1) * size:
            return f"{counted(round(seconds / size), name)} ago"
    return f"{counted(max(1, round(seconds / MINUTE)), 'minute')} ago"
