"""Evaluation protocols: the events to predict, the candidates, and the history that a query may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Bool, Int64
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from torch import Tensor

from graphrec.graph import SPLITS, TEST, TIME_MAX, TRAIN, VAL, TemporalGraph
from graphrec.queries.query import Queries, queries_for_events

STORED_TASKS = {"next-item": "events", "top-n": "users"}
"""Task -> value of ``judge`` in a manifest or preset."""


def _task(value: Any) -> Any:
    """The task behind a stored value; any other value as it is."""
    by_stored = {stored: task for task, stored in STORED_TASKS.items()}
    return by_stored.get(value, value) if isinstance(value, str) else value


class EvaluationProtocol(BaseModel):
    """How rankings are evaluated; the manifest of a graph holds the protocol that its data set is known by.

    On disk ``task`` is called ``judge`` (``events`` for next-item, ``users`` for top-n), ``evaluate_on`` is called
    ``targets`` and ``vocabulary_from`` is called ``samples``; both names are read, and `model_dump` writes those.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    query_time: Literal["last-event", "request"] = "request"
    """As-of time of a query: one second after the user's preceding event, or the time of its own event."""
    history: Literal["streaming", "frozen"] = "streaming"
    """Every earlier event, or only those before the query's split and those of the query's own session."""
    evaluate_on: Literal["every", "session-last", "session-last-of-three"] = Field("every", alias="targets")
    """Every event of the split; or the last event of each session of at least two; or, as in the rows of GETNext, the
    last known event of each session of at least three events whose user and item are known."""
    task: Annotated[
        Literal["next-item", "top-n"], BeforeValidator(_task), PlainSerializer(STORED_TASKS.__getitem__)
    ] = Field("next-item", alias="judge")
    """One query with one relevant item per event; or one query per user, at the first of the user's events in the
    split, whose list should hold the items of all of them."""
    vocabulary_from: Literal["every", "session-rest", "before-test"] = Field("every", alias="samples")
    """Events that make a user or an item known: the train split; or the train split without the first event of each
    session; or the train and val splits."""
    candidates: Literal["known", "train"] = "known"
    """Items known as of the query, or items of the vocabulary."""
    known_only: bool = False
    """Evaluate only events whose user and item are in the vocabulary."""
    novel: bool = False
    """Evaluate only first interactions of a user with an item, and exclude visited items from the candidates."""

    def with_changes(self, changes: Mapping[str, Any]) -> EvaluationProtocol:
        """The protocol with other values of some fields, by either name; ValidationError for an unknown name."""
        aliases = {field.alias: name for name, field in type(self).model_fields.items()}
        changed = {aliases.get(name, name): value for name, value in changes.items()}
        return EvaluationProtocol(**{name: getattr(self, name) for name in type(self).model_fields} | changed)

    @property
    def primary_metric(self) -> str:
        """Metric of early stopping."""
        return "mrr" if self.task == "next-item" else "ndcg@20"

    def training_rows(self, graph: TemporalGraph) -> Int64[Tensor, " rows"]:
        """Rows of the train split to learn from, in time order: all events, or first interactions."""
        return self._without_repeats(graph, (graph.log.split == TRAIN).nonzero()[:, 0])

    def target_rows(self, graph: TemporalGraph, split: str) -> Int64[Tensor, " rows"]:
        """Rows of the events of ``split`` (train, val, test) to query for, in time order."""
        rows = self._evaluated_rows(graph, split)
        return rows[_session_bound(graph.log.user[rows], "amin")] if self.task == "top-n" else rows

    def relevant_items(self, graph: TemporalGraph, rows: Int64[Tensor, " n"]) -> tuple[Tensor, Tensor]:
        """Relevant items of top-n queries: (index of the query in ``rows``, item) pairs, each once."""
        log = graph.log
        query_of_user = torch.full((len(graph.nodes["user"]),), -1, device=rows.device)
        query_of_user[log.user[rows].long()] = torch.arange(len(rows), device=rows.device)
        split = {code: name for name, code in SPLITS.items()}[int(log.split[rows[0]])] if len(rows) else "val"
        evaluated = self._evaluated_rows(graph, split)
        pairs = torch.stack((query_of_user[log.user[evaluated].long()], log.item[evaluated].long()))
        query, item = torch.unique(pairs[:, pairs[0] >= 0], dim=1)
        return query, item

    def queries(self, graph: TemporalGraph, rows: Int64[Tensor, " rows"]) -> Queries:
        """One query per event, under this protocol's query time and history."""
        history_cutoff = TIME_MAX
        if self.history == "frozen" and len(rows):
            split = graph.log.split[rows].min().clamp(min=VAL)  # train events have nothing but train before them
            evaluated = graph.log.time[graph.log.split >= split]
            history_cutoff = int(evaluated.min()) if len(evaluated) else TIME_MAX
        queries = queries_for_events(graph, rows, self.query_time, history_cutoff)
        if graph.timeless and len(rows) and int(graph.log.split[rows].max()) == TRAIN:
            return replace(queries, time=queries.time + 1, masked_event=rows)  # all of train but the event itself
        return queries

    def candidate_mask(self, graph: TemporalGraph) -> Bool[Tensor, " items"]:
        """Items that may be ranked at all; a query excludes those that are not known yet at its time as well."""
        if self.candidates == "known":
            return torch.ones(len(graph.nodes["item"]), dtype=torch.bool, device=graph.log.item.device)
        return self._vocabulary(graph, "item")

    def _evaluated_rows(self, graph: TemporalGraph, split: str) -> Int64[Tensor, " rows"]:
        log = graph.log
        evaluated = log.split == SPLITS[split]
        if self.evaluate_on == "session-last":
            evaluated &= _session_bound(log.session, "amax") & ~_session_bound(log.session, "amin")
        if self.known_only or self.evaluate_on == "session-last-of-three":
            evaluated &= self._vocabulary(graph, "user")[log.user.long()]
            evaluated &= self._vocabulary(graph, "item")[log.item.long()]
        if self.evaluate_on == "session-last-of-three":
            evaluated = _last_of_three(log.session, evaluated)
        return self._without_repeats(graph, evaluated.nonzero()[:, 0])

    def _without_repeats(self, graph: TemporalGraph, rows: Int64[Tensor, " rows"]) -> Int64[Tensor, " left"]:
        return rows[~is_repeat(graph, rows)] if self.novel else rows

    def _vocabulary(self, graph: TemporalGraph, kind: Literal["user", "item"]) -> Bool[Tensor, " count"]:
        """Users or items that occur in the events of ``vocabulary_from``."""
        log = graph.log
        event = log.split < TEST if self.vocabulary_from == "before-test" else log.split == TRAIN
        if self.vocabulary_from == "session-rest":
            event &= ~_session_bound(log.session, "amin")
        return graph.occurring(kind, event)


def sample_rows(rows: Int64[Tensor, " rows"], limit: int, seed: int) -> Int64[Tensor, " sample"]:
    """At most ``limit`` of the rows, drawn by the seed and in their order."""
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:limit]
    return rows[chosen.sort().values.to(rows.device)]


def is_repeat(graph: TemporalGraph, rows: Int64[Tensor, " rows"]) -> Bool[Tensor, " rows"]:
    """Whether the user of each event had an event with the same item at an earlier second."""
    log = graph.log
    pair = torch.unique(log.user.long() * len(graph.nodes["item"]) + log.item.long(), return_inverse=True)[1]
    first = torch.full_like(log.time, TIME_MAX).scatter_reduce(0, pair, log.time, "amin")  # there are n pairs at most
    return first[pair[rows]] < log.time[rows]


def _last_of_three(session: Tensor, evaluated: Bool[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """The last evaluated event of each session that has at least three of them."""
    chosen = torch.where(evaluated, session.long(), -1)
    count = torch.bincount(chosen[chosen >= 0], minlength=1)
    return _session_bound(torch.where(count[chosen.clamp(min=0)] >= 3, chosen, -1), "amax")


def _session_bound(session: Tensor, reduce: Literal["amin", "amax"]) -> Bool[Tensor, " n"]:
    """Which rows are the first (amin) or the last (amax) of their session; a row without a session is neither."""
    row, known, code = torch.arange(len(session), device=session.device), session >= 0, session.long().clamp(min=0)
    bound = row.new_full((int(code.max()) + 1 if len(code) else 0,), -1)  # [sessions]
    bound.scatter_reduce_(0, code[known], row[known], reduce, include_self=False)
    return known & (bound[code] == row)
