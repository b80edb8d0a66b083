"""The health of a graph's data as of a time: how much came when, what has text and a place, what is new to a split."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from graphrec.graph.events import SPLITS, TRAIN
from graphrec.graph.geography import has_coordinates
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.time_units import FIRST_MONDAY

MAX_BARS = 80
"""Periods at most: the shortest kind of period is taken that needs no more."""


class Record(BaseModel):
    """Plain data that a report is fed with; what it does not show is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Coverage(Record):
    """What is known of the nodes of one type."""

    kind: str
    nodes: int
    """How many are known."""
    active: int
    """Those with an event."""
    text: int
    """Those with text."""
    placed: int
    """Those with coordinates."""


class Unseen(Record):
    """What a held-out split has that training could not know."""

    split: str
    events: int
    users: int
    """Distinct users of the split."""
    new_users: int
    """Those without an event of train."""
    items: int
    """Distinct items of the split."""
    new_items: int
    """Those without an event of train."""


class DataHealth(Record):
    """What a report tells of the data, all from the graph directory."""

    period: str = ""
    """Length of one bar: day, week (from Monday), month or year, UTC; empty where there is no time."""
    starts: tuple[int, ...] = ()
    """UTC seconds at which each period begins, with no gap between them."""
    events: dict[str, tuple[int, ...]] = {}
    """Events of each split in each period."""
    coverage: tuple[Coverage, ...] = ()
    unseen: tuple[Unseen, ...] = ()


def data_health(graph: TemporalGraph, time: int) -> DataHealth:
    """Count what the graph holds strictly before ``time`` (UTC seconds); a pass or two over the events."""
    seen = graph.as_of(time)
    period, starts, place = ("", np.zeros(0, np.int64), None) if graph.timeless else _periods(seen.events.time)
    split = seen.events.split.cpu().numpy()
    counted = {
        name: tuple(np.bincount(place[split == code], minlength=len(starts)).tolist())
        for name, code in SPLITS.items()
        if place is not None
    }
    return DataHealth(
        period=period,
        starts=tuple(starts.tolist()),
        events=counted,
        coverage=tuple(_coverage(seen, kind) for kind in seen.nodes if bool(seen.visible(kind).any())),
        unseen=tuple(_unseen(seen, name) for name, code in SPLITS.items() if code != TRAIN and (split == code).any()),
    )


def _periods(time: Int[Tensor, " n"]) -> tuple[str, NDArray[np.int64], NDArray[np.int64] | None]:
    """The kind of period, when each begins, and the period of each event; no period without an event."""
    if not len(time):
        return "", np.zeros(0, np.int64), None
    for period in ("day", "week", "month", "year"):
        unit, first_second = f"datetime64[{period[0].upper()}]", FIRST_MONDAY if period == "week" else 0
        number = (time.cpu().numpy() - first_second).astype("datetime64[s]").astype(unit).astype(np.int64)
        if number[-1] - number[0] < MAX_BARS:
            break
    first, last = int(number[0]), int(number[-1])
    every = -(-(last - first + 1) // MAX_BARS)  # more than one only for a log of more years than bars
    starts = np.arange(first, last + 1, every).astype(unit).astype("datetime64[s]").astype(np.int64) + first_second
    return period, starts, (number - first) // every


def _coverage(graph: TemporalGraph, kind: str) -> Coverage:
    table, visible = graph.nodes[kind], graph.visible(kind).cpu()
    text = torch.from_numpy(table.texts.is_valid().to_numpy(zero_copy_only=False))
    placed = torch.zeros_like(visible) if table.coordinates is None else has_coordinates(table.coordinates).cpu()
    active = torch.zeros_like(visible)
    if kind in ("user", "item", "location"):
        active = _occurring(getattr(graph.events, kind), len(table))
    return Coverage(
        kind=kind,
        nodes=int(visible.sum()),
        active=int((active & visible).sum()),
        text=int((text & visible).sum()),
        placed=int((placed & visible).sum()),
    )


def _unseen(graph: TemporalGraph, split: str) -> Unseen:
    events = graph.events
    of_split, of_train = events.split == SPLITS[split], events.split == TRAIN
    found: dict[str, int] = {}
    for kind, codes in (("user", events.user), ("item", events.item)):
        held_out, trained = (_occurring(codes[part], len(graph.nodes[kind])) for part in (of_split, of_train))
        found |= {f"{kind}s": int(held_out.sum()), f"new_{kind}s": int((held_out & ~trained).sum())}
    return Unseen(split=split, events=int(of_split.sum()), **found)


def _occurring(codes: Int[Tensor, " n"], count: int) -> Bool[Tensor, " count"]:
    """Which nodes of a type occur among the codes."""
    occurs = torch.zeros(count, dtype=torch.bool)
    occurs[codes[codes >= 0].cpu().long()] = True
    return occurs
