"""Lines of Python literals, such as ``{u'user': u'anna'}`` (older data of Amazon and Steam), as JSON lines."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from builders.sources.compression import line_blocks


def as_json(line: str) -> str:
    """A dictionary in Python's notation as a JSON object; any other line unchanged, to be quarantined when it is read.

    No code is run.
    """
    if not line.lstrip().startswith("{") or _is_json(line):
        return line
    try:
        value = ast.literal_eval(line.strip())
        return json.dumps(value, allow_nan=False) if isinstance(value, dict) else line
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # of literal_eval and dumps
        return line


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def are_literals(lines: Sequence[str]) -> bool:
    """Whether more of the lines are dictionaries in Python's notation than JSON."""
    with warnings.catch_warnings(action="ignore"):
        return sum(as_json(line) != line for line in lines) > sum(_is_json(line) for line in lines)


def json_blocks(path: Path, compression: str) -> Iterator[bytes]:
    """A UTF-8 file of Python literals as blocks of JSON lines, see `as_json`."""
    for block in line_blocks(path, compression):
        with warnings.catch_warnings(action="ignore"):  # of invalid escapes
            lines = "\n".join(map(as_json, block.decode().split("\n")))
        yield lines.encode()
