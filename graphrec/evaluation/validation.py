"""How a model does on the validation events, asked as it is trained."""

from __future__ import annotations

import torch

from graphrec.evaluation.per_query import judge
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import means
from graphrec.models.registry import Model, ranker_of
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.runs.config import RunConfig

VALIDATION_DEPTHS = (1, 5, 10, 20)
"""The k of the measures that training looks at."""


@torch.inference_mode()
def validate(graph: TemporalGraph, model: Model, protocol: EvaluationProtocol, config: RunConfig) -> dict[str, float]:
    """Metrics on the validation events, or so many of them as the settings say; empty without any."""
    rows = protocol.target_rows(graph, "val")
    limit = config.training.max_validation_queries
    if len(rows) > limit:
        chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(config.seed))[:limit]
        rows = rows[chosen.sort().values.to(rows.device)]
    return means(judge(graph, ranker_of(graph, model), protocol, rows, VALIDATION_DEPTHS)) if len(rows) else {}
