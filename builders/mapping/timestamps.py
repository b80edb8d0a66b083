"""Parsing of written times into UTC seconds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa

from graphrec.errors import MappingError

EPOCHS = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}
"""Formats that count from 1970-01-01 UTC, with their units per second."""
PATTERNS = (
    "%a %b %d %H:%M:%S %z %Y",
    "%Y%m%d",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d/%b/%Y:%H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S %z",
)
"""Candidate patterns besides ISO, the likeliest first."""
FORMATS = ("iso", *PATTERNS, *EPOCHS)
EARLIEST, LATEST = -2_208_988_800, 7_258_118_400
"""Valid times of a log in UTC seconds: from 1900 to the end of 2199."""


@ibis.udf.scalar.builtin
def try_strptime(text: str, pattern: str) -> dt.Timestamp(timezone="UTC"):  # type: ignore[valid-type]
    """A time by its pattern, null if the text does not match (DuckDB's function)."""


@ibis.udf.scalar.builtin
def epoch_us(moment: dt.Timestamp(timezone="UTC")) -> int:  # type: ignore[valid-type]
    """Microseconds since 1970-01-01 UTC (DuckDB's function)."""


def to_seconds(text: Any, time_format: str) -> Any:
    """The expression of a text column as int64 UTC seconds, rounded down; null for anything but a time.

    ``time_format`` is ``iso``, one of `EPOCHS`, or a pattern such as ``%d/%m/%Y %H:%M``; a time without a zone is UTC.
    """
    if time_format in EPOCHS:
        seconds = text.try_cast("float64") / EPOCHS[time_format]
        return seconds.between(EARLIEST, LATEST).ifelse(seconds.floor(), None).cast("int64")
    read = _iso if time_format == "iso" else partial(try_strptime, pattern=time_format)
    return (epoch_us(ibis.coalesce(read(text), read(text.strip()))) / 1_000_000).floor().cast("int64")


def _iso(text: Any) -> Any:
    return text.try_cast(dt.Timestamp(timezone="UTC"))


def detect_format(connection: Any, sample: Sequence[str]) -> str | None:
    """The time format of most values of a sample; None if no value has one."""
    if not sample:
        return None
    values = ibis.memtable(pa.table({"value": pa.array(sample, pa.string())}))
    seconds = {name: to_seconds(values.value, name) for name in FORMATS}
    fits = {name: expr.between(EARLIEST, LATEST) & _plausible(values.value, name) for name, expr in seconds.items()}
    row = connection.to_pyarrow(values.aggregate(**{f"f{i}": fits[name].sum() for i, name in enumerate(FORMATS)}))
    counts = [row[f"f{i}"][0].as_py() or 0 for i in range(len(FORMATS))]
    return FORMATS[counts.index(max(counts))] if max(counts) else None


def _plausible(text: Any, time_format: str) -> Any:
    """Whether a value that can be parsed is likely of that format: plain numbers are epochs, of the right unit."""
    digits = text.strip().re_search(r"^[+-]?\d+(\.\d+)?$")
    if time_format == "%Y%m%d":
        return digits & text.strip().re_search(r"^(19|20)\d{6}$")
    if time_format not in EPOCHS:
        return ~digits
    seconds = text.strip().try_cast("float64") / EPOCHS[time_format]
    return digits & (seconds.abs() < 100_000_000_000 / 20)


def parse_date(text: str, key: str = "split_dates") -> int:
    """UTC seconds of an ISO date or time in a mapping; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MappingError(f"{key}: a date such as 2024-05-31 or 2024-05-31T18:00:00Z expected, got {text!r}") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
