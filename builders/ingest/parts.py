"""Log parts: what the files said, checked and typed, one Parquet file a source; a graph is made of them.

A row of a part is a row of its source, always: a row that cannot be used keeps its place and says so in ``failed``.
So a part can be written in one pass, and what is taken out of it later leaves the numbers of the others alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from builders.engine.backend import Engine
from builders.engine.rows import row_numbers
from builders.mapping.timestamps import EARLIEST

MAX_ROWS = 1 << 29
"""Rows that one graph can be made of: a row's place and its time fit into one number of 64 bits."""


@dataclass(frozen=True)
class Part:
    """One part."""

    path: Path
    """Where it is."""
    source: str
    """Name of the file that it was read from."""
    rejected: np.ndarray
    """Rows of that file that could not be cut into fields, from 1, rising: the part does not have them."""

    @property
    def rows(self) -> int:
        """Rows of the part."""
        return int(pq.read_metadata(self.path).num_rows)


def part_path(folder: Path, role: str, place: int) -> Path:
    """Where the part of a role's source lies in a graph directory: ``log/events-0000.parquet``."""
    return folder / "log" / f"{role}-{place:04}.parquet"


def read_parts(engine: Engine, name: str, parts: Sequence[Part]) -> Any:
    """The usable rows of parts, with ``place``: the row's number over all parts, from 1."""
    table = engine.read_parts(name, [part.path for part in parts])
    good = table.filter(table.failed.isnull())
    return good.mutate(place=good.before + good.file_row_number + 1).drop(
        "failed", "value", "before", "file_row_number"
    )


def source_rows(parts: Sequence[Part], place: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """The files [n] and their rows [n], from 1, that rows at ``place`` [n] were read from."""
    before = np.cumsum([0, *(part.rows for part in parts)])
    part_of = np.searchsorted(before, place, side="left") - 1
    row = place - before[part_of]
    for number in np.unique(part_of):
        here = part_of == number
        row[here] = row_numbers(row[here], parts[number].rejected)
    return pa.array([part.source for part in parts], pa.string()).take(pa.array(part_of)), row


def read_log(engine: Engine, parts: Sequence[Part]) -> Any:
    """The usable rows of parts with ``key``, by which they are in the order of time, then of the log."""
    rows = read_parts(engine, "log", parts)
    return rows.mutate(key=(rows.time - EARLIEST) * MAX_ROWS + rows.place)


def key_to_row(key: np.ndarray) -> np.ndarray:
    """Numbers over all parts, from 1, of the rows with such keys."""
    return key % MAX_ROWS


def key_to_time(key: np.ndarray) -> np.ndarray:
    """UTC seconds of the rows with such keys."""
    return key // MAX_ROWS + EARLIEST
