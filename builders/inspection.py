"""What a log looks like before it is built: files, columns, guessed roles, counts, trouble."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from builders.contents import kind_of
from builders.engine import Engine, connect, engine_errors
from builders.events import read_log, set_aside_duplicates
from builders.log import Log, check_log, open_log, time_format
from builders.mapping import Mapping
from builders.quarantine import counts_by_reason, first_example
from builders.rows import rejected_lines
from builders.sources import Source
from graphrec.progress import Progress, Silent

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


@dataclass(frozen=True)
class Inspection:
    """What a log looks like."""

    files: tuple[File, ...]
    """Its files in their order."""
    columns: tuple[Column, ...]
    """Columns of the first file."""
    mapping: Mapping
    """Roles that were given or guessed."""
    missing_roles: tuple[str, ...]
    """Required roles without a column; while there are any, nothing below is known."""
    time_format: str | None
    """How the first file's times are written."""
    rows: int
    """Lines of data in all files."""
    events: int | None
    """Rows that can be used."""
    users: int | None
    """Different users among them."""
    items: int | None
    """Different items among them."""
    time_span: tuple[int, int] | None
    """First and last time of them, UTC seconds."""
    trouble: tuple[Trouble, ...]
    """Why the other rows cannot be used, the commonest reason first."""

    def to_json(self) -> dict[str, Any]:
        """The same as plain values that JSON can hold."""
        return {**asdict(self), "mapping": self.mapping.settings()}


def inspect_log(
    files: Sequence[str | Path],
    preset: str | None = None,
    mapping: Mapping | Dictionary[str, Any] | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Look at a log without building anything.

    Parameters are those of `builders.graph.build_graph`.

    Raises
    ------
    InputError
        If a file cannot be read at all; MappingError if the mapping names a column that is not there.
    """
    progress = progress or Silent()
    with tempfile.TemporaryDirectory(prefix="graphrec-") as scratch:
        engine = connect(Path(scratch))
        log = open_log(engine, files, preset, mapping, progress)
        missing = tuple(role for role in log.mapping.required() if getattr(log.mapping, role) is None)
        counts, facts = (_count(engine, log), _nothing()) if missing else _look(engine, log, progress)
        return Inspection(
            files=tuple(_file(rows.source, count) for rows, count in zip(log.files, counts, strict=True)),
            columns=_columns(engine, log),
            mapping=log.mapping,
            missing_roles=missing,
            rows=sum(counts),
            **facts,
        )


def _count(engine: Engine, log: Log) -> list[int]:
    """Rows of each file, good and bad."""
    counts = []
    for rows in log.files:
        with engine_errors(str(rows.source.path)):
            whole = engine.to_pyarrow(rows.table.count()).as_py()
            counts.append(whole + len(rejected_lines(engine, rows.source)))
    return counts


def _nothing() -> dict[str, Any]:
    return {"time_format": None, "events": None, "users": None, "items": None, "time_span": None, "trouble": ()}


def _look(engine: Engine, log: Log, progress: Progress) -> tuple[list[int], dict[str, Any]]:
    (engine.workspace / "log").mkdir()
    checked = check_log(engine, log, "item" in log.tables, engine.workspace, progress)
    parts = [sifted.part for _, sifted in checked]
    with engine_errors(log.name):
        events, again = set_aside_duplicates(engine, read_log(engine, parts), parts)
        counts = engine.to_pyarrow(
            events.aggregate(
                events=events.count(),
                users=events.user.nunique(),
                items=events.item.nunique(),
                first=events.time.min(),
                last=events.time.max(),
            )
        ).to_pylist()[0]
    span = (counts.pop("first"), counts.pop("last"))
    bad = pa.concat_tables([*(sifted.quarantine for _, sifted in checked), again])
    trouble = [Trouble(count=count, **first_example(bad, reason)) for reason, count in counts_by_reason(bad).items()]
    return [sifted.total for _, sifted in checked], {
        **counts,
        "time_format": time_format(engine, log.files[0], log.mapping),
        "time_span": span if counts["events"] else None,
        "trouble": tuple(trouble),
    }


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
    return tuple(
        Column(name, kind_of(values), tuple(dict.fromkeys(values))[:EXAMPLES], role_of.get(name))
        for name, values in sample.items()
    )
