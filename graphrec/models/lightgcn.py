"""Vectors of users and items, spread over the graph of who visited what: He et al. 2020, "LightGCN", arXiv 2002.02126.

The layers are torch-geometric's. Learned with a softmax over the items in place of one negative (Wu et al. 2022,
arXiv 2201.02327). No time, place or text, and no events but those of the train split.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float, Float64, Int64
from pydantic import Field
from torch import Tensor, nn

from graphrec.graph.events import TRAIN
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.hyperparameters import ModelHyperparameters
from graphrec.models.losses import SoftmaxNLL
from graphrec.models.registry import ModelEntry
from graphrec.queries.query import Queries


class LightGCNConfig(ModelHyperparameters):
    """Settings of ``lightgcn``."""

    name: Literal["lightgcn"] = "lightgcn"
    dimension: int = Field(default=64, ge=1)
    """Length of the vectors."""
    layers: int = Field(default=3, ge=0)
    """Steps that a vector is spread."""


class LightGCN(nn.Module):
    """The network over the train split of one graph."""

    name = "lightgcn"
    visited: Tensor
    edges: Tensor
    share: Tensor

    def __init__(
        self, graph: TemporalGraph, config: LightGCNConfig, weights: Mapping[str, Tensor] | None = None
    ) -> None:
        """Make the network, as large as ``weights`` that are to be loaded into it, if there are any."""
        super().__init__()
        self.graph, self.config = graph, config
        counts = {kind: len(graph.nodes[kind]) for kind in ("user", "item")}
        if weights is not None:
            counts = {kind: len(weights[f"{kind}.weight"]) for kind in counts}
        self.user, self.item = (nn.Embedding(count, config.dimension) for count in counts.values())
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.1)
        self.register_buffer("visited", _visited(graph) if weights is None else weights["visited"])
        edges, share = self._edges()
        self.register_buffer("edges", edges, persistent=False)
        self.register_buffer("share", share, persistent=False)
        self.step = _step()
        self._spread: tuple[Tensor, Tensor] | None = None

    def train(self, mode: bool = True) -> LightGCN:
        """Vectors that were spread before may belong to other weights."""
        self._spread = None
        return super().train(mode)

    def spread(self) -> tuple[Float[Tensor, "users d"], Float[Tensor, "items d"]]:
        """Vectors of users and items: the mean over all layers."""
        if self._spread is not None:
            return self._spread
        vector = torch.cat((self.user.weight, self.item.weight))
        total = vector
        for _ in range(self.config.layers):
            vector = self.step(vector, self.edges, self.share)
            total = total + vector
        mean = total / (self.config.layers + 1)
        users, items = mean[: len(self.user.weight)], mean[len(self.user.weight) :]
        if not self.training:
            self._spread = users, items
        return users, items

    def _edges(self) -> tuple[Int64[Tensor, "2 edges"], Float[Tensor, " edges"]]:
        """Edges both ways, weighed by 1 / sqrt(degrees)."""
        user, item = self.visited[0], self.visited[1] + len(self.user.weight)
        edges = torch.stack((torch.cat((user, item)), torch.cat((item, user))))
        degree = torch.bincount(edges[0]).float()
        return edges, (degree[edges[0]] * degree[edges[1]]).rsqrt()

    def logit_factors(
        self, user: Int64[Tensor, " n"], item: Int64[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n d"], Int64[Tensor, " n"], Float[Tensor, "items d"]]:
        """Vectors of users, what they visited, and the vectors of all items."""
        users, items = self.spread()
        return users[user], item, items

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Products of the users' vectors with the items'; 0 for what training never saw."""
        users, items = self.spread()
        known = (queries.user >= 0) & (queries.user < len(users))
        state = users[torch.where(known, queries.user, 0)] * known[:, None]
        scores = torch.zeros(len(queries), len(self.graph.nodes["item"]), dtype=torch.float64, device=state.device)
        scores[:, : len(items)] = (state @ items.T).double()
        return scores


def _visited(graph: TemporalGraph) -> Int64[Tensor, "2 pairs"]:
    """Users and the items of their train events, each pair once."""
    train = graph.log.split == TRAIN
    visited: Tensor = torch.unique(torch.stack((graph.log.user[train].long(), graph.log.item[train].long())), dim=1)
    return visited


def _step() -> nn.Module:
    """One step along the edges; torch-geometric's layers take seconds to import, so only who asks waits for them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
        from torch_geometric.nn import LGConv
    step: nn.Module = LGConv(normalize=False)
    return step


LIGHTGCN = ModelEntry(
    LightGCNConfig,
    create=LightGCN,
    loss=lambda model, graph, options: SoftmaxNLL(model, graph, options.negatives, options.full_softmax),
    training={
        "weight_decay": 0.0,
        "epochs": 100,
        "patience": 10,
        "batch_size": 2048,
        "learning_rate": 5e-3,
        "min_steps": 2000,
    },
)
