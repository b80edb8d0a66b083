"""A run directory: the result of a training."""

from __future__ import annotations

import re
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from graphrec.errors import RunError, translate_errors
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models import Ranker, Stgat
from graphrec.models.old_keys import current_names
from graphrec.models.registry import Model, load_model, ranker_of
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.runs.config import RunConfig
from graphrec.runs.manifest import RunManifest, vocabulary_hash


@dataclass(frozen=True)
class Run:
    """A finished run: settings, graph and model."""

    path: Path
    """The run directory."""
    config: RunConfig
    """Settings of the training."""
    manifest: RunManifest
    """Graph hash, seed, versions, cost and history of the training."""
    protocol: EvaluationProtocol
    """Evaluation protocol: the graph's, with the query time and novelty of the training."""
    graph: TemporalGraph
    """The graph of the training, or one grown from it."""
    model: Model
    """The model of the best epoch, in evaluation mode."""

    @staticmethod
    def open(path: str | Path, graph: str | Path | None = None, *, device: str = "auto") -> Run:
        """Open a run directory; ``graph`` is the directory of its graph, if that has moved.

        Raises RunError if the run is unfinished or broken, or was trained on other nodes.
        """
        root = Path(path)
        manifest = RunManifest.read(root)
        expected = f"{root / 'manifest.json'}: the manifest of a run expected"
        with translate_errors(TypeError, ValueError, to=RunError, expected=expected):
            protocol = EvaluationProtocol(**manifest.protocol)
        config = RunConfig.stored(root / "config.yaml")
        where = pick_device(device)
        if graph is None and not (root / manifest.graph).is_dir():
            gone = normpath(root / manifest.graph)
            raise RunError(f"{root}: its graph is not at {gone}; say where it is (--graph)")
        opened = TemporalGraph.open(graph or root / manifest.graph, where)
        trained_on = manifest.nodes
        counts = {kind: len(opened.nodes[kind]) for kind in trained_on}
        grown = all(counts[kind] >= trained_on[kind] for kind in trained_on)
        if not grown or vocabulary_hash(opened, trained_on) != manifest.vocabulary:
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
        """Whether a score decomposes into shares and evidence."""
        return isinstance(self.model, Stgat)

    @property
    def ranker(self) -> Ranker:
        """Ranker of the model over the graph."""
        return ranker_of(self.graph, self.model, self.config.model)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Stored weights by their current names; RunError for a missing or broken file."""
    expected, remedy = f"{path}: model weights expected", "; train the run again or resume it"
    with translate_errors(OSError, SafetensorError, to=RunError, expected=expected, remedy=remedy):
        return current_names(load_file(path))


def read_model(path: Path, graph: TemporalGraph, config: RunConfig) -> Model:
    """The model with stored weights, over the graph of its training or one grown from it."""
    weights = read_weights(path)
    expected = f"{path}: the weights do not fit the settings of config.yaml"
    try:
        with translate_errors(RuntimeError, to=RunError, expected=expected):
            return load_model(graph, config.model, weights)
    except KeyError as error:
        raise RunError(f"{path}: model weights expected ({error} is not there); train the run again") from error


def pick_device(name: str) -> torch.device:
    """Device of a name; ``auto`` is the GPU if there is one. RunError for a GPU that is not available."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise RunError(f"device {name}: auto, cpu, cuda or cuda:1 expected")
    if name != "cpu" and not torch.cuda.is_available():
        raise RunError(f"device {name}: no CUDA GPU is visible here; use --device cpu (see 'graphrec doctor')")
    if name != "cpu" and int(name.partition(":")[2] or 0) >= torch.cuda.device_count():
        raise RunError(f"device {name}: there are {torch.cuda.device_count()} GPUs here, counted from 0")
    return torch.device(name)
