"""Item transition regression: the items after a moment, by ridge regression on the items before it.

At every moment t of a user's train events, ``x_t`` holds the items before it and ``y_t`` the items after it, with
weights that fall with the distance. A history ``s`` is answered by the regression of y on x over all moments:

    s W    with    W = (G + r I)^-1 C,    G = sum_t x_t' x_t,    C = sum_t x_t' y_t

With weights of ``p`` per event before and ``q`` per event after, two events of a user at a distance of ``l`` meet in
all moments together with a weight that has a closed form, so that G and C are sums over pairs of events:

    G: p^l (1 - p^(2 n)) / (1 - p^2),  n the moments after the second event        C: (p^l - q^l) / (p - q)

Prior art: SLIT of SLIST (Choi et al. 2021, arXiv 2103.16104; ``graphrec.models.slit``) regresses the later part of a
session on the earlier one in closed form, with weights by distance. Here the sums run over pairs of near events in
place of one row per split point, rows are not divided by their sums, every user weighs alike, the ridge is in users,
and the items of the history are masked. ``benchmarks/regressions.md`` measures both. EASE (Steck 2019, arXiv
1905.03375) regresses items on the others of a history, whatever their order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from graphrec.errors import ConfigError
from graphrec.graph import TRAIN, TemporalGraph
from graphrec.models.propagation import EPSILON

MAX_ITEMS = 5_000
"""Items that are regressed at most, the most visited: 4 bytes for each pair of them, three times while fitting."""
RIDGE = 30.0
"""Default ridge, in users, each of whom weighs 1."""
HISTORY_DECAY, TARGET_DECAY = 25.0, 20.0
"""Events over which the weight before, and after, a moment falls by e."""
MAX_EVENT_DISTANCE = 200
"""Distance of two events from which on their weight is taken as 0."""


class ItemTransitionRegression(nn.Module):
    """The regression over the train events, which are saved with the weights."""

    events: Tensor
    kept: Tensor
    factor: Tensor
    cross: Tensor

    def __init__(self, graph: TemporalGraph, weights: Mapping[str, Tensor] | None, ridge: float) -> None:
        """Read the train events of the graph, or take those that were saved as ``weights``."""
        super().__init__()
        if graph.timeless:
            raise ConfigError(
                f"transition_ridge={ridge:g}: a log with times expected; in this one events have no order"
            )
        events = _by_user(graph) if weights is None else weights["events"]
        visits = torch.bincount(events[1], minlength=len(graph.nodes["item"]))
        self.visited = max(1, int((visits > 0).sum()))
        kept = visits.sort(descending=True, stable=True).indices[: min(MAX_ITEMS, self.visited)].sort().values
        gram, cross = _sums(events, kept, len(visits))
        gram.diagonal().add_(ridge)
        torch.linalg.cholesky(gram, out=gram)  # not W: solving for it takes longer than all answers
        self.register_buffer("events", events)
        for name, value in {"kept": kept, "factor": gram, "cross": cross}.items():
            self.register_buffer(name, value, persistent=False)

    @torch.no_grad()
    def forward(self, history: Float[Tensor, "batch items"]) -> Float[Tensor, "batch items"]:
        """Expected later items of `recency_weighted_history`, in units of their root mean square.

        0 for the items of the history itself, which are left to the pointers.
        """
        expected = self._expected(history[:, self.kept].float())
        expected = expected * self._scale(expected)
        return expected.new_zeros(history.shape).index_copy(1, self.kept, expected) * (history == 0)

    @torch.no_grad()
    def parts(self, history: Float[Tensor, " items"], item: int) -> Float[Tensor, " items"]:
        """Summands of one item's output by the item of the history that they come from."""
        own = history[self.kept].float() * (history[item] == 0)
        column = torch.cholesky_solve(self.cross[:, self.kept == item], self.factor)  # of W; none of an unknown item
        parts = (own[:, None] * column).sum(1) * self._scale(self._expected(own[None]))[0]
        return parts.new_zeros(len(history)).index_copy(0, self.kept, parts)

    def _expected(self, own: Float[Tensor, "batch kept"]) -> Float[Tensor, "batch kept"]:
        return torch.cholesky_solve(own.T, self.factor).T @ self.cross

    def _scale(self, expected: Float[Tensor, "batch kept"]) -> Float[Tensor, "batch 1"]:
        return (expected.square().sum(1, keepdim=True) / self.visited + EPSILON).rsqrt()


def recency_weighted_history(
    item: Int64[Tensor, "batch k"], mask: Bool[Tensor, "batch k"], items: int
) -> Float[Tensor, "batch items"]:
    """Weights of a history by item, its events the latest first: e times less per ``HISTORY_DECAY`` events back."""
    weight = mask * (-torch.arange(item.shape[1], device=item.device) / HISTORY_DECAY).exp()
    return weight.new_zeros(len(item), items).scatter_add(1, item, weight)


def default_ridge(graph: TemporalGraph, ridge: float | None) -> float:
    """The given ridge; for None ``RIDGE`` in a log with times whose protocol evaluates users by lists, else 0: none."""
    if ridge is not None:
        return ridge
    lists = graph.manifest.protocol.get("judge") == "users"
    return RIDGE if lists and not graph.timeless else 0.0


def _by_user(graph: TemporalGraph) -> Int64[Tensor, "2 events"]:
    """Users and items of the train events, by user and then by time."""
    train = graph.log.split == TRAIN
    user, item = graph.log.user[train].long(), graph.log.item[train].long()
    order = torch.sort(user, stable=True).indices
    return torch.stack((user[order], item[order]))


def _sums(
    events: Int64[Tensor, "2 events"], kept: Int64[Tensor, " kept"], items: int
) -> tuple[Float[Tensor, "kept kept"], Float[Tensor, "kept kept"]]:
    """G and C over all moments; those of one user, each before any event but the first, weigh 1 together."""
    size, user = len(kept), events[0]
    row = torch.full((items,), -1, device=kept.device).index_copy(0, kept, torch.arange(size, device=kept.device))
    row = row[events[1]]
    end = torch.searchsorted(user, user, right=True)
    after = end - 1 - torch.arange(len(user), device=user.device)
    weight = 1 / (end - torch.searchsorted(user, user) - 1).clamp(min=1)
    p, q = math.exp(-1 / HISTORY_DECAY), math.exp(-1 / TARGET_DECAY)
    gram, cross = torch.zeros(2, size * size, device=user.device)
    for distance, first, second in sequence_pairs(user, MAX_EVENT_DISTANCE - 1):
        both = (row[first] >= 0) & (row[second] >= 0)
        first, second = first[both], second[both]
        pair = row[first] * size + row[second]
        met = p**distance * (1 - p ** (2 * after[second])) / (1 - p**2) * weight[second]
        gram.index_add_(0, pair, met if distance else met / 2)
        cross.index_add_(0, pair, (p**distance - q**distance) / (p - q) * weight[second])
    half = gram.view(size, size)
    return half + half.T, cross.view(size, size)


def sequence_pairs(sequence: Int64[Tensor, " n"], window: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Rows of the pairs of events of a sequence, by the steps between them."""
    for step in range(min(window + 1, len(sequence))):
        second = torch.arange(step, len(sequence), device=sequence.device)
        same = sequence[second - step] == sequence[second]
        if not bool(same.any()):
            return
        yield step, (second - step)[same], second[same]
