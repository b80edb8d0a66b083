"""A run directory: what a training leaves behind, and how it is opened again."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from graphrec.errors import RunError
from graphrec.files import read_json
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.old_keys import current_names
from graphrec.models.ranker import Ranker
from graphrec.models.registry import Model, load_model, ranker_of
from graphrec.models.stgat import Stgat
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.runs.config import RunConfig


@dataclass(frozen=True)
class Run:
    """A finished run: its settings, its graph and its model, ready to rank."""

    path: Path
    """The run directory."""
    config: RunConfig
    """Settings that made it."""
    manifest: Mapping[str, Any]
    """Graph hash, seed, versions, wall time, peak memory, device, history of the training."""
    protocol: EvaluationProtocol
    """How its questions are asked: the graph's protocol with the query time of the training."""
    graph: TemporalGraph
    """The graph it was trained on, or that graph grown since."""
    model: Model
    """The best checkpoint, in evaluation mode."""

    @staticmethod
    def open(path: str | Path, graph: str | Path | None = None, device: str = "auto") -> Run:
        """Open a run directory; ``graph`` says where its graph is now, if it has moved.

        Raises RunError if the run is unfinished, broken, or of other nodes than the graph has.
        """
        root = Path(path)
        manifest, protocol = _manifest(root)
        config = RunConfig.stored(root / "config.yaml")
        where = pick_device(device)
        if graph is None and not (root / manifest["graph"]).is_dir():
            gone = normpath(root / manifest["graph"])
            raise RunError(f"{root}: its graph is not at {gone}; say where it is (--graph)")
        opened = TemporalGraph.open(graph or root / manifest["graph"], where)
        trained_on = manifest["nodes"]
        counts = {kind: len(opened.nodes[kind]) for kind in trained_on}
        grown = all(counts[kind] >= trained_on[kind] for kind in trained_on)
        if not grown or vocabulary_hash(opened, trained_on) != manifest.get("vocabulary"):
            raise RunError(
                f"{root}: trained on a graph of {trained_on} nodes, but this graph has {counts}; "
                "give the graph of the training, or one grown from it"
            )
        model = read_model(root / "model.safetensors", opened, config)
        if isinstance(model, nn.Module):
            model.to(where)
        return Run(root, config, manifest, protocol, opened, model)

    @property
    def is_explainable(self) -> bool:
        """Whether the model's scores can be taken apart into shares and evidence."""
        return isinstance(self.model, Stgat)

    @property
    def ranker(self) -> Ranker:
        """The model over the graph, to be asked."""
        return ranker_of(self.graph, self.model, self.config.model)


def vocabulary_hash(graph: TemporalGraph, counts: Mapping[str, int]) -> str:
    """Hash over the ids of the first nodes of each type: a graph that has grown since still begins with them."""
    digest = hashlib.sha256()
    for kind in sorted(counts):
        digest.update("\0".join([kind, *map(str, graph.nodes[kind].ids[: counts[kind]].to_pylist())]).encode())
    return digest.hexdigest()


def _manifest(root: Path) -> tuple[dict[str, Any], EvaluationProtocol]:
    """The manifest of a run directory and the protocol in it."""
    manifest = read_json(root / "manifest.json")
    if "format" in manifest and "graph" not in manifest:
        raise RunError(
            f"{root}: a finished run expected, but this is a graph; make one with 'graphrec train {root} --out RUN'"
        )
    try:
        if missing := sorted({"graph", "nodes", "protocol"} - manifest.keys()):
            raise ValueError(f"no {', '.join(missing)} in it")
        return manifest, EvaluationProtocol(**manifest["protocol"])
    except (TypeError, ValueError) as error:
        reason = textwrap.shorten(str(error), 200)
        raise RunError(f"{root / 'manifest.json'}: the manifest of a run expected ({reason})") from error


def read_model(path: Path, graph: TemporalGraph, config: RunConfig) -> Model:
    """The model with the weights of a file, over a graph that may have grown since they were learned."""
    try:
        weights = current_names(load_file(path))
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path}: model weights expected ({error}); train the run again or resume it") from error
    try:
        return load_model(graph, config.model, weights)
    except KeyError as error:
        raise RunError(f"{path}: model weights expected ({error} is not there); train the run again") from error
    except RuntimeError as error:
        reason = textwrap.shorten(str(error), 200)
        raise RunError(f"{path}: the weights do not fit the settings of config.yaml ({reason})") from error


def pick_device(name: str) -> torch.device:
    """``auto`` is the GPU if there is one; asking for one that is not there is a RunError."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise RunError(f"device {name}: auto, cpu, cuda or cuda:1 expected")
    if name != "cpu" and not torch.cuda.is_available():
        raise RunError(f"device {name}: no CUDA GPU is visible here; use --device cpu (see 'graphrec doctor')")
    if name != "cpu" and int(name.partition(":")[2] or 0) >= torch.cuda.device_count():
        raise RunError(f"device {name}: there are {torch.cuda.device_count()} GPUs here, counted from 0")
    return torch.device(name)
