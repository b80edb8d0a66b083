"""Wording of event types: check-ins, ratings, purchases."""

from __future__ import annotations

from collections import Counter

import torch
from jaxtyping import Int64
from torch import Tensor

from graphrec.formatting import DAYS, PARTS_OF_DAY, pluralize
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.time_units import DAY, HOUR

DEFAULT_TYPE = "event"
"""Event type of a log that names none."""
NOUNS = {
    **{noun: noun for noun in ("check-in", "click", "like", "order", "play", "purchase", "rating", "review", "view")},
    "buy": "purchase",
    "listen": "play",
    "rate": "rating",
    "visit": "visit",
}
"""Event type -> countable noun; any other type is followed by "event"."""
MAX_TYPES = 2
"""Event types that are counted separately; more are counted together."""
ITEM_PREPOSITIONS = {"visit": "to", "check-in": "at"}
"""Preposition between an event noun and its item; "with" for other events, "of" for other nouns."""


def event_noun(graph: TemporalGraph, event: Int64[Tensor, " events"]) -> str:
    """Countable noun of the events at these rows of the log: ``check-in``, ``rating``, ``event``.

    Events without a type are visits if all of them have a location. Events of several types are events.
    """
    kinds = graph.manifest.kinds
    codes = torch.unique(graph.log.kind[event]).tolist()
    if len(codes) != 1:
        return DEFAULT_TYPE
    kind = str(kinds[codes[0]]).lower() if 0 <= codes[0] < len(kinds) else DEFAULT_TYPE
    if kind == DEFAULT_TYPE:
        return "visit" if bool((graph.log.location[event] >= 0).all()) else DEFAULT_TYPE
    return NOUNS.get(kind, kind if kind.endswith(DEFAULT_TYPE) else f"{kind} {DEFAULT_TYPE}")


def count_by_type(graph: TemporalGraph, event: Int64[Tensor, " events"]) -> str:
    """Number of events by type: ``3 ratings``, ``6 visits and 2 orders``; of more than two types ``9 events``."""
    kind, amount = graph.log.kind[event], Counter[str]()
    for code in torch.unique(kind):
        of_kind = event[kind == code]
        amount[event_noun(graph, of_kind)] += len(of_kind)
    if len(amount) > MAX_TYPES:
        return pluralize(len(event), DEFAULT_TYPE)
    return " and ".join(pluralize(number, name) for name, number in amount.most_common())


def item_phrase(name: str, label: str) -> str:
    """Preposition and item behind an event noun: ``to the bar`` for visits, ``of Heat`` for ratings."""
    return f"{ITEM_PREPOSITIONS.get(name, 'with' if name.endswith(DEFAULT_TYPE) else 'of')} {label}"


def format_habit(graph: TemporalGraph, event: Int64[Tensor, " events"]) -> str:
    """Usual local time of events: ``mostly Friday evenings``, ``mostly mornings``, ``at various times``."""
    local = graph.log.local_time(event).tolist()
    days = [DAYS[(moment // DAY + 3) % 7] for moment in local]  # 1970-01-01 was a Thursday
    parts = [next(name for end, name in PARTS_OF_DAY if moment % DAY < end * HOUR) for moment in local]
    if len(local) == 1:
        return f"on a {days[0]} {parts[0].removesuffix('s')}"
    for choices in ([f"{day} {part}" for day, part in zip(days, parts, strict=True)], parts, [f"{d}s" for d in days]):
        choice, count = Counter(choices).most_common(1)[0]
        if 2 * count > len(local):
            return f"{'always' if count == len(local) else 'mostly'} {choice}"
    return "at various times"
