"""Files that Spark reads itself, each machine a piece: those whose rows are their lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from builders.sources import Source


@dataclass(frozen=True)
class Native:
    """A file as Spark reads it."""

    rows: Any
    """The frame of its rows, see `builders.scans.Scan`."""
    rejects: pa.Table | None
    """Its lines that are no rows."""


def read_natively(session: Any, source: Source, workspace: Path) -> Native | None:
    """The rows of a file, not yet read; None for one that cannot be cut at the ends of its lines."""
    return None
