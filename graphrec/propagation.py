"""Long-range propagation: what people with a like history visit, over the whole graph of the train split.

A signal on items goes to the users who visited them and back, so many times. Each round trip ``y_k = P y_{k-1}``
with ``P = B^T A B``: ``B`` is who visited what, divided by powers of how busy people and how popular items are, and
the powers are learned, one pair a round trip. Round trips are then mixed with learned signs: a negative second one
takes away what everybody is led to. Linear graph filters: Shen et al. 2021, "How Powerful is Graph Convolution for
Recommendation?", arXiv 2108.07567; blurring and sharpening: Choi et al. 2023, arXiv 2211.09324.

The asking user's own visits take no part: what a training question is to find must not find itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from graphrec.events import TRAIN
from graphrec.graph import TemporalGraph

SMALLEST = 1e-20
"""Keeps a signal of nothing from being divided by nothing."""
FLOOR = 0.1
"""Strength of a signal, in its root mean square, below which differences stop to count."""


class Propagation(nn.Module):
    """Round trips item -> user -> item over the visits of the train split, which are kept with the weights."""

    visited: Tensor
    often: Tensor
    known: Tensor
    busy: Tensor
    popular: Tensor
    to_users: Tensor
    to_items: Tensor

    def __init__(self, graph: TemporalGraph, trips: int, weights: Mapping[str, Tensor] | None = None) -> None:
        """Read the visits of the graph, or take those that were saved as ``weights``."""
        super().__init__()
        visited, often = _visits(graph) if weights is None else (weights["visited"], weights["often"])
        self.register_buffer("visited", visited)
        self.register_buffer("often", often)
        users, items = len(graph.nodes["user"]), len(graph.nodes["item"])
        self.register_buffer("known", (torch.bincount(visited[1], minlength=items) > 0).float(), persistent=False)
        self.register_buffer("busy", _degree(visited[0], users), persistent=False)
        self.register_buffer("popular", _degree(visited[1], items), persistent=False)
        self.register_buffer("to_users", _matrix(visited[0], visited[1], often, (users, items)), persistent=False)
        self.register_buffer("to_items", _matrix(visited[1], visited[0], often, (items, users)), persistent=False)
        self.user_power = nn.Parameter(torch.full((trips,), 0.6))
        self.item_power = nn.Parameter(torch.full((trips,), 0.42))
        self.share = nn.Parameter(torch.tensor([1.0, -0.5, *[0.0] * trips])[:trips])

    def forward(
        self, signal: Float[Tensor, "batch items"], user: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch items"]:
        """How strongly each item is reached, against the mean of the visited ones; 0 for an item without a visit.

        So an item that is new is neither helped nor harmed.
        """
        reached = (self.mixed(signal, user).relu() / FLOOR).log1p()
        mean = (reached * self.known).sum(1, keepdim=True) / self.known.sum().clamp(min=1)
        return (reached - mean) * self.known

    def mixed(
        self, signal: Float[Tensor, "batch items"], user: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch items"]:
        """The signal after the round trips, mixed, each in units of its root mean square over visited items."""
        here = signal.T
        others = torch.ones(len(self.busy), len(user), device=user.device)
        others[user.clamp(min=0), torch.arange(len(user), device=user.device)] = (user < 0).float()
        mixed = torch.zeros_like(here)
        for trip, share in enumerate(self.share):
            item = (-self.item_power[trip] * self.popular)[:, None].exp()
            people = (-self.user_power[trip] * self.busy)[:, None].exp() * others
            there = _product(here * item, self.to_users, self.to_items) * people
            here = _product(there, self.to_items, self.to_users) * item
            size = (here.square().sum(0, keepdim=True) / self.known.sum().clamp(min=1) + SMALLEST).sqrt()
            mixed = mixed + share * here / size
        return mixed.T


class _Product(torch.autograd.Function):
    """A constant sparse matrix times a dense one; the way back needs its transpose, which is at hand."""

    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: Tensor, transposed: Tensor) -> Tensor:
        ctx.transposed = transposed
        with torch.autocast(dense.device.type, enabled=False):
            return matrix @ dense.float()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        with torch.autocast(gradient.device.type, enabled=False):
            return ctx.transposed @ gradient.float(), None, None


def _product(dense: Tensor, matrix: Tensor, transposed: Tensor) -> Tensor:
    product: Tensor = _Product.apply(dense, matrix, transposed)  # type: ignore[no-untyped-call]
    return product


def _visits(graph: TemporalGraph) -> tuple[Int64[Tensor, "2 pairs"], Float[Tensor, " pairs"]]:
    """Users and the items of their train events, each pair once, and log2(1 + how often)."""
    train = graph.log.split == TRAIN
    pairs = torch.stack((graph.log.user[train].long(), graph.log.item[train].long()))
    visited, count = torch.unique(pairs, dim=1, return_counts=True)
    return visited, (1 + count.float()).log2()


def _degree(code: Int64[Tensor, " pairs"], count: int) -> Float[Tensor, " count"]:
    """Logarithm of how many pairs each node has, at least one."""
    return torch.bincount(code, minlength=count).clamp(min=1).float().log()


def _matrix(row: Tensor, column: Tensor, value: Tensor, shape: tuple[int, int]) -> Tensor:
    """A sparse matrix by rows, which multiplies fastest."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        pairs = torch.stack((row, column))
        return torch.sparse_coo_tensor(pairs, value, shape, check_invariants=True).coalesce().to_sparse_csr()
