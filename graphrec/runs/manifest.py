"""The manifest of a run directory: graph, protocol, seed, versions, cost and history of the training."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor

from graphrec.environment import process_memory, versions
from graphrec.errors import RunError
from graphrec.files import atomic_write, read_json, write_json
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.records import Record, invalid_keys


class RunManifest(Record):
    """What a finished training leaves in manifest.json beside the weights and the settings."""

    graph: str = ""
    """Path of the graph directory, relative to the run directory."""
    graph_hash: str = ""
    """Hash of the graph's data."""
    nodes: dict[str, int] = {}
    """Number of nodes by type."""
    vocabulary: str | None = None
    """Hash of the ids of these nodes."""
    protocol: dict[str, Any] = {}
    """Keys of the evaluation protocol, as on disk."""
    seed: int = 0
    """Seed of the training."""
    versions: dict[str, str] = {}
    """Versions of Python and of packages."""
    device: str = ""
    """Device of the training."""
    precision: str = ""
    """``no`` or ``bf16``."""
    processes: int = 1
    """Number of processes."""
    threads: int = 1
    """Threads of a process."""
    parameters: int | None = None
    """Number of trained parameters."""
    training_rows: int | None = None
    """Size of the training set."""
    best_epoch: int | None = None
    """The epoch whose weights were kept, from 1."""
    wall_seconds: float | None = None
    """Duration of the training."""
    peak_memory: int | None = None
    """Peak memory, bytes."""
    history: list[dict[str, int | float]] = []
    """One record for each epoch: ``epoch``, ``seconds``, ``train_loss`` and validation metrics."""

    @staticmethod
    def read(root: Path) -> RunManifest:
        """The manifest of a run directory; RunError where it is missing, broken or that of a graph."""
        values = read_json(root / "manifest.json")
        if "format" in values and "graph" not in values:
            raise RunError(
                f"{root}: a finished run expected, but this is a graph; make one with 'graphrec train {root} --out RUN'"
            )
        expected = f"{root / 'manifest.json'}: the manifest of a run expected"
        if missing := ", ".join(sorted({"graph", "protocol"} - values.keys())):
            raise RunError(f"{expected} (no {missing} in it)")
        try:
            return RunManifest.model_validate(values)
        except ValidationError as error:
            raise RunError(f"{expected} ({invalid_keys(error)})") from error


def run_manifest(
    graph: TemporalGraph, graph_path: Path, root: Path, protocol: EvaluationProtocol, seed: int, **training: Any
) -> RunManifest:
    """The manifest of a run in ``root``; ``training`` are the fields from ``device`` on."""
    counts = {kind: len(table) for kind, table in graph.nodes.items()}
    return RunManifest(
        graph=os.path.relpath(graph_path, root),
        graph_hash=graph.manifest.hash,
        nodes=counts,
        vocabulary=vocabulary_hash(graph, counts),
        protocol=protocol.model_dump(),
        seed=seed,
        versions=versions(),
        threads=torch.get_num_threads(),
        **training,
    )


def save_run(root: Path, manifest: RunManifest, tensors: Mapping[str, Tensor]) -> None:
    """Write weights and manifest of a run directory; the manifest comes last and says that the run is finished."""
    with atomic_write(root / "model.safetensors") as temporary:
        save_file({name: value.contiguous() for name, value in tensors.items()}, temporary)
    write_json(root / "manifest.json", manifest.to_dict())


def vocabulary_hash(graph: TemporalGraph, counts: Mapping[str, int]) -> str:
    """Hash over the ids of the first nodes of each type: a graph that has grown since still begins with them."""
    digest = hashlib.sha256()
    for kind in sorted(counts):
        digest.update("\0".join([kind, *map(str, graph.nodes[kind].ids[: counts[kind]].to_pylist())]).encode())
    return digest.hexdigest()


def peak_memory(device: torch.device) -> int:
    """Peak memory in bytes: the GPU's allocations, or the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return process_memory()
