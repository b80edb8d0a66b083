"""Visits before a query's time: the user's own, and counts of everybody's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from graphrec.graph.relation import flatten_edges
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.queries.query import Queries


@dataclass(frozen=True)
class UserHistory:
    """Visible events of the user of each query, flat: query by query, the oldest first."""

    question: Int64[Tensor, " visits"]
    """Row of the query that the visit belongs to."""
    item: Int64[Tensor, " visits"]
    """Code of the item visited."""
    event: Int64[Tensor, " visits"]
    """Row of the event in the log."""
    age: Int64[Tensor, " visits"]
    """Seconds from the visit to the query, at least 1."""
    shape: tuple[int, int]
    """Number of queries and number of items."""

    @staticmethod
    def before(graph: TemporalGraph, queries: Queries) -> UserHistory:
        """The history of each query."""
        relation, time = graph.relation("user->item"), queries.time.clamp(max=graph.horizon)
        question, edge = flatten_edges(relation.end(queries.user, time), relation.count_before(queries.user, time))
        event, event_time = relation.event[edge].long(), relation.time[edge]
        session = queries.session[question]
        own = (session >= 0) & (graph.log.session[event] == session)
        seen = (event_time < queries.history_cutoff) | own
        if queries.masked_event is not None:
            seen &= event != queries.masked_event[question]
        return UserHistory(
            question=question[seen],
            item=relation.target[edge[seen]].long(),
            event=event[seen],
            age=(time[question] - event_time)[seen],
            shape=(len(queries), len(graph.nodes["item"])),
        )

    def to_matrix(
        self, weight: Float64[Tensor, " visits"], reduce: Literal["sum", "amax"] = "sum"
    ) -> Float64[Tensor, "batch items"]:
        """Weights of the visits by query and item; 0 for an item without a visit."""
        return to_matrix(self.question, self.item, weight, self.shape, reduce)

    def last(self) -> Int64[Tensor, " batch"]:
        """Row of the event of each query's last visit, -1 for none."""
        last = torch.full(self.shape[:1], -1, device=self.event.device)
        return last.scatter_reduce_(0, self.question, self.event, "amax")


def user_events(graph: TemporalGraph, user: int, time: int) -> Int64[Tensor, " events"]:
    """Rows of one user's visible events strictly before ``time`` (UTC seconds), the oldest first; none for user -1."""
    code = torch.tensor([user], device=graph.log.time.device)
    return UserHistory.before(graph, Queries.from_users(code, torch.full_like(code, time))).event


def popularity(graph: TemporalGraph, time: Int64[Tensor, " batch"]) -> Float64[Tensor, "batch items"]:
    """Count of each item's events strictly before each time.

    Counted once at the earliest time, and then summed between the distinct times: a batch of close times costs
    the events between them, whatever the length of the log.
    """
    items = len(graph.nodes["item"])
    if not len(time):
        return torch.zeros(0, items, dtype=torch.float64, device=time.device)
    distinct, slot = torch.unique(time, return_inverse=True)
    row = torch.searchsorted(graph.log.time, distinct)
    between = torch.arange(1, len(distinct), device=time.device).repeat_interleave(row.diff())
    flat = between * items + graph.log.item[int(row[0]) : int(row[-1])]
    counts = torch.bincount(flat, minlength=len(distinct) * items).view(len(distinct), items)
    every = torch.arange(items, device=time.device)
    counts[0] += graph.relation("item->user").count_before(every, distinct[:1].expand(items))
    return counts.cumsum(0)[slot].double()


def shared_cutoff(graph: TemporalGraph, queries: Queries) -> Int64[Tensor, " batch"]:
    """Time before which everybody's events may be seen."""
    return queries.time.clamp(max=min(graph.horizon, queries.history_cutoff))


def to_matrix(
    question: Tensor, item: Tensor, weight: Tensor, shape: tuple[int, int], reduce: Literal["sum", "amax"] = "sum"
) -> Float64[Tensor, "batch items"]:
    """Weights reduced into a matrix of ``shape``, [batch, items]; 0 for a pair without one."""
    flat = torch.zeros(shape[0] * shape[1], dtype=torch.float64, device=weight.device)
    return flat.scatter_reduce_(0, question * shape[1] + item, weight, reduce).view(shape)
