"""Editions of the presets' logs, identified by their counts (editions.yaml)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, field_validator

from builders.sources.file_patterns import matches

COUNTS = ("rows", "users", "items", "listed")
"""Counts: rows of the logs, users and items in them, rows of the table of items."""
COUNT_LABELS = {"rows": "rows", "users": "users", "items": "items", "listed": "listed items"}
"""Their names in messages."""


class Edition(BaseModel):
    """One edition of a preset's log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Its name."""
    files: str | None = None
    """File name pattern of its logs; None: any."""
    rows: tuple[int, ...]
    """Rows of its logs; all published numbers."""
    users: tuple[int, ...] = ()
    """Users of its events; empty: unknown, as below."""
    items: tuple[int, ...] = ()
    """Items of its events."""
    listed: tuple[int, ...] = ()
    """Rows of its table of items."""

    @field_validator(*COUNTS, mode="before")
    @classmethod
    def _one_or_several(cls, count: Any) -> Any:
        return (count,) if isinstance(count, int) else count

    def differs(self, counts: Mapping[str, int]) -> list[str]:
        """The counts that differ from this edition's; rows may be counted with or without unusable ones."""
        known = {key: getattr(self, key) for key in COUNTS}
        got = {key: {counts[key]} for key in COUNTS if key in counts}
        if "rows" in got and "events" in counts:
            got["rows"] |= {counts["events"]}
        return [key for key, numbers in got.items() if known[key] and not numbers & set(known[key])]


@cache
def editions() -> dict[str, tuple[Edition, ...]]:
    """The known editions of each preset."""
    text = Path(__file__).with_name("editions.yaml").read_text(encoding="utf-8")
    return {name: tuple(map(Edition.model_validate, values)) for name, values in yaml.safe_load(text).items()}


def recognise(preset: str, counts: Mapping[str, int], logs: Sequence[str | Path] = ()) -> Edition | None:
    """The edition of a preset with these counts; None if there is none, or none is known.

    Parameters
    ----------
    counts
        Before any filter: ``rows`` (of all logs), ``events`` (usable rows), ``users`` and ``items`` (distinct ones
        among them), ``listed`` (rows of the table of items); any may be missing.
    logs
        The log files, by which editions with another file name pattern are excluded.
    """
    return next((edition for edition in _candidates(preset, logs) if not edition.differs(counts)), None)


def check_counts(preset: str, counts: Mapping[str, int], logs: Sequence[str | Path] = ()) -> list[str]:
    """One sentence if the counts are those of no known edition, else none; parameters as in `recognise`."""
    candidates = _candidates(preset, logs)
    if not candidates or recognise(preset, counts, logs) is not None:
        return []
    nearest = min(candidates, key=lambda edition: (len(edition.differs(counts)), _distance(edition, counts)))
    keys = [key for key in COUNTS if key in counts and getattr(nearest, key)]
    expected = ", ".join(f"{getattr(nearest, key)[0]:,} {COUNT_LABELS[key]}" for key in keys)
    got = ", ".join(f"{counts[key]:,} {COUNT_LABELS[key]}" for key in keys)
    called = f"{nearest.name} (the nearest of {len(candidates)} editions) has " if len(candidates) > 1 else ""
    expectation = f"{called}{expected}" if called else f"{expected} expected"
    return [f"{preset}: {expectation}, got {got}: this is another version or a part of it"]


def _candidates(preset: str, logs: Sequence[str | Path]) -> list[Edition]:
    """The editions that match the file names."""
    paths = list(map(Path, logs))
    known = editions().get(preset, ())
    return [edition for edition in known if not paths or edition.files is None or matches(paths, edition.files)]


def _distance(edition: Edition, counts: Mapping[str, int]) -> float:
    """Log ratio of the rows to those of an edition."""
    return min(abs(math.log(max(counts.get("rows", 1), 1) / rows)) for rows in edition.rows)
