"""Questions by place: cells of the map that hold enough people to hide one of them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

LEAST_USERS = 5
"""A cell with fewer distinct users is not shown, nor told of: a place that one person goes to is that person's."""


class MapCell(BaseModel):
    """One hexagon of the map."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cell: str
    """H3 index as written in hexadecimal."""
    n: int
    """Questions whose answer lies here."""
    users: int
    """Users who asked them, at least LEAST_USERS."""
    right: float
    """Mean of what they earned, 0 to 1."""


class QuestionMap(BaseModel):
    """Questions by the place of their answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    resolution: int
    """H3 resolution of the cells."""
    cells: tuple[MapCell, ...]
    """Those with at least LEAST_USERS users, the fullest first."""
    ground: tuple[str, ...] = ()
    """Cells without so many that ask, but with that many users before: the rest of the land."""
    hidden: int = 0
    """Questions in cells with too few users to be shown."""
    unplaced: int = 0
    """Questions whose answer has no coordinates."""
