"""One thing that is odd about a log, and the rows where it can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from builders.assemble.tables import Tables
from builders.ingest.inputs import BuildInputs
from builders.ingest.parts import key_to_row, source_rows

EXAMPLES = 3
"""How many examples are told of a finding."""
_pc: Any = pc  # its functions are made at run time, so that no checker knows them


@dataclass(frozen=True)
class Example:
    """Where a finding can be seen."""

    value: str
    """What stands there."""
    file: str | None = None
    """Name of the file; None where no one row says it."""
    row: int | None = None
    """Its row, from 1."""


@dataclass(frozen=True)
class Finding:
    """One thing that is odd."""

    reason: str
    """What."""
    count: int
    """How many it concerns: users, items, texts, groups of ids, events, columns."""
    examples: tuple[Example, ...]
    """Some of them."""
    remedy: str
    """What to do about it, in one sentence."""

    def to_json(self) -> dict[str, Any]:
        """The same as plain values, as the manifest has it."""
        return asdict(self)


def node_examples(
    origin: BuildInputs,
    found: Tables,
    kind: str,
    codes: Sequence[int] | np.ndarray,
    values: Sequence[str] | None = None,
) -> tuple[Example, ...]:
    """Examples of nodes (or kinds of event): their first event, or else the row of the table that lists them."""
    shown = [int(code) for code in codes[:EXAMPLES]]
    names = found.kinds if kind == "kind" else found.nodes[kind]["id"]
    ids = [str(names[code]) for code in shown]
    column = found.events[kind].to_numpy()
    first = [int((column == code).argmax()) for code in shown]
    seen = [row if column[row] == code else None for row, code in zip(first, shown, strict=True)]
    told = values if values is not None else ids
    return tuple(
        _listed(origin, kind, identity, value) if row is None else event_examples(origin, found, [row], [value])[0]
        for row, identity, value in zip(seen, ids, told, strict=False)
    )


def event_examples(
    origin: BuildInputs, found: Tables, rows: Sequence[int] | np.ndarray, values: Sequence[str]
) -> tuple[Example, ...]:
    """Examples of what events say, at ``rows`` of the events in time order."""
    files, numbers = source_rows(origin.events, key_to_row(found.key[np.asarray(rows)]))
    return tuple(
        Example(value, file, int(number))
        for value, file, number in zip(values, files.to_pylist(), numbers, strict=True)
    )


def _listed(origin: BuildInputs, kind: str, identity: str, value: str) -> Example:
    """Where the table of nodes lists one."""
    before = 0
    for part in origin.parts.get(kind, ()):
        place = _pc.index(pq.read_table(part.path, columns=["id"])["id"], identity).as_py()
        if place >= 0:
            files, rows = source_rows(origin.parts[kind], np.array([before + place + 1]))
            return Example(value, files[0].as_py(), int(rows[0]))
        before += part.rows
    return Example(value)
