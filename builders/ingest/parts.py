"""Log parts: the checked, typed rows of each source as one Parquet file; a graph is assembled from them.

Row i of a part is row i of its source: an unusable row stays in place, its failed check in ``failed``. So a part is
written in one pass, and rows deleted later leave the numbers of the others unchanged.
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
"""Rows of all parts of a graph: the time and the number of a row share one 64-bit key."""


@dataclass(frozen=True)
class Part:
    """One log part."""

    path: Path
    """Its Parquet file."""
    source: str
    """Name of the source file."""
    rejected: np.ndarray
    """Rows of the source without the right number of fields, from 1, ascending; they are not in the part."""

    @property
    def rows(self) -> int:
        """Number of rows of the part."""
        return int(pq.read_metadata(self.path).num_rows)


def part_path(folder: Path, role: str, index: int) -> Path:
    """Path of a part in a graph directory, such as ``log/events-0000.parquet``."""
    return folder / "log" / f"{role}-{index:04}.parquet"


def read_parts(engine: Engine, name: str, parts: Sequence[Part]) -> Any:
    """The usable rows of parts, with ``log_row``: number of the row over all parts, from 1."""
    table = engine.read_parts(name, [part.path for part in parts])
    usable = table.filter(table.failed.isnull())
    numbered = usable.mutate(log_row=usable.before + usable.file_row_number + 1)
    return numbered.drop("failed", "value", "before", "file_row_number")


def read_log(engine: Engine, parts: Sequence[Part]) -> Any:
    """The usable rows of parts with ``key``, which orders them by time, then by their order in the log."""
    rows = read_parts(engine, "log", parts)
    return rows.mutate(key=(rows.time - EARLIEST) * MAX_ROWS + rows.log_row)


def key_to_row(key: np.ndarray) -> np.ndarray:
    """``log_row`` of each key, [n] int64."""
    return key % MAX_ROWS


def key_to_time(key: np.ndarray) -> np.ndarray:
    """UTC seconds of each key, [n] int64."""
    return key // MAX_ROWS + EARLIEST


def source_rows(parts: Sequence[Part], log_row: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """Source files [n] and row numbers in them [n], from 1, of rows ``log_row`` [n]."""
    before = np.cumsum([0, *(part.rows for part in parts)])
    index = np.searchsorted(before, log_row, side="left") - 1
    row = log_row - before[index]
    for number in np.unique(index):
        mask = index == number
        row[mask] = row_numbers(row[mask], parts[number].rejected)
    return pa.array([part.source for part in parts], pa.string()).take(pa.array(index)), row
