"""Ranking by dense scores: models and baselines that score the whole catalogue for a query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import expected_rank
from graphrec.models.ranker import Ranking, mask_scores, query_batches
from graphrec.queries.query import Queries

MAX_SCORES = 4_000_000
"""Scores held at once: a batch of queries times the catalogue."""


@runtime_checkable
class ItemScorer(Protocol):
    """Scores every item for every query, higher is better."""

    @property
    def name(self) -> str:
        """Name in tables."""

    def scores(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """One score per item, candidate or not; items newer than the training may be left out and score 0."""


class ScoreRanker:
    """The `graphrec.models.ranker.Ranker` of a scorer."""

    def __init__(self, graph: TemporalGraph, scorer: ItemScorer) -> None:
        self.graph, self.scorer = graph, scorer

    @torch.inference_mode()
    def top(self, queries: Queries, k: int, *, candidates: Tensor | None = None, novel: bool = False) -> Ranking:
        """The ``k`` best items of each query with their scores; ``novel`` excludes those that its user has visited."""
        items, scores = [], []
        for _, table in self._tables(queries, candidates, novel=novel):
            best = table.topk(min(k, table.shape[1]), dim=1)
            items.append(torch.where(best.values > -torch.inf, best.indices, -1))
            scores.append(torch.where(best.values > -torch.inf, best.values, 0))
        if not items:
            return Ranking(torch.zeros(0, k, dtype=torch.int64), torch.zeros(0, k))
        short = (0, k - items[0].shape[1])  # of a catalogue with fewer than k items
        return Ranking(
            torch.nn.functional.pad(torch.cat(items), short, value=-1),
            torch.nn.functional.pad(torch.cat(scores), short),
        )

    @torch.inference_mode()
    def expected_ranks(
        self, queries: Queries, target: Int64[Tensor, " n"], *, candidates: Tensor | None = None, novel: bool = False
    ) -> Float64[Tensor, " n"]:
        """Expected rank of each query's target among the candidates; inf for one that is excluded."""
        ranks = [expected_rank(table, target[rows]) for rows, table in self._tables(queries, candidates, novel=novel)]
        return torch.cat(ranks) if ranks else torch.zeros(0, dtype=torch.float64)

    def _tables(self, queries: Queries, candidates: Tensor | None, *, novel: bool) -> Iterator[tuple[slice, Tensor]]:
        """Rows of the queries and their scores, a batch at a time; -inf for excluded items."""
        first_seen = self.graph.nodes["item"].first_seen
        items = len(first_seen)
        size = max(1, MAX_SCORES // max(items, 1))
        for rows, batch, seen in query_batches(self.graph, queries, size, novel=novel):
            known = first_seen < batch.time.clamp(max=self.graph.horizon)[:, None]
            scores = self.scorer.scores(batch).double()
            scores = torch.nn.functional.pad(scores, (0, items - scores.shape[1])).masked_fill(~known, -torch.inf)
            yield rows, mask_scores(scores, slice(0, items), candidates, seen)


def known_rows(table: Float[Tensor, "nodes d"], code: Int64[Tensor, " batch"]) -> Float[Tensor, "batch d"]:
    """Rows of a table of learned vectors; 0 for the code -1 and for nodes newer than the training."""
    known = (code >= 0) & (code < len(table))
    return table[torch.where(known, code, 0)] * known[:, None]
