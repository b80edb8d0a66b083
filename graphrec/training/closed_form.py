"""Training of models without gradient steps: fit, validate, write the run."""

from __future__ import annotations

import time
from pathlib import Path

from graphrec.evaluation.validation import validate
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.registry import model_entry
from graphrec.progress import Progress
from graphrec.runs.config import RunConfig
from graphrec.runs.manifest import RunManifest, peak_memory, run_manifest, save_run
from graphrec.runs.run import pick_device
from graphrec.runs.training_split import check_not_empty, protocol_for, training_view

STEPS = ("weights", "validation")
"""Steps of the progress."""


def fit(graph_path: Path, root: Path, config: RunConfig, device: str, progress: Progress) -> RunManifest:
    """Fit a model, write its run directory and return the manifest. Nothing is resumed: the model is fitted again."""
    began = time.monotonic()
    where = pick_device(device)
    graph = training_view(TemporalGraph.open(graph_path, where), config.training)
    protocol = protocol_for(graph, config.training)
    rows = protocol.training_rows(graph)
    check_not_empty(rows, graph_path)
    model = model_entry(config.model.name).create(graph, config.model, None)
    progress.start(f"fitting {config.model.name}", len(STEPS))
    model.fit(config.seed)
    progress.advance(note=STEPS[0])
    metrics = validate(graph, model, protocol, config)
    progress.advance(note=STEPS[1])
    progress.finish()
    tensors = model.tensors()
    seconds = round(time.monotonic() - began, 1)
    size = {"parameters": sum(value.numel() for value in tensors.values()), "training_rows": len(rows)}
    cost = {"best_epoch": 1, "wall_seconds": seconds, "peak_memory": peak_memory(where)}
    history = [{"epoch": 1, "seconds": seconds, **metrics}]
    machine = {"device": str(where), "precision": "no", "processes": 1}
    training = {**machine, **size, **cost, "history": history}
    manifest = run_manifest(graph, graph_path, root, protocol, config.seed, **training)
    config.save(root / "config.yaml")
    save_run(root, manifest, tensors)
    return manifest
