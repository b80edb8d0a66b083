"""What a column holds, told from some of its values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL = re.compile(r"[+-]?\d+\.\d{3,}")
_EPOCH = re.compile(r"(\d{9,10}|\d{12,13}|\d{15,16})(\.\d+)?")
_WRITTEN_TIME = re.compile(r".*\d{4}-\d{2}-\d{2}.*|.*\d{1,2}:\d{2}.*|(19|20)\d{6}|\d{1,4}[./]\d{1,2}[./]\d{1,4}.*")
SPLIT_WORDS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1, "test": 2}
"""How logs write the splits, with their codes."""


def share(values: Sequence[str], pattern: re.Pattern[str]) -> float:
    """Share of the values that a pattern matches whole."""
    return sum(pattern.fullmatch(value.strip()) is not None for value in values) / max(len(values), 1)


def is_number(values: Sequence[str]) -> bool:
    """Whether most values are numbers."""
    return share(values, _NUMBER) > 0.5


def is_time(values: Sequence[str]) -> bool:
    """Whether most values are times: epochs of our days, or written out."""
    return share(values, _EPOCH) > 0.5 or share(values, _WRITTEN_TIME) > 0.5


def is_degrees(values: Sequence[str], most: float) -> bool:
    """Whether most values are numbers within ``most`` degrees."""
    numbers = [float(value) for value in values if _NUMBER.fullmatch(value.strip())]
    return len(numbers) > len(values) / 2 and sum(abs(value) <= most for value in numbers) > len(numbers) / 2


def is_text(values: Sequence[str]) -> bool:
    """Whether most values have letters in them and are no times."""
    return share(values, re.compile(r".*[^\W\d_]{2,}.*", re.DOTALL)) > 0.5 and not is_time(values)


def column_type(values: Sequence[str]) -> str:
    """``empty``, ``time``, ``integer``, ``number`` or ``text``."""
    if not values:
        return "empty"
    if is_time(values):
        return "time"
    if share(values, re.compile(r"[+-]?\d+")) == 1:
        return "integer"
    return "number" if share(values, _NUMBER) == 1 else "text"


def can_play_role(role: str, values: Sequence[str]) -> bool:
    """Whether a column whose name says ``role`` holds values that can be one."""
    if not values:
        return role in ("user", "item", "time")
    if role in ("lat", "lon", "weight"):
        return is_number(values)
    if role == "utc_offset":
        return is_degrees(values, 900)
    if role == "kind":
        return len(set(values)) <= 100
    if role == "split":
        return {value.strip().lower() for value in values} <= SPLIT_WORDS.keys()
    return role != "text" or is_text(values)


def guess_by_contents(sample: Mapping[str, Sequence[str]], named: bool, taken: Mapping[str, str]) -> dict[str, str]:
    """Roles that names left open: the time in any log; in one without names also coordinates, then user and item."""
    free = [column for column in sample if column not in taken.values()]
    found: dict[str, str] = {}
    if "time" not in taken:
        times = [column for column in free if sample[column] and is_time(sample[column])]
        found = {"time": times[0]} if times else {}
    if named:
        return found
    free = [column for column in free if column not in found.values()]
    for lat, lon in pairwise(free):
        decimals = all(share(sample[column], _DECIMAL) > 0.5 for column in (lat, lon))
        if decimals and is_degrees(sample[lat], 90) and is_degrees(sample[lon], 180):
            found |= {"lat": lat, "lon": lon}
            break
    ids = [column for column in free if column not in found.values()]
    return {**dict(zip(("user", "item"), ids, strict=False)), **found}
