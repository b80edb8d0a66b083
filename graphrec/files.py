"""Atomic writes and JSON files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphrec.errors import InputError, RunError


def read_json(path: Path) -> dict[str, Any]:
    """Content of a JSON file of a run directory; RunError if it is missing or broken."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(
            f"{path.parent}: a finished run expected, but there is no {path.name}; "
            "make one with 'graphrec train', or finish it with --resume"
        ) from error
    except ValueError as error:
        raise RunError(f"{path}: not readable ({error}); train the run again") from error
    if not isinstance(values, dict):
        raise RunError(f"{path}: a JSON object expected, got {type(values).__name__}; train the run again")
    return values


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder, renamed to ``path`` on success and removed on failure."""
    if path.is_dir():
        raise InputError(f"{path}: a file to write expected, but this is a folder; give a name in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # safetensors makes its files readable by their owner alone
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
