"""Presets of public logs: files, columns, split and evaluation protocol (presets.yaml)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from builders.mapping.column_mapping import ColumnMapping
from builders.mapping.table_mapping import TableMapping
from builders.sources.file_patterns import Match, best_match, matches
from builders.sources.first_line import fields_of, first_line, has_word
from builders.sources.source import expand_paths
from graphrec.errors import InputError
from graphrec.suggestion import did_you_mean

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar", ".bz2", ".xz")
"""Suffixes of archives and unsupported compression, in which the files of a preset may be."""
TABLES = {"items": "item", "users": "user", "locations": "location"}
"""The tables of a file layout, with their node types."""


class TableLayout(TableMapping):
    """A table of nodes beside the logs."""

    file: str
    """Pattern of its file name, see `builders.sources.file_patterns`."""


class FileLayout(BaseModel):
    """One layout of the files of a preset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    logs: tuple[str, ...]
    """File name patterns of the logs, one file each, in the order train, val, test if the files are the split."""
    items: TableLayout | None = None
    """The table of items beside the logs; optional, as all tables and relations."""
    users: TableLayout | None = None
    """The table of users beside the logs."""
    locations: TableLayout | None = None
    """The table of locations beside the logs."""
    relations: dict[str, dict[str, Any]] = {}
    """Relations beside the logs by name: keys of `RelationMapping`, with a pattern as ``file``."""
    mapping: dict[str, Any]
    """The mapping of the log."""
    optional: tuple[str, ...] = ()
    """Roles that are omitted if the log lacks their column."""
    header: tuple[str, ...] | None = None
    """Words in the first line; None: the columns of user, item and time, if the file names its columns."""


class Preset(BaseModel):
    """A public log with known files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str
    """Description in one line."""
    layouts: tuple[FileLayout, ...]
    """Layouts of its files; the first whose logs exist is taken."""
    protocol: dict[str, Any] = Field(default_factory=dict)
    """Evaluation protocol: keys of `graphrec.queries.protocol.EvaluationProtocol`."""


@dataclass(frozen=True)
class PresetMatch:
    """The files of a preset among given files."""

    logs: list[Path]
    """The logs, in the order of the layout."""
    layout: FileLayout
    """The layout that they match."""
    mapping: ColumnMapping
    """The mapping of the log, without optional roles that it lacks."""
    tables: dict[str, tuple[Path, TableMapping]] = field(default_factory=dict)
    """The tables beside the logs by node type: ``item``, ``user``, ``location``."""
    relations: dict[str, tuple[Path, dict[str, Any]]] = field(default_factory=dict)
    """The files of relations beside the logs by name, with the keys of a `RelationMapping`, including ``file``."""


@cache
def presets() -> dict[str, Preset]:
    """All presets by name."""
    text = Path(__file__).with_name("presets.yaml").read_text(encoding="utf-8")
    return {name: Preset.model_validate(values) for name, values in yaml.safe_load(text).items()}


def load_preset(name: str) -> Preset:
    """A preset by name; InputError lists all names."""
    known = presets()
    if name not in known:
        raise InputError(f"preset {name!r} is unknown{did_you_mean(name, list(known))}; there are {', '.join(known)}")
    return known[name]


def find_files(name: str, files: Sequence[str | Path]) -> PresetMatch:
    """Match files, globs and folders with a preset; a single log may have any name.

    Tables and relations are also searched beside the log.

    Raises InputError if no layout of the preset has all its logs, or several files match the same pattern.
    """
    preset, paths = load_preset(name), expand_paths(files)
    entries = [entry for path in paths for entry in (sorted(path.iterdir()) if path.is_dir() else [path])]
    candidates = [path for path in entries if path.is_file()]
    for layout in preset.layouts:
        logs = [matches(candidates, pattern) for pattern in layout.logs]
        if all(logs) and all(_first_line_fits(layout, match.path) for group in logs for match in group):
            _check_unambiguous(name, layout, logs)
            return _match(layout, [match for [match] in logs], candidates)
    if len(paths) == 1 and paths == candidates:  # a single file of any name
        for layout in preset.layouts:
            if len(layout.logs) == 1 and _first_line_fits(layout, paths[0]):
                return _match(layout, [Match(paths[0], "")], candidates)
    raise _no_match(name, preset, candidates)


def _first_line_fits(layout: FileLayout, path: Path) -> bool:
    """Whether the first line of a file is that of a log of this layout."""
    line, mapping = first_line(path), layout.mapping
    if line is None or mapping.get("lists"):
        return True
    if mapping.get("columns") is not None:
        fields = fields_of(line, mapping.get("delimiter"), mapping.get("quote", '"'))
        return len(fields) == len(mapping["columns"])
    words = layout.header
    if words is None:
        words = tuple(mapping[role] for role in ("user", "item", "time") if role in mapping)
    return all(has_word(line, word) for word in words)


def _check_unambiguous(name: str, layout: FileLayout, logs: list[list[Match]]) -> None:
    for pattern, group in zip(layout.logs, logs, strict=True):
        if len(group) > 1:
            names = ", ".join(match.path.name for match in group[:4])
            raise InputError(
                f"preset {name}: one file named {pattern} expected, got {len(group)} ({names}); give the one that you "
                "mean in place of its folder"
            )


def _match(layout: FileLayout, logs: list[Match], candidates: list[Path]) -> PresetMatch:
    log = logs[0]
    neighbours = [path for path in sorted(log.path.parent.iterdir()) if path.is_file()]
    pool, tables = list(dict.fromkeys([*candidates, *neighbours])), {}
    for key, kind in TABLES.items():
        table = getattr(layout, key)
        path = best_match(pool, table.file, log.name) if table else None
        if path is not None:
            tables[kind] = path, TableMapping(**table.model_dump(exclude={"file"}))
    line = first_line(log.path)
    missing = {role for role in layout.optional if line is not None and not has_word(line, layout.mapping[role])}
    mapping = ColumnMapping.of({key: layout.mapping[key] for key in layout.mapping if key not in missing}, "preset")
    return PresetMatch([match.path for match in logs], layout, mapping, tables, _relations(layout, log.name, pool))


def _relations(layout: FileLayout, log_name: str, pool: list[Path]) -> dict[str, tuple[Path, dict[str, Any]]]:
    relations: dict[str, tuple[Path, dict[str, Any]]] = {}
    for name, keys in layout.relations.items():
        paths = {key: best_match(pool, keys[key], log_name) for key in ("file", "links") if key in keys}
        if paths["file"] is not None:
            files = {key: str(path) for key, path in paths.items() if path is not None}
            relations[name] = paths["file"], {key: keys[key] for key in keys.keys() - paths.keys()} | files
    return relations


def _no_match(name: str, preset: Preset, candidates: list[Path]) -> InputError:
    """An error with the expected file names, or with a file that has the right name and other contents."""
    for layout in preset.layouts:
        logs = [match.path for pattern in layout.logs for match in matches(candidates, pattern)]
        other = next((path for path in logs if not _first_line_fits(layout, path)), None)
        if other is not None:
            start = (first_line(other) or "")[:80]
            return InputError(
                f"preset {name}: {other.name} does not begin as this log does ({start!r}); build it without the preset"
            )
    expected = " or ".join(dict.fromkeys(", ".join(layout.logs) for layout in preset.layouts))
    got = ", ".join(path.name for path in candidates[:8]) or "an empty folder"
    hint = "; unpack the archive first" if any(path.name.endswith(ARCHIVES) for path in candidates) else ""
    return InputError(f"preset {name}: files named {expected} expected, got {got}{hint}")
