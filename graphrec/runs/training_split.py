"""The part of a graph that a training sees, and the protocol that it is evaluated under."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import replace
from pathlib import Path

import torch

from graphrec.errors import GraphError
from graphrec.graph import TRAIN, VAL, TemporalGraph
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.runs.config import TrainingConfig


def protocol_for(graph: TemporalGraph, settings: TrainingConfig) -> EvaluationProtocol:
    """The graph's own protocol, with the query time and the novelty that the settings give."""
    protocol = EvaluationProtocol(**graph.manifest.protocol)
    changes = {"query_time": settings.query_time, "novel": settings.novel}
    return protocol.with_changes({name: value for name, value in changes.items() if value is not None})


def training_view(graph: TemporalGraph, settings: TrainingConfig) -> TemporalGraph:
    """The graph with the split of the training: its val events are train events if ``train_on_val`` says so."""
    if not settings.train_on_val:
        return graph
    split = torch.where(graph.log.split == VAL, TRAIN, graph.log.split)
    return replace(graph, log=replace(graph.log, split=split))


def check_not_empty(samples: Sized, path: Path) -> None:
    """Raise GraphError for an empty training set."""
    if not len(samples):
        raise GraphError(
            f"{path}: no train event to learn from (for sasrec, none after an earlier one of its user); "
            "check the split in its manifest"
        )
