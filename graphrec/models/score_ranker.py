"""From scores to ranked items, for models and baselines that score the catalogue for a question at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import expected_rank
from graphrec.models.ranker import Ranking, mask_scores
from graphrec.queries.query import Queries
from graphrec.queries.user_history import UserHistory

CELLS = 4_000_000
"""Scores held at once: a batch of questions times the catalogue."""


@runtime_checkable
class ItemScorer(Protocol):
    """Scores every item for every question, higher is better."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """One score an item, known or not; which items may be ranked is the caller's to say."""


class ScoreRanker:
    """A scorer over a graph, asked for ranks and the best items as `graphrec.models.ranking.StgatRanker` is."""

    def __init__(self, graph: TemporalGraph, scorer: ItemScorer) -> None:
        self.graph, self.scorer = graph, scorer

    @torch.inference_mode()
    def top(self, queries: Queries, k: int, candidates: Tensor | None = None, novel: bool = False) -> Ranking:
        """The ``k`` best items of each question with their scores; ``novel`` leaves out what the user has visited."""
        items, scores = [], []
        for _, table in self._tables(queries, candidates, novel):
            best = table.topk(min(k, table.shape[1]), dim=1)
            items.append(torch.where(best.values > -torch.inf, best.indices, -1))
            scores.append(torch.where(best.values > -torch.inf, best.values, 0))
        if not items:
            return Ranking(torch.zeros(0, k, dtype=torch.int64), torch.zeros(0, k))
        short = (0, k - items[0].shape[1])  # a catalogue of fewer than k items
        return Ranking(
            torch.nn.functional.pad(torch.cat(items), short, value=-1),
            torch.nn.functional.pad(torch.cat(scores), short),
        )

    @torch.inference_mode()
    def expected_ranks(
        self, queries: Queries, target: Int64[Tensor, " n"], candidates: Tensor | None = None, novel: bool = False
    ) -> Float64[Tensor, " n"]:
        """Expected rank of the target among the candidates; inf for a target that is none."""
        ranks = [expected_rank(table, target[rows]) for rows, table in self._tables(queries, candidates, novel)]
        return torch.cat(ranks) if ranks else torch.zeros(0, dtype=torch.float64)

    def _tables(self, queries: Queries, candidates: Tensor | None, novel: bool) -> Iterator[tuple[slice, Tensor]]:
        """Scores of the questions, a batch at a time; -inf for what may not be ranked."""
        first_seen = self.graph.nodes["item"].first_seen
        items = len(first_seen)
        size = max(1, CELLS // max(items, 1))
        for start in range(0, len(queries), size):
            rows = slice(start, start + size)
            batch = queries.rows(rows)
            known = first_seen < batch.time.clamp(max=self.graph.horizon)[:, None]
            scores = self.scorer.scores(batch).masked_fill(~known, -torch.inf)
            seen = UserHistory.before(self.graph, batch) if novel else None
            yield rows, mask_scores(scores, slice(0, items), candidates, seen)
