"""Self-attention over a user's last items: Kang and McAuley 2018, "Self-attentive sequential recommendation".

Learned with a softmax over the items in place of one negative, as Klenitskiy and Vasilev 2023 (arXiv 2309.07602) found
better. No time, place or text: what it reads is the order of the items alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Bool, Float, Float64, Int64
from pydantic import Field, model_validator
from torch import Tensor, nn

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.hyperparameters import ModelHyperparameters
from graphrec.models.losses import SoftmaxNLL
from graphrec.models.registry import ModelEntry
from graphrec.models.stgat import check_heads
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.queries.query import Queries
from graphrec.queries.sampling import sample


class SasrecConfig(ModelHyperparameters):
    """Settings of ``sasrec``."""

    name: Literal["sasrec"] = "sasrec"
    dimension: int = Field(default=64, ge=4)
    """Length of the vectors."""
    heads: int = Field(default=1, ge=1)
    """Attention heads; divides the dimension."""
    layers: int = Field(default=2, ge=1)
    """Blocks one above the other."""
    window: int = Field(default=50, ge=1)
    """The last so many events are read."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of features dropped in training."""

    @model_validator(mode="after")
    def _heads_divide_the_dimension(self) -> SasrecConfig:
        check_heads(self.dimension, self.heads)
        return self


class Sasrec(nn.Module):
    """The network; one vector an item, for reading it and for ranking it."""

    name = "sasrec"

    def __init__(self, graph: TemporalGraph, config: SasrecConfig, weights: Mapping[str, Tensor] | None = None) -> None:
        """An untrained network, for as many items as the graph has, or as ``weights`` that are to be loaded have."""
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
        """What each place of each sequence says of the item after it; -1 is padding, which comes first."""
        length = item.shape[1]
        real = item >= 0
        place = self.position.weight[self.config.window - length :]
        vector = self.drop(self.item(item.clamp(min=0)) + place) * real[..., None]
        later = torch.ones(length, length, dtype=torch.bool, device=item.device).triu(1)
        hidden = later | ~real[:, None, :]
        hidden &= ~torch.eye(length, dtype=torch.bool, device=item.device)  # padding reads itself, for want of others
        states: Tensor = self.blocks(vector, hidden.repeat_interleave(self.config.heads, 0))
        return states

    def logit_factors(
        self, item: Int64[Tensor, "batch window_plus_one"], time: Int64[Tensor, "batch window_plus_one"]
    ) -> tuple[Float[Tensor, "n d"], Int64[Tensor, " n"], Float[Tensor, "items d"]]:
        """States before the items of windows that are asked for, these items, and the vectors of all items."""
        asked = target_mask(item, time)
        return self.states(item[:, :-1])[asked], item[:, 1:][asked], self.item.weight

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Products of the state after the last event with the items' vectors; 0 for items newer than the training."""
        around = sample(self.graph, queries, {"own_history": self.config.window}).neighbourhoods["own_history"]
        scores = torch.zeros(
            len(queries), len(self.graph.nodes["item"]), dtype=torch.float64, device=queries.time.device
        )
        if not around.event.shape[1]:
            return scores
        code = torch.where(around.mask, self.graph.log.item[around.event].long(), -1)
        state = self.states(torch.where(code < len(self.item.weight), code, -1).flip(1))[:, -1]
        scores[:, : len(self.item.weight)] = (state @ self.item.weight.T).double()
        return scores


def target_mask(
    item: Int64[Tensor, "batch window_plus_one"], time: Int64[Tensor, "batch window_plus_one"]
) -> Bool[Tensor, "batch window"]:
    """Which events of windows, from the second on, can be asked for: there is an event before them, at an earlier time.

    Events of the same second are not before each other.
    """
    return (item[:, :-1] >= 0) & (time[:, 1:] > time[:, :-1])


class SequenceDataset:
    """The train events of each user in order of time, cut into windows of inputs and the item after each.

    Each window has a target: an item with an event of an earlier time before it.
    """

    def __init__(self, graph: TemporalGraph, protocol: EvaluationProtocol, window: int) -> None:
        rows = protocol.training_rows(graph)
        user = graph.log.user[rows].long()
        rows = rows[torch.sort(user, stable=True).indices]  # by (user, time)
        user = graph.log.user[rows].long()
        place = torch.arange(len(rows), device=rows.device)
        begin = torch.searchsorted(user, user)
        left = torch.searchsorted(user, user, right=True) - 1 - place  # events of the user after this one
        last = place[(left % window == 0) & (place > begin)]
        at = last[:, None] - torch.arange(window, -1, -1, device=rows.device)
        real = at >= begin[last][:, None]
        event = rows[at.clamp(min=0)]
        item = torch.where(real, graph.log.item[event].long(), -1)
        time = graph.log.time[event]
        some = target_mask(item, time).any(1)
        self.item, self.time = item[some], time[some]

    def __len__(self) -> int:
        return len(self.item)

    def __getitem__(self, index: Int64[Tensor, " batch"]) -> tuple[Tensor, Tensor]:
        """Items and times of some windows."""
        return self.item[index], self.time[index]


SASREC = ModelEntry(
    SasrecConfig,
    create=Sasrec,
    loss=lambda model, graph, options: SoftmaxNLL(model, graph, options.negatives, options.full_softmax),
    training_set=lambda model, graph, protocol: SequenceDataset(graph, protocol, model.config.window),
    training={
        "weight_decay": 0.0,
        "epochs": 100,
        "patience": 10,
        "batch_size": 64,
        "learning_rate": 1e-3,
        "min_steps": 4000,
    },
)
