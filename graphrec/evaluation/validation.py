"""Metrics of a model in training, on the validation events."""

from __future__ import annotations

import torch

from graphrec.evaluation.per_query import per_query_metrics
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import means
from graphrec.models.registry import Model, ranker_of
from graphrec.queries.protocol import EvaluationProtocol, sample_rows
from graphrec.runs.config import RunConfig

VALIDATION_DEPTHS = (1, 5, 10, 20)
"""The k of the metrics that are recorded after an epoch."""


@torch.inference_mode()
def validate(graph: TemporalGraph, model: Model, protocol: EvaluationProtocol, config: RunConfig) -> dict[str, float]:
    """Mean metrics of the validation queries, of ``max_validation_queries`` at most; empty without any."""
    rows = sample_rows(protocol.target_rows(graph, "val"), config.training.max_validation_queries, config.seed)
    if not len(rows):
        return {}
    return means(per_query_metrics(graph, ranker_of(graph, model, config.model), protocol, rows, VALIDATION_DEPTHS))
