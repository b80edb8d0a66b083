"""Explanation of a score: its shares by relation, and the events behind them.

The score is a sum over the semantic space and over events, so its shares are exact; nothing is estimated.
"""

from __future__ import annotations

import math
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
"""Labels of the parts of a score."""
LINKED = "what is linked"
"""Label of the part of relations that the graph declares."""
MIN_LOGIT = 0.25
"""Logit of the item transitions, in nats, from which the preceding items are named."""
MIN_SIMILARITY = 0.25
"""Cosine similarity from which a similar item is named."""


@dataclass(frozen=True)
class Evidence:
    """The events of one relation that support an item."""

    relation: str
    """``own_history``, ``transitions``, ``nearby``, a declared relation or ``semantic``."""
    share: float
    """Their part of the item's score, as probability mass."""
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
    """One ranked item with its score and the shares of it."""

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


def explain(ranker: StgatRanker, queries: Queries, *, items: Int64[Tensor, "batch k"]) -> list[list[Recommendation]]:
    """Recommendations with shares and evidence of the items of each query (codes; -1 is skipped); a list per query."""
    answer = ranker.forward(queries)
    return [_explain_query(ranker, answer, row, items[row].tolist()) for row in range(len(queries))]


@torch.inference_mode()
def _explain_query(ranker: StgatRanker, answer: ModelOutput, row: int, items: list[int]) -> list[Recommendation]:
    codes = [code for code in items if code >= 0]
    masses = {name: mass[row] for name, mass in answer.state.event_probabilities().items()}
    semantic = semantic_share(ranker, answer, row, codes)
    recommendations = []
    table = ranker.graph.nodes["item"]
    for code, share in zip(codes, semantic.tolist(), strict=True):
        evidence = []
        for relation, mass in masses.items():
            event = answer.context.neighbourhoods[relation].event[row]
            supporting = (ranker.graph.log.item[event] == code) & (mass > 0)
            if bool(supporting.any()):
                evidence.append(
                    _relation_evidence(ranker.graph, answer, row, relation, event[supporting], mass[supporting])
                )
        evidence.append(Evidence("semantic", share, _describe_semantics(ranker, answer, row, code)))
        shares = dict.fromkeys(SHARE_LABELS.values(), 0.0)
        for part in evidence:
            name = SHARE_LABELS.get(part.relation, LINKED)
            shares[name] = shares.get(name, 0.0) + part.share
        ordered = tuple(sorted(evidence, key=lambda part: -part.share))
        item = str(table.ids[code].as_py())
        recommendations.append(Recommendation(item, table.label(code), sum(shares.values()), shares, ordered))
    return recommendations


def semantic_share(ranker: StgatRanker, answer: ModelOutput, row: int, items: list[int]) -> Float[Tensor, " items"]:
    """Probability of each item in the semantic space times its gate, for one query."""
    one = slice(row, row + 1)
    logits = ranker.item_logits(answer.state.rows(one), answer.context.rows(one))[0]
    log_share = logits[items] - logits.logsumexp(0) + answer.state.log_mixture_weights[row, 0]
    return log_share.exp()  # rounded once, so that the shares add up to the score


def _relation_evidence(
    graph: TemporalGraph, answer: ModelOutput, row: int, relation: str, event: Tensor, mass: Tensor
) -> Evidence:
    order = mass.argsort(descending=True)
    event, mass = event[order], mass[order]
    if relation == "own_history":
        text = f"{count_by_type(graph, event)} of yours"
    elif relation == "transitions":
        last = graph.nodes["item"].label(int(answer.context.last_item[row]))
        own = int((graph.log.user[event] == answer.context.queries.user[row]).sum())
        text = f"{pluralize(len(event), 'time')} next after {last}" + (f" ({own} by you)" if own else "")
    else:
        users = pluralize(len(torch.unique(graph.log.user[event])), "user")
        origin = "around here" if relation == "nearby" else f"linked by {relation}"
        text = f"{count_by_type(graph, event)} {origin} by {users}"
    if not graph.timeless:
        age = int(answer.context.queries.time[row]) - int(graph.log.time[event].max())
        text += f", {format_habit(graph, event)}, last {format_ago(age)}"
    return Evidence(relation, float(mass.sum()), text, tuple(zip(event.tolist(), mass.tolist(), strict=True)))


def _describe_semantics(ranker: StgatRanker, answer: ModelOutput, row: int, code: int) -> str:
    """The preceding items or the most similar item of the user, and the distance, in words."""
    graph, label = ranker.graph, ranker.graph.nodes["item"].label
    text = "fits your state"
    if preceding := _preceding_items(ranker, answer, row, code):
        text = f"what people turn to after {' and '.join(map(label, preceding))}"
    elif (history := answer.context.neighbourhoods.get("own_history")) is not None:
        own = torch.unique(graph.log.item[history.event[row][history.mask[row]]].long())
        own = own[own != code]
        vector = ranker.table.vector
        similarity = torch.cosine_similarity(vector[own], vector[code][None])
        if len(own) and float(similarity.max()) >= MIN_SIMILARITY:
            text = f"close to {label(int(own[similarity.argmax()]))} (similarity {float(similarity.max()):.2f})"
    coordinates = graph.nodes["item"].coordinates
    if coordinates is not None:
        km = float(distance_km(coordinates[code], answer.context.coordinates[row]))
        text += "" if math.isnan(km) else f", {km:.1f} km away"
    return text


def _preceding_items(ranker: StgatRanker, answer: ModelOutput, row: int, code: int) -> list[int]:
    """The two items of the user that raise this one's transition logit most; none below MIN_LOGIT in all."""
    transition = ranker.model.cf.transition if ranker.model.cf is not None else None
    if transition is None:
        return []
    history = answer.context.neighbourhoods["own_history"].rows(slice(row, row + 1))
    items = ranker.graph.log.item[history.event].long()
    weights = recency_weighted_history(items, history.mask, len(ranker.graph.nodes["item"]))[0]
    logits = TRANSITION_WEIGHT * transition.parts(weights, code)
    if float(logits.sum()) < MIN_LOGIT:
        return []
    largest, best = logits.topk(min(2, len(logits)))
    return best[largest > 0].tolist()
