"""What a log looks like before it is built: files, columns, guessed roles, counts, trouble, what a build would say."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.assemble.advice import remedy
from builders.assemble.assembly import tables
from builders.assemble.data_issue import Finding
from builders.assemble.data_quality import either_way_round, findings
from builders.assemble.tables import Tables
from builders.assemble.time_zone import told_zone
from builders.build import MAX_BAD, chosen_tables
from builders.engine.backend import Engine, engine_errors
from builders.engine.connect import connect
from builders.engine.rows import rejected_lines
from builders.ingest.inputs import BuildInputs, InputFiles, ingest
from builders.ingest.log import Log, open_log, time_format
from builders.ingest.quarantine import check_bad_share, counts_by_reason, first_example
from builders.mapping.column_mapping import ColumnMapping
from builders.mapping.column_types import column_type
from builders.mapping.templates import unused_columns
from builders.sources.source import Source
from builders.text.vectors import NO_MODEL
from graphrec.errors import InputError
from graphrec.graph.splits import SPLITS
from graphrec.progress import NoProgress, Progress

EXAMPLES = 3
"""How many different values of a column are shown."""


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
    """How characters are written; None for Parquet."""
    delimiter: str | None
    """What separates fields; None where the format has none."""
    header: bool
    """Whether the first line names the columns."""
    rows: int
    """Lines of data, those that are no rows included."""
    bytes: int
    """Size on disk."""


@dataclass(frozen=True)
class Column:
    """One column of the log, as its first file has it."""

    name: str
    """As written, or ``column1``, ``column2``, ... without a header."""
    holds: str
    """``time``, ``integer``, ``number``, ``text`` or ``empty``."""
    examples: tuple[str, ...]
    """Some of its values."""
    role: str | None
    """The role that it plays, None for none."""
    used: bool
    """Whether it plays a role or is part of a text."""


@dataclass(frozen=True)
class Trouble:
    """One reason for which rows cannot be used."""

    reason: str
    """In the words of quarantine.parquet."""
    count: int
    """Rows."""
    file: str
    """Where the first of them is."""
    row: int
    """Its row in that file, from 1."""
    column: str | None
    """The column to blame; None for the row as a whole."""
    value: str | None
    """What stands there."""
    remedy: str
    """What to do about it, in one sentence."""


@dataclass(frozen=True)
class Inspection:
    """What a log looks like."""

    files: tuple[File, ...]
    """Its files in their order."""
    columns: tuple[Column, ...]
    """Columns of the first file."""
    mapping: ColumnMapping
    """Roles that were given or guessed."""
    rows: int
    """Lines of data in all files."""
    missing_roles: tuple[str, ...] = ()
    """Required roles without a column; while there are any, nothing below is known."""
    time_format: str | None = None
    """How the first file's times are written."""
    time_zone: str | None = None
    """Whether they tell their zone, in words."""
    events: int | None = None
    """Rows that can be used."""
    users: int | None = None
    """Different users among them, after the filters; as what follows, None where a build would be refused."""
    items: int | None = None
    """Different items among them, and those that a table lists."""
    locations: int | None = None
    """Different locations."""
    kinds: tuple[str, ...] = ()
    """Kinds of event."""
    split: Mapping[str, int] = field(default_factory=dict)
    """Events in train, val and test."""
    filtered: Mapping[str, int] = field(default_factory=dict)
    """Usable rows that the filters leave out, by reason."""
    time_span: tuple[int, int] | None = None
    """First and last time of the events, UTC seconds."""
    trouble: tuple[Trouble, ...] = ()
    """Why rows cannot be used, the commonest reason first."""
    findings: tuple[Finding, ...] = ()
    """What is odd though the rows can be used."""
    refusal: str | None = None
    """The error that a build would end with; None: it would go through."""

    def to_json(self) -> dict[str, Any]:
        """The same as plain values that JSON can hold."""
        return {**asdict(self), "mapping": self.mapping.settings()}


def inspect_log(
    files: Sequence[str | Path],
    preset: str | None = None,
    mapping: ColumnMapping | Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    *,
    items: str | Path | None = None,
    users: str | Path | None = None,
    locations: str | Path | None = None,
    max_bad: float = MAX_BAD,
) -> Inspection:
    """Look at a log as a build would see it, without building anything.

    Parameters are those of `builders.build.build_graph`.

    Raises
    ------
    InputError
        If a file cannot be read at all; MappingError if the mapping names a column that is not there.
    """
    progress = progress or NoProgress()
    with tempfile.TemporaryDirectory(prefix="graphrec-") as scratch:
        engine = connect(Path(scratch))
        log = open_log(engine, files, preset, mapping, progress)
        missing = tuple(role for role in log.mapping.required() if getattr(log.mapping, role) is None)
        if missing:
            return Inspection(**_written(engine, log, _count(engine, log)), mapping=log.mapping, missing_roles=missing)
        beside = chosen_tables(log, {"item": items, "user": users, "location": locations})
        origin = BuildInputs(log.name, log.mapping, preset, protocol={}, text_model=NO_MODEL)
        origin = ingest(engine, engine.workspace, origin, InputFiles(log, beside, max_bad=None), progress)
        return _look(engine, log, origin, max_bad, progress)


def _count(engine: Engine, log: Log) -> list[int]:
    """Rows of each file, good and bad."""
    counts = []
    for rows in log.files:
        with engine_errors(str(rows.source.path)):
            whole = engine.to_pyarrow(rows.table.count()).as_py()
            counts.append(whole + len(rejected_lines(engine, rows.source)))
    return counts


def _look(engine: Engine, log: Log, origin: BuildInputs, max_bad: float, progress: Progress) -> Inspection:
    sources = [source for source in origin.sources if source["role"] == "events"]
    rows = [source["rows"] for source in sources]
    names = pa.array([source["name"] for source in sources], pa.string())
    bad = origin.quarantine.filter(pc.is_in(origin.quarantine["file"], names))
    facts: dict[str, Any] = {"events": sum(rows) - len(bad), "trouble": _trouble(origin.quarantine)}
    facts["refusal"] = _too_many(bad, sum(rows), max_bad, log.name)
    if len(bad) < sum(rows):
        try:
            with engine_errors(log.name):
                found = tables(engine, origin, progress)
            facts |= {**_counts(found), "findings": (*_order_of_dates(engine, log), *findings(origin, found))}
        except InputError as error:
            progress.finish()
            facts["refusal"] = facts["refusal"] or str(error)
    return Inspection(**_written(engine, log, rows), **_times(engine, log), mapping=log.mapping, **facts)


def _too_many(bad: pa.Table, total: int, most: float, where: str) -> str | None:
    """The error of a build for too many bad rows, None if there are few."""
    try:
        check_bad_share(bad, total, most, where)
    except InputError as error:
        return str(error)
    return None


def _order_of_dates(engine: Engine, log: Log) -> Iterator[Finding]:
    mapping = log.mapping
    if mapping.time is not None and mapping.time_format == "auto":
        sample = log.files[0].sample(engine)[mapping.time]
        yield from either_way_round(sample, time_format(engine, log.files[0], mapping))


def _times(engine: Engine, log: Log) -> dict[str, Any]:
    """How the first file's times are written."""
    mapping = log.mapping
    if mapping.time is None:
        return {}
    form, sample = time_format(engine, log.files[0], mapping), log.files[0].sample(engine)[mapping.time]
    return {"time_format": form, "time_zone": told_zone(sample, form)}


def _counts(found: Tables) -> dict[str, Any]:
    time, split = found.events["time"], np.bincount(found.events["split"].to_numpy(), minlength=len(SPLITS))
    return {
        "events": len(found.events) + sum(found.filtered.values()),
        "users": len(found.nodes["user"]),
        "items": len(found.nodes["item"]),
        "locations": len(found.nodes["location"]),
        "kinds": tuple(found.kinds),
        "split": {name: int(split[code]) for name, code in SPLITS.items()},
        "filtered": found.filtered,
        "time_span": (time[0].as_py(), time[-1].as_py()),
        "trouble": _trouble(found.quarantine),
    }


def _trouble(quarantine: pa.Table) -> tuple[Trouble, ...]:
    counts = counts_by_reason(quarantine)
    return tuple(
        Trouble(count=count, **first_example(quarantine, reason), remedy=remedy(reason))
        for reason, count in counts.items()
    )


def _written(engine: Engine, log: Log, rows: Sequence[int]) -> dict[str, Any]:
    """How the files are written, and what their columns hold."""
    files = tuple(_file(one.source, count) for one, count in zip(log.files, rows, strict=True))
    return {"files": files, "columns": _columns(engine, log), "rows": sum(rows)}


def _file(source: Source, rows: int) -> File:
    return File(
        name=source.name,
        format=source.format,
        compression=source.compression,
        encoding=source.encoding,
        delimiter=source.delimiter,
        header=source.header,
        rows=rows,
        bytes=source.bytes,
    )


def _columns(engine: Engine, log: Log) -> tuple[Column, ...]:
    role_of = {column: role for role, column in log.mapping.roles().items()}
    sample = log.files[0].sample(engine)
    unused = unused_columns([*sample], log.mapping)
    return tuple(
        Column(
            name, column_type(values), tuple(dict.fromkeys(values))[:EXAMPLES], role_of.get(name), name not in unused
        )
        for name, values in sample.items()
    )
