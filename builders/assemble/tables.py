"""Contents of a graph directory, before it is written."""

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
    """Key of each event, [n] int64, from which `builders.ingest.parts.key_to_row` gives its row of the log."""
    nodes: dict[str, pa.Table]
    """Columns of nodes/<type>.parquet, by type."""
    relations: dict[str, pa.Table]
    """Columns of relations/<name>.parquet, by name."""
    endpoints: dict[str, list[str]]
    """Source and target type of each relation."""
    quarantine: pa.Table
    """Unusable rows."""
    filtered: dict[str, int]
    """Number of usable rows that the filters dropped, by reason."""
    split: dict[str, Any]
    """The split as the manifest describes it."""
    kinds: list[str]
    """Kinds of event, by code."""
    location_method: str
    """``log``, ``h3`` or ``none``."""
    resolution: int | None
    """Resolution of the H3 cells; None for other locations."""
    suppressed: int
    """Number of events at locations of too few users, dropped for privacy."""
