"""What needs no deep model: counters, transitions, neighbours and a ridge regression, asked as a model is asked.

Every baseline sees only events strictly before a question's time; with a frozen history, only those before the
freeze and the user's own ones of the question's session. ``item-knn`` and ``ease`` besides fit item-to-item weights
on the train split, once, as training does. Scores are float64, in which a count of visits and a small term that
decides between equal counts both have room.
"""

from __future__ import annotations

import math
from functools import cached_property

import torch
from jaxtyping import Float64
from torch import Tensor

from graphrec.graph.geography import distance_km, has_coordinates
from graphrec.graph.relation import flatten_edges
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.item_to_item import Ease, ItemKNN
from graphrec.models.item_transition import (
    MAX_EVENT_DISTANCE,
    RIDGE,
    ItemTransitionRegression,
    default_ridge,
    recency_weighted_history,
)
from graphrec.models.score_ranker import ItemScorer
from graphrec.queries.query import Queries
from graphrec.queries.sampling import event_coordinates, sample
from graphrec.queries.user_history import UserHistory, popularity, shared_cutoff, to_matrix
from graphrec.time_units import DAY

EASE_ITEMS = 10_000
"""Largest catalogue that EASE is listed for: fitting it then takes 1.2 GB."""


def all_baselines(graph: TemporalGraph) -> list[ItemScorer]:
    """Every baseline that the graph has the data for.

    ``nearest`` needs coordinates, ``ease`` a small catalogue, ``follows`` users who are judged by lists, and times.
    """
    baselines: list[ItemScorer] = [
        Popularity(graph),
        RecentPopularity(graph),
        Counter(graph),
        DecayedCounter(graph),
        Markov(graph),
        ItemKNN(graph),
    ]
    if len(graph.nodes["item"]) <= EASE_ITEMS:
        baselines.append(Ease(graph))
    if default_ridge(graph, None):
        baselines.append(ItemTransition(graph))
    if graph.nodes["item"].coordinates is not None:
        baselines.append(Nearest(graph))
    return baselines


class ItemTransition:
    """Items that follow those of the history: the regression of ``graphrec.models.item_transition`` on its own."""

    name = "follows"

    def __init__(self, graph: TemporalGraph, ridge: float = RIDGE) -> None:
        self.graph, self.ridge = graph, ridge

    @cached_property
    def later(self) -> ItemTransitionRegression:
        """Fitted on the train split at first use."""
        return ItemTransitionRegression(self.graph, None, self.ridge)

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """What is expected after the user's last events; nothing of these themselves."""
        mine = sample(self.graph, queries, {"own_history": MAX_EVENT_DISTANCE}).neighbourhoods["own_history"]
        item = self.graph.log.item[mine.event].long()
        expected: Tensor = self.later(recency_weighted_history(item, mine.mask, len(self.graph.nodes["item"])))
        return expected.double()


class Popularity:
    """How many events each item has had."""

    name = "popularity"

    def __init__(self, graph: TemporalGraph) -> None:
        self.graph = graph

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Events of each item before the question."""
        return popularity(self.graph, shared_cutoff(self.graph, queries))


class RecentPopularity:
    """How many events each item has had lately; equal items by all they ever had."""

    name = "recent-popularity"

    def __init__(self, graph: TemporalGraph, days: float = 7.0) -> None:
        self.graph = graph
        self.window = int(days * DAY)

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Events of each item in the window that ends at the question (or at the freeze)."""
        time = shared_cutoff(self.graph, queries)
        ever = popularity(self.graph, time)
        return ever - popularity(self.graph, time - self.window) + _below_one(ever)


class Counter:
    """How often the user visited each item; equally often: the one visited last."""

    name = "counter"

    def __init__(self, graph: TemporalGraph) -> None:
        self.graph = graph

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Visits, plus a recency between 0 and 1."""
        visits = UserHistory.before(self.graph, queries)
        recency = DAY / (DAY + visits.age.double())
        return visits.to_matrix(torch.ones_like(recency)) + visits.to_matrix(recency, "amax")


class DecayedCounter:
    """How often the user visited each item, a visit worth half as much every ``half_life`` days."""

    name = "counter-decayed"

    def __init__(self, graph: TemporalGraph, half_life: float = 60.0) -> None:
        self.graph = graph
        self.half_life = half_life * DAY

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Sum of the visits' weights."""
        visits = UserHistory.before(self.graph, queries)
        rate = math.log(2) / self.half_life  # torch.exp2 and ** differ in the last bit with an element's place
        return visits.to_matrix(torch.exp(-rate * visits.age.double()))


class Markov:
    """What people did next after the user's last item; the user's own steps count more, popularity breaks ties."""

    name = "markov"

    def __init__(self, graph: TemporalGraph, personal: float = 30.0, most: int = 10_000) -> None:
        self.graph = graph
        self.personal = personal
        """How many steps of others one step of the user's own is worth."""
        self.most = most
        """The latest so many steps from an item count, which bounds the memory of a question."""

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Steps from the last item to each item, plus popularity squeezed below one step."""
        graph, cutoff = self.graph, shared_cutoff(self.graph, queries)
        ties = _below_one(popularity(graph, cutoff))
        last = UserHistory.before(graph, queries).last()
        if not len(graph.log):
            return ties
        item = torch.where(last >= 0, graph.log.item[last.clamp(min=0)].long(), -1)
        steps = graph.relation("item->item")
        question, edge = flatten_edges(steps.end(item, cutoff), steps.count_before(item, cutoff).clamp(max=self.most))
        own = graph.log.user[steps.event[edge].long()] == queries.user[question]
        worth = 1 + (self.personal - 1) * own.double()
        return to_matrix(question, steps.target[edge].long(), worth, (len(queries), ties.shape[1])) + ties


class Nearest:
    """Popular and near: the logarithm of popularity less the distance, which is how trips fall off with distance."""

    name = "nearest"

    def __init__(self, graph: TemporalGraph, kilometres: float = 0.25) -> None:
        self.graph = graph
        self.kilometres = kilometres
        """Distance that costs as much as being e times less popular."""

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """log(1 + events) - distance; unknown coordinates stand at the mean distance of the others."""
        popular = popularity(self.graph, shared_cutoff(self.graph, queries)).log1p()
        items = self.graph.nodes["item"].coordinates
        if items is None:
            return popular
        away = distance_km(self._place(queries)[:, None], items).double()  # [batch, items]
        away = torch.where(torch.isnan(away), away.nanmean(1, keepdim=True), away).nan_to_num(0)
        return popular - away / self.kilometres

    def _place(self, queries: Queries) -> Tensor:
        """Where each question is asked from: its own coordinates, else those of the user's last event."""
        last = UserHistory.before(self.graph, queries).last()
        given = has_coordinates(queries.coordinates)[:, None]
        return torch.where(given, queries.coordinates, event_coordinates(self.graph, last))


def _below_one(count: Tensor) -> Tensor:
    """A count squeezed into 0..1, order kept: it decides between equal whole numbers and nothing else."""
    return count / (1 + count)
