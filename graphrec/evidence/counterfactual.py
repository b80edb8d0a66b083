"""Counterfactual ranks: without the user's events of a weekday, of a part of the day, or with another item.

The events are removed from every neighbourhood of the query, and the network answers anew from the others; the position
of the user and their last event stay. Counterfactual explanation: Wachter et al. 2018, arXiv 1711.00399.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from graphrec.errors import InputError
from graphrec.formatting import DAYS, PARTS_OF_DAY, ordinal, pluralize
from graphrec.graph.event_types import event_noun, item_phrase
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import expected_rank
from graphrec.models.ranking import StgatRanker
from graphrec.queries.query import Queries
from graphrec.queries.sampling import Context
from graphrec.time_units import DAY, HOUR

MAX_ITEMS = 20
"""Most visited items of the user whose events are removed, one item at a time."""


@dataclass(frozen=True)
class Counterfactual:
    """Rank of an item without some of the user's events."""

    item: int
    """Code of the item."""
    rank: float
    """Its rank with all events, 1 for the best."""
    without: str
    """The removed events in words."""
    visits: int
    """Their number among the events of the query."""
    rank_without: float
    """Its rank without them."""

    @property
    def description(self) -> str:
        """``without your 7 Friday visits it would rank 14th``."""
        return f"without {self.without} it would rank {ordinal(round(self.rank_without))}"

    def to_dict(self) -> dict[str, Any]:
        """The counterfactual as ``graphrec recommend --what-if --json`` prints it."""
        values = {name: getattr(self, name) for name in ("without", "visits", "rank_without")}
        return {**values, "words": self.description}


def counterfactuals(
    ranker: StgatRanker, query: Queries, *, items: Int64[Tensor, " k"], candidates: Bool[Tensor, " items"] | None = None
) -> list[Counterfactual | None]:
    """For each item, the group of events without which its rank falls most; None where it does not fall.

    A group is the user's events of one weekday, of one part of the day, or with one other item.

    Parameters
    ----------
    ranker
        A trained ``stgat`` over its graph.
    query
        One question.
    items
        Codes of the items, -1 for none.
    candidates
        Items that may be ranked; all known ones where None.

    Raises InputError for more or less than one question.
    """
    if len(query) != 1:
        raise InputError(f"counterfactuals: one question expected, got {len(query)}")
    context = ranker.context(query)
    groups = [group for group in _groups(ranker.graph, context) if group.visits]
    unchanged = torch.zeros_like(context.all_events().mask)
    dropped = torch.cat([unchanged, *(group.events[None] for group in groups)])
    ranks = _ranks(ranker, context, dropped, items.clamp(min=0), candidates)  # [1 + groups, k]
    return [_farthest(groups, ranks[:, index], code) for index, code in enumerate(items.tolist())]


def _farthest(
    groups: Sequence[EventGroup], rank: Float64[Tensor, " groups_plus_one"], item: int
) -> Counterfactual | None:
    """The group without which an item falls farthest, the smallest of equal ones."""
    fall = {index: float(after - rank[0]) for index, after in enumerate(rank[1:]) if groups[index].item != item}
    best = max(fall, key=lambda index: (fall[index], -groups[index].visits), default=-1)
    if item < 0 or best < 0 or not fall[best] > 0:  # the ranks of an item that is not known yet are infinite
        return None
    return Counterfactual(item, float(rank[0]), groups[best].description, groups[best].visits, float(rank[1 + best]))


@dataclass(frozen=True)
class EventGroup:
    """Some of the user's events."""

    description: str
    """``your 7 Friday visits``."""
    visits: int
    """Number of distinct events."""
    events: Bool[Tensor, " events"]
    """Mask of them among the events of all neighbourhoods, as in ``Context.all_events``."""
    item: int = -1
    """Code of their common item, -1 for none: what an item loses with its own events explains nothing."""

    @staticmethod
    def of(
        graph: TemporalGraph,
        chosen: Bool[Tensor, " events"],
        event: Int64[Tensor, " events"],
        when: str = "",
        item: int = -1,
    ) -> EventGroup:
        """The chosen events of a time such as ``Friday``, or of an item, called as the log calls them."""
        rows = torch.unique(event[chosen])
        kind = event_noun(graph, rows)
        name = f"{when} {kind}" if when else kind
        description = f"your {name}" if len(rows) == 1 else f"your {pluralize(len(rows), name)}"
        if item >= 0:
            description += f" {item_phrase(kind, graph.nodes['item'].label(item))}"
        return EventGroup(description, len(rows), chosen, item)


def _groups(graph: TemporalGraph, context: Context) -> Iterator[EventGroup]:
    """The user's events by weekday, by part of the day and by item."""
    events = context.all_events()
    event, own = events.event[0], events.mask[0] & (graph.log.user[events.event[0]] == context.queries.user)
    if not len(own):
        return
    if not graph.timeless:
        yield from _groups_by_time(graph, own, event)
    if history := context.neighbourhoods.get("own_history"):
        codes, count = torch.unique(graph.log.item[history.event[0][history.mask[0]]].long(), return_counts=True)
        for code in codes[count.argsort(descending=True, stable=True)][:MAX_ITEMS].tolist():
            yield EventGroup.of(graph, own & (graph.log.item[event] == code), event, item=code)


def _groups_by_time(
    graph: TemporalGraph, own: Bool[Tensor, " events"], event: Int64[Tensor, " events"]
) -> Iterator[EventGroup]:
    """The user's events by weekday and by part of the day, in local time."""
    local = graph.log.local_time(event)
    weekday, hour = (local // DAY + 3) % 7, local % DAY // HOUR  # 1970-01-01 was a Thursday
    for day, name in enumerate(DAYS):
        yield EventGroup.of(graph, own & (weekday == day), event, name)
    start = 0
    for end, name in PARTS_OF_DAY:
        yield EventGroup.of(graph, own & (hour >= start) & (hour < end), event, name.removesuffix("s"))
        start = end


def _ranks(
    ranker: StgatRanker,
    context: Context,
    dropped: Bool[Tensor, "groups events"],
    item: Int64[Tensor, " k"],
    candidates: Bool[Tensor, " items"] | None,
) -> Float64[Tensor, "groups k"]:
    """Rank of each item without each group of events."""
    repeated = context.rows(torch.zeros(len(dropped), dtype=torch.int64, device=dropped.device))
    answer = ranker.forward_context(repeated.drop_events(dropped))
    score = ranker.scores(answer, slice(0, len(ranker.graph.nodes["item"])), candidates)
    return torch.stack([expected_rank(score, code.expand(len(score))) for code in item], 1)
