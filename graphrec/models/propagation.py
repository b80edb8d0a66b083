"""Long-range propagation: what people with a like history visit, over the whole graph of the train split.

A signal on items goes to the users who visited them and back, twice: ``y_1 = P y_0`` and ``y_2 = P y_1`` with
``P = B^T B``, where ``B`` is who visited what, divided by powers of how busy people and how popular items are. The
second trip is taken away from the first, which sharpens: what everybody is led to says little. Linear graph filters:
Shen et al. 2021, "How Powerful is Graph Convolution for Recommendation?", arXiv 2108.07567; blurring and sharpening:
Choi et al. 2023, arXiv 2211.09324.

The asking user's own visits take no part in the trips: what a training question is to find must not find itself.

Where lists are many and say little else, the whole filter of the second paper takes its place: what the first factors
of the visits keep of the signal (an ideal low pass) joins the first trip, and both are sharpened by ``dy/dt = -P y``.
Its factors are those of everybody, the user included.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from graphrec.graph.events import TRAIN
from graphrec.graph.temporal_graph import TemporalGraph

USER_POWER, ITEM_POWER, SHARPENING = 0.2, 0.4, 0.3
"""Discounts of busy people and popular items, weight of the second trip: good on held-out users of Gowalla and
MovieLens both. Left to a likelihood they drift to what ranks worse (docs/decisions/0007)."""
HALF, LOW_PASS, SHARPENING_TIME = 0.5, 0.2, 2.5
"""The discounts, the weight of the low pass and the time of sharpening of the paper's filter, as its authors give them
for Gowalla."""
OVERSAMPLING, POWER_ITERATIONS = 16, 4
"""Of the search for factors: how many more than asked are looked for, and how often they are refined."""
MIN_SINGULAR_VALUE_RATIO = 1e-4
"""Singular value, as a share of the largest, below which a factor is rounding and not of the visits."""
EPSILON = 1e-20
"""Keeps a signal of nothing from being divided by nothing."""
FLOOR = 0.1
"""Strength of a signal, in its root mean square, below which differences stop to count."""


SAVED_INTERACTIONS = ("interactions", "log_counts")
"""Buffers that are saved with the weights: the interactions of the train split."""


class GraphFilter(nn.Module):
    """Two trips item -> user -> item over the visits of the train split, which are kept with the weights."""

    interactions: Tensor
    log_counts: Tensor
    has_interactions: Tensor
    to_users: Tensor
    to_items: Tensor

    popular: Tensor
    item_factors: Tensor

    def __init__(self, graph: TemporalGraph, weights: Mapping[str, Tensor] | None = None, low_pass: int = 0) -> None:
        """Read the visits of the graph, or take those that were saved as ``weights``; ``low_pass`` counts factors."""
        super().__init__()
        interactions, log_counts = (
            _visits(graph) if weights is None else tuple(weights[name] for name in SAVED_INTERACTIONS)
        )
        self.register_buffer("interactions", interactions)
        self.register_buffer("log_counts", log_counts)
        users, items = (len(graph.nodes[kind]) for kind in ("user", "item"))
        self.register_buffer(
            "has_interactions", (torch.bincount(interactions[1], minlength=items) > 0).float(), persistent=False
        )
        user_power, item_power = (HALF, HALF) if low_pass else (USER_POWER, ITEM_POWER)
        counted = log_counts if low_pass else None  # then no trip makes a signal stronger, which sharpening rests on
        share = (
            log_counts
            * degree(interactions[0], counted) ** -user_power
            * degree(interactions[1], counted) ** -item_power
        )
        self.register_buffer("to_users", csr(interactions[0], interactions[1], share, (users, items)), persistent=False)
        self.register_buffer("to_items", csr(interactions[1], interactions[0], share, (items, users)), persistent=False)
        self.low_pass = min(low_pass, users, items)
        popular = torch.bincount(interactions[1], counted, minlength=items).float().clamp(min=1) ** item_power
        self.register_buffer("popular", popular[:, None], persistent=False)
        self.register_buffer("item_factors", _factors(self.to_users, self.to_items, self.low_pass), persistent=False)

    def forward(
        self, signal: Float[Tensor, "batch items"], user: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch items"]:
        """How strongly each item is reached, against the mean of the visited ones; 0 for an item without a visit.

        So an item that is new is neither helped nor harmed.
        """
        reached = (self.filtered(signal, user).relu() * (1 / FLOOR)).log1p()
        mean = (reached * self.has_interactions).sum(1, keepdim=True) / self.has_interactions.sum().clamp(min=1)
        return (reached - mean) * self.has_interactions

    def filtered(
        self, signal: Float[Tensor, "batch items"], user: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch items"]:
        """The first trip, sharpened; strengths are in units of their root mean square over visited items."""
        once = self._trip(signal.T, user)
        if self.low_pass:
            kept = self.popular * (self.item_factors @ (self.item_factors.T @ (signal.T / self.popular)))
            return self._in_units(self._sharpened(once + LOW_PASS * kept, user)).T
        return (self._in_units(once) - SHARPENING * self._in_units(self._trip(once, user))).T

    def _sharpened(self, blurred: Float[Tensor, "items batch"], user: Tensor) -> Float[Tensor, "items batch"]:
        """``dy/dt = -P y`` for a time, by one step of the 3/8 rule (Kutta 1901)."""
        time = SHARPENING_TIME
        first = -self._trip(blurred, user)
        second = -self._trip(blurred + time * first / 3, user)
        third = -self._trip(blurred + time * (second - first / 3), user)
        fourth = -self._trip(blurred + time * (first - second + third), user)
        return blurred + time * (first + 3 * second + 3 * third + fourth) / 8

    def _trip(self, here: Float[Tensor, "items batch"], user: Tensor) -> Float[Tensor, "items batch"]:
        """From items to the other users who visited them, and from those to what they visited."""
        there = sparse_matmul(here, self.to_users, self.to_items)
        column = torch.arange(len(user), device=user.device)[user >= 0]
        there = there.index_put((user[user >= 0], column), there.new_zeros(()))
        return sparse_matmul(there, self.to_items, self.to_users)

    def _in_units(self, here: Float[Tensor, "items batch"]) -> Float[Tensor, "items batch"]:
        return here * (here.square().sum(0, keepdim=True) / self.has_interactions.sum().clamp(min=1) + EPSILON).rsqrt()


class _SparseMatmul(torch.autograd.Function):
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


def sparse_matmul(dense: Tensor, matrix: Tensor, transposed: Tensor) -> Tensor:
    """A constant sparse matrix, whose transpose is given as well, times a dense one."""
    result: Tensor = _SparseMatmul.apply(dense, matrix, transposed)  # type: ignore[no-untyped-call]
    return result


def _visits(graph: TemporalGraph) -> tuple[Int64[Tensor, "2 pairs"], Float[Tensor, " pairs"]]:
    """Users and the items of their train events, each pair once, and log2(1 + how often)."""
    train = graph.log.split == TRAIN
    pairs = torch.stack((graph.log.user[train].long(), graph.log.item[train].long()))
    interactions, count = torch.unique(pairs, dim=1, return_counts=True)
    return interactions.contiguous(), (1 + count.float()).log2()


def _factors(to_users: Tensor, to_items: Tensor, count: int) -> Float[Tensor, "items count"]:
    """The first right singular vectors of the visits, by subspace iteration: Halko et al. 2011, arXiv 0909.4061.

    Columns of zeros stand for the factors that the visits do not have.
    """
    items = to_users.shape[1]
    draws = torch.Generator().manual_seed(0)
    item_factors = torch.randn(items, min(count + OVERSAMPLING, items), generator=draws).to(to_users.device)
    if not count:
        return item_factors[:, :0]
    for _ in range(POWER_ITERATIONS):
        item_factors = torch.linalg.qr(to_items @ (to_users @ item_factors)).Q
    _, size, turn = torch.linalg.svd(to_users @ item_factors, full_matrices=False)
    found = size[:count] > MIN_SINGULAR_VALUE_RATIO * size[0]
    kept: Tensor = item_factors @ (turn[:count] * found[:, None]).T
    return kept


def degree(code: Int64[Tensor, " pairs"], weight: Float[Tensor, " pairs"] | None = None) -> Float[Tensor, " pairs"]:
    """Of each pair: how many pairs its node has, or their weights together."""
    return torch.bincount(code, weight)[code].float()


def csr(row: Tensor, column: Tensor, value: Tensor, shape: tuple[int, int]) -> Tensor:
    """A sparse matrix by rows, which multiplies fastest."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        pairs = torch.stack((row, column))
        return torch.sparse_coo_tensor(pairs, value, shape, check_invariants=True).coalesce().to_sparse_csr()
