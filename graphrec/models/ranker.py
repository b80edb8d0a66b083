"""What every trained model is used through: ranked lists and ranks of known targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.queries import Queries, UserHistory


@dataclass(frozen=True)
class Ranking:
    """The best items of each query, best first."""

    items: Int64[Tensor, "batch k"]
    """Codes; -1 where fewer than k items may be ranked."""
    scores: Float[Tensor, "batch k"]
    """Probabilities of the items; 0 where there is none."""
    total_probability: Float[Tensor, " batch"] | None = None
    """What the probabilities of all that may be ranked add up to; None for scores that are no probabilities."""


@runtime_checkable
class Ranker(Protocol):
    """A trained model over a graph. As of a query's time it sees neither events nor items of that time or later."""

    graph: TemporalGraph

    def top(self, queries: Queries, k: int, *, candidates: Tensor | None = None, novel: bool = False) -> Ranking:
        """The ``k`` best items of each query; ``novel`` excludes those that its user has visited.

        ``candidates`` [items] is the mask of the items that may be ranked; None: all.
        """

    def expected_ranks(
        self, queries: Queries, target: Int64[Tensor, " n"], *, candidates: Tensor | None = None, novel: bool = False
    ) -> Float64[Tensor, " n"]:
        """Expected rank of each query's target among the candidates, ties broken at random; inf if it is excluded."""


def query_batches(
    graph: TemporalGraph, queries: Queries, size: int, *, novel: bool
) -> Iterator[tuple[slice, Queries, UserHistory | None]]:
    """Rows of each batch of at most ``size`` queries, the queries, and the visits whose items are excluded."""
    for start in range(0, len(queries), size):
        rows = slice(start, start + size)
        batch = queries.rows(rows)
        yield rows, batch, UserHistory.before(graph, batch) if novel else None


def mask_scores(
    score: Float[Tensor, "batch tile"],
    tile: slice,
    candidates: Bool[Tensor, " items"] | None,
    seen: UserHistory | None,
) -> Float[Tensor, "batch tile"]:
    """Set to -inf what may not be ranked: items that are no candidates, and those a question's user has seen."""
    if candidates is not None:
        score = score.masked_fill(~candidates[tile], -torch.inf)
    if seen is not None:
        inside = (seen.item >= tile.start) & (seen.item < tile.stop)
        score = score.clone()
        score[seen.question[inside], seen.item[inside] - tile.start] = -torch.inf
    return score
