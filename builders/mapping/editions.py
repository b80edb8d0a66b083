"""Editions of the logs that are known by name, told apart by how much they hold (editions.yaml)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, field_validator

from builders.sources.file_patterns import matches

KEYS = ("rows", "users", "items", "listed")
"""What is counted: lines of the logs, users and items in them, lines of the table of items."""
WORDS = {"rows": "rows", "users": "users", "items": "items", "listed": "listed items"}
"""What they are called in a sentence."""


class Edition(BaseModel):
    """One edition of a known log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """What people call it."""
    files: str | None = None
    """Pattern of its logs' names; None: any."""
    rows: tuple[int, ...]
    """How many lines its logs have; every number that is published."""
    users: tuple[int, ...] = ()
    """How many users its events have; empty: not known, as below."""
    items: tuple[int, ...] = ()
    """How many items its events have."""
    listed: tuple[int, ...] = ()
    """How many lines its table of items has."""

    @field_validator(*KEYS, mode="before")
    @classmethod
    def _one_or_several(cls, count: Any) -> Any:
        return (count,) if isinstance(count, int) else count

    def differs(self, counts: Mapping[str, int]) -> list[str]:
        """The keys that this edition has another number for; rows may be counted with or without bad ones."""
        known = {key: getattr(self, key) for key in KEYS}
        got = {key: {counts[key]} for key in KEYS if key in counts}
        if "rows" in got and "events" in counts:
            got["rows"] |= {counts["events"]}
        return [key for key, numbers in got.items() if known[key] and not numbers & set(known[key])]


@cache
def editions() -> dict[str, tuple[Edition, ...]]:
    """The editions that are known of each preset."""
    text = Path(__file__).with_name("editions.yaml").read_text(encoding="utf-8")
    return {name: tuple(map(Edition.model_validate, found)) for name, found in yaml.safe_load(text).items()}


def recognise(preset: str, counts: Mapping[str, int], logs: Sequence[str | Path] = ()) -> Edition | None:
    """The edition of a preset that has these counts; None if there is none, or none is known.

    Parameters
    ----------
    counts
        What was read, before any filter: ``rows`` (lines of all logs), ``events`` (those that can be used),
        ``users`` and ``items`` (different ones among them), ``listed`` (lines of the table of items); any may be
        missing
    logs
        The log files; with them, editions that are called otherwise are left out.
    """
    return next((edition for edition in _candidates(preset, logs) if not edition.differs(counts)), None)


def check_counts(preset: str, counts: Mapping[str, int], logs: Sequence[str | Path] = ()) -> list[str]:
    """One sentence if what was read is no edition that is known, else none; parameters as those of `recognise`."""
    candidates = _candidates(preset, logs)
    if not candidates or recognise(preset, counts, logs) is not None:
        return []
    near = min(candidates, key=lambda edition: (len(edition.differs(counts)), _distance(edition, counts)))
    keys = [key for key in KEYS if key in counts and getattr(near, key)]
    expected = ", ".join(f"{getattr(near, key)[0]:,} {WORDS[key]}" for key in keys)
    got = ", ".join(f"{counts[key]:,} {WORDS[key]}" for key in keys)
    called = f"{near.name} (the nearest of {len(candidates)} editions) has " if len(candidates) > 1 else ""
    wanted = f"{called}{expected}" if called else f"{expected} expected"
    return [f"{preset}: {wanted}, got {got}: this is another version or a part of it"]


def _candidates(preset: str, logs: Sequence[str | Path]) -> list[Edition]:
    """The editions that the files may be, by their names."""
    paths = list(map(Path, logs))
    known = editions().get(preset, ())
    return [edition for edition in known if not paths or edition.files is None or matches(paths, edition.files)]


def _distance(edition: Edition, counts: Mapping[str, int]) -> float:
    """How far the rows are from those of an edition, as a ratio."""
    return min(abs(math.log(max(counts.get("rows", 1), 1) / rows)) for rows in edition.rows)
