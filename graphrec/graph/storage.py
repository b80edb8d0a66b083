"""Reader of graph directories; docs/graph-directory.md specifies the format."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from graphrec.errors import GraphError, translate_errors
from graphrec.graph.events import Events
from graphrec.graph.nodes import Edges, Nodes
from graphrec.graph.time_bounds import TIME_MIN

EVENT_TYPES = {
    **{"user": np.int32, "item": np.int32, "location": np.int32, "time": np.int64, "utc_offset": np.int16},
    **{"kind": np.int8, "weight": np.float32, "split": np.int8, "session": np.int32},
}
"""Columns of events.parquet, in the order of the fields of `Events`."""
REMEDY = "; build the graph again"


def _column(table: pa.Table, name: str, dtype: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(table[name].to_numpy(), dtype=dtype).copy())


def _read_table(path: Path, columns: Iterable[str]) -> pa.Table:
    expected = f"{path}: a Parquet file expected"
    with translate_errors(OSError, pa.ArrowInvalid, to=GraphError, expected=expected, remedy=REMEDY):
        table = pq.read_table(path, memory_map=True)
    if missing := sorted({*columns} - {*table.column_names}):
        raise GraphError(f"{path}: columns {missing} expected, got {table.column_names}{REMEDY}")
    return table


def read_events(root: Path) -> Events:
    """The events of a graph directory, in time order."""
    table = _read_table(root / "events.parquet", EVENT_TYPES)
    return Events(*(_column(table, name, dtype) for name, dtype in EVENT_TYPES.items()))


def read_nodes(root: Path, kind: str) -> Nodes:
    """The nodes of one type, their text vectors memory-mapped."""
    table = _read_table(root / "nodes" / f"{kind}.parquet", ("id", "label", "text", "lat", "lon", "first_seen"))
    coordinates = np.stack(
        [pc.fill_null(table[name].cast(pa.float32()), float("nan")).to_numpy() for name in ("lat", "lon")], axis=1
    )
    path = root / "vectors" / f"{kind}.safetensors"
    return Nodes(
        ids=table["id"].combine_chunks(),
        labels=table["label"].combine_chunks(),
        texts=table["text"].combine_chunks(),
        vectors=_read_vectors(path, len(table)) if path.is_file() else None,
        coordinates=None if np.isnan(coordinates).all() else torch.from_numpy(coordinates.copy()),
        first_seen=_column(table, "first_seen", np.int64),
    )


def _read_vectors(path: Path, count: int) -> Tensor:
    expected = f"{path}: a safetensors file of vectors expected"
    with (
        translate_errors(OSError, SafetensorError, to=GraphError, expected=expected, remedy=REMEDY),
        safe_open(path, "pt") as file,
    ):
        vectors: Tensor = file.get_tensor("vectors")
    if len(vectors) != count:
        raise GraphError(f"{path}: {count} vectors expected, got {len(vectors)}{REMEDY}")
    return vectors


def read_edges(root: Path, name: str, ends: list[str]) -> Edges:
    """A static relation between two node types."""
    table = _read_table(root / "relations" / f"{name}.parquet", ("source", "target", "valid_from"))
    return Edges(
        source_type=ends[0],
        target_type=ends[1],
        source=_column(table, "source", np.int64),
        target=_column(table, "target", np.int64),
        valid_from=torch.from_numpy(pc.fill_null(table["valid_from"], TIME_MIN).to_numpy().astype(np.int64)),
        metres=_column(table, "metres", np.float32) if "metres" in table.column_names else None,
    )
