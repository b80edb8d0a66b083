"""One data issue of a log, and examples of the rows where it shows."""

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

MAX_EXAMPLES = 3
"""Examples of a data issue."""
_pc: Any = pc  # its functions are generated at run time, so type checkers do not know them


@dataclass(frozen=True)
class Example:
    """A value that shows a data issue."""

    value: str
    """The value."""
    file: str | None = None
    """Name of its file; None for a value of no single row."""
    row: int | None = None
    """Its row in the file, from 1."""


@dataclass(frozen=True)
class DataIssue:
    """Something unusual about a log whose rows can all be used."""

    reason: str
    """Name of the issue."""
    count: int
    """Number of affected users, items, texts, groups of ids, events or columns."""
    examples: tuple[Example, ...]
    """Some of them."""
    remedy: str
    """Advice in one sentence."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, as in the manifest."""
        return asdict(self)


def node_examples(
    inputs: BuildInputs, tables: Tables, kind: str, codes: Sequence[int] | np.ndarray, values: Sequence[str] = ()
) -> tuple[Example, ...]:
    """Examples of nodes (or kinds of event): their first event, or else their row in a table of nodes.

    ``values`` are shown in place of the ids.
    """
    names = tables.kinds if kind == "kind" else tables.nodes[kind]["id"]
    column = tables.events[kind].to_numpy()
    examples: list[Example] = []
    for index, code in enumerate(map(int, codes[:MAX_EXAMPLES])):
        identity = str(names[code])
        value = values[index] if len(values) else identity
        row = int((column == code).argmax())
        if column[row] == code:
            examples += event_examples(inputs, tables, [row], [value])
        else:
            examples.append(_listed_example(inputs, kind, identity, value))
    return tuple(examples)


def event_examples(
    inputs: BuildInputs, tables: Tables, rows: Sequence[int] | np.ndarray, values: Sequence[str]
) -> tuple[Example, ...]:
    """Examples of values of events, at ``rows`` of the events in time order."""
    files, numbers = source_rows(inputs.events, key_to_row(tables.key[np.asarray(rows)]))
    return tuple(Example(*row) for row in zip(values, files.to_pylist(), numbers.tolist(), strict=True))


def _listed_example(inputs: BuildInputs, kind: str, identity: str, value: str) -> Example:
    """An example at the node's row in a table of nodes."""
    before = 0
    for part in inputs.parts.get(kind, ()):
        index = _pc.index(pq.read_table(part.path, columns=["id"])["id"], identity).as_py()
        if index >= 0:
            files, rows = source_rows(inputs.parts[kind], np.array([before + index + 1]))
            return Example(value, files[0].as_py(), int(rows[0]))
        before += part.rows
    return Example(value)
