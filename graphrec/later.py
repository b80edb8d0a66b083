"""What comes later, by a ridge regression on what came before, fitted without the user who asks.

At some moments of each user's train events, evenly spread, ``X`` [moments, items] holds the events before and ``Y``
those after, the nearer the stronger; every person counts alike. A history ``s`` is answered by regressing Y on X,

    s (X'X + r I)^-1 X'Y = a'Y    with    a = K^-1 X s,    K = X X' + r I  [moments, moments]

which is EASE (``graphrec.ridge``) with a direction: it tells what follows from what goes together. Without the moments
m of the asking user, ``a`` loses ``K^-1[:, m] K^-1[m, m]^-1 a[m]`` (a part's inverse from the inverse of the whole).
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
from graphrec.ridge import inverse_gram

MOMENTS = 5_000
"""Moments at most that it is fitted to; they take 4 bytes for each pair."""
BEFORE, AFTER = 25.0, 20.0
"""Events after which, and before which, an event counts e times less."""
WINDOW = 200
"""Events that are looked at on either side."""


class Later(nn.Module):
    """The regression over the train events, which are kept with the weights."""

    events: Tensor
    user: Tensor
    before: Tensor
    after: Tensor
    inverse: Tensor
    own: Tensor

    def __init__(self, graph: TemporalGraph, weights: Mapping[str, Tensor] | None, ridge: float) -> None:
        """Read the train events of the graph, or take those that were saved as ``weights``."""
        super().__init__()
        if graph.timeless:
            raise ConfigError(f"later={ridge:g}: a log with times expected, in this one nothing comes later")
        events = _by_user(graph) if weights is None else weights["events"]
        self.register_buffer("events", events)
        self.known, items = max(1, len(torch.unique(events[1]))), len(graph.nodes["item"])
        moment = _moments(events[0])
        user = events[0, moment]
        met, count = torch.unique_consecutive(user, return_counts=True)
        alike = (len(user) / max(len(met), 1) / count.float()).sqrt().repeat_interleave(count)
        reach = torch.arange(WINDOW, device=events.device)
        past = _around(events, moment, -1 - reach, (-reach / BEFORE).exp(), alike)
        coming = _around(events, moment, reach, (-reach / AFTER).exp(), alike)
        shape = len(user), items
        self.register_buffer("user", user, persistent=False)
        self.register_buffer("before", matrix(*past, shape), persistent=False)
        self.register_buffer("after", matrix(coming[1], coming[0], coming[2], shape[::-1]), persistent=False)
        self.register_buffer("inverse", inverse_gram(*past, shape, ridge), persistent=False)
        self.register_buffer("own", _blocks(self.inverse, count), persistent=False)

    @torch.no_grad()
    def forward(
        self, history: Float[Tensor, "batch items"], user: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch items"]:
        """What is expected after a history, in units of its root mean square over visited items.

        The history should fade as ``BEFORE`` does. A user of -1 has no moments to leave out.
        """
        alike = self.inverse @ (self.before @ history.T.float().contiguous())  # a, [moments, batch]
        theirs = self.own @ (alike * (self.user[:, None] == user))
        alike = alike - (theirs.T.to_sparse_csr() @ self.inverse).T
        expected = self.after @ alike.contiguous()
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
    which = inside.nonzero()[:, 0]
    return which, events[1, place[inside]], (strength * alike[:, None])[inside]


def _blocks(inverse: Float[Tensor, "moments moments"], count: Int64[Tensor, " users"]) -> Tensor:
    """The inverse of each user's own part, side by side on the diagonal of a sparse matrix."""
    rows = torch.split(torch.arange(len(inverse), device=inverse.device), count.tolist())
    found = [torch.linalg.inv(inverse[own][:, own]).flatten() for own in rows]
    row = [own.repeat_interleave(len(own)) for own in rows]
    column = [own.repeat(len(own)) for own in rows]
    nothing = inverse.new_zeros(0)
    return matrix(
        torch.cat((nothing.long(), *row)),
        torch.cat((nothing.long(), *column)),
        torch.cat((nothing, *found)),
        (len(inverse), len(inverse)),
    )
