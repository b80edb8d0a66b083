"""What the manifest of every run says: of which graph it is, under which protocol, by which seed and versions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from graphrec.environment import process_memory, versions
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.runs.run import vocabulary_hash


def run_manifest(
    graph: TemporalGraph, graph_path: Path, root: Path, protocol: EvaluationProtocol, seed: int
) -> dict[str, Any]:
    """Facts by which a run in ``root`` is opened again on its graph and can be made again."""
    counts = {kind: len(table) for kind, table in graph.nodes.items()}
    return {
        "graph": os.path.relpath(graph_path, root),
        "graph_hash": graph.manifest["hash"],
        "nodes": counts,
        "vocabulary": vocabulary_hash(graph, counts),
        "protocol": protocol.model_dump(),
        "seed": seed,
        "versions": versions(),
    }


def peak_memory(device: torch.device) -> int:
    """Largest memory in bytes: the GPU's allocations, or the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return process_memory()
