"""Baselines of every evaluation: counts, transitions, item neighbours and closed-form regressions.

A baseline sees only events strictly before a query's time; with a frozen history, only those before the freeze and the
user's own ones in the query's session. ``item-knn``, ``ease`` and ``item-transition`` also fit weights to the train
split, as a training does. Scores are float64, which holds a count of visits and a tie-breaking term below one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

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
from graphrec.queries.sampling import event_coordinates, sample, take
from graphrec.queries.user_history import UserHistory, popularity, shared_cutoff, to_matrix
from graphrec.time_units import DAY

MAX_EASE_ITEMS = 10_000
"""Largest catalogue for which EASE is among the baselines: it is then fitted in 1.2 GB."""


def all_baselines(graph: TemporalGraph) -> list[ItemScorer]:
    """Every baseline that the graph has the data for.

    ``nearest`` needs coordinates, ``ease`` a small catalogue, ``item-transition`` times and a protocol of lists.
    """
    simple = (Popularity, RecentPopularity, Counter, DecayedCounter, Markov, ItemKNN)
    baselines: list[ItemScorer] = [baseline(graph) for baseline in simple]
    if len(graph.nodes["item"]) <= MAX_EASE_ITEMS:
        baselines.append(Ease(graph))
    if default_ridge(graph, None):
        baselines.append(ItemTransition(graph))
    if graph.nodes["item"].coordinates is not None:
        baselines.append(Nearest(graph))
    return baselines


@dataclass(frozen=True, eq=False)
class Baseline(ABC):
    """An item scorer over a graph."""

    name: ClassVar[str]

    graph: TemporalGraph

    @abstractmethod
    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """One score per item and query, higher is better."""


@dataclass(frozen=True, eq=False)
class ItemTransition(Baseline):
    """Items that follow those of the history: the regression of ``graphrec.models.item_transition`` on its own."""

    name = "item-transition"

    ridge: float = RIDGE

    @cached_property
    def regression(self) -> ItemTransitionRegression:
        """Fitted to the train split at first use."""
        return ItemTransitionRegression(self.graph, None, self.ridge)

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """The regression's prediction from the user's last events; 0 for the items of these."""
        own = sample(self.graph, queries, fan_out={"own_history": MAX_EVENT_DISTANCE}).neighbourhoods["own_history"]
        item = self.graph.log.item[own.event].long()
        history = recency_weighted_history(item, own.mask, len(self.graph.nodes["item"]))
        scores: Tensor = self.regression(history)
        return scores.double()


class Popularity(Baseline):
    """Events per item."""

    name = "popularity"

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Events of each item before the query."""
        return popularity(self.graph, shared_cutoff(self.graph, queries))


@dataclass(frozen=True, eq=False)
class RecentPopularity(Baseline):
    """Events per item in the last days, ties broken by all events."""

    name = "recent-popularity"

    days: float = 7.0

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Events of each item in the window that ends at the query (or at the freeze)."""
        time = shared_cutoff(self.graph, queries)
        total = popularity(self.graph, time)
        return total - popularity(self.graph, time - int(self.days * DAY)) + _below_one(total)


class Counter(Baseline):
    """The user's visits per item, ties broken by recency."""

    name = "counter"

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Visits, plus a recency between 0 and 1."""
        visits = UserHistory.before(self.graph, queries)
        recency = DAY / (DAY + visits.age.double())
        return visits.to_matrix(torch.ones_like(recency)) + visits.to_matrix(recency, "amax")


@dataclass(frozen=True, eq=False)
class DecayedCounter(Baseline):
    """The user's visits per item, exponentially decayed by age."""

    name = "counter-decayed"

    half_life: float = 60.0
    """Days."""

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Sum of the visits' weights."""
        visits = UserHistory.before(self.graph, queries)
        rate = math.log(2) / (self.half_life * DAY)  # torch.exp2 and ** differ in the last bit by an element's position
        return visits.to_matrix(torch.exp(-rate * visits.age.double()))


@dataclass(frozen=True, eq=False)
class Markov(Baseline):
    """Transitions of all users from the user's last item; the user's own weigh more, popularity breaks ties."""

    name = "markov"

    personal: float = 30.0
    """Weight of a transition of the user's own, in transitions of other users."""
    max_transitions: int = 10_000
    """Latest transitions from an item that are counted, which bounds the memory of a query."""

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Transitions from the last item to each item, plus popularity scaled below one."""
        graph, cutoff = self.graph, shared_cutoff(self.graph, queries)
        ties = _below_one(popularity(graph, cutoff))
        last = UserHistory.before(graph, queries).last()
        item = take(graph.log.item, last)
        steps = graph.relation("item->item")
        count = steps.count_before(item, cutoff).clamp(max=self.max_transitions)
        query, edge = flatten_edges(steps.end(item, cutoff), count)
        own = graph.log.user[steps.event[edge].long()] == queries.user[query]
        weight = 1 + (self.personal - 1) * own.double()
        return to_matrix(query, steps.target[edge].long(), weight, (len(queries), ties.shape[1])) + ties


@dataclass(frozen=True, eq=False)
class Nearest(Baseline):
    """Log-popularity minus distance."""

    name = "nearest"

    kilometres: float = 0.25
    """Distance that costs as much as a popularity lower by e."""

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """log(1 + events) - distance; items without coordinates are at the mean distance of the others."""
        popular = popularity(self.graph, shared_cutoff(self.graph, queries)).log1p()
        items = self.graph.nodes["item"].coordinates
        if items is None:
            return popular
        distance = distance_km(self._coordinates(queries)[:, None], items).double()  # [batch, items]
        distance = torch.where(torch.isnan(distance), distance.nanmean(1, keepdim=True), distance).nan_to_num(0)
        return popular - distance / self.kilometres

    def _coordinates(self, queries: Queries) -> Tensor:
        """Coordinates of each query, those of the user's last event where it has none."""
        last = UserHistory.before(self.graph, queries).last()
        known = has_coordinates(queries.coordinates)[:, None]
        return torch.where(known, queries.coordinates, event_coordinates(self.graph, last))


def _below_one(count: Tensor) -> Tensor:
    """A count scaled monotonically into [0, 1), to break ties between whole numbers."""
    return count / (1 + count)
