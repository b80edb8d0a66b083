"""Whether the evidence that is shown is what moves a score: events taken out of a question, and put in.

Deletion and insertion curves after Petsiuk et al. 2018, "RISE", arXiv 1806.07421. The events are taken out of the
neighbourhoods of the question itself, so that the network answers anew from what is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from graphrec.metrics import standard_error
from graphrec.models.ranking import BATCH, ModelOutput, StgatRanker
from graphrec.progress import NoProgress, Progress
from graphrec.queries.query import Queries

STEPS = (0.0, 0.1, 0.25, 0.5, 1.0)
"""Shares of an item's evidence that are taken out, or put in, the strongest events first."""


@dataclass(frozen=True)
class Faithfulness:
    """What is left of the scores of the best items, in parts of what they were; means over questions."""

    questions: int
    """Questions whose best item has events behind it; the others say nothing here."""
    events: float
    """How many events speak for the best item."""
    steps: tuple[float, ...]
    """Share of the evidence that is taken out or put in; at least one event from the second step on."""
    deletion: tuple[float, ...]
    """Part of the score that is left without that share of the evidence."""
    deletion_at_random: tuple[float, ...]
    """The same without as many events drawn from all that the question sees."""
    insertion: tuple[float, ...]
    """Part of the score that is reached with that share of the evidence and no other event."""
    insertion_at_random: tuple[float, ...]
    """The same with as many events drawn from all that the question sees."""
    gap: float | None
    """How much farther the score falls without evidence than at random, mean over the steps after the first."""
    gap_error: float | None
    """Standard error of the gap over questions; None below two of them, as all figures are empty without any."""


def measure_faithfulness(
    ranker: StgatRanker, queries: Queries, seed: int = 0, progress: Progress | None = None
) -> Faithfulness:
    """Take the evidence of each question's best item out, and put it in, beside as many events at random.

    Parameters
    ----------
    ranker
        A trained ``stgat`` over its graph.
    queries
        Questions; those whose best item no event speaks for are left out.
    seed
        Of the random events.
    """
    listener, draws = progress or NoProgress(), torch.Generator().manual_seed(seed)
    listener.start("taking evidence out", len(queries))
    curves, counts = [], []
    for start in range(0, len(queries), BATCH):
        batch = queries.rows(slice(start, start + BATCH))
        curve, count = _curves(ranker, batch, draws)
        curves.append(curve)
        counts.append(count)
        listener.advance(len(batch))
    listener.finish()
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
    ranker: StgatRanker, queries: Queries, draws: torch.Generator
) -> tuple[Float64[Tensor, "four rows steps"], Int64[Tensor, " rows"]]:
    """Deletion, deletion at random, insertion, insertion at random of each question that has evidence."""
    answer, item = ranker.forward(queries), ranker.top(queries, 1).items[:, 0]
    mass, real = _evidence(ranker, answer, item)
    count = (mass > 0).sum(1)
    shown = _order(mass)
    drawn = _order(torch.rand(mass.shape, generator=draws).to(mass.device).masked_fill(~real, -1))
    whole = ranker.scores_of(answer, item)
    curve = torch.ones(4, len(item), len(STEPS), dtype=torch.float64)
    for step, share in enumerate(STEPS):
        taken = (share * count).ceil()[:, None]
        for place, chosen in enumerate((shown < taken, drawn < taken)):
            for kind, left_out in ((place, chosen), (2 + place, ~chosen)):
                context = answer.context.drop_events(_by_relation(answer, left_out))
                score = ranker.scores_of(ranker.forward_context(context), item)
                curve[kind, :, step] = (score / whole).double().cpu()
    some = (count > 0).cpu()
    return curve[:, some], count.cpu()[some]


def _evidence(
    ranker: StgatRanker, answer: ModelOutput, item: Int64[Tensor, " batch"]
) -> tuple[Tensor, Bool[Tensor, "batch events"]]:
    """What each event of all neighbourhoods gives the item, [batch, events], and which are events."""
    mass = answer.state.event_probabilities()
    around = [answer.context.neighbourhoods[name] for name in mass]
    speaks = torch.cat([ranker.graph.log.item[near.event].long() == item[:, None] for near in around], 1)
    real = torch.cat([near.mask for near in around], 1)
    return torch.cat(list(mass.values()), 1) * (speaks & real), real


def _order(weight: Tensor) -> Int64[Tensor, "batch events"]:
    """Place of each entry from the largest down."""
    return torch.sort(weight, dim=1, descending=True, stable=True).indices.argsort(1)


def _by_relation(answer: ModelOutput, flat: Bool[Tensor, "batch events"]) -> dict[str, Tensor]:
    """The columns of `_evidence` given back to the neighbourhoods that they came from."""
    names = list(answer.state.attention)
    parts = torch.split(flat, [answer.context.neighbourhoods[name].event.shape[1] for name in names], dim=1)
    return dict(zip(names, parts, strict=True))
