"""Types of columns, detected from some of their values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL = re.compile(r"[+-]?\d+\.\d{3,}")
_EPOCH = re.compile(r"(\d{9,10}|\d{12,13}|\d{15,16})(\.\d+)?")
_WRITTEN_TIME = re.compile(r".*\d{4}-\d{2}-\d{2}.*|.*\d{1,2}:\d{2}.*|(19|20)\d{6}|\d{1,4}[./]\d{1,2}[./]\d{1,4}.*")
SPLIT_WORDS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1, "test": 2}
"""Names of the splits in logs, with their codes."""


def share(values: Sequence[str], pattern: re.Pattern[str]) -> float:
    """Share of the values that fully match a pattern."""
    return sum(pattern.fullmatch(value.strip()) is not None for value in values) / max(len(values), 1)


def is_number(values: Sequence[str]) -> bool:
    """Whether most values are numbers."""
    return share(values, _NUMBER) > 0.5


def is_time(values: Sequence[str]) -> bool:
    """Whether most values are times: recent epochs, or dates and times of day."""
    return share(values, _EPOCH) > 0.5 or share(values, _WRITTEN_TIME) > 0.5


def is_in_range(values: Sequence[str], limit: float) -> bool:
    """Whether most values are numbers from -``limit`` to ``limit``."""
    numbers = [float(value) for value in values if _NUMBER.fullmatch(value.strip())]
    return len(numbers) > len(values) / 2 and sum(abs(value) <= limit for value in numbers) > len(numbers) / 2


def is_text(values: Sequence[str]) -> bool:
    """Whether most values contain words and are no times."""
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
    """Whether the values of a column are valid for a role."""
    if not values:
        return role in ("user", "item", "time")
    if role in ("lat", "lon", "weight"):
        return is_number(values)
    if role == "utc_offset":
        return is_in_range(values, 900)
    if role == "kind":
        return len(set(values)) <= 100
    if role == "split":
        return {value.strip().lower() for value in values} <= SPLIT_WORDS.keys()
    return role != "text" or is_text(values)


def guess_by_contents(sample: Mapping[str, Sequence[str]], *, named: bool, mapped: Mapping[str, str]) -> dict[str, str]:
    """Guess unmapped roles by values: the time; without column names also coordinates, then user and item."""
    free = [column for column in sample if column not in mapped.values()]
    roles: dict[str, str] = {}
    if "time" not in mapped:
        times = [column for column in free if sample[column] and is_time(sample[column])]
        roles = {"time": times[0]} if times else {}
    if named:
        return roles
    free = [column for column in free if column not in roles.values()]
    for lat, lon in pairwise(free):
        decimals = all(share(sample[column], _DECIMAL) > 0.5 for column in (lat, lon))
        if decimals and is_in_range(sample[lat], 90) and is_in_range(sample[lon], 180):
            roles |= {"lat": lat, "lon": lon}
            break
    ids = [column for column in free if column not in roles.values()]
    return {**dict(zip(("user", "item"), ids, strict=False)), **roles}
