"""Which events are asked about, which items may answer, and what a question may know."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Int64
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from graphrec.events import SPLITS, TRAIN
from graphrec.graph import TemporalGraph
from graphrec.query import Queries, queries_of_events
from graphrec.relation import NEVER


class Protocol(BaseModel):
    """How a ranking is asked and judged; a graph's manifest holds the one that its log is known by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query_time: Literal["last-event", "request"] = "request"
    """What a question knows of its time: that of the user's preceding event, or its own."""
    history: Literal["streaming", "frozen"] = "streaming"
    """Every earlier event, or those before the split and the question's own session only."""
    targets: Literal["every", "session-last"] = "every"
    """Judge every event of the split, or the last of each session of at least two."""
    samples: Literal["every", "session-rest"] = "every"
    """Train events that make a user or an item known: every one, or all but the first of each session."""
    candidates: Literal["known", "train"] = "known"
    """Rank the items known as of the question, or those that occur among the training samples."""
    known_only: bool = False
    """Judge only events whose user and item occur among the training samples."""
    novel: bool = False
    """Judge only first visits, and take the user's seen items out of the candidates."""

    def training_rows(self, graph: TemporalGraph) -> Int64[Tensor, " rows"]:
        """Rows of the train events that training learns to predict, in time order: all, or the first visits."""
        rows = (graph.log.split == TRAIN).nonzero()[:, 0]
        return rows[~returning(graph, rows)] if self.novel else rows

    def target_rows(self, graph: TemporalGraph, split: str) -> Int64[Tensor, " rows"]:
        """Rows of the events of ``split`` (train, val, test) that are judged, in time order."""
        log = graph.log
        judged = log.split == SPLITS[split]
        if self.targets == "session-last":
            judged &= _last_of_session(graph) & ~_first_of_session(graph)
        if self.known_only:
            samples = self._sample_rows(graph)
            for codes, kind in ((log.user, "user"), (log.item, "item")):
                seen = torch.zeros(len(graph.nodes[kind]), dtype=torch.bool, device=codes.device)
                seen[codes[samples].long()] = True
                judged &= seen[codes.long()]
        rows = judged.nonzero()[:, 0]
        return rows[~returning(graph, rows)] if self.novel else rows

    def queries(self, graph: TemporalGraph, rows: Int64[Tensor, " rows"]) -> Queries:
        """The questions behind these events, under this protocol's query time and history."""
        frozen_at = NEVER
        if self.history == "frozen":
            held_out = graph.log.time[graph.log.split != TRAIN]
            frozen_at = int(held_out.min()) if len(held_out) else NEVER
        return queries_of_events(graph, rows, self.query_time, frozen_at)

    def candidate_mask(self, graph: TemporalGraph) -> Bool[Tensor, " items"]:
        """Items that may be ranked at all; those not yet known at a question's time are taken out besides."""
        device = graph.log.item.device
        if self.candidates == "known":
            return torch.ones(len(graph.nodes["item"]), dtype=torch.bool, device=device)
        mask = torch.zeros(len(graph.nodes["item"]), dtype=torch.bool, device=device)
        mask[graph.log.item[self._sample_rows(graph)].long()] = True
        return mask

    def _sample_rows(self, graph: TemporalGraph) -> Int64[Tensor, " rows"]:
        sample = graph.log.split == TRAIN
        if self.samples == "session-rest":
            sample &= ~_first_of_session(graph)
        return sample.nonzero()[:, 0]


def returning(graph: TemporalGraph, rows: Int64[Tensor, " rows"]) -> Bool[Tensor, " rows"]:
    """Whether the event's user had an event with the same item at an earlier second."""
    log, items = graph.log, len(graph.nodes["item"])
    pair = log.user.long() * items + log.item.long()
    order = torch.sort(pair, stable=True).indices  # by (pair, time)
    first = torch.ones(len(pair), dtype=torch.bool, device=pair.device)
    first[1:] = pair[order[1:]] != pair[order[:-1]]
    group = torch.cumsum(first, 0) - 1
    first_time = torch.empty_like(log.time)
    first_time[order] = log.time[order][first.nonzero()[:, 0]][group]
    return first_time[rows] < log.time[rows]


def _first_of_session(graph: TemporalGraph) -> Bool[Tensor, " n"]:
    """Events that open their session; without a session an event is no opening."""
    return _edge_of_session(graph.log.session, torch.arange(len(graph.log), device=graph.log.time.device), "amin")


def _last_of_session(graph: TemporalGraph) -> Bool[Tensor, " n"]:
    return _edge_of_session(graph.log.session, torch.arange(len(graph.log), device=graph.log.time.device), "amax")


def _edge_of_session(session: Tensor, row: Tensor, reduce: Literal["amin", "amax"]) -> Bool[Tensor, " n"]:
    known = session >= 0
    count = int(session.max()) + 1 if len(session) else 0
    edge = torch.full((count,), -1, device=row.device)  # stays -1 for a code that no event has
    edge.scatter_reduce_(0, session[known].long(), row[known], reduce, include_self=False)
    result = torch.zeros(len(row), dtype=torch.bool, device=row.device)
    result[edge[edge >= 0]] = True
    return result
