"""The rows of a source in the engine: every column as text, read lazily."""

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
"""Rows by which column types are detected."""
UNCLOSED_QUOTE = "UNQUOTED VALUE"
"""Error type of the engine for a quote that is never closed."""


@dataclass(frozen=True)
class Rows:
    """A source's rows, not yet read."""

    source: Source
    """Their file."""
    table: Any
    """Columns ``c0``, ``c1``, ... (text, null if empty) in the source's order; of JSON lines also ``line``."""
    nested: frozenset[str] = frozenset()
    """Names of the columns of a Parquet file that are lists or objects."""

    _sampled: dict[str, list[str]] = field(default_factory=dict, repr=False, compare=False)

    def __getitem__(self, name: str) -> Any:
        """The expression of a column by its name in the file."""
        return self.table[f"c{self.source.columns.index(name)}"]

    @property
    def columns(self) -> dict[str, Any]:
        """The expressions of all columns by their names in the file."""
        return {name: self.table[f"c{index}"] for index, name in enumerate(self.source.columns)}

    def sample(self, engine: Engine) -> dict[str, list[str]]:
        """Values of the first `SAMPLE_ROWS` rows by column, without missing ones."""
        if not self._sampled:
            with engine_errors(str(self.source.path)):
                head = engine.to_pyarrow(self.table.limit(SAMPLE_ROWS))
                engine.rejects(self.source)  # the next scan reads those lines again
            for index, name in enumerate(self.source.columns):
                self._sampled[name] = head[f"c{index}"].drop_null().to_pylist()
        return self._sampled


def scan(engine: Engine, source: Source, name: str) -> Rows:
    """The rows of a source, as the engine's table ``name``."""
    with engine_errors(str(source.path)):
        return Rows(source, *engine.scan(source, name))


def rejected_lines(engine: Engine, source: Source) -> pa.Table:
    """Lines that the last scan could not split into fields: ``row`` from 1, ascending, and ``value``.

    Raises InputError if a quote that is never closed hides lines that the engine does not report.
    """
    errors = engine.rejects(source)
    if errors is None:
        return pa.table({"row": pa.array([], pa.int64()), "value": pa.array([], pa.string())})
    _check_no_lost_lines(source, errors)
    lines = {}  # one entry per line, also for several errors of a line and for a row of several lines
    for line, text in zip(errors["line"].to_pylist(), errors["csv_line"].to_pylist(), strict=True):
        lines.update(dict(enumerate(split_lines(text.strip("\r\n")), start=line - source.header)))
    table = pa.table({"row": pa.array(lines.keys(), pa.int64()), "value": pa.array(lines.values(), pa.string())})
    return table.sort_by("row")


def row_numbers(number: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """Row numbers in the file, from 1, of rows ``number`` among its readable rows, from 1.

    Parameters
    ----------
    rejected
        Row numbers in the file of unreadable rows, ascending.
    """
    next_readable = rejected - np.arange(len(rejected))  # number of the first readable row after each
    return number + np.searchsorted(next_readable, number, side="right")


def _check_no_lost_lines(source: Source, errors: pa.Table) -> None:
    for error in errors.to_pylist():
        text, row = error["csv_line"], error["line"] - source.header
        if error["error_type"] == UNCLOSED_QUOTE and ("\n" in text.rstrip("\n") or len(text) >= MAX_REJECT_CHARACTERS):
            raise InputError(
                f"{source.path}: a quote in row {row} is never closed, so that the rows after it cannot be separated "
                f"({text.splitlines()[0][:60]!r}); correct it, or write "
                "'quote: \"\"' into the mapping if quotes are characters like others"
            )
        if len(text) >= MAX_REJECT_CHARACTERS:
            raise InputError(
                f"{source.path}: row {row} cannot be split into fields and is too long for the quarantine "
                f"({text[:60]!r}...); correct it or take it out"
            )
