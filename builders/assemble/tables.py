"""What a graph directory holds, before it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Tables:
    """Everything of a graph but its text vectors and its manifest."""

    events: pa.Table
    """Columns of events.parquet."""
    key: np.ndarray
    """Of each event, [n] int64; it tells the row of the log, see `builders.assemble.event_codes.places`."""
    nodes: dict[str, pa.Table]
    """Columns of nodes/<type>.parquet, by type."""
    relations: dict[str, pa.Table]
    """Columns of relations/<name>.parquet, by name."""
    ends: dict[str, list[str]]
    """Types of the nodes that each relation leads from and to."""
    quarantine: pa.Table
    """Rows that could not be used."""
    filtered: dict[str, int]
    """Usable rows that the filters left out, by reason."""
    split: dict[str, Any]
    """What the manifest says of the split."""
    kinds: list[str]
    """Names of the kinds of event by code."""
    location_method: str
    """``log``, ``h3`` or ``none``."""
    resolution: int | None
    """Of the H3 cells."""
    rare: int
    """Events at places with too few users, left out for privacy."""
