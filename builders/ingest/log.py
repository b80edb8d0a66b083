"""A log as given: its files found, its mapping settled, its rows checked into parts."""

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
from builders.sources.remote import fetch_files, is_remote
from builders.sources.source import Source, detect_source, expand_paths
from graphrec.errors import InputError, MappingError
from graphrec.progress import Progress


@dataclass(frozen=True)
class Log:
    """Everything that a build starts from."""

    files: list[Rows]
    """The log's files in their order."""
    mapping: ColumnMapping
    """Which column plays which role, given and guessed."""
    preset: Preset | None
    """The preset that was named."""
    tables: Mapping[str, tuple[Path, TableMapping]] = field(default_factory=dict)
    """Tables of nodes that the preset found beside the log, by type."""

    @property
    def name(self) -> str:
        """The log in an error message: its file, or the first of several."""
        first = self.files[0].source.path
        return str(first) if len(self.files) == 1 else f"{first} and {len(self.files) - 1} more"


def open_log(
    engine: Engine,
    files: Sequence[str | Path],
    preset: str | None,
    mapping: ColumnMapping | Mapping[str, Any] | None,
    progress: Progress,
    taken: Collection[str] = (),
) -> Log:
    """Find a log's files and settle its mapping: what was given, then the preset's, then what can be guessed.

    A required role may be left without a column here; `check_mapping` refuses that. Names in ``taken`` are those of
    other files.
    """
    given = mapping if isinstance(mapping, ColumnMapping) else ColumnMapping.of(mapping or {})
    local, named = _bring(engine, files, given.query, progress)
    paths, tables = expand_paths(local), {}
    if preset is not None:
        found = find_files(preset, local)
        paths, tables = found.logs, found.tables
        relations = {name: settings for name, (_, settings) in found.relations.items()}
        given = ColumnMapping.of({**found.mapping.settings(), "relations": relations, **given.settings()})
    names = distinct_names(paths, taken) if paths else []
    progress.start("looking at the files", len(paths))
    rows = []
    for place, (path, shown) in enumerate(zip(paths, names, strict=True)):
        shown = anonymous_filename(len(taken) + place, shown) if given.privacy.pseudonyms else named.get(path, shown)
        rows.append(scan(engine, replace(detect_source(path, given, engine.workspace), shown=shown), f"log{place}"))
        progress.advance(note=shown)
    progress.finish()
    engine.set_memory_limit(sum(log.source.bytes for log in rows))
    has_names = rows[0].source.header or rows[0].source.format != "csv" or given.columns is not None
    guess = guess_mapping(rows[0].sample(engine), has_names)
    return Log(rows, given.filled(guess), load_preset(preset) if preset else None, tables)


def _bring(
    engine: Engine, files: Sequence[str | Path], query: str | None, progress: Progress
) -> tuple[list[str | Path], dict[Path, str]]:
    """The files, with those of databases and other machines brought here, and what such ones are called."""
    local: list[str | Path] = []
    named: dict[Path, str] = {}
    for given in map(str, files):
        if is_database(given):
            table = fetch_table(given, query, engine.workspace)
            named[table.path] = table.name
            local.append(table.path)
        elif is_remote(given):
            copies = fetch_files(given, engine.workspace, progress)
            named |= {copy.path: copy.name for copy in copies}
            local += [copy.path for copy in copies]
        else:
            local.append(given)
    if query is not None and not any(map(is_database, map(str, files))):
        raise InputError(f"query: a database such as postgresql://host/shop expected, got {', '.join(map(str, files))}")
    return local, named


def distinct_names(paths: Sequence[Path], taken: Collection[str] = ()) -> list[str]:
    """Names by which people can tell files apart, also from those ``taken``: with as much of the folder as it takes."""
    shown = [path.name for path in paths]
    for depth in range(2, max(len(path.absolute().parts) for path in paths) + 1):
        twice = {name for name in shown if shown.count(name) > 1 or name in taken}
        if not twice:
            break
        longer = ["/".join(path.absolute().parts[-depth:]) for path in paths]
        shown = [more if name in twice else name for name, more in zip(shown, longer, strict=True)]
    return shown


def check_mapping(log: Log, has_items: bool) -> None:
    """Raise MappingError unless every file has the columns that the mapping names."""
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
    engine: Engine, log: Log, has_items: bool, folder: Path, progress: Progress, number: int = 0, before: int = 0
) -> list[tuple[Source, CheckedRows]]:
    """Check every row of a log into parts in the graph directory ``folder``.

    ``number`` is that of the first part, ``before`` how many rows the parts before it have.
    """
    check_mapping(log, has_items)
    mapping = log.mapping.model_copy(update={"item_text": None, "item_label": None}) if has_items else log.mapping
    found: list[tuple[Source, CheckedRows]] = []
    progress.start("reading and checking", sum(rows.source.bytes for rows in log.files))
    for place, rows in enumerate(log.files, start=number):
        with engine_errors(str(rows.source.path)):
            form = time_format(engine, rows, mapping)
            table, checks = typed_events(engine, f"typed{place}", rows, mapping, form)
            part = part_path(folder, "events", place)
            columns = event_columns(mapping, place)
            sifted = check_rows(engine, f"events{place}", rows, table, columns, checks, part, before)
        before += sifted.part.rows
        found.append((rows.source, sifted))
        progress.advance(rows.source.bytes, note=rows.source.name)
    progress.finish()
    if before >= MAX_ROWS:
        raise InputError(f"{log.name}: at most {MAX_ROWS:,} rows expected in a graph, got {before:,}; leave some out")
    return found


def time_format(engine: Engine, rows: Rows, mapping: ColumnMapping) -> str:
    """The format of a file's times: as the mapping says, or as most of its first values are written."""
    if mapping.time_format != "auto" or mapping.time is None:
        return mapping.time_format
    return detect_format(engine, rows.sample(engine)[mapping.time]) or "iso"
