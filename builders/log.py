"""A log as given: its files found, its mapping settled, its rows checked into parts."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from builders.catalogue import TableMapping
from builders.checks import event_columns, read_events
from builders.engine import Engine, engine_errors
from builders.filters import check_filters
from builders.mapping import Mapping, guess_mapping
from builders.parts import MOST_ROWS, Part, part_path
from builders.presets import Preset, find_files, load_preset
from builders.quarantine import Sifted, sift
from builders.rows import Rows, scan
from builders.sources import Source, detect, expand
from builders.templates import check_fields
from builders.timestamps import detect_format
from graphrec.errors import InputError, MappingError
from graphrec.progress import Progress


@dataclass(frozen=True)
class Log:
    """Everything that a build starts from."""

    files: list[Rows]
    """The log's files in their order."""
    mapping: Mapping
    """Which column plays which role, given and guessed."""
    preset: Preset | None
    """The preset that was named."""
    items: tuple[Path, TableMapping] | None
    """A table of items that the preset found beside the log."""

    @property
    def name(self) -> str:
        """The log in an error message: its file, or the first of several."""
        first = self.files[0].source.path
        return str(first) if len(self.files) == 1 else f"{first} and {len(self.files) - 1} more"


def open_log(
    engine: Engine,
    files: Sequence[str | Path],
    preset: str | None,
    mapping: Mapping | Dictionary[str, Any] | None,
    progress: Progress,
) -> Log:
    """Find a log's files and settle its mapping: what was given, then the preset's, then what can be guessed.

    A required role may be left without a column here; `check_mapping` refuses that.
    """
    given = mapping if isinstance(mapping, Mapping) else Mapping.of(mapping or {})
    paths, items = expand(files), None
    if preset is not None:
        found = find_files(preset, files)
        paths, items = found.logs, (found.items, found.form.table) if found.items else None
        given = Mapping.of({**found.mapping.settings(), **given.settings()})
    progress.start("looking at the files", len(paths))
    rows = []
    for place, (path, shown) in enumerate(zip(paths, distinct_names(paths), strict=True)):
        source = replace(detect(path, given, engine.workspace), shown=shown)
        rows.append(scan(engine, source, f"log{place}"))
        progress.advance(note=shown)
    progress.finish()
    engine.allow_memory(sum(log.source.bytes for log in rows))
    named = rows[0].source.header or rows[0].source.format != "csv" or given.columns is not None
    guess = guess_mapping(rows[0].sample(engine), named)
    return Log(rows, given.filled(guess), load_preset(preset) if preset else None, items)


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Names by which people can tell files apart: without the folder, or with as much of it as that takes."""
    shown = [path.name for path in paths]
    depth = 1
    while len(set(shown)) < len(shown):
        depth += 1
        twice = {name for name in shown if shown.count(name) > 1}
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


@dataclass(frozen=True)
class Checked:
    """A log's rows, good marked from bad."""

    sources: list[tuple[Source, int]]
    """The files, each with its number of rows."""
    parts: list[Part]
    """Their rows: the columns of `builders.checks.EVENT_TYPES`."""
    quarantine: pa.Table
    """Rows that cannot be used, see `builders.quarantine.QUARANTINE`."""

    @property
    def total(self) -> int:
        """Rows of all files, good and bad."""
        return sum(rows for _, rows in self.sources)


def check_log(
    engine: Engine, log: Log, has_items: bool, folder: Path, progress: Progress, after: Sequence[Part] = ()
) -> Checked:
    """Check every row of a log into parts in the graph directory ``folder``, numbered on ``after`` those there are."""
    check_mapping(log, has_items)
    mapping = log.mapping.model_copy(update={"item_text": None, "item_label": None}) if has_items else log.mapping
    found: list[Sifted] = []
    before = sum(part.rows for part in after)
    progress.start("reading and checking", sum(rows.source.bytes for rows in log.files))
    for place, rows in enumerate(log.files, start=len(after)):
        with engine_errors(str(rows.source.path)):
            form = time_format(engine, rows, mapping)
            table, checks = read_events(engine, f"typed{place}", rows, mapping, form)
            part = part_path(folder, "events", place)
            columns = event_columns(mapping, place)
            found.append(sift(engine, f"events{place}", rows, table, columns, checks, part, before))
        before += found[-1].part.rows
        progress.advance(rows.source.bytes, note=rows.source.name)
    progress.finish()
    if before >= MOST_ROWS:
        raise InputError(
            f"{log.name}: at most {MOST_ROWS:,} rows expected in one graph, got {before:,}; leave some out"
        )
    return Checked(
        [(rows.source, sifted.total) for rows, sifted in zip(log.files, found, strict=True)],
        [sifted.part for sifted in found],
        pa.concat_tables([sifted.quarantine for sifted in found]),
    )


def time_format(engine: Engine, rows: Rows, mapping: Mapping) -> str:
    """The format of a file's times: as the mapping says, or as most of its first values are written."""
    if mapping.time_format != "auto" or mapping.time is None:
        return mapping.time_format
    return detect_format(engine, rows.sample(engine)[mapping.time]) or "iso"
