"""Inspection of a log before a build: files, columns, guessed roles, counts, unusable rows, data issues."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.assemble.advice import advice
from builders.assemble.assembly import build_tables
from builders.assemble.data_issue import DataIssue
from builders.assemble.data_quality import ambiguous_dates, data_issues
from builders.assemble.tables import Tables
from builders.assemble.time_zone import declared_zone
from builders.build import MAX_BAD, table_files
from builders.engine.backend import Engine, engine_errors
from builders.engine.connect import connect
from builders.engine.rows import rejected_lines
from builders.ingest.inputs import BuildInputs, InputFiles, ingest
from builders.ingest.log import Log, open_log, time_format
from builders.ingest.quarantine import check_bad_share, counts_by_reason, first_example
from builders.mapping.column_mapping import ColumnMapping
from builders.mapping.column_types import column_type
from builders.mapping.templates import unused_columns
from builders.text.vectors import NO_MODEL
from graphrec.errors import InputError
from graphrec.graph.splits import SPLITS
from graphrec.progress import NoProgress, Progress

MAX_EXAMPLES = 3
"""Distinct example values of a column."""
JSON_KEYS = {"row_issues": "trouble", "data_issues": "findings"}
"""Keys of fields in JSON, where they differ from their names."""


@dataclass(frozen=True)
class File:
    """One file of the log."""

    name: str
    """Without its folder."""
    format: str
    """``csv``, ``jsonl`` or ``parquet``."""
    compression: str
    """``gzip``, ``zstd`` or ``none``."""
    encoding: str | None
    """Character encoding; None for Parquet."""
    delimiter: str | None
    """Field delimiter; None for a format without one."""
    header: bool
    """Whether the first line names the columns."""
    rows: int
    """Lines of data, unusable ones included."""
    bytes: int
    """Size on disk."""


@dataclass(frozen=True)
class Column:
    """One column of the log, in its first file."""

    name: str
    """As written, or ``column1``, ``column2``, ... without a header."""
    holds: str
    """``time``, ``integer``, ``number``, ``text`` or ``empty``."""
    examples: tuple[str, ...]
    """Some of its values."""
    role: str | None
    """Its role; None without one."""
    used: bool
    """Whether it has a role or is part of a text."""


@dataclass(frozen=True)
class RowIssue:
    """One reason why rows cannot be used."""

    reason: str
    """As in quarantine.parquet."""
    count: int
    """Number of rows."""
    file: str
    """File of the first of them."""
    row: int
    """Its row in that file, from 1."""
    column: str | None
    """The column with the unusable value; None for the row as a whole."""
    value: str | None
    """The value."""
    remedy: str
    """Advice in one sentence."""


@dataclass(frozen=True)
class Inspection:
    """Result of an inspection."""

    files: tuple[File, ...]
    """Its files in their order."""
    columns: tuple[Column, ...]
    """Columns of the first file."""
    mapping: ColumnMapping
    """Roles of the columns, mapped or guessed."""
    rows: int
    """Lines of data in all files."""
    missing_roles: tuple[str, ...] = ()
    """Required roles without a column; if there are any, the fields below are empty."""
    time_format: str | None = None
    """Time format of the first file."""
    time_zone: str | None = None
    """How its times declare their zone, in words."""
    events: int | None = None
    """Number of usable rows."""
    users: int | None = None
    """Number of users after the filters; like the next fields None if a build would be refused."""
    items: int | None = None
    """Number of items, listed ones without events included."""
    locations: int | None = None
    """Number of locations."""
    kinds: tuple[str, ...] = ()
    """Kinds of event."""
    split: Mapping[str, int] = field(default_factory=dict)
    """Events in train, val and test."""
    filtered: Mapping[str, int] = field(default_factory=dict)
    """Number of usable rows that the filters drop, by reason."""
    time_span: tuple[int, int] | None = None
    """First and last time of the events, UTC seconds."""
    row_issues: tuple[RowIssue, ...] = ()
    """Reasons why rows cannot be used, the most frequent first."""
    data_issues: tuple[DataIssue, ...] = ()
    """Issues of rows that can be used."""
    refusal: str | None = None
    """The error that a build would end with; None: it would go through."""

    def to_json(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        values = {JSON_KEYS.get(name, name): value for name, value in asdict(self).items()}
        return {**values, "mapping": self.mapping.settings()}


def inspect_log(
    files: Sequence[str | Path],
    preset: str | None = None,
    *,
    mapping: ColumnMapping | Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    items: str | Path | None = None,
    users: str | Path | None = None,
    locations: str | Path | None = None,
    max_bad: float = MAX_BAD,
) -> Inspection:
    """Inspect a log as a build would read it, without building anything.

    Parameters are those of `builders.build.build_graph`.

    Raises
    ------
    InputError
        If a file cannot be read at all; MappingError if the mapping has a column that is not in the log.
    """
    progress = progress or NoProgress()
    with tempfile.TemporaryDirectory(prefix="graphrec-") as scratch:
        engine = connect(Path(scratch))
        log = open_log(engine, files, preset, mapping, progress)
        missing = tuple(role for role in log.mapping.required() if getattr(log.mapping, role) is None)
        if missing:
            return _inspection(engine, log, _count(engine, log), missing)
        paths = table_files(log, {"item": items, "user": users, "location": locations})
        inputs = BuildInputs(log.name, log.mapping, preset, protocol={}, text_model=NO_MODEL)
        inputs = ingest(engine, engine.workspace, inputs, InputFiles(log, paths, max_bad=None), progress)
        return _inspect(engine, log, inputs, max_bad, progress)


def _count(engine: Engine, log: Log) -> list[int]:
    """Rows of each file, unusable ones included."""
    counts = []
    for rows in log.files:
        with engine_errors(str(rows.source.path)):
            parsed = engine.to_pyarrow(rows.table.count()).as_py()
            counts.append(parsed + len(rejected_lines(engine, rows.source)))
    return counts


def _inspect(engine: Engine, log: Log, inputs: BuildInputs, max_bad: float, progress: Progress) -> Inspection:
    sources = [source for source in inputs.sources if source["role"] == "events"]
    rows = [source["rows"] for source in sources]
    names = pa.array([source["name"] for source in sources], pa.string())
    bad = inputs.quarantine.filter(pc.is_in(inputs.quarantine["file"], names))
    inspection = replace(
        _inspection(engine, log, rows), events=sum(rows) - len(bad), row_issues=_row_issues(inputs.quarantine)
    )
    errors = []
    try:
        check_bad_share(bad, sum(rows), max_bad, log.name)
    except InputError as error:
        errors.append(str(error))
    if len(bad) < sum(rows):
        try:
            with engine_errors(log.name):
                tables = build_tables(engine, inputs, progress)
            is_guessed = log.mapping.time is not None and log.mapping.time_format == "auto"
            dates = ambiguous_dates(*_times(engine, log)) if is_guessed else ()
            issues = (*dates, *data_issues(inputs, tables))
            inspection = replace(inspection, **_counts(tables), data_issues=issues)
        except InputError as error:
            progress.finish()
            errors.append(str(error))
    return replace(inspection, refusal=next(iter(errors), None))


def _inspection(engine: Engine, log: Log, rows: Sequence[int], missing_roles: tuple[str, ...] = ()) -> Inspection:
    """Files, columns and, without missing roles, time format."""
    times: dict[str, Any] = {}
    if not missing_roles and log.mapping.time is not None:
        sample, form = _times(engine, log)
        times = {"time_format": form, "time_zone": declared_zone(sample, form)}
    properties = [field.name for field in fields(File) if field.name != "rows"]
    files = [
        File(rows=count, **{name: getattr(file.source, name) for name in properties})
        for file, count in zip(log.files, rows, strict=True)
    ]
    return Inspection(
        files=tuple(files),
        columns=_columns(engine, log),
        mapping=log.mapping,
        rows=sum(rows),
        missing_roles=missing_roles,
        **times,
    )


def _times(engine: Engine, log: Log) -> tuple[Sequence[str], str]:
    """Sample and format of the times of the first file."""
    sample = log.files[0].sample(engine)[str(log.mapping.time)]
    return sample, time_format(engine, log.files[0], log.mapping)


def _counts(tables: Tables) -> dict[str, Any]:
    time, split = tables.events["time"], np.bincount(tables.events["split"].to_numpy(), minlength=len(SPLITS))
    return {
        "events": len(tables.events) + sum(tables.filtered.values()),
        **{f"{kind}s": len(tables.nodes[kind]) for kind in ("user", "item", "location")},
        "kinds": tuple(tables.kinds),
        "split": {name: int(split[code]) for name, code in SPLITS.items()},
        "filtered": tables.filtered,
        "time_span": (time[0].as_py(), time[-1].as_py()),
        "row_issues": _row_issues(tables.quarantine),
    }


def _row_issues(quarantine: pa.Table) -> tuple[RowIssue, ...]:
    return tuple(
        RowIssue(count=count, **first_example(quarantine, reason), remedy=advice(reason))
        for reason, count in counts_by_reason(quarantine).items()
    )


def _columns(engine: Engine, log: Log) -> tuple[Column, ...]:
    role_of = {column: role for role, column in log.mapping.roles().items()}
    sample = log.files[0].sample(engine)
    unused = unused_columns([*sample], log.mapping)
    return tuple(
        Column(
            name,
            column_type(values),
            tuple(dict.fromkeys(values))[:MAX_EXAMPLES],
            role_of.get(name),
            name not in unused,
        )
        for name, values in sample.items()
    )
