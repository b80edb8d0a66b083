"""The rows of a source as the engine sees them: every column as text, nothing read before it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from builders.engine.backend import Engine, engine_errors
from builders.engine.duckdb_scan import MAX_REJECT_CHARACTERS
from builders.sources.line_endings import split_lines
from builders.sources.source import Source
from graphrec.errors import InputError

SAMPLE_ROWS = 1000
"""How many rows are looked at to find out what a column holds."""
UNCLOSED_QUOTE = "UNQUOTED VALUE"
"""What the engine calls a quote that is never closed."""


@dataclass(frozen=True)
class Rows:
    """A source's rows, not yet read."""

    source: Source
    """Where they come from."""
    table: Any
    """Columns ``c0``, ``c1``, ... (text, null where empty) in the source's order; of JSON also ``line``."""
    nested: frozenset[str] = frozenset()
    """Names of the columns of a Parquet file that hold lists or objects."""

    _sampled: dict[str, list[str]] = field(default_factory=dict, repr=False, compare=False)

    def __getitem__(self, name: str) -> Any:
        """The expression of a column by its name in the file."""
        return self.table[f"c{self.source.columns.index(name)}"]

    @property
    def columns(self) -> dict[str, Any]:
        """The expressions of all columns by their names in the file."""
        return {name: self.table[f"c{place}"] for place, name in enumerate(self.source.columns)}

    def sample(self, engine: Engine) -> dict[str, list[str]]:
        """Values of the first rows by column, without those that are missing."""
        if not self._sampled:
            with engine_errors(str(self.source.path)):
                head = engine.to_pyarrow(self.table.limit(SAMPLE_ROWS))
                engine.clear_rejects(self.source)
            for place, name in enumerate(self.source.columns):
                self._sampled[name] = head[f"c{place}"].drop_null().to_pylist()
        return self._sampled


def scan(engine: Engine, source: Source, name: str) -> Rows:
    """The rows of a source, to be read when an expression over them runs; ``name`` is the table's in the engine."""
    with engine_errors(str(source.path)):
        return Rows(source, *engine.scan(source, name))


def rejected_lines(engine: Engine, source: Source) -> pa.Table:
    """Lines that the scan which has just ended could not cut into fields: ``row`` from 1, rising, and ``value``.

    Raises InputError where a quote that is not closed has swallowed lines that the engine no longer tells.
    """
    errors = engine.rejects(source)
    if errors is None:
        return pa.table({"row": pa.array([], pa.int64()), "value": pa.array([], pa.string())})
    _refuse_lost_lines(source, errors)
    lines = {}  # a line with several errors counts once; one that spans several is taken apart
    for line, text in zip(errors["line"].to_pylist(), errors["csv_line"].to_pylist(), strict=True):
        lines.update(dict(enumerate(split_lines(text.strip("\r\n")), start=line - source.header)))
    table = pa.table({"row": pa.array(lines.keys(), pa.int64()), "value": pa.array(lines.values(), pa.string())})
    return table.sort_by("row")


def row_numbers(place: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """Row in the file, from 1, of the rows at ``place`` among those that could be read, from 1.

    Parameters
    ----------
    rejected
        Rows that could not be read, rising.
    """
    read_before = rejected - np.arange(len(rejected))  # the place that the next row read has
    return place + np.searchsorted(read_before, place, side="right")


def _refuse_lost_lines(source: Source, errors: pa.Table) -> None:
    for error in errors.to_pylist():
        text, row = error["csv_line"], error["line"] - source.header
        if error["error_type"] == UNCLOSED_QUOTE and ("\n" in text.rstrip("\n") or len(text) >= MAX_REJECT_CHARACTERS):
            raise InputError(
                f"{source.path}: a quote in row {row} is never closed, so that the rows after it cannot be told apart "
                f"({text.splitlines()[0][:60]!r}); correct it, or write "
                "'quote: \"\"' into the mapping if quotes are characters like others"
            )
        if len(text) >= MAX_REJECT_CHARACTERS:
            raise InputError(
                f"{source.path}: row {row} cannot be cut into fields and is too long to be set aside "
                f"({text[:60]!r}...); correct it or take it out"
            )
