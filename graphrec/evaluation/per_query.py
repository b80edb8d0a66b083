"""What rankings earn, question by question, under a protocol."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import DEPTHS, query_metrics, ranked_metrics
from graphrec.models.ranker import Ranker
from graphrec.queries.protocol import EvaluationProtocol


def judge(
    graph: TemporalGraph,
    ranker: Ranker,
    protocol: EvaluationProtocol,
    rows: Int64[Tensor, " n"],
    k: Sequence[int] = DEPTHS,
) -> dict[str, Float64[Tensor, " n"]]:
    """Every measure of every question.

    ``rows`` are those of `EvaluationProtocol.target_rows`: each is a query with one relevant item, or, where
    users are judged, the event at which a user is queried once for every item that the split holds of them.
    """
    queries, candidates = protocol.queries(graph, rows), protocol.candidate_mask(graph)
    if protocol.judge == "events":
        target = graph.log.item[rows].long()
        return query_metrics(ranker.expected_ranks(queries, target, candidates, protocol.novel), k)
    listed = ranker.top(queries, max(k), candidates, protocol.novel).items
    question, item = protocol.wanted(graph, rows)
    hits = _among(listed, question, item, len(graph.nodes["item"]))
    return ranked_metrics(hits, torch.bincount(question, minlength=len(rows)), k)


def _among(
    listed: Int64[Tensor, "n k"], question: Int64[Tensor, " pairs"], item: Int64[Tensor, " pairs"], items: int
) -> Bool[Tensor, "n k"]:
    """Which of the listed items (-1 for none) are wanted by their question."""
    asked = torch.arange(len(listed), device=listed.device)[:, None]
    hits: Tensor = torch.isin(asked * items + listed, question * items + item) & (listed >= 0)
    return hits
