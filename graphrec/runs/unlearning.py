"""Erasure of forgotten nodes from the weights of a run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graphrec.errors import RunError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.runs.manifest import RunManifest, save_run, vocabulary_hash
from graphrec.runs.run import read_weights

EXCLUDED = ("checkpoints", "report.html", "model.safetensors", "manifest.json")
"""Files of a run that are not copied: checkpoints, pages with personal data, and files that are written anew."""

EDGE_TENSORS = (
    ("visited", ("user", "item"), ()),
    ("cf.propagation.interactions", ("user", "item"), ("cf.propagation.log_counts",)),
    ("cf.transition.events", ("user", "item"), ()),
    ("alike", ("item", "item"), ("similarity",)),
)
"""Tensors [2, n] of node codes, their node types, and tensors of one value per column."""


def forgotten(graph: TemporalGraph) -> dict[str, list[int]]:
    """Codes of the forgotten nodes by type, for the types that have some."""
    ids = {kind: nodes.ids.to_numpy(zero_copy_only=False) for kind, nodes in graph.nodes.items()}
    codes = {kind: np.flatnonzero(column == "").tolist() for kind, column in ids.items()}
    return {kind: found for kind, found in codes.items() if found}


def unlearn(run: Path, out: Path, old: TemporalGraph, new: TemporalGraph, home: Path) -> None:
    """Write a run whose vectors and biases of forgotten nodes are 0, and whose stored edges of them are removed.

    Checkpoints and the report are not copied. All other weights stay.

    Parameters
    ----------
    run
        A finished run.
    out
        An empty folder.
    old, new
        Its graph before and after the forgetting.
    home
        The graph's directory: the run may have been trained before an earlier forgetting there.

    Raises
    ------
    RunError
        If the run is of another graph, unfinished or broken.
    """
    manifest = RunManifest.read(run)
    counts = manifest.nodes
    contained = all(kind in new.nodes and counts[kind] <= len(new.nodes[kind]) for kind in counts)
    known = [vocabulary_hash(graph, counts) for graph in (old, new)] if contained else []
    same_home = (run / manifest.graph).resolve() == home.resolve()
    if not known or not (manifest.vocabulary in known or same_home):
        raise RunError(f"{run}: a run of the graph {home} expected, but it was trained on another; leave it out")
    shutil.copytree(run, out, ignore=lambda folder, _: EXCLUDED if Path(folder) == run else (), dirs_exist_ok=True)
    graph_hash = new.manifest.hash if manifest.graph_hash == old.manifest.hash else manifest.graph_hash
    manifest = manifest.model_copy(update={"vocabulary": known[1], "graph_hash": graph_hash})
    save_run(out, manifest, _erase_nodes(read_weights(run / "model.safetensors"), forgotten(new)))


def _erase_nodes(weights: Mapping[str, Tensor], codes: Mapping[str, list[int]]) -> dict[str, Tensor]:
    """The weights with zeros for these nodes, except those newer than the training, and without their edges."""
    left = {name: value.clone() for name, value in weights.items()}
    for kind, rows in codes.items():
        names = [f"nodes.{kind}.identity.weight", f"nodes.{kind}.trained", f"{kind}.weight", f"{kind}.{kind}"]
        names += ["bias.weight"] if kind == "item" else []
        for name in (name for name in names if name in left):
            known = torch.tensor([row for row in rows if row < len(left[name])], dtype=torch.long)
            left[name][known] = 0
            if name == f"{kind}.{kind}":  # of each pair of nodes
                left[name][:, known] = 0
    for name, ends, beside in EDGE_TENSORS:
        if name in left:
            gone = [torch.isin(left[name][row], torch.tensor(codes.get(kind, []))) for row, kind in enumerate(ends)]
            kept = ~(gone[0] | gone[1])
            left |= {one: left[one][..., kept].contiguous() for one in (name, *beside)}
    return left
