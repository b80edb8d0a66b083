"""Graph filter over the interactions of the train split: item -> user -> item, twice.

``y_1 = P y_0`` and ``y_2 = P y_1`` with ``P = B^T B``, where ``B`` [users, items] holds log2(1 + count) of each pair,
over powers of the degrees of its user and item. The second product is subtracted from the first: what is near to
everybody says little. Linear graph filters: Shen et al. 2021, "How Powerful is Graph Convolution for
Recommendation?", arXiv 2108.07567; blurring and sharpening: Choi et al. 2023, arXiv 2211.09324.

The query's own user is left out of the products: the target of a training query must not lead to itself.

With ``low_pass`` the whole filter of the second paper takes its place, for large logs of lists: the projection of the
signal on the leading factors of ``B`` (an ideal low pass) joins the first product, and both are sharpened by
``dy/dt = -P y``. The factors are those of all users.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from graphrec.graph import TRAIN, TemporalGraph

USER_POWER, ITEM_POWER, SHARPENING = 0.2, 0.4, 0.3
"""Powers of the degrees and weight of the second product: good on held-out users of Gowalla and MovieLens both.
Learned by likelihood they drift to what ranks worse (docs/decisions/0007)."""
LOW_PASS_POWER, LOW_PASS, SHARPENING_TIME = 0.5, 0.2, 2.5
"""Power of both degrees, weight of the low pass and time of sharpening of the paper's filter, as its authors give them
for Gowalla."""
OVERSAMPLING, POWER_ITERATIONS = 16, 4
"""Of the randomised search for factors: factors beyond those that are kept, and its iterations."""
MIN_SINGULAR_VALUE_RATIO = 1e-4
"""Singular value, as a share of the largest, below which a factor is rounding error."""
EPSILON = 1e-20
"""Keeps a zero signal from being divided by zero."""
FLOOR = 0.1
"""Strength of a signal, in its root mean square, below which differences hardly count."""
SAVED_INTERACTIONS = ("interactions", "log_counts")
"""Buffers that are saved with the weights: pairs of user and item of the train split, and log2(1 + count)."""


class GraphFilter(nn.Module):
    """The filter, with the interactions that it was made of."""

    interactions: Tensor
    log_counts: Tensor
    has_interactions: Tensor
    to_users: Tensor
    to_items: Tensor
    item_scale: Tensor
    item_factors: Tensor

    def __init__(self, graph: TemporalGraph, weights: Mapping[str, Tensor] | None = None, low_pass: int = 0) -> None:
        """Read the interactions of the graph, or take those saved as ``weights``; ``low_pass`` counts factors."""
        super().__init__()
        pairs, log_counts = (
            train_interactions(graph) if weights is None else (weights[name] for name in SAVED_INTERACTIONS)
        )
        users, items = (len(graph.nodes[kind]) for kind in ("user", "item"))
        user_power, item_power = (LOW_PASS_POWER, LOW_PASS_POWER) if low_pass else (USER_POWER, ITEM_POWER)
        counted = log_counts if low_pass else None  # weighted degrees: P then has no eigenvalue above 1
        value = log_counts * degree(pairs[0], counted) ** -user_power * degree(pairs[1], counted) ** -item_power
        item_degree = torch.bincount(pairs[1], counted, minlength=items).float()
        self.low_pass = min(low_pass, users, items)
        self.register_buffer("interactions", pairs)
        self.register_buffer("log_counts", log_counts)
        derived = {
            "has_interactions": (torch.bincount(pairs[1], minlength=items) > 0).float(),
            "to_users": csr(pairs[0], pairs[1], value, (users, items)),
            "to_items": csr(pairs[1], pairs[0], value, (items, users)),
            "item_scale": item_degree.clamp(min=1)[:, None] ** item_power,
            "item_factors": _item_factors(pairs, value, items, self.low_pass),
        }
        for name, tensor in derived.items():
            self.register_buffer(name, tensor, persistent=False)

    def forward(
        self, signal: Float[Tensor, "batch items"], user: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch items"]:
        """Log of the filtered signal against its mean over the items with interactions; 0 for every other item.

        So an item without interactions is neither raised nor lowered.
        """
        strength = (self.filtered(signal, user).relu() * (1 / FLOOR)).log1p()
        mean = (strength * self.has_interactions).sum(1, keepdim=True) / self.has_interactions.sum().clamp(min=1)
        return (strength - mean) * self.has_interactions

    def filtered(
        self, signal: Float[Tensor, "batch items"], user: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch items"]:
        """The signal after the filter, in units of the root mean square over items with interactions."""
        once = self._product(signal.T, user)
        if self.low_pass:
            kept = self.item_scale * (self.item_factors @ (self.item_factors.T @ (signal.T / self.item_scale)))
            return self._normalized(self._sharpened(once + LOW_PASS * kept, user)).T
        return (self._normalized(once) - SHARPENING * self._normalized(self._product(once, user))).T

    def _sharpened(self, blurred: Float[Tensor, "items batch"], user: Tensor) -> Float[Tensor, "items batch"]:
        """``dy/dt = -P y`` over SHARPENING_TIME, to the fourth order: what one step of the paper's 3/8 rule gives."""
        term = sharpened = blurred
        for order in range(1, 5):
            term = self._product(term, user) * (-SHARPENING_TIME / order)
            sharpened = sharpened + term
        return sharpened

    def _product(self, signal: Float[Tensor, "items batch"], user: Tensor) -> Float[Tensor, "items batch"]:
        """``P`` times a signal, without the row of each query's own user in ``B``."""
        on_users = sparse_matmul(signal, self.to_users, self.to_items)
        column = torch.arange(len(user), device=user.device)[user >= 0]
        on_users = on_users.index_put((user[user >= 0], column), on_users.new_zeros(()))
        return sparse_matmul(on_users, self.to_items, self.to_users)

    def _normalized(self, signal: Float[Tensor, "items batch"]) -> Float[Tensor, "items batch"]:
        mean_square = signal.square().sum(0, keepdim=True) / self.has_interactions.sum().clamp(min=1)
        return signal * (mean_square + EPSILON).rsqrt()


class _SparseMatmul(torch.autograd.Function):
    """A constant sparse matrix times a dense one; the backward pass takes its transpose, which is at hand."""

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


def train_interactions(graph: TemporalGraph) -> tuple[Int64[Tensor, "2 pairs"], Float[Tensor, " pairs"]]:
    """Pairs of user and item of the train events, each once, and log2(1 + count)."""
    train = graph.log.split == TRAIN
    events = torch.stack((graph.log.user[train].long(), graph.log.item[train].long()))
    pairs, count = torch.unique(events, dim=1, return_counts=True)
    return pairs.contiguous(), (1 + count.float()).log2()


def _item_factors(
    pairs: Int64[Tensor, "2 pairs"], value: Float[Tensor, " pairs"], items: int, count: int
) -> Float[Tensor, "items count"]:
    """The first right singular vectors of ``B``, by the algorithm of Halko et al. 2011, arXiv 0909.4061.

    Searched among the users and items with interactions, so that nodes added since change no digit. Columns of zeros
    stand for the factors that the interactions do not have.
    """
    factors = value.new_zeros(items, count)
    if not count or not len(value):
        return factors
    (users, row), (codes, column) = (torch.unique(one, return_inverse=True) for one in pairs)
    matrix = torch.sparse_coo_tensor(torch.stack((row, column)), value, (len(users), len(codes)), check_invariants=True)
    with torch.random.fork_rng(devices=[]):  # on the CPU, by a seed of its own
        torch.manual_seed(0)
        rank = min(count + OVERSAMPLING, *matrix.shape)
        _, size, axes = torch.svd_lowrank(matrix.cpu(), rank, niter=POWER_ITERATIONS)
    kept = axes[:, :count] * (size[:count] > MIN_SINGULAR_VALUE_RATIO * size[0])
    factors[codes, : kept.shape[1]] = kept.to(factors)
    return factors


def degree(code: Int64[Tensor, " pairs"], weight: Float[Tensor, " pairs"] | None = None) -> Float[Tensor, " pairs"]:
    """Degree of each pair's node: the count of its pairs, or the sum of their weights."""
    return torch.bincount(code, weight)[code].float()


def csr(row: Tensor, column: Tensor, value: Tensor, shape: tuple[int, int]) -> Tensor:
    """A sparse matrix by rows, the layout that multiplies fastest."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        pairs = torch.stack((row, column))
        return torch.sparse_coo_tensor(pairs, value, shape, check_invariants=True).coalesce().to_sparse_csr()
