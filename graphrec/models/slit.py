"""SLIT: ridge regression of the later items of a session on the earlier ones, in closed form.

Choi et al. 2021, "Session-aware Linear Item-Item Models for Session-based Recommendation" (WWW), arXiv 2103.16104;
the transition half of their SLIST (``alpha`` 0 in their code, github.com/jin530/SLIST). Each session ``s_1 .. s_n`` is
split after every event ``t < n``. The source row ``x_t`` holds the events up to ``t`` weighted by ``exp(-(t - j) /
position_decay)`` and divided by their sum, the target row ``y_t`` the events after ``t`` weighted by ``exp(-(j - t - 1)
/ position_decay)``, and the row counts ``w_t = exp(-(t_max - t_session) / session_decay_days)``:

    B = (G + ridge I)^-1 C,    G = sum_t w_t x_t' x_t,    C = sum_t w_t x_t' y_t

A session is answered by ``x B`` with ``exp(-(n - j) / inference_decay)`` for its ``j``-th event. With ``p = exp(-1 /
position_decay)`` and ``z_t`` the sum of the weights in ``x_t``, the rows need not be written out: two events ``a <= b``
of a session meet in G with ``p^(b - a) sum_(t >= b) p^(2 (t - b)) w_t / z_t^2`` and, ``a < b``, in C with
``p^(b - a - 1) sum_(a <= t < b) w_t / z_t``.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float32, Int64
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from graphrec.graph import TRAIN, Events, TemporalGraph
from graphrec.models.item_to_item import ItemWeights
from graphrec.models.item_transition import sequence_pairs
from graphrec.models.registry import ModelEntry, ModelHyperparameters
from graphrec.queries import Queries, UserHistory
from graphrec.time_units import DAY

MIN_PAIR_WEIGHT = 1e-6
"""Two events of a session whose position weight is smaller than this are left out of the sums."""


class SlitConfig(ModelHyperparameters):
    """Settings of ``slit``; the defaults are those of the authors' configurations."""

    name: Literal["slit"] = "slit"
    ridge: float = Field(default=10.0, gt=0)
    """L2 regularization of the weights."""
    position_decay: float = Field(default=1.0, gt=0)
    """Events of distance from the split point over which a training weight falls by e."""
    inference_decay: float = Field(default=1.0, gt=0)
    """Events of distance from the last event over which a weight of the history falls by e."""
    session_decay_days: float | None = Field(default=None, gt=0)
    """Days of age over which a session's weight falls by e; None: every session counts alike."""
    source: Literal["past", "last"] = "past"
    """The source row: every event up to the split point, as in the paper, or the last one, as in the authors' runs."""


class Slit(ItemWeights):
    """Weights from earlier to later items of a session.

    Sessions are those of the log; the events of a user that have none (the whole history, in a log without sessions)
    are one sequence. Fitting peaks at 12 bytes for each pair of items, as EASE does.
    """

    name = "slit"

    def __init__(self, graph: TemporalGraph, config: SlitConfig | None = None) -> None:
        super().__init__(graph)
        self.config = config or SlitConfig()

    def solve(self) -> NDArray[np.float32]:
        """Weight of each earlier item (row) for each later one (column)."""
        factor, cross = self.factors()
        weights: NDArray[np.float32] = torch.cholesky_solve(cross, factor).cpu().numpy()
        return weights

    def factors(self) -> tuple[Float32[Tensor, "items items"], Float32[Tensor, "items items"]]:
        """Cholesky factor of G + ridge I, and C: enough for a few histories in a fifth of the time of the weights."""
        gram, cross = _sums(self.graph.events, len(self.graph.nodes["item"]), self.config)
        gram.diagonal().add_(self.config.ridge)
        return torch.linalg.cholesky(gram, out=gram), cross

    def history(self, queries: Queries) -> scipy.sparse.csr_array:
        """Items of the session of the user's last event, an earlier one with a smaller weight."""
        visits = UserHistory.before(self.graph, queries)
        sequence = sequences(self.graph.log)
        ongoing = sequence[visits.event] == sequence[visits.last()[visits.question]]
        question, item = visits.question[ongoing], visits.item[ongoing]
        later = torch.searchsorted(question, question, right=True) - 1 - torch.arange(len(question)).to(question)
        weight = torch.exp(-later.double() / self.config.inference_decay)
        entries = (weight.cpu().numpy(), (question.cpu().numpy(), item.cpu().numpy()))
        return scipy.sparse.coo_array(entries, shape=visits.shape).tocsr()


def sequences(events: Events) -> Int64[Tensor, " n"]:
    """Code of each event's sequence: its session, or a negative one for all events of the user without a session."""
    return torch.where(events.session >= 0, events.session, -1 - events.user).long()


def _sums(
    events: Events, items: int, config: SlitConfig
) -> tuple[Float32[Tensor, "items items"], Float32[Tensor, "items items"]]:
    """G and C of the train events."""
    train = events.rows(events.split == TRAIN)
    sequence, order = torch.sort(sequences(train), stable=True)
    item, time = train.item[order].long(), train.time[order]
    row = torch.arange(len(item), device=item.device)
    begin, end = torch.searchsorted(sequence, sequence), torch.searchsorted(sequence, sequence, right=True)
    weight = (row < end - 1).double()  # the last event of a session has no later one
    if config.session_decay_days is not None and len(time):
        weight *= torch.exp((time[end - 1] - time.max()).double() / (DAY * config.session_decay_days))
    decay, whole = math.exp(-1 / config.position_decay), config.source == "past"
    norm = (1 - decay ** (row - begin + 1).double()) / (1 - decay) if whole else torch.ones_like(weight)
    window = math.ceil(-math.log(MIN_PAIR_WEIGHT) * config.position_decay)
    gram, cross = torch.zeros(2, items * items, device=item.device)
    later = torch.zeros_like(weight)  # sum over the split points from each event on
    for step, first, second in sequence_pairs(sequence, window if whole else 0):
        later[first] += decay ** (2 * step) * (weight / norm.square())[second]
    earlier = (weight / norm).cumsum(0) - weight / norm  # sum over the split points before each event
    for step, first, second in sequence_pairs(sequence, window):
        cell = item[first] * items + item[second]
        if whole or not step:
            gram.index_add_(0, cell, (decay**step * later[second] / (1 if step else 2)).float())
        if step:
            met = earlier[second] - earlier[first] if whole else weight[first]
            cross.index_add_(0, cell, (decay ** (step - 1) * met).float())
    half = gram.view(items, items)
    return half + half.T, cross.view(items, items)


SLIT = ModelEntry(SlitConfig, create=lambda graph, config, weights: Slit(graph, config))
