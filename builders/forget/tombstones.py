"""Blank rows for forgotten nodes: the other nodes keep their codes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from safetensors.numpy import load_file, save_file

from builders.assemble.directory import content_hash, write_manifest
from builders.forget.log_rows import blank_rows
from graphrec.errors import GraphError
from graphrec.formatting import FORGOTTEN
from graphrec.graph.manifest import read_manifest
from graphrec.graph.time_bounds import TIME_MAX

NOT_COPIED = ("log", "events.parquet", "relations")
"""Parts of a graph directory that are rebuilt, not copied."""

Codes = Mapping[str, Sequence[int]]
"""Codes of nodes by type."""


def copy_with_tombstones(root: Path, out: Path, forgotten: Codes) -> None:
    """Copy the nodes, vectors, quarantine and manifest of a graph directory, with blank rows for forgotten nodes."""
    shutil.copytree(root, out, ignore=lambda folder, _: NOT_COPIED if Path(folder) == root else ())
    for path in (out / "nodes").glob("*.parquet"):
        pq.write_table(_blank(pq.read_table(path), forgotten.get(path.stem, ())), path)
    for path in (out / "vectors").glob("*.safetensors"):
        _zero(path, forgotten.get(path.stem, ()))


def blank_nodes(folder: Path, forgotten: Codes, old: Path) -> None:
    """Blank the node rows and vectors of forgotten nodes in a rebuilt graph, and update its hash.

    Raises GraphError if forgotten nodes have lost their codes.
    """
    for path in sorted((folder / "nodes").glob("*.parquet")):
        nodes = pq.read_table(path)
        codes = np.flatnonzero(pc.equal(nodes["id"], "").to_numpy())
        if not np.isin(forgotten.get(path.stem, ()), codes).all():
            raise GraphError(f"nodes/{path.name}: forgotten nodes that keep their codes expected; nothing was changed")
        pq.write_table(_blank(nodes, codes.tolist()), path)
        _blank_vectors(folder / "vectors" / f"{path.stem}.safetensors", old, len(nodes), codes.tolist())
    manifest = read_manifest(folder)
    tables = {kind: pq.read_table(folder / "nodes" / f"{kind}.parquet") for kind in manifest.node_types}
    content = content_hash({"events": pq.read_table(folder / "events.parquet"), **tables})
    write_manifest(folder, manifest.model_copy(update={"hash": content}))


def _blank_vectors(path: Path, old: Path, count: int, codes: Sequence[int]) -> None:
    before = old / "vectors" / path.name
    if path.is_file():
        _zero(path, codes)
    elif before.is_file():  # only a forgotten node had text, but runs on the graph expect text vectors
        path.parent.mkdir(exist_ok=True)
        kept = load_file(before)["vectors"]
        save_file({"vectors": np.concatenate((kept, np.zeros((count - len(kept), kept.shape[1]), kept.dtype)))}, path)


def _blank(nodes: pa.Table, codes: Sequence[int]) -> pa.Table:
    mask = np.isin(np.arange(len(nodes)), codes)
    return blank_rows(nodes, mask, {"id": "", "label": FORGOTTEN, "first_seen": TIME_MAX})


def _zero(path: Path, codes: Sequence[int]) -> None:
    if len(codes):
        vectors = load_file(path)["vectors"].copy()
        vectors[list(codes)] = 0
        save_file({"vectors": vectors}, path)
