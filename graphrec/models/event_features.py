"""Features of a neighbourhood's events against the query: how long ago, how far, how similar in time, how often."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from graphrec.graph.geography import distance_features, distance_km
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.queries.sampling import Context, event_coordinates, previous_event, take
from graphrec.time_units import DAY, WEEK

GAP_BUCKETS = 48
"""Buckets of log gap, two an octave from one second to 2^24 s (half a year) and beyond."""
N_CALENDAR_FEATURES = 12
"""Features of a local time: three harmonics of the day and three of the week."""
N_TIME_FEATURES = 8
"""Features of the time similarity between event and query; they come first."""
N_EVENT_FEATURES = 19
"""Scalar features of a neighbourhood's event, see ``event_features``."""


@dataclass(frozen=True)
class EventFeatures:
    """A neighbourhood as the network reads it."""

    item: Int64[Tensor, "batch k"]
    """Code of the item of each event."""
    previous_item: Int64[Tensor, "batch k"]
    """Code of the item of the same user's event before it; -1 for none."""
    scalars: Float[Tensor, "batch k scalars"]
    """Scalar features of the event against the query."""
    calendar: Float[Tensor, "batch k calendar"]
    """Calendar features of the event's local time."""
    time_gap: Int64[Tensor, "batch k"]
    """Bucket of the time between event and query."""
    last_visit_gap: Int64[Tensor, "batch k"]
    """Bucket of the time since the query's user last had the event's item; ``GAP_BUCKETS`` for never."""
    mask: Bool[Tensor, "batch k"]
    """True for events, False for padding."""


def event_features(graph: TemporalGraph, context: Context, relation: str) -> EventFeatures:
    """Features of the events of one relation.

    The scalars are: eight of time similarity; whether the event is the user's own, has the item of the user's last
    event, or came after that item (twice, where there was once a longer path); its weight; how often the user has had
    its item, and whether at all; and four of distance.
    """
    log, near = graph.log, context.neighbourhoods[relation]
    event = near.event
    item = log.item[event].long()
    previous = previous_event(graph, context.queries, event)
    previous_item = take(log.item, previous)
    last = context.last_item[:, None]
    count, last_visit_gap = _own_visits(graph, context, item)
    after_last_item = ((previous_item == last) & (last >= 0)).float()
    own = (
        (log.user[event] == context.queries.user[:, None]).float(),
        (item == last).float(),
        after_last_item,
        after_last_item,
        log.weight[event].log1p(),
        count.float().log1p() / 4,
        (count > 0).float(),
    )
    km = distance_km(context.coordinates[:, None], event_coordinates(graph, event))
    distance = distance_features(km, 1).unbind(1)
    local_time = log.local_time(event)
    similarity = _time_similarity(graph, context, event, local_time, previous)
    return EventFeatures(
        item,
        previous_item,
        torch.stack((*similarity, *own, *distance), 1).mT,  # written row by row, read by column
        calendar_features(local_time),
        gap_bucket(context.queries.time[:, None] - log.time[event]),
        last_visit_gap,
        near.mask,
    )


def _time_similarity(
    graph: TemporalGraph, context: Context, event: Tensor, local_time: Tensor, previous: Tensor
) -> tuple[Float[Tensor, "batch k"], ...]:
    """Similarity of the times of event and query, ``N_TIME_FEATURES`` values in 0..1 or -1..1.

    Of the day, of half a day, of the week, of the weekly hour, twice more sharply; whether it is the same day; and
    whether the event came as long after the one before it as the query comes after the user's last event.
    """
    apart = (local_time - context.local_time[:, None]).float()
    day, week = apart * (2 * math.pi / DAY), apart * (2 * math.pi / WEEK)
    hour, weekday = day.cos() - 1, week.cos() - 1
    time = graph.log.time
    gap = torch.where(previous >= 0, time[event] - time[previous.clamp(min=0)], 0)
    return (
        day.cos(),
        (2 * day).cos(),
        week.cos(),
        torch.exp(8 * hour + 2 * weekday),
        torch.exp(64 * hour),
        torch.exp(64 * hour + 64 * weekday),
        (local_time // DAY == context.local_time[:, None] // DAY).float(),
        torch.exp(-(_octaves(gap) - _octaves(idle_seconds(graph, context))[:, None]).abs() / 2),
    )


def idle_seconds(graph: TemporalGraph, context: Context) -> Int64[Tensor, " batch"]:
    """Seconds from the user's last event to the query; 0 for a user without one."""
    since = context.queries.time - take(graph.log.time, context.last_event)
    return torch.where(context.last_event >= 0, since, 0)


def _octaves(seconds: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    return seconds.clamp(min=1).float().log2()


def _own_visits(graph: TemporalGraph, context: Context, item: Int64[Tensor, "batch k"]) -> tuple[Tensor, Tensor]:
    """Count of each item among the user's own latest events, and bucket of the gap since the latest of these."""
    near = context.neighbourhoods.get("own_history")
    if near is None or not item.numel():
        return torch.zeros_like(item), torch.full_like(item, GAP_BUCKETS)
    own = torch.where(near.mask, graph.log.item[near.event].long(), -1)
    ranked, order = own.sort(dim=1, stable=True)  # the visits of an item side by side, the latest first
    first, end = (torch.searchsorted(ranked, item, right=right) for right in (False, True))
    gap = gap_bucket(context.queries.time[:, None] - graph.log.time[near.event])
    latest = gap.gather(1, order.gather(1, first.clamp(max=own.shape[1] - 1)))
    return end - first, torch.where(end > first, latest, GAP_BUCKETS)


def calendar_features(local_time: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch calendar"]:
    """Sine and cosine of three harmonics of the day and of the week; ``local_time`` in seconds since 1970."""
    harmonics = torch.tensor([1.0, 2.0, 3.0], device=local_time.device) * 2 * math.pi
    day = (local_time % DAY)[..., None] / DAY * harmonics
    week = (local_time % WEEK)[..., None] / WEEK * harmonics
    return torch.cat((day.sin(), day.cos(), week.sin(), week.cos()), -1)


def gap_bucket(seconds: Int64[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
    """Bucket of a time gap, two an octave; 0 for a second or less."""
    return (2 * _octaves(seconds)).long().clamp(max=GAP_BUCKETS - 1)
