"""Metrics of each query under a protocol."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import DEPTHS, query_metrics, ranked_metrics
from graphrec.models.ranker import Ranker
from graphrec.queries.protocol import EvaluationProtocol


def per_query_metrics(
    graph: TemporalGraph,
    ranker: Ranker,
    protocol: EvaluationProtocol,
    rows: Int64[Tensor, " n"],
    k: Sequence[int] = DEPTHS,
) -> dict[str, Float64[Tensor, " n"]]:
    """Every metric of every query, [n] each.

    ``rows`` are those of `EvaluationProtocol.target_rows`. In the next-item task each row is a query whose only
    relevant item is that of the event; in the top-n task it is the query of a user, whose relevant items are those of
    all events of the user in the split.
    """
    queries, candidates = protocol.queries(graph, rows), protocol.candidate_mask(graph)
    if protocol.task == "next-item":
        target = graph.log.item[rows].long()
        return query_metrics(ranker.expected_ranks(queries, target, candidates=candidates, novel=protocol.novel), k)
    top = ranker.top(queries, max(k), candidates=candidates, novel=protocol.novel).items
    query, item = protocol.relevant_items(graph, rows)
    items, row = len(graph.nodes["item"]), torch.arange(len(top), device=top.device)[:, None]
    hits = torch.isin(row * items + top, query * items + item) & (top >= 0)
    return ranked_metrics(hits, torch.bincount(query, minlength=len(rows)), k=k)
