"""What an item would rank without some of the user's events: of a weekday, of a part of the day, with another item.

The events are taken out of every neighbourhood of the question, and the network answers anew from the rest. Where the
user is, and what they did last, stays as it was. Counterfactual explanation: Wachter et al. 2018, arXiv 1711.00399.
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

MOST_ITEMS = 20
"""Items of the user's, the most visited first, that are left out one at a time."""


@dataclass(frozen=True)
class Counterfactual:
    """What becomes of an item without some of the user's events."""

    item: int
    """Code of the item."""
    rank: float
    """Its rank as things are, 1 for the best."""
    without: str
    """The events that are left out, in words."""
    visits: int
    """How many they are among those that the question sees."""
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
    ranker: StgatRanker, query: Queries, items: Int64[Tensor, " k"], candidates: Bool[Tensor, " items"] | None = None
) -> list[Counterfactual | None]:
    """For each item, the user's events without which it would fall farthest; None where it would not fall.

    Left out are the events of one weekday, of one part of the day, or with one other item.

    Parameters
    ----------
    ranker
        A trained ``stgat`` over its graph.
    query
        One question.
    items
        Codes of the items to ask about, -1 for none.
    candidates
        Items that may be ranked; all known ones where None.

    Raises InputError for more or less than one question.
    """
    if len(query) != 1:
        raise InputError(f"counterfactuals: one question expected, got {len(query)}")
    context = ranker.context(query)
    groups = [group for group in _groups(ranker.graph, context) if group.visits]
    nothing = torch.zeros_like(_own(ranker.graph, context))
    left_out = torch.stack([nothing, *(group.events for group in groups)])
    ranks = _ranks(ranker, context, left_out, items.clamp(min=0), candidates)  # [1 + groups, k]
    return [_farthest(groups, ranks[:, place], code) for place, code in enumerate(items.tolist())]


def _farthest(
    groups: Sequence[EventGroup], rank: Float64[Tensor, " groups_plus_one"], item: int
) -> Counterfactual | None:
    """The group without which an item falls farthest, the smallest of those that are equal."""
    fall = {place: float(after - rank[0]) for place, after in enumerate(rank[1:]) if groups[place].item != item}
    best = max(fall, key=lambda place: (fall[place], -groups[place].visits), default=-1)
    if item < 0 or best < 0 or not fall[best] > 0:  # an item not known yet falls from nowhere to nowhere
        return None
    return Counterfactual(item, float(rank[0]), groups[best].description, groups[best].visits, float(rank[1 + best]))


@dataclass(frozen=True)
class EventGroup:
    """Some of the user's events."""

    description: str
    """``your 7 Friday visits``."""
    visits: int
    """How many they are; one in two neighbourhoods counts once."""
    events: Bool[Tensor, " events"]
    """Which of the events of all neighbourhoods, side by side."""
    item: int = -1
    """Code of the item that they all are of, -1 for none: without them the item itself would say nothing new."""

    @staticmethod
    def of(
        graph: TemporalGraph,
        chosen: Bool[Tensor, " events"],
        event: Int64[Tensor, " events"],
        when: str = "",
        item: int = -1,
    ) -> EventGroup:
        """The chosen events, as the log calls them, of a time such as ``Friday`` or of an item."""
        rows = torch.unique(event[chosen])
        name = event_noun(graph, rows)
        called = f"{when} {name}" if when else name
        words = f"your {called}" if len(rows) == 1 else f"your {pluralize(len(rows), called)}"
        if item >= 0:
            words += f" {item_phrase(name, graph.nodes['item'].label(item))}"
        return EventGroup(words, len(rows), chosen, item)


def _own(graph: TemporalGraph, context: Context) -> Bool[Tensor, " events"]:
    """Which events of all neighbourhoods, side by side, are the asking user's own."""
    parts = [
        near.mask[0] & (graph.log.user[near.event[0]] == context.queries.user)
        for near in context.neighbourhoods.values()
    ]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.bool)


def _groups(graph: TemporalGraph, context: Context) -> Iterator[EventGroup]:
    """The user's events by weekday, by part of the day and by item, in words."""
    own = _own(graph, context)
    if not len(own):
        return
    event = torch.cat([near.event[0] for near in context.neighbourhoods.values()])
    mine = context.neighbourhoods.get("own_history")
    if not graph.timeless:
        yield from _times(graph, own, event)
    if mine is not None:
        codes, count = torch.unique(graph.log.item[mine.event[0][mine.mask[0]]].long(), return_counts=True)
        for code in codes[count.argsort(descending=True, stable=True)][:MOST_ITEMS].tolist():
            yield EventGroup.of(graph, own & (graph.log.item[event] == code), event, item=code)


def _times(graph: TemporalGraph, own: Bool[Tensor, " events"], event: Int64[Tensor, " events"]) -> Iterator[EventGroup]:
    """The user's events by weekday and by part of the day, in local time."""
    local = graph.log.local_time(event)
    weekday = (local // DAY + 3) % 7  # 1970-01-01 was a Thursday
    for day, name in enumerate(DAYS):
        yield EventGroup.of(graph, own & (weekday == day), event, name)
    begins = 0
    for ends, name in PARTS_OF_DAY:
        hour = local % DAY // HOUR
        yield EventGroup.of(graph, own & (hour >= begins) & (hour < ends), event, name.removesuffix("s"))
        begins = ends


def _ranks(
    ranker: StgatRanker,
    context: Context,
    left_out: Bool[Tensor, "groups events"],
    item: Int64[Tensor, " k"],
    candidates: Bool[Tensor, " items"] | None,
) -> Float64[Tensor, "groups k"]:
    """Rank of each item without each group of events."""
    many = context.rows(torch.zeros(len(left_out), dtype=torch.int64, device=left_out.device))
    sizes = [near.event.shape[1] for near in context.neighbourhoods.values()]
    parts = torch.split(left_out, sizes, dim=1)
    answer = ranker.forward_context(many.drop_events(dict(zip(context.neighbourhoods, parts, strict=True))))
    score = ranker.scores(answer, slice(0, len(ranker.graph.nodes["item"])), candidates)
    return torch.stack([expected_rank(score, code.expand(len(score))) for code in item], 1)
