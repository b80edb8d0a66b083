"""Logs that are known by name: their files, columns, split and the way they are judged (presets.yaml)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from builders.catalogue import TableMapping
from builders.mapping import Mapping
from builders.names import nearest
from builders.sources import expand
from graphrec.errors import InputError
from graphrec.protocol import Protocol


class Form(BaseModel):
    """One edition of a known log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    logs: tuple[str, ...]
    """Patterns of the log files' names, in the order train, val, test where the files are the split."""
    items: str | None = None
    """Pattern of the name of the table of items beside the logs."""
    table: TableMapping = TableMapping()
    """How that table is written."""
    mapping: dict[str, Any]
    """The log's mapping."""


class Preset(BaseModel):
    """A log that is known by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str
    """What the log is, in one line."""
    forms: tuple[Form, ...]
    """Its editions; the first whose files are there is taken."""
    protocol: Protocol = Field(default_factory=Protocol)
    """How rankings on it are asked and judged."""


@dataclass(frozen=True)
class Found:
    """A preset's files, found among those that were given."""

    logs: list[Path]
    """The log files, in the order of the form."""
    items: Path | None
    """The table of items beside them."""
    form: Form
    """The edition that they are."""
    mapping: Mapping
    """How the log is written."""


@cache
def presets() -> dict[str, Preset]:
    """All presets by name."""
    text = Path(__file__).with_name("presets.yaml").read_text(encoding="utf-8")
    return {name: Preset.model_validate(values) for name, values in yaml.safe_load(text).items()}


def load_preset(name: str) -> Preset:
    """The preset of a name; InputError lists those there are."""
    known = presets()
    if name not in known:
        raise InputError(f"preset {name!r} is unknown{nearest(name, list(known))}; there are {', '.join(known)}")
    return known[name]


def find_files(name: str, files: Sequence[str | Path]) -> Found:
    """The files of a preset among files, globs and folders; a single log may have any name.

    Raises InputError when no edition of the preset has all its files there.
    """
    preset = load_preset(name)
    given = expand(files)
    there = [entry for path in given for entry in (sorted(path.iterdir()) if path.is_dir() else [path])]
    for form in preset.forms:
        logs = [_match(there, pattern) for pattern in form.logs]
        if all(logs):
            return _found(form, [path for matches in logs for path in matches])
    if len(preset.forms) == len(preset.forms[0].logs) == 1 and not any(path.is_dir() for path in given):
        return _found(preset.forms[0], given)
    wanted = " or ".join(", ".join(form.logs) for form in preset.forms)
    got = ", ".join(path.name for path in there[:8]) or "an empty folder"
    raise InputError(f"preset {name}: files named {wanted} expected, got {got}")


def _found(form: Form, logs: list[Path]) -> Found:
    beside = _match(sorted(logs[0].parent.iterdir()), form.items) if form.items else []
    return Found(logs, beside[0] if beside else None, form, Mapping.of(form.mapping, "preset"))


def _match(paths: Sequence[Path], pattern: str) -> list[Path]:
    return [path for path in paths if path.is_file() and fnmatch(path.name, pattern)]
