"""Accuracy by place: map cells that hold enough users to hide each of them."""

from __future__ import annotations

from pydantic import Field

from graphrec.records import Record

MIN_USERS = 5
"""Distinct users of a cell below which the cell is not published: a place that one person goes to identifies them."""


class MapCell(Record):
    """One hexagon of the map."""

    cell: str
    """H3 index in hexadecimal."""
    n: int
    """Queries whose relevant item lies here."""
    users: int
    """Distinct users of these queries, at least MIN_USERS."""
    accuracy: float = Field(alias="right")
    """Mean of the queries' metric, 0 to 1; ``right`` on disk."""


class QueryMap(Record):
    """Queries by the place of their relevant item."""

    resolution: int
    """H3 resolution of the cells."""
    cells: tuple[MapCell, ...]
    """Cells with at least MIN_USERS users, by descending number of queries."""
    background: tuple[str, ...] = Field((), alias="ground")
    """Cells with too few queries but at least MIN_USERS users in earlier events; ``ground`` on disk."""
    hidden: int = 0
    """Queries in cells with fewer users."""
    unplaced: int = 0
    """Queries whose relevant item has no coordinates."""
