"""The first line of a log, by which presets recognize their files."""

from __future__ import annotations

import re
from pathlib import Path

from builders.sources.compression import compression_of, open_bytes
from builders.sources.dialect import parse

PEEK = 1 << 16
"""Bytes that are read."""


def first_line(path: Path) -> str | None:
    """The first non-blank line of a text file, compressed or not; None without one, and for binary data."""
    with open_bytes(path, compression_of(path)) as file:
        head = file.read(PEEK)
    if b"\0" in head:  # Parquet, or another encoding than those that presets are written in
        return None
    lines = head.decode("utf-8-sig", "replace").splitlines()
    return next((line for line in lines if line.strip()), None)


def fields_of(line: str, delimiter: str | None, quote: str) -> list[str]:
    """The fields of a line, separated by commas unless a delimiter is given."""
    return next(iter(parse([line], delimiter or ",", quote)), [])


def has_word(line: str, word: str) -> bool:
    """Whether a line contains a whole word: ``user`` in ``user,item``, but not in ``user_id,item``."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", line) is not None
