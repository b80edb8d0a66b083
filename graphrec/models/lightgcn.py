"""Embeddings of users and items propagated over their interactions: He et al. 2020, "LightGCN", arXiv 2002.02126.

Trained with a softmax over the items in place of one sampled negative (Wu et al. 2022, arXiv 2201.02327). No time, no
location, no text, and no events but those of the train split. The propagation is torch-geometric's ``LGConv``; its
``LightGCN`` holds users and items in one table, where stored runs and `graphrec forget` have one for each.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor, nn

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.losses import SoftmaxNLL
from graphrec.models.propagation import train_interactions
from graphrec.models.registry import LONG_TRAINING, ModelEntry, ModelHyperparameters
from graphrec.models.score_ranker import known_rows
from graphrec.queries.query import Queries


class LightGCNConfig(ModelHyperparameters):
    """Hyperparameters of ``lightgcn``."""

    name: Literal["lightgcn"] = "lightgcn"
    dimension: int = Field(default=64, ge=1)
    """Length of the vectors."""
    layers: int = Field(default=3, ge=0)
    """Propagation steps."""


class LightGCN(nn.Module):
    """The network over the interactions of the train split."""

    name = "lightgcn"
    visited: Tensor
    edges: Tensor
    edge_weight: Tensor

    def __init__(
        self, graph: TemporalGraph, config: LightGCNConfig, weights: Mapping[str, Tensor] | None = None
    ) -> None:
        """An untrained network for the users and items of the graph, or of the ``weights`` that are to be loaded."""
        super().__init__()
        self.config = config
        counts = [len((weights or {}).get(f"{kind}.weight", graph.nodes[kind])) for kind in ("user", "item")]
        self.user, self.item = (nn.Embedding(count, config.dimension) for count in counts)
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.1)
        self.register_buffer("visited", train_interactions(graph)[0] if weights is None else weights["visited"])
        user, item = self.visited[0], self.visited[1] + len(self.user.weight)
        edges = torch.stack((torch.cat((user, item)), torch.cat((item, user))))
        degree = torch.bincount(edges[0]).float()
        self.register_buffer("edges", edges, persistent=False)
        self.register_buffer("edge_weight", (degree[edges[0]] * degree[edges[1]]).rsqrt(), persistent=False)
        self.conv = _lg_conv()
        self._propagated: tuple[Tensor, Tensor] | None = None

    def train(self, mode: bool = True) -> LightGCN:  # noqa: FBT001, FBT002 - as torch has it
        """Drop the propagated vectors, which may be those of other weights."""
        self._propagated = None
        return super().train(mode)

    def propagate(self) -> tuple[Float[Tensor, "users d"], Float[Tensor, "items d"]]:
        """Vectors of users and items: the mean over all layers."""
        if self._propagated is not None:
            return self._propagated
        vectors = [torch.cat((self.user.weight, self.item.weight))]
        for _ in range(self.config.layers):
            vectors.append(self.conv(vectors[-1], self.edges, self.edge_weight))
        users, items = torch.stack(vectors).mean(0).tensor_split([len(self.user.weight)])
        if not self.training:
            self._propagated = users, items
        return users, items

    def logit_factors(
        self, user: Int64[Tensor, " n"], item: Int64[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n d"], Int64[Tensor, " n"], Float[Tensor, "items d"]]:
        """Vectors of users, their targets, and the vectors of all items."""
        users, items = self.propagate()
        return users[user], item, items

    def scores(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """Products of the users' vectors with the items'; 0 for users newer than the training."""
        users, items = self.propagate()
        return known_rows(users, queries.user) @ items.T


def _lg_conv() -> nn.Module:
    """The propagation step, imported where it is used: torch-geometric's layers take seconds to import."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
        from torch_geometric.nn import LGConv
    conv: nn.Module = LGConv(normalize=False)
    return conv


LIGHTGCN = ModelEntry(
    LightGCNConfig,
    create=LightGCN,
    loss=lambda model, graph, options: SoftmaxNLL(model, graph, options.negatives, options.full_softmax),
    training={**LONG_TRAINING, "batch_size": 2048, "learning_rate": 5e-3, "min_steps": 2000},
)
