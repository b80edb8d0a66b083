"""A log as given: its files read, its mapping settled, the tables of nodes that come with it."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from builders.catalogue import TableMapping
from builders.checks import event_columns, read_events
from builders.engine import engine_errors
from builders.mapping import Mapping, guess_mapping
from builders.presets import Preset, find_files, load_preset
from builders.quarantine import set_aside_duplicates, sift
from builders.rows import Rows, read
from builders.sources import detect, expand
from builders.templates import check_fields
from builders.timestamps import detect_format
from graphrec.errors import MappingError
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
    connection: Any,
    files: Sequence[str | Path],
    preset: str | None,
    mapping: Mapping | Dictionary[str, Any] | None,
    workspace: Path,
    progress: Progress,
) -> Log:
    """Read a log's files and settle its mapping: what was given, then the preset's, then what can be guessed.

    A required role may be left without a column here; `check_mapping` refuses that.
    """
    given = mapping if isinstance(mapping, Mapping) else Mapping.of(mapping or {})
    paths, items = expand(files), None
    if preset is not None:
        found = find_files(preset, files)
        paths, items = found.logs, (found.items, found.form.table) if found.items else None
        given = Mapping.of({**found.mapping.settings(), **given.settings()})
    progress.start("reading", len(paths))
    rows = []
    for place, path in enumerate(paths):
        rows.append(read(connection, detect(path, given, workspace), f"log{place}"))
        progress.advance(note=path.name)
    progress.finish()
    named = rows[0].source.header or rows[0].source.format != "csv" or given.columns is not None
    guess = guess_mapping(rows[0].sample(), named)
    return Log(rows, given.filled(guess), load_preset(preset) if preset else None, items)


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


@dataclass(frozen=True)
class Checked:
    """A log's rows, good parted from bad."""

    events: Any
    """Good rows of all files: the roles as typed columns, ``file`` (its place) and ``row``."""
    quarantine: pa.Table
    """The others, see `builders.quarantine.QUARANTINE`."""
    total: int
    """Rows of all files, good and bad."""


def check_log(connection: Any, log: Log, has_items: bool, progress: Progress) -> Checked:
    """Check every row of a log; rows that cannot be used and repeated rows are set aside."""
    check_mapping(log, has_items)
    mapping = log.mapping.model_copy(update={"item_text": None, "item_label": None}) if has_items else log.mapping
    good, bad = [], []
    progress.start("checking", len(log.files))
    for place, rows in enumerate(log.files):
        with engine_errors(str(rows.source.path)):
            found = time_format(connection, rows, mapping)
            table, checks = read_events(connection, "typed", rows, mapping, found)
            events, quarantine = sift(connection, f"good{place}", rows, table, event_columns(table, mapping), checks)
        good.append(events.mutate(file=ibis.literal(place, type="int32")))
        bad.append(quarantine)
        progress.advance(note=rows.source.name)
    names = [rows.source.name for rows in log.files]
    events, again = set_aside_duplicates(connection, "events", ibis.union(*good) if len(good) > 1 else good[0], names)
    total = sum(rows.total for rows in log.files)
    progress.finish()
    return Checked(events, pa.concat_tables([*bad, again]), total)


def time_format(connection: Any, rows: Rows, mapping: Mapping) -> str:
    """The format of a file's times: as the mapping says, or as most of its first values are written."""
    if mapping.time_format != "auto" or mapping.time is None:
        return mapping.time_format
    return detect_format(connection, rows.sample()[mapping.time]) or "iso"
