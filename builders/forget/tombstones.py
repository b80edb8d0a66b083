"""Forgotten nodes: they keep their codes, so that those of the others stay, and say nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from safetensors.numpy import load_file, save_file

from builders.assemble.directory import content_hash
from graphrec.errors import GraphError
from graphrec.formatting import FORGOTTEN
from graphrec.graph.time_bounds import TIME_MAX

NOT_COPIED = ("log", "events.parquet", "relations")
"""What of a graph is made anew and not copied."""

Codes = Mapping[str, Sequence[int]]
"""Codes of nodes by type."""


def copy_with_tombstones(root: Path, out: Path, forgotten: Codes) -> None:
    """Copy the nodes, vectors, quarantine and manifest of a graph directory; the dead nodes say nothing there."""
    shutil.copytree(root, out, ignore=lambda folder, _: NOT_COPIED if Path(folder) == root else ())
    for path in (out / "nodes").glob("*.parquet"):
        pq.write_table(_blank(pq.read_table(path), forgotten.get(path.stem, ())), path)
    for path in (out / "vectors").glob("*.safetensors"):
        _zero(path, forgotten.get(path.stem, ()))


def blank_nodes(folder: Path, forgotten: Codes, old: Path) -> None:
    """See to it that dead nodes say nothing in a graph made anew, and that its hash is right.

    Raises GraphError where they have lost their codes.
    """
    for path in sorted((folder / "nodes").glob("*.parquet")):
        nodes = pq.read_table(path)
        codes = np.flatnonzero(pc.equal(nodes["id"], "").to_numpy())
        if not np.isin(forgotten.get(path.stem, ()), codes).all():
            raise GraphError(f"nodes/{path.name}: forgotten nodes that keep their codes expected; nothing was changed")
        pq.write_table(_blank(nodes, codes.tolist()), path)
        _blank_vectors(folder / "vectors" / f"{path.stem}.safetensors", old, len(nodes), codes.tolist())
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    tables = {kind: pq.read_table(folder / "nodes" / f"{kind}.parquet") for kind in manifest["node_types"]}
    manifest["hash"] = content_hash({"events": pq.read_table(folder / "events.parquet"), **tables})
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def _blank_vectors(path: Path, old: Path, count: int, codes: Sequence[int]) -> None:
    before = old / "vectors" / path.name
    if path.is_file():
        _zero(path, codes)
    elif before.is_file():  # the only text was that of the dead, but runs have learned to read texts
        path.parent.mkdir(exist_ok=True)
        kept = load_file(before)["vectors"]
        save_file({"vectors": np.concatenate((kept, np.zeros((count - len(kept), kept.shape[1]), kept.dtype)))}, path)


def _blank(nodes: pa.Table, codes: Sequence[int]) -> pa.Table:
    """A node table in which some nodes say nothing."""
    mask = np.zeros(len(nodes), bool)
    mask[list(codes)] = True
    instead = {"id": "", "label": FORGOTTEN, "first_seen": TIME_MAX}
    columns = {
        name: pc.if_else(pa.array(mask), pa.scalar(instead.get(name), nodes[name].type), nodes[name])
        for name in nodes.column_names
    }
    return pa.table(columns, schema=nodes.schema)


def _zero(path: Path, codes: Sequence[int]) -> None:
    if len(codes):
        vectors = load_file(path)["vectors"].copy()
        vectors[list(codes)] = 0
        save_file({"vectors": vectors}, path)
