"""File name patterns of presets: ``ratings.csv``, ``a.txt|b.txt`` for either, ``meta_{name}.json`` for any name.

A file may be compressed (``.gz``, ``.zst``); of a compressed and a plain copy, one is matched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".gz", ".zst")
"""Suffixes of compressed files."""
ANY = "(?!meta_)(?P<name>.+)"
"""What ``{name}`` matches; Amazon's metadata have the name of the reviews, with the prefix ``meta_``."""


class Match(NamedTuple):
    """A file that matches a pattern."""

    path: Path
    """Its path."""
    name: str
    """What ``{name}`` matched; empty if the pattern has none."""


def matches(paths: Sequence[Path], pattern: str) -> list[Match]:
    """The files whose name matches a pattern, in their order."""
    by_path: dict[Path, Match] = {}
    for path in paths:
        plain = path.with_suffix("") if path.suffix in SUFFIXES else path
        match = next((match for choice in pattern.split("|") if (match := _match(choice, plain.name))), None)
        if match is not None:
            by_path.setdefault(plain, Match(path, match.groupdict().get("name") or ""))
    return list(by_path.values())


def _match(pattern: str, name: str) -> re.Match[str] | None:
    return re.fullmatch(re.escape(pattern).replace(re.escape("{name}"), ANY), name)


def best_match(paths: Sequence[Path], pattern: str, name: str) -> Path | None:
    """The file that belongs to a log called ``name``: ``meta_Books.json`` to ``Books`` and to ``Books_5``.

    For a log without such a name, the only match.
    """
    candidates = matches(paths, pattern)
    if name:
        candidates = [match for match in candidates if name.startswith(match.name)]
    elif len(candidates) > 1:
        return None
    return max(candidates, key=lambda match: len(match.name)).path if candidates else None
