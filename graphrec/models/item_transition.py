"""What comes later, by a ridge regression on what came before.

At every moment t of a user's train events, ``x_t`` holds the items before it and ``y_t`` those after it, the nearer the
stronger. A history ``s`` is answered by regressing y on x over all moments of all users, everybody counting alike:

    s W    with    W = (G + r I)^-1 C,    G = sum_t x_t' x_t,    C = sum_t x_t' y_t

Fading by ``p`` an event before and by ``q`` an event after, two events of a user with ``l`` steps between them meet in
all moments together with a strength that has a closed form, so that G and C are sums over pairs of near events:

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
from graphrec.graph.events import TRAIN
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.propagation import EPSILON

ITEMS = 5_000
"""Items at most that it knows, the most visited: 4 bytes for each pair of them, three times while it is fitted."""
RIDGE = 30.0
"""Ridge where nothing is asked for; in people, each of whom weighs 1."""
HISTORY_DECAY, TARGET_DECAY = 25.0, 20.0
"""Events after which, and before which, an event counts e times less."""
MAX_EVENT_DISTANCE = 200
"""Steps between two events from which on they are strangers."""


class ItemTransitionRegression(nn.Module):
    """The regression over the train events, which are kept with the weights."""

    events: Tensor
    kept: Tensor
    factor: Tensor
    both: Tensor

    def __init__(self, graph: TemporalGraph, weights: Mapping[str, Tensor] | None, ridge: float) -> None:
        """Read the train events of the graph, or take those that were saved as ``weights``."""
        super().__init__()
        if graph.timeless:
            raise ConfigError(f"transition_ridge={ridge:g}: a log with times expected, in this one nothing comes later")
        events = _by_user(graph) if weights is None else weights["events"]
        self.register_buffer("events", events)
        visits = torch.bincount(events[1], minlength=len(graph.nodes["item"]))
        self.known = max(1, int((visits > 0).sum()))
        kept = visits.sort(descending=True, stable=True).indices[: min(ITEMS, self.known)].sort().values
        self.register_buffer("kept", kept, persistent=False)
        before, both = _sums(events, kept, len(visits))
        before.diagonal().add_(ridge)
        torch.linalg.cholesky(before, out=before)
        self.register_buffer(
            "factor", before, persistent=False
        )  # of G + r I: W itself would take longer than all answers
        self.register_buffer("both", both, persistent=False)

    @torch.no_grad()
    def forward(self, history: Float[Tensor, "batch items"]) -> Float[Tensor, "batch items"]:
        """What is expected after a history of `recency_weighted_history`, in units of its root mean square.

        Of the history itself nothing is expected: what a user has had is for the pointers to name.
        """
        expected = self._expected(history[:, self.kept].float())
        expected = expected * self._unit(expected)
        return expected.new_zeros(history.shape).index_copy(1, self.kept, expected) * (history == 0)

    @torch.no_grad()
    def parts(self, history: Float[Tensor, " items"], item: int) -> Float[Tensor, " items"]:
        """What each item of a history adds to what is expected of one item; they add up to that."""
        mine = history[self.kept].float() * (history[item] == 0)
        column = torch.cholesky_solve(self.both[:, self.kept == item], self.factor)  # of W; none of an unknown item
        added = (mine[:, None] * column).sum(1) * self._unit(self._expected(mine[None]))[0]
        return added.new_zeros(len(history)).index_copy(0, self.kept, added)

    def _expected(self, mine: Float[Tensor, "batch kept"]) -> Float[Tensor, "batch kept"]:
        return torch.cholesky_solve(mine.T, self.factor).T @ self.both

    def _unit(self, expected: Float[Tensor, "batch kept"]) -> Float[Tensor, "batch 1"]:
        return (expected.square().sum(1, keepdim=True) / self.known + EPSILON).rsqrt()


def recency_weighted_history(
    item: Int64[Tensor, "batch k"], real: Bool[Tensor, "batch k"], items: int
) -> Float[Tensor, "batch items"]:
    """Weights of a history by item, its events the latest first: e times less per ``HISTORY_DECAY`` events back."""
    strength = real * (-torch.arange(item.shape[1], device=item.device) / HISTORY_DECAY).exp()
    return strength.new_zeros(len(item), items).scatter_add(1, item, strength)


def default_ridge(graph: TemporalGraph, asked: float | None) -> float:
    """The ridge that is asked for, else ``RIDGE`` in a log with times whose protocol judges users by lists; 0: none."""
    if asked is not None:
        return asked
    lists = graph.manifest.protocol.get("judge") == "users"
    return RIDGE if lists and not graph.timeless else 0.0


def _by_user(graph: TemporalGraph) -> Int64[Tensor, "2 events"]:
    """Users and items of the train events, by user and then in order of time."""
    train = graph.log.split == TRAIN
    user, item = graph.log.user[train].long(), graph.log.item[train].long()
    order = torch.sort(user, stable=True).indices
    return torch.stack((user[order], item[order]))


def _sums(
    events: Int64[Tensor, "2 events"], kept: Int64[Tensor, " kept"], items: int
) -> tuple[Float[Tensor, "kept kept"], Float[Tensor, "kept kept"]]:
    """G and C over all moments; those of one person, each before any event but the first, weigh 1 together."""
    size, user = len(kept), events[0]
    place = torch.full((items,), -1, device=kept.device).index_copy(0, kept, torch.arange(size, device=kept.device))
    place = place[events[1]]
    after = torch.searchsorted(user, user, right=True) - 1 - torch.arange(len(user), device=user.device)
    alike = 1 / (torch.searchsorted(user, user, right=True) - torch.searchsorted(user, user) - 1).clamp(min=1)
    p, q = math.exp(-1 / HISTORY_DECAY), math.exp(-1 / TARGET_DECAY)
    before, both = torch.zeros(2, size * size, device=user.device)
    for step, first, second in _pairs(user, place):
        pair = place[first] * size + place[second]
        met = p**step * (1 - p ** (2 * after[second])) / (1 - p**2) * alike[second]
        before.index_add_(0, pair, met if step else met / 2)
        both.index_add_(0, pair, (p**step - q**step) / (p - q) * alike[second])
    half = before.view(size, size)
    return half + half.T, both.view(size, size)


def _pairs(user: Int64[Tensor, " events"], place: Int64[Tensor, " events"]) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Pairs of a user's events among the items that count, by the steps between them."""
    for step in range(min(MAX_EVENT_DISTANCE, len(user))):
        second = torch.arange(step, len(user), device=user.device)
        first = second - step
        met = (user[first] == user[second]) & (place[first] >= 0) & (place[second] >= 0)
        yield step, first[met], second[met]
