"""How the rows of a delimited text file are laid out: its delimiter and whether its first line is a header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence

DELIMITERS = (",", "\t", ";", "|", "::")
"""The delimiters that are looked for, the likelier first."""
_VALUE = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?|\d{4}-\d{2}-\d{2}[T ].*|[0-9a-f]{24}|.*\d\d:\d\d:\d\d.*")
"""What a cell of data can be and a column's name cannot: a number, a time, a long hexadecimal id."""

_TYPED = re.compile(r"(?<=.):(token|float)(_seq)?\s*$")
"""The type of a field in a header of RecBole."""


def parse(lines: Sequence[str], delimiter: str, quote: str) -> list[list[str]]:
    """The fields of each line; lines without any are left out."""
    if len(delimiter) == 1:
        plain = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        read = csv.reader(lines, delimiter=delimiter, quotechar=quote) if quote else plain
        try:
            return [fields for fields in read if fields]
        except csv.Error:  # a field longer than Python reads
            pass
    return [line.split(delimiter) for line in lines if line]


def detect_delimiter(lines: Sequence[str], quote: str) -> str:
    """The delimiter that cuts most lines into the same number of fields, the larger number where several do."""

    def agreement(delimiter: str) -> tuple[float, int]:
        widths = Counter(len(fields) for fields in parse(lines, delimiter, quote))
        width, count = widths.most_common(1)[0] if widths else (1, 0)
        return (count / len(lines) if width > 1 else 0.0, width)

    best = max(DELIMITERS, key=agreement)
    return best if agreement(best)[0] > 0 else ","


def detect_header(first: Sequence[str]) -> bool:
    """Whether the first line's fields are names: none of them is a value. Whoever reads it sees that they differ."""
    return not any(_VALUE.fullmatch(field.strip()) for field in first)


def column_names(first: Sequence[str], header: bool) -> tuple[str, ...]:
    """The header's names, or ``column1``, ``column2``, ...; a name that is missing gets its place, too.

    Where each name tells its type, as in RecBole's files (``user_id:token``), the types are taken off.
    """
    if header and all(map(_TYPED.search, first)):
        first = [_TYPED.sub("", field) for field in first]
    return tuple((field.strip() if header else "") or f"column{place}" for place, field in enumerate(first, start=1))
