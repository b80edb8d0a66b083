"""Self-attention over a user's last items: Kang and McAuley 2018, "Self-attentive sequential recommendation".

Trained with a softmax over the items in place of one sampled negative, after Klenitskiy and Vasilev 2023, arXiv
2309.07602. The input is the order of the items: no time, no location, no text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.losses import SoftmaxNLL
from graphrec.models.registry import LONG_TRAINING, AttentionHyperparameters, ModelEntry
from graphrec.queries import EvaluationProtocol, Queries, sample


class SasrecConfig(AttentionHyperparameters):
    """Hyperparameters of ``sasrec``."""

    name: Literal["sasrec"] = "sasrec"
    layers: int = Field(default=2, ge=1)
    """Transformer blocks."""
    window: int = Field(default=50, ge=1)
    """Length of the input: the user's last events."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Dropout rate in training."""


class Sasrec(nn.Module):
    """The network; the vector of an item is the same as input and as output."""

    name = "sasrec"

    def __init__(self, graph: TemporalGraph, config: SasrecConfig, weights: Mapping[str, Tensor] | None = None) -> None:
        """An untrained network for the items of the graph, or of the ``weights`` that are to be loaded."""
        super().__init__()
        self.graph, self.config = graph, config
        d = config.dimension
        self.item = nn.Embedding(len(graph.nodes["item"] if weights is None else weights["item.weight"]), d)
        self.position = nn.Embedding(config.window, d)
        nn.init.normal_(self.item.weight, std=d**-0.5)
        nn.init.normal_(self.position.weight, std=d**-0.5)
        block = nn.TransformerEncoderLayer(
            d, config.heads, 4 * d, config.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, config.layers, nn.LayerNorm(d), enable_nested_tensor=False)
        self.drop = nn.Dropout(config.dropout)

    def states(self, item: Int64[Tensor, "batch window"]) -> Float[Tensor, "batch window d"]:
        """State after each position of each sequence, from which the next item is predicted; -1 is left padding."""
        length = item.shape[1]
        mask = item >= 0
        position = self.position.weight[self.config.window - length :]
        vector = self.drop(self.item(item.clamp(min=0)) + position) * mask[..., None]
        causal = torch.ones(length, length, dtype=torch.bool, device=item.device).triu(1)
        hidden = causal | ~mask[:, None, :]
        hidden &= ~torch.eye(length, dtype=torch.bool, device=item.device)  # a softmax over nothing would be NaN
        states: Tensor = self.blocks(vector, hidden.repeat_interleave(self.config.heads, 0))
        return states

    def logit_factors(
        self, item: Int64[Tensor, "batch window_plus_one"], time: Int64[Tensor, "batch window_plus_one"]
    ) -> tuple[Float[Tensor, "n d"], Int64[Tensor, " n"], Float[Tensor, "items d"]]:
        """States before the targets of windows, the targets, and the vectors of all items."""
        mask = target_mask(item, time)
        return self.states(item[:, :-1])[mask], item[:, 1:][mask], self.item.weight

    def scores(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """Products of the state after the last event with the vectors of the items of the training."""
        own = sample(self.graph, queries, fan_out={"own_history": self.config.window}).neighbourhoods["own_history"]
        if not own.event.shape[1]:
            return self.item.weight.new_zeros(len(queries), len(self.item.weight))
        item = torch.where(own.mask, self.graph.log.item[own.event].long(), -1)
        item = torch.where(item < len(self.item.weight), item, -1).flip(1)  # the latest event last
        return self.states(item)[:, -1] @ self.item.weight.T


def target_mask(
    item: Int64[Tensor, "batch window_plus_one"], time: Int64[Tensor, "batch window_plus_one"]
) -> Bool[Tensor, "batch window"]:
    """Which events of windows, from the second on, are targets: those with an event of an earlier time before them."""
    return (item[:, :-1] >= 0) & (time[:, 1:] > time[:, :-1])


class SequenceDataset(TensorDataset):
    """The train events of each user in time order, cut into windows of inputs and the item after each.

    Rows are items and times of a window, [window + 1] each. Every window has a target: an item with an event of an
    earlier time before it.
    """

    def __init__(self, graph: TemporalGraph, protocol: EvaluationProtocol, window: int) -> None:
        rows = protocol.training_rows(graph)
        user, order = torch.sort(graph.log.user[rows].long(), stable=True)
        rows = rows[order]  # by (user, time)
        position = torch.arange(len(rows), device=rows.device)
        begin = torch.searchsorted(user, user)
        remaining = torch.searchsorted(user, user, right=True) - 1 - position  # events of the user after this one
        last = position[(remaining % window == 0) & (position > begin)]
        index = last[:, None] - torch.arange(window, -1, -1, device=rows.device)
        mask = index >= begin[last][:, None]
        event = rows[index.clamp(min=0)]
        item = torch.where(mask, graph.log.item[event].long(), -1)
        time = graph.log.time[event]
        has_target = target_mask(item, time).any(1)
        super().__init__(item[has_target], time[has_target])


SASREC = ModelEntry(
    SasrecConfig,
    create=Sasrec,
    loss=lambda model, graph, options: SoftmaxNLL(model, graph, options.negatives, options.full_softmax),
    training_set=lambda model, graph, protocol: SequenceDataset(graph, protocol, model.config.window),
    training={**LONG_TRAINING, "batch_size": 64, "learning_rate": 1e-3, "min_steps": 4000},
)
