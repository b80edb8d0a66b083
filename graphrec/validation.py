"""How a model does on the validation events, asked as it is trained."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from graphrec.config import RunConfig, TrainingConfig
from graphrec.errors import GraphError
from graphrec.graph import TemporalGraph
from graphrec.metrics import summarise
from graphrec.models import Model, ranker_of
from graphrec.protocol import Protocol


def protocol_of(graph: TemporalGraph, settings: TrainingConfig) -> Protocol:
    """The graph's own protocol, with the query time that the settings ask for."""
    protocol = Protocol(**graph.manifest.get("protocol", {}))
    return protocol.model_copy(update={"query_time": settings.query_time}) if settings.query_time else protocol


def refuse_nothing_to_learn(units: Sized, path: Path) -> None:
    """Raise GraphError for a graph without anything to learn from."""
    if not len(units):
        raise GraphError(
            f"{path}: no train event to learn from (for sasrec, none after an earlier one of its user); "
            "check the split in its manifest"
        )


@torch.inference_mode()
def validate(graph: TemporalGraph, model: Model, protocol: Protocol, config: RunConfig) -> dict[str, float]:
    """Metrics on the validation events, or so many of them as the settings say; empty without any."""
    rows = protocol.target_rows(graph, "val")
    limit = config.training.validation_rows
    if len(rows) > limit:
        chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(config.seed))[:limit]
        rows = rows[chosen.sort().values.to(rows.device)]
    return summarise(validation_ranks(graph, model, protocol, rows), (1, 5, 10)) if len(rows) else {}


def validation_ranks(
    graph: TemporalGraph, model: Model, protocol: Protocol, rows: Int64[Tensor, " rows"]
) -> Float64[Tensor, " rows"]:
    """Expected ranks of what happened at ``rows``, asked under a protocol."""
    queries, target = protocol.queries(graph, rows), graph.log.item[rows].long()
    return ranker_of(graph, model).expected_ranks(queries, target, protocol.candidate_mask(graph), protocol.novel)
