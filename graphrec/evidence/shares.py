"""Why this item: the parts of its score, and the events that carry them.

The score is a sum over the semantic space and over events, so the shares are the score itself, split; nothing is
estimated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from graphrec.evidence.counterfactual import Counterfactual
from graphrec.formatting import format_ago, pluralize
from graphrec.graph.event_types import count_by_type, format_habit
from graphrec.graph.geography import distance_km
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.collaborative_filter import TRANSITION_WEIGHT
from graphrec.models.item_transition import recency_weighted_history
from graphrec.models.ranking import ModelOutput, StgatRanker
from graphrec.queries.query import Queries
from graphrec.queries.sampling import JSON_RELATIONS

SHARE_LABELS = {
    "own_history": "my history",
    "transitions": "what people do next",
    "nearby": "what happens here",
    "semantic": "semantic space",
}
"""The parts of a score, as people read them."""
LINKED = "what is linked"
"""The part that relations declared by the graph bring, where the model reads some."""
MIN_LOGIT = 0.25
"""Nats in an item's logit from which what it follows is worth naming."""
MIN_SIMILARITY = 0.25
"""Cosine similarity from which an item is said to be close to another."""


@dataclass(frozen=True)
class Evidence:
    """The events of one relation that speak for an item."""

    relation: str
    """``own_history``, ``transitions``, ``nearby``, a declared relation or ``semantic``."""
    share: float
    """Part of the item's score that they carry, as probability mass."""
    description: str
    """The evidence as a phrase."""
    events: tuple[tuple[int, float], ...] = ()
    """(row of the event in the log, its mass), the strongest first; empty for the semantic space."""

    def to_dict(self) -> dict[str, Any]:
        """The evidence as ``graphrec recommend --json`` prints it."""
        events = [{"event": event, "mass": mass} for event, mass in self.events]
        relation = JSON_RELATIONS.get(self.relation, self.relation)
        return {"relation": relation, "share": self.share, "words": self.description, "events": events}

    def divided_by(self, total: float) -> Evidence:
        """Shares and masses as parts of a total probability."""
        events = tuple((event, mass / total) for event, mass in self.events)
        return replace(self, share=self.share / total, events=events)


@dataclass(frozen=True)
class Recommendation:
    """One ranked item with its score taken apart."""

    item: str
    """The user's own id of the item."""
    label: str
    """Its name for people."""
    score: float
    """Probability that it comes next, or the score of a model that has no probabilities."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Parts of the score by SHARE_LABELS, which add up to it; empty where the score was not taken apart."""
    evidence: tuple[Evidence, ...] = ()
    """The events behind each part that matters, the largest first."""
    what_if: Counterfactual | None = None
    """The user's events without which the item would fall farthest; None if it would not, or was not computed."""

    def to_dict(self) -> dict[str, Any]:
        """The item as ``graphrec recommend --json`` prints it; no key for what was not computed."""
        values: dict[str, Any] = {"item": self.item, "label": self.label, "score": self.score}
        if self.shares:
            values |= {"shares": dict(self.shares), "evidence": [part.to_dict() for part in self.evidence]}
        return values | ({"what_if": self.what_if.to_dict()} if self.what_if else {})

    def divided_by(self, total: float) -> Recommendation:
        """Score, shares and evidence as parts of a total probability."""
        shares = {name: share / total for name, share in self.shares.items()}
        evidence = tuple(part.divided_by(total) for part in self.evidence)
        return replace(self, score=self.score / total, shares=shares, evidence=evidence)


def explain(ranker: StgatRanker, queries: Queries, items: Int64[Tensor, "batch k"]) -> list[list[Recommendation]]:
    """Take apart the scores of items (codes; -1 is skipped) for each question; one list a question."""
    answer = ranker.forward(queries)
    return [_explain_one(ranker, answer, row, items[row].tolist()) for row in range(len(queries))]


@torch.inference_mode()
def _explain_one(ranker: StgatRanker, answer: ModelOutput, row: int, items: list[int]) -> list[Recommendation]:
    codes = [code for code in items if code >= 0]
    masses = {name: mass[row] for name, mass in answer.state.event_probabilities().items()}
    semantic = semantic_share(ranker, answer, row, codes)
    recommendations = []
    for place, code in enumerate(codes):
        evidence = []
        for relation, mass in masses.items():
            event = answer.context.neighbourhoods[relation].event[row]
            carrying = (ranker.graph.log.item[event] == code) & (mass > 0)
            if bool(carrying.any()):
                evidence.append(_of_relation(ranker.graph, answer, row, relation, event[carrying], mass[carrying]))
        evidence.append(_of_semantics(ranker, answer, row, code, float(semantic[place])))
        shares = dict.fromkeys(SHARE_LABELS.values(), 0.0)
        for part in evidence:
            name = SHARE_LABELS.get(part.relation, LINKED)
            shares[name] = shares.get(name, 0.0) + part.share
        table = ranker.graph.nodes["item"]
        recommendations.append(
            Recommendation(
                str(table.ids[code].as_py()),
                table.label(code),
                sum(shares.values()),
                shares,
                tuple(sorted(evidence, key=lambda part: -part.share)),
            )
        )
    return recommendations


def semantic_share(ranker: StgatRanker, answer: ModelOutput, row: int, items: list[int]) -> Float[Tensor, " items"]:
    """What the semantic space gives each item for one question."""
    one = slice(row, row + 1)
    logits = ranker.item_logits(answer.state.rows(one), answer.context.rows(one))[0]
    return (
        logits[items] - logits.logsumexp(0) + answer.state.log_mixture_weights[row, 0]
    ).exp()  # rounded as one: they add up


def _of_relation(
    graph: TemporalGraph, answer: ModelOutput, row: int, relation: str, event: Tensor, mass: Tensor
) -> Evidence:
    order = mass.argsort(descending=True)
    event, mass = event[order], mass[order]
    asked = int(answer.context.queries.time[row])
    habits = f", {format_habit(graph, event)}, last {format_ago(asked - int(graph.log.time[event].max()))}"
    when = "" if graph.timeless else habits
    count = len(event)
    if relation == "own_history":
        words = f"{count_by_type(graph, event)} of yours{when}"
    elif relation == "transitions":
        last = graph.nodes["item"].label(int(answer.context.last_item[row]))
        words = f"{pluralize(count, 'time')} next after {last}{_own(graph, answer, row, event)}{when}"
    else:
        people = len(torch.unique(graph.log.user[event]))
        where = "around here" if relation == "nearby" else f"linked by {relation}"
        words = f"{count_by_type(graph, event)} {where} by {pluralize(people, 'user')}{when}"
    rows = tuple(zip(event.tolist(), mass.tolist(), strict=True))
    return Evidence(relation, float(mass.sum()), words, rows)


def _own(graph: TemporalGraph, answer: ModelOutput, row: int, event: Tensor) -> str:
    own = int((graph.log.user[event] == answer.context.queries.user[row]).sum())
    return f" ({own} by you)" if own else ""


def _of_semantics(ranker: StgatRanker, answer: ModelOutput, row: int, code: int, share: float) -> Evidence:
    """Name what the item follows or is close to among the user's own items, and how far away it lies."""
    words = "fits your state"
    graph = ranker.graph
    around = answer.context.neighbourhoods.get("own_history")
    if around is not None and bool(around.mask[row].any()):
        mine = torch.unique(graph.log.item[around.event[row][around.mask[row]]].long())
        mine = mine[mine != code]
        if len(mine):
            alike = torch.cosine_similarity(ranker.table.vector[mine], ranker.table.vector[code][None])
            best = int(alike.argmax())
            if float(alike[best]) >= MIN_SIMILARITY:
                words = f"close to {graph.nodes['item'].label(int(mine[best]))} (similarity {float(alike[best]):.2f})"
    if followed := _followed(ranker, answer, row, code):
        words = f"what people turn to after {' and '.join(graph.nodes['item'].label(item) for item in followed)}"
    table = graph.nodes["item"].coordinates
    if table is not None:
        far = float(distance_km(table[code], answer.context.coordinates[row]))
        words += f", {far:.1f} km away" if far == far else ""
    return Evidence("semantic", share, words, ())


def _followed(ranker: StgatRanker, answer: ModelOutput, row: int, code: int) -> list[int]:
    """The items of the user's, two at most, that do most to let this one be expected later; none if little does."""
    later = ranker.model.cf.transition if ranker.model.cf is not None else None
    if later is None:
        return []
    near = answer.context.neighbourhoods["own_history"].rows(slice(row, row + 1))
    items = len(ranker.graph.nodes["item"])
    parts = TRANSITION_WEIGHT * later.parts(
        recency_weighted_history(ranker.graph.log.item[near.event].long(), near.mask, items)[0], code
    )
    if float(parts.sum()) < MIN_LOGIT:
        return []
    added, best = parts.topk(min(2, items))
    return best[added > 0].tolist()
