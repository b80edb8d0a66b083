"""What a neighbour event says against a question: how long ago, how far, how alike in time, how often before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from graphrec.graph.geography import distance_features, distance_km
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.queries.sampling import Context, Neighbourhood, event_coordinates, previous_event
from graphrec.time_units import DAY, WEEK

GAP_BUCKETS = 48
"""Buckets of log gap, two an octave from one second to 2^24 s (half a year) and beyond."""
N_CALENDAR_FEATURES = 12
"""Features of a local time: three harmonics of the day and three of the week."""
N_EVENT_FEATURES = 19
"""Scalar features of a neighbour event, see ``event_features``."""


@dataclass(frozen=True)
class Behind:
    """What stands behind each neighbour of a neighbourhood, its own neighbourhood of one relation."""

    item: Int64[Tensor, "batch k k2"]
    """Code of the item of each event."""
    time_gap: Int64[Tensor, "batch k k2"]
    """Bucket of the time between it and the neighbour."""
    mask: Bool[Tensor, "batch k k2"]
    """Which entries are events and not padding."""


@dataclass(frozen=True)
class EventFeatures:
    """A neighbourhood as the network reads it."""

    item: Int64[Tensor, "batch k"]
    """Code of the item of each event."""
    previous_items: Int64[Tensor, "batch k path"]
    """Codes of the items of the same user's events before it, the latest first; -1 for none."""
    signals: Float[Tensor, "batch k signals"]
    """Scalar features of the event against the question."""
    calendar: Float[Tensor, "batch k calendar"]
    """Local time of the event."""
    time_gap: Int64[Tensor, "batch k"]
    """Bucket of the time between event and question."""
    last_visit_gap: Int64[Tensor, "batch k"]
    """Bucket of the time since the asking user last had the event's item; ``GAP_BUCKETS`` for never."""
    mask: Bool[Tensor, "batch k"]
    """Which entries are events and not padding."""
    beyond: Mapping[str, Behind]
    """Second hop, by relation."""


def event_features(
    graph: TemporalGraph, context: Context, name: str, path: int = 1, geography: bool = True, time: bool = True
) -> EventFeatures:
    """Read the neighbourhood of one relation, each event with the ``path`` of events before it.

    The signals are: eight of time; whether it is the user's own event, of the item of the last event, or came after
    that item; how much of the path the user has gone lately; its weight; how often the user has had its item; and
    four of distance. Without ``geography`` or ``time`` distances and times are unknown.
    """
    log, around = graph.log, context.neighbourhoods[name]
    event = around.event
    item = log.item[event].long()
    way = previous_events(graph, context, event, path)
    before = torch.where(way >= 0, log.item[way.clamp(min=0)].long(), -1)
    gone = (before[..., None] == _own_path(graph, context, path)[:, None, None]) & (before >= 0)[..., None]
    last = context.last_item[:, None]
    count, again = _own_visits(graph, context, item)
    scalars = (
        (log.user[event] == context.queries.user[:, None]).float(),
        (item == last).float(),
        ((before[..., 0] == last) & (last >= 0)).float(),
        gone.any(-1).float().mean(-1),
        log.weight[event].log1p(),
        count.float().log1p() / 4,
        (count > 0).float(),
    )
    away = distance_km(context.coordinates[:, None], event_coordinates(graph, event))
    distance = distance_features(away if geography else torch.full_like(away, torch.nan), 1).unbind(1)
    local = log.local_time(event)
    temporal = _time_similarity(graph, context, event, local, way[..., 0])
    gap = gap_bucket(context.queries.time[:, None] - log.time[event])
    when = calendar_features(local)
    if not time:
        temporal = tuple(torch.zeros_like(likeness) for likeness in temporal)
        when, gap = torch.zeros_like(when), torch.zeros_like(gap)
        again = torch.where(again < GAP_BUCKETS, 0, again)
    signals = torch.stack((*temporal, *scalars, *distance), 1).mT  # written row by row, read by column
    beyond = {name: _behind(graph, event, near, time) for name, near in around.beyond.items()}
    return EventFeatures(item, before, signals, when, gap, again, around.mask, beyond)


def _behind(graph: TemporalGraph, event: Int64[Tensor, "batch k"], near: Neighbourhood, time: bool) -> Behind:
    gap = gap_bucket(graph.log.time[event][..., None] - graph.log.time[near.event])
    return Behind(graph.log.item[near.event].long(), gap if time else torch.zeros_like(gap), near.mask)


def previous_events(
    graph: TemporalGraph, context: Context, event: Tensor, length: int
) -> Int64[Tensor, "batch k path"]:
    """Rows of the same user's events before each, the latest first; -1 where there is none that may be seen."""
    steps = [previous_event(graph, context.queries, event)]
    while len(steps) < length:
        last = steps[-1]
        steps.append(torch.where(last >= 0, previous_event(graph, context.queries, last.clamp(min=0)), -1))
    return torch.stack(steps, -1)


def _own_path(graph: TemporalGraph, context: Context, length: int) -> Int64[Tensor, "batch path"]:
    """Items of the asking user's last events, the latest first; -2 where there is none."""
    last = context.last_event[:, None]
    before = previous_events(graph, context, last.clamp(min=0), length - 1)[:, 0] if length > 1 else last[:, :0]
    rows = torch.cat((last, torch.where(last >= 0, before, -1)), 1)
    if not len(graph.log):
        return rows - 1
    return torch.where(rows >= 0, graph.log.item[rows.clamp(min=0)].long(), -2)


def _time_similarity(
    graph: TemporalGraph, context: Context, event: Tensor, local: Tensor, previous: Tensor
) -> tuple[Float[Tensor, "batch k"], ...]:
    """How alike the times of event and question are, each likeness in 0..1 or -1..1.

    Of the day, of half a day, of the week, of the weekly hour, twice more sharply; whether it is the same day; and
    whether the step to the event took as long as the question comes after the user's last event.
    """
    apart = (local - context.local_time[:, None]).float()
    day, week = apart * (2 * math.pi / DAY), apart * (2 * math.pi / WEEK)
    hour, weekday = day.cos() - 1, week.cos() - 1
    time = graph.log.time
    took = torch.where(previous >= 0, time[event] - time[previous.clamp(min=0)], 0)
    return (
        day.cos(),
        (2 * day).cos(),
        week.cos(),
        torch.exp(8 * hour + 2 * weekday),
        torch.exp(64 * hour),
        torch.exp(64 * hour + 64 * weekday),
        (local // DAY == context.local_time[:, None] // DAY).float(),
        torch.exp(-(_octaves(took) - _octaves(idle_seconds(graph, context))[:, None]).abs() / 2),
    )


def idle_seconds(graph: TemporalGraph, context: Context) -> Int64[Tensor, " batch"]:
    """Seconds from the user's last event to the question; 0 for a user without one."""
    if not len(graph.log):
        return torch.zeros_like(context.last_event)
    since = context.queries.time - graph.log.time[context.last_event.clamp(min=0)]
    return torch.where(context.last_event >= 0, since, 0)


def _octaves(seconds: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    return seconds.clamp(min=1).float().log2()


def _own_visits(graph: TemporalGraph, context: Context, item: Int64[Tensor, "batch k"]) -> tuple[Tensor, Tensor]:
    """How often each item is among the user's own last events, and the bucket of the gap since it last was."""
    if "own_history" not in context.neighbourhoods or not item.numel():
        return torch.zeros_like(item), torch.full_like(item, GAP_BUCKETS)
    mine = context.neighbourhoods["own_history"]
    own = torch.where(mine.mask, graph.log.item[mine.event].long(), -1)
    ranked, place = own.sort(dim=1, stable=True)  # the visits of an item side by side, the latest first
    first, end = (torch.searchsorted(ranked, item, right=right) for right in (False, True))
    gap = gap_bucket(context.queries.time[:, None] - graph.log.time[mine.event])
    latest = gap.gather(1, place.gather(1, first.clamp(max=own.shape[1] - 1)))
    return end - first, torch.where(end > first, latest, GAP_BUCKETS)


def calendar_features(local_time: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch calendar"]:
    """Sine and cosine of three harmonics of the day and of the week; local seconds since 1970."""
    harmonics = torch.tensor([1.0, 2.0, 3.0], device=local_time.device) * 2 * math.pi
    day = (local_time % DAY)[..., None] / DAY * harmonics
    week = (local_time % WEEK)[..., None] / WEEK * harmonics
    return torch.cat((day.sin(), day.cos(), week.sin(), week.cos()), -1)


def gap_bucket(seconds: Int64[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
    """Bucket of a time gap, two an octave; 0 for a second or less."""
    return (2 * _octaves(seconds)).long().clamp(max=GAP_BUCKETS - 1)
