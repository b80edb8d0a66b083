"""Names of files as presets know them: ``ratings.csv``, ``a.txt|b.txt`` for either, ``meta_{name}.json`` for any name.

A file may be packed (``.gz``, ``.zst``); where it lies packed and unpacked, one of the two counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PACKED = (".gz", ".zst")
"""Endings of packed files that are read."""
ANY = "(?!meta_)(?P<name>.+)"
"""What ``{name}`` stands for; Amazon's metadata are called as the reviews, with ``meta_`` before it."""


class Match(NamedTuple):
    """A file that has a name."""

    path: Path
    """Where it is."""
    name: str
    """What stood for ``{name}``; empty where the pattern has none."""


def matches(paths: Sequence[Path], pattern: str) -> list[Match]:
    """The files whose name fits a pattern, in their order."""
    found: dict[Path, Match] = {}
    for path in paths:
        plain = path.with_suffix("") if path.suffix in PACKED else path
        match = next((match for choice in pattern.split("|") if (match := _match(choice, plain.name))), None)
        if match is not None:
            found.setdefault(plain, Match(path, match.groupdict().get("name") or ""))
    return list(found.values())


def _match(pattern: str, name: str) -> re.Match[str] | None:
    return re.fullmatch(re.escape(pattern).replace(re.escape("{name}"), ANY), name)


def best_match(paths: Sequence[Path], pattern: str, name: str) -> Path | None:
    """The file that goes with a log called ``name``: ``meta_Books.json`` with ``Books`` and with ``Books_5``.

    With a log of any other name, called by no name, goes the only one that there is.
    """
    there = matches(paths, pattern)
    fitting = [match for match in there if name.startswith(match.name)] if name else there[:1] * (len(there) == 1)
    return max(fitting, key=lambda match: len(match.name)).path if fitting else None
