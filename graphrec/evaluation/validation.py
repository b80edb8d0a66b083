"""How a model does on the validation events, asked as it is trained."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import replace
from pathlib import Path

import torch

from graphrec.errors import GraphError
from graphrec.evaluation.per_query import judge
from graphrec.graph.events import TRAIN, VAL
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import means
from graphrec.models.registry import Model, ranker_of
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.runs.config import RunConfig, TrainingConfig

VALIDATION_DEPTHS = (1, 5, 10, 20)
"""The k of the measures that training looks at."""


def protocol_of(graph: TemporalGraph, settings: TrainingConfig) -> EvaluationProtocol:
    """The graph's own protocol, with what the settings ask for instead."""
    protocol = EvaluationProtocol(**graph.manifest.get("protocol", {}))
    asked = {name: value for name in ("query_time", "novel") if (value := getattr(settings, name)) is not None}
    return protocol.model_copy(update=asked)


def learned_from(graph: TemporalGraph, settings: TrainingConfig) -> TemporalGraph:
    """The graph as training sees it: with its val events among the train events, unless they are held out."""
    if settings.held_out:
        return graph
    split = torch.where(graph.log.split == VAL, TRAIN, graph.log.split)
    return replace(graph, log=replace(graph.log, split=split))


def refuse_nothing_to_learn(units: Sized, path: Path) -> None:
    """Raise GraphError for a graph without anything to learn from."""
    if not len(units):
        raise GraphError(
            f"{path}: no train event to learn from (for sasrec, none after an earlier one of its user); "
            "check the split in its manifest"
        )


@torch.inference_mode()
def validate(graph: TemporalGraph, model: Model, protocol: EvaluationProtocol, config: RunConfig) -> dict[str, float]:
    """Metrics on the validation events, or so many of them as the settings say; empty without any."""
    rows = protocol.target_rows(graph, "val")
    limit = config.training.validation_rows
    if len(rows) > limit:
        chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(config.seed))[:limit]
        rows = rows[chosen.sort().values.to(rows.device)]
    return means(judge(graph, ranker_of(graph, model), protocol, rows, VALIDATION_DEPTHS)) if len(rows) else {}
