"""What a neighbour event says against a question: how long ago, how far, how alike in time, how often before."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from graphrec.geography import distance_features, kilometres, unit_vectors
from graphrec.graph import TemporalGraph
from graphrec.sampling import Context, event_coordinates, preceding

DAY, WEEK = 86_400, 604_800
GAP_BUCKETS = 48
"""Buckets of log gap, two an octave from one second to 2^24 s (half a year) and beyond."""
CLOCK = 12
"""Features of a local time: three harmonics of the day and three of the week."""
SIGNALS = 14
"""Scalar features of a neighbour event, see ``neighbours``."""


@dataclass(frozen=True)
class Neighbours:
    """A neighbourhood as the network reads it."""

    item: Int64[Tensor, "batch k"]
    """Code of the item of each event."""
    before: Int64[Tensor, "batch k"]
    """Code of the item of the same user's event before it; -1 for none."""
    signals: Float[Tensor, "batch k signals"]
    """Scalar features of the event against the question."""
    clock: Float[Tensor, "batch k clock"]
    """Local time of the event."""
    gap: Int64[Tensor, "batch k"]
    """Bucket of the time between event and question."""
    again: Int64[Tensor, "batch k"]
    """Bucket of the time since the asking user last had the event's item; ``GAP_BUCKETS`` for never."""
    real: Bool[Tensor, "batch k"]
    """Which entries are events and not padding."""


def neighbours(graph: TemporalGraph, context: Context, name: str, geography: bool = True) -> Neighbours:
    """Read the neighbourhood of one relation; without ``geography``, distances are unknown.

    The signals are: four likenesses in time of day and week; whether it is the user's own event, of the item of the
    last event, or came after that item; its weight; how often the user has had its item; and four of distance.
    """
    log, around = graph.log, context.around[name]
    event = around.event
    previous = preceding(graph, context.queries, event)
    item, before = log.item[event].long(), torch.where(previous >= 0, log.item[previous].long(), -1)
    local = log.time[event] + 60 * log.utc_offset[event].long()
    here, there = unit_vectors(context.coordinates)[:, None], unit_vectors(event_coordinates(graph, event))
    last = context.last_item[:, None]
    count, again = _own_visits(graph, context, item)
    scalars = (
        *_alike_in_time(local - context.local_time[:, None]),
        (log.user[event] == context.queries.user[:, None]).float(),
        (item == last).float(),
        ((before == last) & (before >= 0)).float(),
        log.weight[event].log1p(),
        count.float().log1p() / 4,
        (count > 0).float(),
    )
    away = kilometres((here - there).pow(2).sum(-1))
    distance = distance_features(away if geography else torch.full_like(away, torch.nan))
    signals = torch.cat((torch.stack(scalars, -1), distance), -1)
    gap = gap_bucket(context.queries.time[:, None] - log.time[event])
    return Neighbours(item, before, signals, clock(local), gap, again, around.real)


def _alike_in_time(apart: Int64[Tensor, "batch k"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Likeness of two local times so many seconds apart: of the day, of half a day, of the week, of the weekly hour."""
    day, week = apart.float() * (2 * math.pi / DAY), apart.float() * (2 * math.pi / WEEK)
    return day.cos(), (2 * day).cos(), week.cos(), torch.exp(8 * (day.cos() - 1) + 2 * (week.cos() - 1))


def _own_visits(graph: TemporalGraph, context: Context, item: Int64[Tensor, "batch k"]) -> tuple[Tensor, Tensor]:
    """How often each item is among the user's own last events, and the bucket of the gap since it last was."""
    if "mine" not in context.around or not item.numel():
        return torch.zeros_like(item), torch.full_like(item, GAP_BUCKETS)
    mine = context.around["mine"]
    own = torch.where(mine.real, graph.log.item[mine.event].long(), -1)
    same = item[:, :, None] == own[:, None, :]  # [batch, k, own], the latest first
    ever, latest = same.max(-1)
    gap = gap_bucket(context.queries.time[:, None] - graph.log.time[mine.event])
    return same.sum(-1), torch.where(ever, gap.gather(1, latest), GAP_BUCKETS)


def clock(local_time: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch clock"]:
    """Sine and cosine of three harmonics of the day and of the week; local seconds since 1970."""
    harmonics = torch.tensor([1.0, 2.0, 3.0], device=local_time.device) * 2 * math.pi
    day = (local_time % DAY)[..., None] / DAY * harmonics
    week = (local_time % WEEK)[..., None] / WEEK * harmonics
    return torch.cat((day.sin(), day.cos(), week.sin(), week.cos()), -1)


def gap_bucket(seconds: Int64[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
    """Bucket of a time gap, two an octave; 0 for a second or less."""
    return (2 * seconds.clamp(min=1).float().log2()).long().clamp(max=GAP_BUCKETS - 1)
