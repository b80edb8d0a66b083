"""Lines of Python literals, such as ``{u'user': u'anna'}`` (Amazon's and Steam's older data), as JSON lines."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

from builders.sources.compression import line_blocks


def as_json(line: str) -> str:
    """A dictionary written as a Python literal as an object of JSON; any other line as it is.

    So is one that JSON cannot hold, such as one with bytes: whoever reads the lines sets it aside. Nothing is run.
    """
    if not line.lstrip().startswith("{") or _is_json(line):
        return line
    try:
        value = ast.literal_eval(line.strip())
        return json.dumps(value, allow_nan=False) if isinstance(value, dict) else line
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # what odd lines make of the two
        return line


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def are_literals(lines: Sequence[str]) -> bool:
    """Whether more of these lines are dictionaries written as Python literals than are JSON."""
    with warnings.catch_warnings(action="ignore"):
        return sum(as_json(line) != line for line in lines) > sum(_is_json(line) for line in lines)


def write_json_lines(path: Path, compression: str, target: Path) -> Path:
    """Write a UTF-8 file of Python literals to ``target`` as JSON lines, line by line; see `as_json`."""
    with target.open("wb") as copy, warnings.catch_warnings(action="ignore"):  # Python warns of odd backslashes
        for block in line_blocks(path, compression):
            copy.write("\n".join(map(as_json, block.decode().split("\n"))).encode())
    return target
