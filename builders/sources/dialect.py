"""Dialect of a delimited text file: its delimiter, and whether its first line is a header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence

DELIMITERS = (",", "\t", ";", "|", "::")
"""Candidate delimiters, the likeliest first."""
_VALUE = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?|\d{4}-\d{2}-\d{2}[T ].*|[0-9a-f]{24}|.*\d\d:\d\d:\d\d.*")
"""Cells of data that are no column names: numbers, times, long hexadecimal ids."""

_TYPED = re.compile(r"(?<=.):(token|float)(_seq)?\s*$")
"""Type suffix of a field in a header of RecBole."""


def parse(lines: Sequence[str], delimiter: str, quote: str) -> list[list[str]]:
    """The fields of each non-empty line."""
    if len(delimiter) == 1:
        unquoted = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        reader = csv.reader(lines, delimiter=delimiter, quotechar=quote) if quote else unquoted
        try:
            return [fields for fields in reader if fields]
        except csv.Error:  # a field longer than Python reads
            pass
    return [line.split(delimiter) for line in lines if line]


def detect_delimiter(lines: Sequence[str], quote: str) -> str:
    """The delimiter that splits most lines into the same number of fields; of several, the one with the most fields."""

    def agreement(delimiter: str) -> tuple[float, int]:
        widths = Counter(len(fields) for fields in parse(lines, delimiter, quote))
        width, count = widths.most_common(1)[0] if widths else (1, 0)
        return (count / len(lines) if width > 1 else 0.0, width)

    best = max(DELIMITERS, key=agreement)
    return best if agreement(best)[0] > 0 else ","


def detect_header(first: Sequence[str]) -> bool:
    """Whether no field of the first line is a value."""
    return not any(_VALUE.fullmatch(field.strip()) for field in first)


def column_names(first: Sequence[str], *, header: bool) -> tuple[str, ...]:
    """The header's names, or ``column1``, ``column2``, ..., also for an empty name.

    Where every name has a type, as in RecBole's files (``user_id:token``), the types are removed.
    """
    if header and all(map(_TYPED.search, first)):
        first = [_TYPED.sub("", field) for field in first]
    return tuple((field.strip() if header else "") or f"column{number}" for number, field in enumerate(first, start=1))
