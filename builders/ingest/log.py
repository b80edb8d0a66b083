"""A log: its files, its mapping, and its rows as checked parts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from builders.engine.backend import Engine, engine_errors
from builders.engine.rows import Rows, scan
from builders.ingest.anonymization import anonymous_filename
from builders.ingest.parts import MAX_ROWS, part_path
from builders.ingest.quarantine import CheckedRows, check_rows
from builders.ingest.row_checks import event_columns, typed_events
from builders.mapping.column_mapping import ColumnMapping, guess_mapping
from builders.mapping.filter_checks import check_filters
from builders.mapping.presets import Preset, find_files, load_preset
from builders.mapping.table_mapping import TableMapping
from builders.mapping.templates import check_fields
from builders.mapping.timestamps import detect_format
from builders.sources.database import fetch_table, is_database
from builders.sources.local_copy import LocalCopy
from builders.sources.remote import fetch_files, is_remote
from builders.sources.source import detect_source, expand_paths
from graphrec.errors import InputError, MappingError
from graphrec.progress import Progress


@dataclass(frozen=True)
class Log:
    """The files and the mapping that a build starts from."""

    files: list[Rows]
    """The log's files in their order."""
    mapping: ColumnMapping
    """Roles of the columns, declared and guessed."""
    preset: Preset | None
    """The named preset, if any."""
    tables: Mapping[str, tuple[Path, TableMapping]] = field(default_factory=dict)
    """Tables of nodes of the preset's files, by node type."""

    @property
    def name(self) -> str:
        """Name for error messages: the file, or the first of several."""
        first = self.files[0].source.path
        return str(first) if len(self.files) == 1 else f"{first} and {len(self.files) - 1} more"


def open_log(
    engine: Engine,
    files: Sequence[str | Path],
    preset: str | None,
    mapping: ColumnMapping | Mapping[str, Any] | None,
    progress: Progress,
    used_names: Collection[str] = (),
) -> Log:
    """Find the files of a log and complete its mapping: declared keys first, then the preset's, then guessed roles.

    A required role may stay without a column; `check_mapping` refuses that. ``used_names`` are the names of the files
    that the graph already has.
    """
    declared = mapping if isinstance(mapping, ColumnMapping) else ColumnMapping.of(mapping or {})
    local, origins = _local_files(engine, files, declared.query, progress)
    paths, tables = expand_paths(local), {}
    if preset is not None:
        match = find_files(preset, local)
        paths, tables = match.logs, match.tables
        relations = {name: settings for name, (_, settings) in match.relations.items()}
        declared = ColumnMapping.of({**match.mapping.settings(), "relations": relations, **declared.settings()})
    names = distinct_names(paths, used_names) if paths else []
    progress.start("looking at the files", len(paths))
    rows = []
    for index, (path, name) in enumerate(zip(paths, names, strict=True)):
        pseudonyms = declared.privacy.pseudonyms
        name = anonymous_filename(len(used_names) + index, name) if pseudonyms else origins.get(path, name)
        source = replace(detect_source(path, declared, engine.workspace), display_name=name)
        rows.append(scan(engine, source, f"log{index}"))
        progress.advance(note=name)
    progress.finish()
    engine.set_memory_limit(sum(file.source.bytes for file in rows))
    first = rows[0].source
    has_names = first.header or first.format != "csv" or declared.columns is not None
    full = declared.filled(guess_mapping(rows[0].sample(engine), named=has_names))
    return Log(rows, full, load_preset(preset) if preset else None, tables)


def _local_files(
    engine: Engine, files: Sequence[str | Path], query: str | None, progress: Progress
) -> tuple[list[str | Path], dict[Path, str]]:
    """Local copies of the files, tables of databases and remote files included, and the addresses of the copies."""
    local: list[str | Path] = []
    origins: dict[Path, str] = {}
    for file in map(str, files):
        if is_database(file):
            copies: list[LocalCopy] = [fetch_table(file, query, engine.workspace)]
        elif is_remote(file):
            copies = fetch_files(file, engine.workspace, progress)
        else:
            local.append(file)
            continue
        origins |= {copy.path: copy.name for copy in copies}
        local += [copy.path for copy in copies]
    if query is not None and not any(map(is_database, map(str, files))):
        raise InputError(f"query: a database such as postgresql://host/shop expected, got {', '.join(map(str, files))}")
    return local, origins


def distinct_names(paths: Sequence[Path], used_names: Collection[str] = ()) -> list[str]:
    """Names of files that differ from each other and from ``used_names``, with as few parent folders as possible."""
    names = [path.name for path in paths]
    for depth in range(2, max(len(path.absolute().parts) for path in paths) + 1):
        ambiguous = {name for name in names if names.count(name) > 1 or name in used_names}
        if not ambiguous:
            break
        longer = ["/".join(path.absolute().parts[-depth:]) for path in paths]
        names = [more if name in ambiguous else name for name, more in zip(names, longer, strict=True)]
    return names


def check_mapping(log: Log, *, has_items: bool) -> None:
    """Raise MappingError unless every file has the mapped columns; ``has_items``: texts are from a table of items."""
    mapping = log.mapping
    for rows in log.files:
        where, columns = str(rows.source.path), rows.source.columns
        mapping.check_columns(columns, where)
        if mapping.item_text and not has_items:
            check_fields(mapping.item_text, "item_text", columns, where)
    if mapping.split_by == "column" and mapping.split is None:
        raise MappingError("split_by: column: a 'split' column expected in the mapping, got none")
    check_filters(mapping)


def ingest_log(
    engine: Engine, log: Log, *, has_items: bool, folder: Path, progress: Progress, index: int = 0, before: int = 0
) -> list[CheckedRows]:
    """Write the rows of a log to parts in the graph directory ``folder``.

    ``index`` is the number of the first part, ``before`` the number of rows of all earlier parts.
    """
    check_mapping(log, has_items=has_items)
    mapping = log.mapping.model_copy(update={"item_text": None, "item_label": None}) if has_items else log.mapping
    checked = []
    progress.start("reading and checking", sum(rows.source.bytes for rows in log.files))
    for number, rows in enumerate(log.files, start=index):
        with engine_errors(str(rows.source.path)):
            table, checks = typed_events(engine, f"typed{number}", rows, mapping, time_format(engine, rows, mapping))
            part, columns = part_path(folder, "events", number), event_columns(mapping, number)
            checked.append(check_rows(engine, f"events{number}", rows, table, columns, checks, part, before))
        before += checked[-1].part.rows
        progress.advance(rows.source.bytes, note=rows.source.name)
    progress.finish()
    if before >= MAX_ROWS:
        raise InputError(f"{log.name}: at most {MAX_ROWS:,} rows expected in a graph, got {before:,}; leave some out")
    return checked


def time_format(engine: Engine, rows: Rows, mapping: ColumnMapping) -> str:
    """The time format of a file: that of the mapping, or else the most frequent one of its first rows."""
    if mapping.time_format != "auto" or mapping.time is None:
        return mapping.time_format
    return detect_format(engine, rows.sample(engine)[mapping.time]) or "iso"
