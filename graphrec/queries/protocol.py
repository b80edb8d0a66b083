"""Which events are asked about, which items may answer, and what a question may know."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Bool, Int64
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from graphrec.graph.events import SPLITS, TEST, TRAIN, VAL
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.queries.query import Queries, queries_for_events


class EvaluationProtocol(BaseModel):
    """How a ranking is asked and judged; a graph's manifest holds the one that its log is known by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query_time: Literal["last-event", "request"] = "request"
    """What a question knows of its time: that of the user's preceding event, or its own."""
    history: Literal["streaming", "frozen"] = "streaming"
    """Every earlier event, or those before the question's split and of the question's own session only."""
    targets: Literal["every", "session-last", "session-last-of-three"] = "every"
    """Judge every event of the split; or the last of each session of at least two; or, as GETNext's rows are, the last
    known one of each session of at least three events whose user and item are known."""
    judge: Literal["events", "users"] = "events"
    """Ask for each judged event; or each user once, at the first of them, for a list that should hold them all."""
    samples: Literal["every", "session-rest", "before-test"] = "every"
    """Events that make a user or an item known: every one of train, or all of these but the first of each session, or
    every one of train and val."""
    candidates: Literal["known", "train"] = "known"
    """Rank the items known as of the question, or those that occur among the training samples."""
    known_only: bool = False
    """Judge only events whose user and item occur among the training samples."""
    novel: bool = False
    """Judge only first visits, and take the user's seen items out of the candidates."""

    @property
    def headline(self) -> str:
        """The measure that training stops by."""
        return "mrr" if self.judge == "events" else "ndcg@20"

    def training_rows(self, graph: TemporalGraph) -> Int64[Tensor, " rows"]:
        """Rows of the train events that training learns to predict, in time order: all, or the first visits."""
        rows = (graph.log.split == TRAIN).nonzero()[:, 0]
        return rows[~returning(graph, rows)] if self.novel else rows

    def target_rows(self, graph: TemporalGraph, split: str) -> Int64[Tensor, " rows"]:
        """Rows of the events of ``split`` (train, val, test) that are asked for, in time order."""
        rows = self._judged_rows(graph, split)
        return rows[_first_of_user(graph.log.user[rows].long())] if self.judge == "users" else rows

    def wanted(self, graph: TemporalGraph, rows: Int64[Tensor, " n"]) -> tuple[Tensor, Tensor]:
        """What users judged by lists should find: (place of the question in ``rows``, item) pairs, each once."""
        log = graph.log
        place = torch.full((len(graph.nodes["user"]),), -1, device=rows.device)
        place[log.user[rows].long()] = torch.arange(len(rows), device=rows.device)
        name = {code: name for name, code in SPLITS.items()}[int(log.split[rows[0]])] if len(rows) else "val"
        judged = self._judged_rows(graph, name)
        pairs = torch.stack((place[log.user[judged].long()], log.item[judged].long()))
        question, item = torch.unique(pairs[:, pairs[0] >= 0], dim=1)
        return question, item

    def _judged_rows(self, graph: TemporalGraph, split: str) -> Int64[Tensor, " rows"]:
        log = graph.log
        judged = log.split == SPLITS[split]
        if self.targets == "session-last":
            judged &= _last_of_session(graph) & ~_first_of_session(graph)
        if self.known_only or self.targets == "session-last-of-three":
            judged &= self._known(graph)
        if self.targets == "session-last-of-three":
            judged = _last_of_three(log.session, judged)
        rows = judged.nonzero()[:, 0]
        return rows[~returning(graph, rows)] if self.novel else rows

    def _known(self, graph: TemporalGraph) -> Bool[Tensor, " n"]:
        """Events whose user and item both occur among the samples."""
        samples, known = self._sample_rows(graph), torch.ones_like(graph.log.item, dtype=torch.bool)
        for codes, kind in ((graph.log.user, "user"), (graph.log.item, "item")):
            seen = torch.zeros(len(graph.nodes[kind]), dtype=torch.bool, device=codes.device)
            seen[codes[samples].long()] = True
            known &= seen[codes.long()]
        return known

    def queries(self, graph: TemporalGraph, rows: Int64[Tensor, " rows"]) -> Queries:
        """The questions behind these events, under this protocol's query time and history."""
        history_cutoff = TIME_MAX
        if self.history == "frozen" and len(rows):
            asked = graph.log.split[rows].min().clamp(min=VAL)  # train events have nothing but train before them
            held_out = graph.log.time[graph.log.split >= asked]
            history_cutoff = int(held_out.min()) if len(held_out) else TIME_MAX
        queries = queries_for_events(graph, rows, self.query_time, history_cutoff)
        if graph.timeless and len(rows) and int(graph.log.split[rows].max()) == TRAIN:
            return replace(queries, time=queries.time + 1, masked_event=rows)  # all of train but the event itself
        return queries

    def candidate_mask(self, graph: TemporalGraph) -> Bool[Tensor, " items"]:
        """Items that may be ranked at all; those not yet known at a question's time are taken out besides."""
        device = graph.log.item.device
        if self.candidates == "known":
            return torch.ones(len(graph.nodes["item"]), dtype=torch.bool, device=device)
        mask = torch.zeros(len(graph.nodes["item"]), dtype=torch.bool, device=device)
        mask[graph.log.item[self._sample_rows(graph)].long()] = True
        return mask

    def _sample_rows(self, graph: TemporalGraph) -> Int64[Tensor, " rows"]:
        sample = graph.log.split < TEST if self.samples == "before-test" else graph.log.split == TRAIN
        if self.samples == "session-rest":
            sample &= ~_first_of_session(graph)
        return sample.nonzero()[:, 0]


def _first_of_user(user: Int64[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Which entries are the first of their user."""
    order = torch.sort(user, stable=True).indices
    first = torch.ones_like(user, dtype=torch.bool)
    first[order[1:]] = user[order[1:]] != user[order[:-1]]
    return first


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


def _last_of_three(session: Tensor, judged: Bool[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """The last judged event of each session that has at least three."""
    chosen = torch.where(judged, session.long(), -1)
    count = torch.bincount(chosen[chosen >= 0], minlength=1)
    large = (chosen >= 0) & (count[chosen.clamp(min=0)] >= 3)
    row = torch.arange(len(session), device=session.device)
    return _edge_of_session(torch.where(large, chosen, -1), row, "amax")


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
