"""Validation of the filters of a mapping."""

from __future__ import annotations

import operator
from collections.abc import Collection

from builders.mapping.column_mapping import NUMBERS, ColumnMapping
from builders.mapping.timestamps import parse_date
from graphrec.errors import MappingError


def check_filters(mapping: ColumnMapping) -> None:
    """Raise MappingError for invalid filters, such as dates in the wrong order or a box off the globe."""
    if mapping.kinds is not None and not _are_weights(mapping.kinds.values()):
        raise MappingError(f"kinds: kinds with what their weights are multiplied by expected, got {mapping.kinds}")
    if mapping.dates is not None and not operator.lt(*date_bounds(mapping.dates)):
        raise MappingError(f"dates: a first moment before the end expected, got {list(mapping.dates)}")
    if mapping.box is not None:
        south, west, north, east = mapping.box
        if not (-90 <= south <= north <= 90 and -180 <= west <= 180 and -180 <= east <= 180):
            raise MappingError(f"box: [south, west, north, east] in degrees expected, got {list(mapping.box)}")
    if mapping.least_session > 1 and mapping.session is None and mapping.session_gap is None:
        raise MappingError(
            f"least_session: {mapping.least_session} needs sessions; map a column to 'session', "
            "or have them made by 'session_gap: 24' (hours)"
        )


def _are_weights(factors: Collection[float]) -> bool:
    return bool(factors) and all(0 <= factor <= NUMBERS["weight"] for factor in factors)


def date_bounds(dates: tuple[str, str]) -> tuple[int, int]:
    """UTC seconds of the kept interval: its start, and its end, exclusive."""
    return parse_date(dates[0], "dates"), parse_date(dates[1], "dates")
