"""Logs that are known by name: their files, columns, split and the way they are judged (presets.yaml)."""

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
"""Endings of files that hold others or are not read; those of a preset may lie in them."""
TABLES = {"items": "item", "users": "user", "locations": "location"}
"""The tables of a form and the types of their nodes."""


class TableLayout(TableMapping):
    """A table of nodes that lies beside the logs."""

    file: str
    """Pattern of its name, see `builders.sources.file_patterns`."""

    @property
    def mapping(self) -> TableMapping:
        """How it is written."""
        return TableMapping(**self.model_dump(exclude={"file"}))


class FileLayout(BaseModel):
    """One way in which the files of a known log are written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    logs: tuple[str, ...]
    """Patterns of the log files' names, one file each, in the order train, val, test where the files are the split."""
    items: TableLayout | None = None
    """The table of items beside the logs; it may be missing, as all tables and relations may."""
    users: TableLayout | None = None
    """The table of users beside the logs."""
    locations: TableLayout | None = None
    """The table of locations beside the logs."""
    relations: dict[str, dict[str, Any]] = {}
    """Relations beside the logs by name: keys of `builders.mapping.relation_mapping`, ``file`` a pattern."""
    mapping: dict[str, Any]
    """The log's mapping."""
    optional: tuple[str, ...] = ()
    """Roles that are left out where the log has no such column."""
    header: tuple[str, ...] | None = None
    """Words that the first line holds; None: the columns of user, item and time, where the file names its columns."""

    @property
    def table(self) -> TableMapping:
        """How the table of items is written."""
        return self.items.mapping if self.items else TableMapping()


class Preset(BaseModel):
    """A log that is known by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str
    """What the log is, in one line."""
    forms: tuple[FileLayout, ...]
    """The ways in which its files are written; the first whose files are there is taken."""
    protocol: dict[str, Any] = Field(default_factory=dict)
    """How rankings on it are asked and judged: keys of `graphrec.queries.protocol.EvaluationProtocol`."""


@dataclass(frozen=True)
class PresetMatch:
    """A preset's files, found among those that were given."""

    logs: list[Path]
    """The log files, in the order of the form."""
    form: FileLayout
    """How they are written."""
    mapping: ColumnMapping
    """How the log is written; optional roles that it does not have are left out."""
    tables: dict[str, tuple[Path, TableMapping]] = field(default_factory=dict)
    """The tables beside the logs by the type of their nodes: ``item``, ``user``, ``location``."""
    relations: dict[str, tuple[Path, dict[str, Any]]] = field(default_factory=dict)
    """The files of relations beside the logs by name, with the keys of a `RelationMapping`, ``file`` among them."""

    @property
    def items(self) -> Path | None:
        """The table of items beside the logs."""
        return self.tables["item"][0] if "item" in self.tables else None


@cache
def presets() -> dict[str, Preset]:
    """All presets by name."""
    text = Path(__file__).with_name("presets.yaml").read_text(encoding="utf-8")
    return {name: Preset.model_validate(values) for name, values in yaml.safe_load(text).items()}


def load_preset(name: str) -> Preset:
    """The preset of a name; InputError lists those there are."""
    known = presets()
    if name not in known:
        raise InputError(f"preset {name!r} is unknown{did_you_mean(name, list(known))}; there are {', '.join(known)}")
    return known[name]


def find_files(name: str, files: Sequence[str | Path]) -> PresetMatch:
    """The files of a preset among files, globs and folders; a single log may have any name.

    Tables and relations are looked for beside the log, too.

    Raises InputError when no form of the preset has all its files there, or two files could be the same one.
    """
    preset, given = load_preset(name), expand_paths(files)
    there = [entry for path in given for entry in (sorted(path.iterdir()) if path.is_dir() else [path])]
    there = [path for path in there if path.is_file()]
    for form in preset.forms:
        logs = [matches(there, pattern) for pattern in form.logs]
        if all(logs) and all(_fits(form, match.path) for found in logs for match in found):
            _refuse_several(name, form, logs)
            return _found(form, [match for [match] in logs], there)
    if len(given) == 1 and given == there:  # a single file of any name
        for form in preset.forms:
            if len(form.logs) == 1 and _fits(form, given[0]):
                return _found(form, [Match(given[0], "")], there)
    raise _nothing_fits(name, preset, there)


def _fits(form: FileLayout, path: Path) -> bool:
    """Whether a file can be the log of this form, by its first line."""
    line = first_line(path)
    if line is None or form.mapping.get("lists"):
        return True
    columns = form.mapping.get("columns")
    if columns is not None:
        return len(fields_of(line, form.mapping.get("delimiter"), form.mapping.get("quote", '"'))) == len(columns)
    words = form.header
    if words is None:
        words = tuple(form.mapping[role] for role in ("user", "item", "time") if role in form.mapping)
    return all(has_word(line, word) for word in words)


def _refuse_several(name: str, form: FileLayout, logs: list[list[Match]]) -> None:
    for pattern, found in zip(form.logs, logs, strict=True):
        if len(found) > 1:
            names = ", ".join(match.path.name for match in found[:4])
            raise InputError(
                f"preset {name}: one file named {pattern} expected, got {len(found)} ({names}); give the one that you "
                "mean in place of its folder"
            )


def _found(form: FileLayout, logs: list[Match], there: list[Path]) -> PresetMatch:
    beside = [path for path in sorted(logs[0].path.parent.iterdir()) if path.is_file()]
    pool = list(dict.fromkeys([*there, *beside]))
    tables = {}
    for key, kind in TABLES.items():
        table = getattr(form, key)
        path = best_match(pool, table.file, logs[0].name) if table else None
        if path is not None:
            tables[kind] = path, table.mapping
    mapping = ColumnMapping.of(_without_missing(form, logs[0].path), "preset")
    return PresetMatch([match.path for match in logs], form, mapping, tables, _relations(form, logs[0].name, pool))


def _without_missing(form: FileLayout, path: Path) -> dict[str, Any]:
    """The mapping without the optional roles whose columns the log does not have."""
    line = first_line(path)
    missing = {role for role in form.optional if line is not None and not has_word(line, form.mapping[role])}
    return {key: value for key, value in form.mapping.items() if key not in missing}


def _relations(form: FileLayout, log_name: str, pool: list[Path]) -> dict[str, tuple[Path, dict[str, Any]]]:
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for name, settings in form.relations.items():
        paths = {key: best_match(pool, settings[key], log_name) for key in ("file", "links") if key in settings}
        if paths["file"] is not None:
            there: dict[str, Any] = {key: str(path) for key, path in paths.items() if path is not None}
            found[name] = paths["file"], {**{key: settings[key] for key in settings.keys() - paths.keys()}, **there}
    return found


def _nothing_fits(name: str, preset: Preset, there: list[Path]) -> InputError:
    """The error that says which files were expected, and which that have the right name hold something else."""
    wanted = " or ".join(dict.fromkeys(", ".join(form.logs) for form in preset.forms))
    for form in preset.forms:
        logs = [match.path for pattern in form.logs for match in matches(there, pattern)]
        other = next((path for path in logs if not _fits(form, path)), None)
        if other is not None:
            start = (first_line(other) or "")[:80]
            return InputError(
                f"preset {name}: {other.name} does not begin as this log does ({start!r}); build it without the preset"
            )
    got = ", ".join(path.name for path in there[:8]) or "an empty folder"
    packed = any(path.name.endswith(ARCHIVES) for path in there)
    hint = "; unpack the archive first" if packed else ""
    return InputError(f"preset {name}: files named {wanted} expected, got {got}{hint}")
