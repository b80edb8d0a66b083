"""Numbers, times and names as people write them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

FORGOTTEN = "(forgotten)"
"""The name of a node that a person was forgotten with."""


def count(value: int) -> str:
    """1234567 as 1,234,567."""
    return f"{value:,}"


def number(value: int | float | None) -> str:
    """Three decimals; a dash for what is not known."""
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


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
