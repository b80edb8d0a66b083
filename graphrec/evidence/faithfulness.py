"""Faithfulness of the evidence: deletion and insertion curves of the events behind a score.

After Petsiuk et al. 2018, "RISE", arXiv 1806.07421. Events are removed from the neighbourhoods of the query itself,
so that the network answers anew from the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from graphrec.metrics import standard_error
from graphrec.models.ranking import BATCH, StgatRanker
from graphrec.progress import Progress
from graphrec.queries.query import Queries

STEPS = (0.0, 0.1, 0.25, 0.5, 1.0)
"""Shares of an item's evidence that are removed or kept, the strongest events first."""


@dataclass(frozen=True)
class Faithfulness:
    """Scores of the best items relative to the unchanged score; means over queries."""

    questions: int
    """Queries whose best item is supported by events; the others do not count."""
    events: float
    """Mean number of events that support the best item."""
    steps: tuple[float, ...]
    """Share of the evidence that is removed or kept; at least one event from the second step on."""
    deletion: tuple[float, ...]
    """Relative score without that share of the evidence."""
    deletion_at_random: tuple[float, ...]
    """The same without as many random events of the query."""
    insertion: tuple[float, ...]
    """Relative score with that share of the evidence and no other event."""
    insertion_at_random: tuple[float, ...]
    """The same with as many random events of the query."""
    gap: float | None
    """Deletion at random less deletion of evidence, mean over the steps after the first."""
    gap_error: float | None
    """Standard error of the gap over queries; None below two of them."""


def measure_faithfulness(
    ranker: StgatRanker, queries: Queries, *, seed: int = 0, progress: Progress | None = None
) -> Faithfulness:
    """Deletion and insertion curves of the evidence of each query's best item, beside as many random events.

    Parameters
    ----------
    ranker
        A trained ``stgat`` over its graph.
    queries
        Queries; those whose best item no event supports do not count.
    seed
        Seed of the random events.
    """
    generator = torch.Generator().manual_seed(seed)
    curves, counts = [], []
    for batch in queries.batches(BATCH, "taking evidence out", progress):
        curve, count = _curves(ranker, batch, generator)
        curves.append(curve)
        counts.append(count)
    curve = torch.cat(curves, 1) if curves else torch.zeros(4, 0, len(STEPS), dtype=torch.float64)
    gap = (curve[1] - curve[0])[:, 1:].mean(1)
    deletion, deletion_at_random, insertion, insertion_at_random = (
        tuple(kind.mean(0).tolist()) if len(gap) else () for kind in curve
    )
    return Faithfulness(
        questions=len(gap),
        events=float(torch.cat(counts).double().mean()) if len(gap) else 0.0,
        steps=STEPS,
        deletion=deletion,
        deletion_at_random=deletion_at_random,
        insertion=insertion,
        insertion_at_random=insertion_at_random,
        gap=float(gap.mean()) if len(gap) else None,
        gap_error=standard_error(gap) if len(gap) > 1 else None,
    )


def _curves(
    ranker: StgatRanker, queries: Queries, generator: torch.Generator
) -> tuple[Float64[Tensor, "four rows steps"], Int64[Tensor, " rows"]]:
    """Deletion, deletion at random, insertion, insertion at random, and evidence of each query that has evidence."""
    answer, item = ranker.forward(queries), ranker.top(queries, 1).items[:, 0]
    mask = answer.context.all_events().mask
    evidence = answer.event_probability * ((answer.event_item == item[:, None]) & mask)
    count = (evidence > 0).sum(1)
    random = torch.rand(evidence.shape, generator=generator).to(evidence.device).masked_fill(~mask, -1)
    ranks = [_rank(evidence), _rank(random)]
    score = ranker.scores_of(answer, item)
    curves = torch.ones(4, len(item), len(STEPS), dtype=torch.float64)
    for step, share in enumerate(STEPS):
        first = [rank < (share * count).ceil()[:, None] for rank in ranks]
        for curve, dropped in zip(curves, [*first, *(~chosen for chosen in first)], strict=True):
            changed = ranker.forward_context(answer.context.drop_events(dropped))
            curve[:, step] = (ranker.scores_of(changed, item) / score).double().cpu()
    supported = (count > 0).cpu()
    return curves[:, supported], count.cpu()[supported]


def _rank(weight: Tensor) -> Int64[Tensor, "batch events"]:
    """Rank of each entry of a row by weight, 0 for the largest."""
    return torch.sort(weight, dim=1, descending=True, stable=True).indices.argsort(1)
