"""The part of a graph that a training sees, and the protocol that it is evaluated under."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import replace
from pathlib import Path

import torch

from graphrec.errors import GraphError
from graphrec.graph.events import TRAIN, VAL
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.runs.config import TrainingConfig


def protocol_for(graph: TemporalGraph, settings: TrainingConfig) -> EvaluationProtocol:
    """The graph's own protocol, with what the settings ask for instead."""
    protocol = EvaluationProtocol(**graph.manifest.get("protocol", {}))
    asked = {name: value for name in ("query_time", "novel") if (value := getattr(settings, name)) is not None}
    return protocol.model_copy(update=asked)


def training_view(graph: TemporalGraph, settings: TrainingConfig) -> TemporalGraph:
    """The graph as training sees it: with its val events among the train events, unless they are held out."""
    if not settings.train_on_val:
        return graph
    split = torch.where(graph.log.split == VAL, TRAIN, graph.log.split)
    return replace(graph, log=replace(graph.log, split=split))


def check_not_empty(units: Sized, path: Path) -> None:
    """Raise GraphError for a graph without anything to learn from."""
    if not len(units):
        raise GraphError(
            f"{path}: no train event to learn from (for sasrec, none after an earlier one of its user); "
            "check the split in its manifest"
        )
