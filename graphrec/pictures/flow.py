"""A picture of attention as it flows to one item, hop by hop."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, cast

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from graphrec.evidence.flow import AttendedEvent, AttentionFlow
from graphrec.evidence.shares import LINKED, SHARE_LABELS
from graphrec.formatting import format_utc, pluralize
from graphrec.pictures import palette
from graphrec.pictures.palette import INK, PAPER, SOFT
from graphrec.pictures.style import short, style

MAX_EVENTS = 9
"""Events drawn one by one; the others are drawn as one."""
MIN_SHARE = 0.001
"""Share of the score below which a relation is not drawn."""
MIN_EVENT_SHARE = 0.01
"""Share of the score below which an event is drawn with the others."""
MIN_LABELLED_WEIGHT = 0.06
"""Attention weight from which an item is labelled in a strip; the others are drawn as one."""
MAX_LETTERS = 95
"""Letters that fit into a strip."""
COLUMNS = {"user": 0.0, "relation": 0.2, "event": 0.5, "item": 1.0}
"""Where the hops of a flow stand, from left to right."""
SLOTS = {"relation": 0.15, "event": 0.085}
"""Least height of a bar's place, so that its words have room; all of the score is one high."""
GAP, BAR = 0.02, 0.008
"""Space between the places of bars, and their width."""


def draw_flow(flow: AttentionFlow) -> Figure:
    """Draw the attention behind an item: bands as wide as their part of the score, and below what made the state.

    The bands are the score, but for parts of less than a thousandth of it. The strips are weights: what each asking
    before the pointer read, by item.
    """
    strips = list(_strips(flow))
    with style():
        heights = (4.6, 0.5 + 0.36 * len(strips))
        figure = plt.figure(figsize=(11, sum(heights)), layout="constrained")
        upper, lower = cast(NDArray[Any], figure.subfigures(2, 1, height_ratios=heights))
        ax = upper.subplots()
        _draw_bands(ax, flow)
        ax.set_title(f"Why {short(flow.label, 48)} for {flow.user}", pad=26)
        undated = flow.events and flow.events[0].local_time is None
        asked = "" if undated else f"as of {format_utc(flow.time)} · "
        note = f"{asked}{flow.score:.3f} of the probability, as it flows"
        ax.annotate(note, (0, 1), (0, 10), xycoords="axes fraction", textcoords="offset points", color=SOFT)
        _draw_strips(lower.subplots(), strips)
        return figure


@dataclass(frozen=True)
class _Bar:
    """A node of the flow as it is drawn."""

    x: float
    low: float
    mass: float
    colour: str


def _draw_bands(ax: Axes, flow: AttentionFlow) -> None:
    """The hops from left to right; heights are parts of the score, so that all of it is one high."""
    total = flow.score or 1.0
    shares = sorted(flow.share_by_relation().items(), key=_largest)
    through = {name: mass for name, mass in shares if mass > MIN_SHARE * total}
    parts = _parts(flow, list(through))
    relations = _column("relation", [(mass / total, _colour(name)) for name, mass in through.items()])
    events = _column("event", [(part.mass / total, _colour(part.relation)) for part in parts])
    user, item = (_Bar(COLUMNS[hop], -0.5, 1.0, INK) for hop in ("user", "item"))
    bars = [user, item, *relations, *events]
    _connect(ax, user, relations)
    _connect(ax, item, events, leftwards=True)
    for (name, mass), bar in zip(through.items(), relations, strict=True):
        _connect(ax, bar, [event for part, event in zip(parts, events, strict=True) if part.relation == name])
        _text(ax, bar, SHARE_LABELS.get(name, name), va="bottom", fontsize=8.5)
        _text(ax, bar, f"{mass:.3f}, gate {flow.gates[name]:.0%}", va="top", fontsize=7.5, color=SOFT)
    for part, bar in zip(parts, events, strict=True):
        _text(ax, bar, part.words, va="center", fontsize=8.5)
    for bar in bars:
        ax.add_patch(Rectangle((bar.x - BAR / 2, bar.low), BAR, bar.mass, color=bar.colour, linewidth=0, zorder=3))
    ax.text(user.x - 0.02, 0, flow.user, ha="right", va="center", fontweight="bold")
    ax.text(item.x + 0.02, 0.02, short(flow.label, 26), ha="left", va="bottom", fontweight="bold")
    ax.text(item.x + 0.02, -0.02, f"{flow.score:.3f}", ha="left", va="top", color=SOFT)
    ax.set_xlim(-0.08, 1.22)
    reach = max(max(-bar.low, bar.low + bar.mass) for bar in bars)
    ax.set_ylim(-reach - 0.03, reach + 0.03)
    ax.axis("off")


@dataclass(frozen=True)
class _Part:
    """One event of a flow, several that are drawn as one, or the semantic space."""

    relation: str
    mass: float
    words: str


def _parts(flow: AttentionFlow, relations: Sequence[str]) -> list[_Part]:
    """What stands in the column of events, relation by relation, the strongest first."""
    shown = {
        (one.relation, one.event)
        for one in flow.supporting_events[:MAX_EVENTS]
        if one.mass >= MIN_EVENT_SHARE * flow.score
    }
    parts = []
    for name in relations:
        if name == "semantic":
            parts.append(_Part(name, flow.semantic, _of_logit(flow)))
            continue
        own = [one for one in flow.supporting_events if one.relation == name]
        parts += [_Part(name, one.mass, _of_event(one)) for one in own if (name, one.event) in shown]
        rest = [one.mass for one in own if (name, one.event) not in shown]
        if rest:
            more = "more event" if len(rest) < len(own) else "event"
            parts.append(_Part(name, sum(rest), pluralize(len(rest), more)))
    return parts


def _of_event(one: AttendedEvent) -> str:
    words = [f"after {short(one.previous_label, 20 if one.own else 15)}"] if one.previous_label else []
    if one.local_time is not None:
        moment = datetime.fromtimestamp(one.local_time, UTC)
        words = [f"{moment:%a} {moment.day} {moment:%b %Y, %H:%M}", *words]
    if not one.own:
        words.append("not by you")
    return " · ".join(words or ["an event"])


def _of_logit(flow: AttentionFlow) -> str:
    strongest = max(flow.logit, key=lambda name: flow.logit[name])
    return f"fits, most by its {strongest}" if flow.logit[strongest] > 0 else "fits no better than others"


def _column(hop: str, masses: Sequence[tuple[float, str]]) -> list[_Bar]:
    """Bars of a mass and a colour above each other, each centred in a slot that its text fits into."""
    slots = [max(mass, SLOTS[hop]) for mass, _ in masses]
    top, bars = (sum(slots) + GAP * (len(slots) - 1)) / 2, []
    for (mass, colour), slot in zip(masses, slots, strict=True):
        bars.append(_Bar(COLUMNS[hop], top - (slot + mass) / 2, mass, colour))
        top -= slot + GAP
    return bars


def _connect(ax: Axes, one: _Bar, others: Sequence[_Bar], *, leftwards: bool = False) -> None:
    """Bands between a bar and those that share its mass, from its top down."""
    top, side = one.low + one.mass, -BAR / 2 if leftwards else BAR / 2
    curve = np.linspace(0, 1, 65)
    along, rise = 1.5 * curve * (1 - curve) + curve**3, curve**2 * (3 - 2 * curve)  # a cubic Bezier curve
    for other in others:
        x = one.x + side + along * (other.x - one.x - 2 * side)
        low = top - other.mass + rise * (other.low - top + other.mass)
        ax.fill_between(x, low, low + other.mass, color=to_rgba(other.colour, 0.28), linewidth=0, zorder=1)
        top -= other.mass


def _text(ax: Axes, bar: _Bar, text: str, **look: Any) -> None:
    """Write to the right of a bar, at its middle."""
    ax.text(bar.x + BAR, bar.low + bar.mass / 2, f" {text}", zorder=5, **look)


def _largest(named: tuple[str, float]) -> float:
    return -named[1]


def _colour(relation: str) -> str:
    return palette.SHARES.get(SHARE_LABELS.get(relation, LINKED), SOFT)


def _strips(flow: AttentionFlow) -> Iterator[tuple[str, str, list[tuple[str, float]]]]:
    """Of each asking before the pointer: its name, its colour, and what it read, by item, the most first."""
    by_relation = groupby(flow.events, key=lambda one: one.relation)
    for name, events in by_relation:
        read = _by_item((one.label, one.summary_weight) for one in events)
        yield f"read in {SHARE_LABELS.get(name, name)}", _colour(name), read
    if any(one.recency_weight for one in flow.events):
        remembered = ((one.label, one.recency_weight) for one in flow.events)
        yield "remembered by propagation", _colour("semantic"), _by_item(remembered)


def _by_item(weights: Iterator[tuple[str, float]]) -> list[tuple[str, float]]:
    total: defaultdict[str, float] = defaultdict(float)
    for label, weight in weights:
        total[label] += weight
    return sorted(total.items(), key=_largest)


def _draw_strips(ax: Axes, strips: Sequence[tuple[str, str, list[tuple[str, float]]]]) -> None:
    for row, (_, colour, weights) in enumerate(strips):
        named = [(label, weight) for label, weight in weights if weight >= MIN_LABELLED_WEIGHT]
        left = 0.0
        for place, (label, weight) in enumerate(named):
            _draw_piece(ax, row, left, weight, to_rgba(colour, 0.6 if place % 2 else 0.85))
            words = short(label, int(weight * MAX_LETTERS))
            ax.text(left + weight / 2, row, words, ha="center", va="center", color=PAPER, fontsize=7.5)
            left += weight
        others = len(weights) - len(named)
        if others:
            _draw_piece(ax, row, left, sum(weight for _, weight in weights[len(named) :]), to_rgba(colour, 0.25))
            words = pluralize(others, "more item" if named else "item")
            ax.text(1.01, row, words, va="center", color=SOFT, fontsize=8)
    ax.set_yticks(range(len(strips)), [name for name, _, _ in strips], color=INK, fontsize=9)
    ax.set_xticks([])
    ax.set_xlim(0, 1)
    ax.invert_yaxis()
    ax.spines["bottom"].set_visible(False)
    note = "weights, by item: what made the state that asks above; no part of the score"
    ax.set_title(note if strips else "", fontsize=9, fontweight="normal", color=SOFT, pad=6)


def _draw_piece(ax: Axes, row: int, left: float, width: float, colour: tuple[float, float, float, float]) -> None:
    ax.barh(row, width, left=left, height=0.72, color=colour, edgecolor=PAPER, linewidth=0.6)
