"""What comes later, by a ridge regression on what came before.

At some moments of each user's train events, evenly spread, ``X`` [moments, items] holds the events before and ``Y``
those after, the nearer the stronger; every person counts alike. A history ``s`` is answered by regressing Y on X,

    s (X'X + r I)^-1 X'Y = Y'a    with    a = (X X' + r I)^-1 X s,

for which no matrix of items x items is ever held. EASE (Steck 2019, arXiv 1905.03375) tells what goes together; this
tells what follows. The dual form of ridge regression: Saunders et al. 1998, ICML.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from graphrec.errors import ConfigError
from graphrec.events import TRAIN
from graphrec.graph import TemporalGraph
from graphrec.propagation import SMALLEST, matrix

MOMENTS = 5_000
"""Moments at most that it is fitted to: 4 bytes for each pair of them, twice while it is fitted."""
BEFORE, AFTER = 25.0, 20.0
"""Events after which, and before which, an event counts e times less."""
WINDOW = 200
"""Events that are looked at on either side."""
BLOCK = 10_000_000
"""Numbers held at once beside the pairs of moments while it is fitted."""


class Later(nn.Module):
    """The regression over the train events, which are kept with the weights."""

    events: Tensor
    before: Tensor
    after: Tensor
    inverse: Tensor

    def __init__(self, graph: TemporalGraph, weights: Mapping[str, Tensor] | None, ridge: float) -> None:
        """Read the train events of the graph, or take those that were saved as ``weights``."""
        super().__init__()
        if graph.timeless:
            raise ConfigError(f"later={ridge:g}: a log with times expected, in this one nothing comes later")
        events = _by_user(graph) if weights is None else weights["events"]
        self.register_buffer("events", events)
        self.known = max(1, len(torch.unique(events[1])))
        moment = _moments(events[0])
        people, own, count = torch.unique(events[0, moment], return_inverse=True, return_counts=True)
        alike = (len(moment) / max(len(people), 1) / count[own].float()).sqrt()
        reach = torch.arange(WINDOW, device=events.device)
        past = _around(events, moment, -1 - reach, (-reach / BEFORE).exp(), alike)
        which, item, strength = _around(events, moment, reach, (-reach / AFTER).exp(), alike)
        shape = len(moment), len(graph.nodes["item"])
        self.register_buffer("before", matrix(*past, shape), persistent=False)
        self.register_buffer("after", matrix(item, which, strength, shape[::-1]), persistent=False)
        self.register_buffer("inverse", _inverse_gram(self.before, past, ridge), persistent=False)

    @torch.no_grad()
    def forward(self, history: Float[Tensor, "batch items"]) -> Float[Tensor, "batch items"]:
        """What is expected after a history that fades as ``BEFORE`` does, in units of its root mean square."""
        alike = self.inverse @ (self.before @ history.T.float().contiguous())  # a, [moments, batch]
        expected = self.after @ alike
        return (expected * (expected.square().sum(0) / self.known + SMALLEST).rsqrt()).T


def _by_user(graph: TemporalGraph) -> Int64[Tensor, "2 events"]:
    """Users and items of the train events, by user and then in order of time."""
    train = graph.log.split == TRAIN
    user, item = graph.log.user[train].long(), graph.log.item[train].long()
    order = torch.sort(user, stable=True).indices
    return torch.stack((user[order], item[order]))


def _moments(user: Int64[Tensor, " events"]) -> Int64[Tensor, " moments"]:
    """Places of the events just before which the regression looks; a user's first is none."""
    place = torch.arange(0, len(user), max(1, math.ceil(len(user) / MOMENTS)), device=user.device)
    return place[place > torch.searchsorted(user, user[place])]


def _around(
    events: Int64[Tensor, "2 events"],
    moment: Int64[Tensor, " moments"],
    step: Int64[Tensor, " window"],
    strength: Float[Tensor, " window"],
    alike: Float[Tensor, " moments"],
) -> tuple[Tensor, Tensor, Tensor]:
    """Moment, item and strength of the same user's events so many steps away, flat."""
    place = moment[:, None] + step
    inside = (place >= 0) & (place < events.shape[1])
    place = place.clamp(0, max(events.shape[1] - 1, 0))
    inside &= events[0, place] == events[0, moment][:, None]
    return inside.nonzero()[:, 0], events[1, place[inside]], (strength * alike[:, None])[inside]


def _inverse_gram(
    sparse: Tensor, parts: tuple[Tensor, Tensor, Tensor], ridge: float
) -> Float[Tensor, "moments moments"]:
    """``(X X' + ridge I)^-1`` of X, given as it is and by its rows, columns and values."""
    (rows, columns), (row, column, value) = sparse.shape, parts
    gram = value.new_empty(rows, rows)
    size = max(1, BLOCK // max(columns, 1))
    for start in range(0, rows, size):
        inside = (row >= start) & (row < start + size)
        dense = value.new_zeros(columns, min(size, rows - start))
        dense.index_put_((column[inside], row[inside] - start), value[inside], accumulate=True)
        gram[:, start : start + size] = sparse @ dense
    gram.diagonal().add_(ridge)
    torch.linalg.cholesky(gram, out=gram)
    return torch.cholesky_inverse(gram)
