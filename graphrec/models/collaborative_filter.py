"""Collaborative filter of ``stgat``: what people with a similar history visit, as logits of all items.

The user's own events, weighted by a learned attention that starts from "the last few", are the signal of a graph
filter (``graphrec.models.propagation``). In ranking, a regression of the items that follow
(``graphrec.models.item_transition``) is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.event_features import EventFeatures
from graphrec.models.item_transition import ItemTransitionRegression, default_ridge, recency_weighted_history
from graphrec.models.propagation import SAVED_INTERACTIONS, GraphFilter

if TYPE_CHECKING:
    from graphrec.models.stgat import ModelConfig, NeighbourAttention

RECENCY_DECAY_EVENTS = 8.0
"""Events over which the initial weight of an own event falls by e."""
INITIAL_PROPAGATION_WEIGHT = 1.2
"""Factor of the graph filter's output at the start of training."""
TRANSITION_WEIGHT = 0.25
"""Factor of the item transition regression; learned by likelihood it would be next to nothing."""


class CollaborativeFilter(nn.Module):
    """Graph filter over the interactions of the train split, and the regression of the items that follow."""

    def __init__(
        self,
        graph: TemporalGraph,
        config: ModelConfig,
        recency_attention: NeighbourAttention,
        weights: Mapping[str, Tensor] | None,
    ) -> None:
        """Read the interactions of the graph, or take those that were saved as ``weights`` of a network."""
        super().__init__()

        def saved(part: str, names: tuple[str, ...]) -> dict[str, Tensor] | None:
            return {name: weights[f"cf.{part}.{name}"] for name in names} if weights else None

        self.propagation = GraphFilter(graph, saved("propagation", SAVED_INTERACTIONS), config.low_pass)
        self.recency_attention = recency_attention
        if not graph.timeless:
            rank = recency_attention.rank.weight
            with torch.no_grad():  # start from "the last few"
                rank.sub_(torch.arange(len(rank))[:, None] / RECENCY_DECAY_EVENTS)
        self.propagation_weight = nn.Linear(config.dimension, 1)
        nn.init.zeros_(self.propagation_weight.weight)
        nn.init.constant_(self.propagation_weight.bias, INITIAL_PROPAGATION_WEIGHT)
        with_transition = not weights or "cf.transition.events" in weights
        ridge = default_ridge(graph, config.transition_ridge) if with_transition else 0.0
        self.transition = ItemTransitionRegression(graph, saved("transition", ("events",)), ridge) if ridge else None
        self.dropout = config.propagation_dropout

    def forward(
        self, z: Float[Tensor, "batch d"], own: EventFeatures, key: Tensor, user: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch items"]:
        """Logits of all items, from the user's state and own events with their keys, [batch, k, d]."""
        weight = self.recency_attention(z, key, own).mean(-1)
        signal = weight.new_zeros(len(z), len(self.propagation.has_interactions)).scatter_add(1, own.item, weight)
        kept = torch.rand(len(z), 1, device=z.device) >= self.dropout if self.training else 1.0
        logits: Tensor = self.propagation(signal, user) * (self.propagation_weight(z).float() * kept)
        if self.transition is not None and not self.training:  # the other parts learn as if there were none
            history = recency_weighted_history(own.item, own.mask, logits.shape[1])
            logits = logits + TRANSITION_WEIGHT * self.transition(history)
        return logits
