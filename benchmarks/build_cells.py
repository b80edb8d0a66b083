"""What all three builds of the benchmark do in the same Python: H3 cells, near locations, the manifest's hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import h3.api.basic_int as h3
import numpy as np
import pyarrow as pa

from builders.assemble.near import near

RESOLUTION = 8
__all__ = ["cells_of", "near", "write_manifest"]


def cells_of(coordinates: pa.Table) -> pa.Table:
    """``lat``, ``lon``, their ``cell`` and its centre ``cell_lat``, ``cell_lon``, for distinct coordinates."""
    pairs = zip(coordinates["lat"].to_pylist(), coordinates["lon"].to_pylist(), strict=True)
    cells = [h3.latlng_to_cell(lat, lon, RESOLUTION) for lat, lon in pairs]
    centres = np.array([h3.cell_to_latlng(cell) for cell in cells], np.float64).reshape(-1, 2)
    return pa.table(
        {
            "lat": coordinates["lat"],
            "lon": coordinates["lon"],
            "cell": pa.array([h3.int_to_str(cell) for cell in cells], pa.string()),
            "cell_lat": centres[:, 0],
            "cell_lon": centres[:, 1],
        }
    )


def write_manifest(folder: Path, log: Path, counts: dict[str, int], t_val: int, t_test: int) -> None:
    """Write manifest.json with the source's hash."""
    with log.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    source = {"name": log.name, "bytes": log.stat().st_size, "sha256": digest}
    manifest = {"counts": counts, "sources": [source], "split": {"t_val": t_val, "t_test": t_test}}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
