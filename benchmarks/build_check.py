"""What a build of the benchmark wrote, in a form in which two builds can be compared."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

NODES = ("id", "text", "lat", "lon", "first_seen")
COLUMNS = {
    "events": ("user", "item", "location", "time", "utc_offset", "kind", "weight", "split", "session"),
    "nodes/user": NODES,
    "nodes/item": NODES,
    "nodes/location": NODES,
    "relations/at": ("source", "target", "valid_from"),
    "relations/near": ("source", "target", "valid_from", "metres"),
}
"""What must be the same, row for row."""
ASIDE = ("file", "row", "column", "reason", "value")


def print_work(folder: str) -> None:
    """Print counts, the first five ids of each type, rows set aside by reason, and a hash over all values."""
    out, digest, lengths = Path(folder), hashlib.sha256(), {}
    for name, columns in COLUMNS.items():
        for column in columns:
            values = pq.read_table(out / f"{name}.parquet", columns=[column])[column]
            digest.update(f"{name} {column} {len(values)}".encode())
            digest.update(_bytes(values))
            lengths[name] = len(values)
    aside = pq.read_table(out / "quarantine.parquet", columns=list(ASIDE)).sort_by("row")
    for column in ASIDE:
        digest.update(_bytes(aside[column]))
    reasons = pc.value_counts(aside["reason"]).to_pylist()
    work = {
        "counts": {name.removeprefix("nodes/"): lengths[name] for name in [*COLUMNS][:4]},
        "first": {name: _first(out / f"{name}.parquet") for name in [*COLUMNS][1:4]},
        "set aside": {entry["values"]: entry["counts"] for entry in sorted(reasons, key=lambda entry: entry["values"])},
        "usable rows": pq.read_table(out / "log" / "events-0000.parquet", columns=["failed"])["failed"].null_count,
        "sha256": digest.hexdigest(),
    }
    print(json.dumps(work))


def _first(file: Path) -> list[str]:
    return pq.read_table(file, columns=["id"])["id"].slice(0, 5).to_pylist()


def _bytes(values: pa.ChunkedArray) -> bytes:
    """The values of a column, the same however its file is laid out."""
    whole = values.combine_chunks()
    if pa.types.is_string(whole.type) or pa.types.is_large_string(whole.type):
        return "\n".join("" if value is None else f"={value}" for value in whole.to_pylist()).encode()
    known = whole.is_valid().to_numpy(zero_copy_only=False).tobytes()
    kept = pc.cast(whole, pa.int64()) if pa.types.is_integer(whole.type) else whole
    return known + kept.fill_null(0).to_numpy(zero_copy_only=False).tobytes()
