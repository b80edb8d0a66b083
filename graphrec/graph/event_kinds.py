"""What the log calls its events: check-ins, ratings, purchases."""

from __future__ import annotations

from collections import Counter

import torch
from jaxtyping import Int64
from torch import Tensor

from graphrec.formatting import DAYS, PARTS_OF_DAY, pluralize
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.time_units import DAY, HOUR

UNNAMED = "event"
"""The kind of a log that does not say what its events are."""
NOUNS = {
    **{noun: noun for noun in ("check-in", "click", "like", "order", "play", "purchase", "rating", "review", "view")},
    "buy": "purchase",
    "listen": "play",
    "rate": "rating",
    "visit": "visit",
}
"""Kinds of event as people count them; any other is the kind and "event"."""
MOST_KINDS = 2
"""Kinds that are counted apart; more are counted as events."""
BEFORE_ITEM = {"visit": "to", "check-in": "at"}
"""The word between events and the item that they are of, where it is not "of" ("with" for an event)."""


def noun(graph: TemporalGraph, event: Int64[Tensor, " events"]) -> str:
    """What events, by their rows in the log, are called, one of them: ``check-in``, ``rating``, ``event``.

    Events of a log that names no kind are visits where they have a place. Of several kinds they are events.
    """
    kinds = list(graph.manifest.get("kinds", ()))
    codes = torch.unique(graph.log.kind[event]).tolist()
    if len(codes) != 1:
        return UNNAMED
    kind = str(kinds[codes[0]]).lower() if 0 <= codes[0] < len(kinds) else UNNAMED
    if kind == UNNAMED:
        return "visit" if bool((graph.log.location[event] >= 0).all()) else UNNAMED
    return NOUNS.get(kind, kind if kind.endswith(UNNAMED) else f"{kind} {UNNAMED}")


def counted_kinds(graph: TemporalGraph, event: Int64[Tensor, " events"]) -> str:
    """``3 ratings``, ``6 visits and 2 orders``; of more than two kinds ``9 events``."""
    kind, amount = graph.log.kind[event], Counter[str]()
    for code in torch.unique(kind):
        of_kind = event[kind == code]
        amount[noun(graph, of_kind)] += len(of_kind)
    if len(amount) > MOST_KINDS:
        return pluralize(len(event), UNNAMED)
    return " and ".join(pluralize(number, name) for name, number in amount.most_common())


def of_item(name: str, label: str) -> str:
    """Events of an item in words: ``to the bar`` for visits, ``of Heat`` for ratings."""
    return f"{BEFORE_ITEM.get(name, 'with' if name.endswith(UNNAMED) else 'of')} {label}"


def habit(graph: TemporalGraph, event: Int64[Tensor, " events"]) -> str:
    """When events happen, in local time: ``mostly Friday evenings``, ``mostly mornings``, ``at various times``."""
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
