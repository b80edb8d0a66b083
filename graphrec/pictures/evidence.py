"""Pictures of evidence that show offline: attention as it flows, what it rests on, and whether it is so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, cast

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Outline
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from graphrec import palette
from graphrec.evidence.attention_profile import AttentionProfile, Share
from graphrec.evidence.faithfulness import Faithfulness
from graphrec.evidence.flow import AttentionFlow, ReadEvent
from graphrec.evidence.shares import LINKED, SHARES
from graphrec.kinds import counted
from graphrec.palette import FAINT, INK, PAPER, SOFT, WASH
from graphrec.pictures.style import short, style
from graphrec.subgraph.view import utc

SHOWN = 9
"""Events drawn one by one in a flow; the others are drawn as one."""
LEAST = 0.001
"""Part of the score below which nothing is drawn."""
NAMED = 4
"""Items named in a strip of what was read."""
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
        asked = "" if undated else f"as of {utc(flow.time)} · "
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

    @property
    def middle(self) -> float:
        """Height of its middle."""
        return self.low + self.mass / 2


def _draw_bands(ax: Axes, flow: AttentionFlow) -> None:
    """The hops from left to right; heights are parts of the score, so that all of it is one high."""
    whole = flow.score or 1.0
    through = sorted(
        ((name, mass / whole) for name, mass in flow.through().items() if mass > LEAST * whole), key=_largest
    )
    relations = _column("relation", through, {name: _colour(name) for name, _ in through})
    parts = _parts(flow, [name for name, _ in through])
    events = _column(
        "event",
        [(str(place), part.mass / whole) for place, part in enumerate(parts)],
        {str(place): _colour(part.relation) for place, part in enumerate(parts)},
    )
    user, item = (_Bar(COLUMNS[hop], -0.5, 1.0, INK) for hop in ("user", "item"))
    _connect(ax, user, [relations[name] for name, _ in through])
    for name, bar in relations.items():
        own = [events[str(place)] for place, part in enumerate(parts) if part.relation == name]
        _connect(ax, bar, own)
    _connect(ax, item, list(events.values()), leftwards=True)
    for bar in (user, item, *relations.values(), *events.values()):
        ax.add_patch(Rectangle((bar.x - BAR / 2, bar.low), BAR, bar.mass, color=bar.colour, linewidth=0, zorder=3))
    for name, bar in relations.items():
        _say(ax, bar, SHARES.get(name, name), f"{bar.mass * whole:.3f}, gate {flow.gates[name]:.0%}")
    for place, part in enumerate(parts):
        ax.text(
            COLUMNS["event"] + BAR, events[str(place)].middle, f" {part.words}", va="center", fontsize=8.5, zorder=5
        )
    ax.text(user.x - 0.02, 0, flow.user, ha="right", va="center", fontweight="bold")
    ax.text(item.x + 0.02, 0.02, short(flow.label, 26), ha="left", va="bottom", fontweight="bold")
    ax.text(item.x + 0.02, -0.02, f"{flow.score:.3f}", ha="left", va="top", color=SOFT)
    ax.set_xlim(-0.08, 1.22)
    reach = max(max(-bar.low, bar.low + bar.mass) for bar in (user, *relations.values(), *events.values()))
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
    shown = {(one.relation, one.event) for one in flow.carriers[:SHOWN]}
    parts = []
    for name in relations:
        if name == "semantic":
            parts.append(_Part(name, flow.semantic, _of_logit(flow)))
            continue
        own = [one for one in flow.carriers if one.relation == name]
        parts += [_Part(name, one.mass, _of_event(one)) for one in own if (name, one.event) in shown]
        rest = [one.mass for one in own if (name, one.event) not in shown]
        if rest:
            more = "more event" if len(rest) < len(own) else "event"
            parts.append(_Part(name, sum(rest), counted(len(rest), more)))
    return parts


def _of_event(one: ReadEvent) -> str:
    words = [f"after {short(one.labels_before[0], 24 if one.own else 15)}"] if one.labels_before else []
    if one.local_time is not None:
        moment = datetime.fromtimestamp(one.local_time, UTC)
        words = [f"{moment:%a} {moment.day} {moment:%b %Y, %H:%M}", *words]
    if not one.own:
        words.append("not by you")
    return " · ".join(words or ["an event"])


def _of_logit(flow: AttentionFlow) -> str:
    strongest = max(flow.logit, key=lambda name: flow.logit[name])
    return f"fits, most by its {strongest}" if flow.logit[strongest] > 0 else "fits no better than others"


def _column(hop: str, masses: Sequence[tuple[str, float]], colours: Mapping[str, str]) -> dict[str, _Bar]:
    """Bars above each other, each in the middle of a place that its words fit into, centred as a whole."""
    places = [max(mass, SLOTS[hop]) for _, mass in masses]
    top, bars = (sum(places) + GAP * (len(places) - 1)) / 2, {}
    for (name, mass), place in zip(masses, places, strict=True):
        bars[name] = _Bar(COLUMNS[hop], top - (place + mass) / 2, mass, colours[name])
        top -= place + GAP
    return bars


def _connect(ax: Axes, one: _Bar, others: Sequence[_Bar], leftwards: bool = False) -> None:
    """Bands between a bar and those that share its mass, from its top down."""
    top = one.low + one.mass
    for other in others:
        here, there = (top - other.mass, top), (other.low, other.low + other.mass)
        left, right = ((other.x, there), (one.x, here)) if leftwards else ((one.x, here), (other.x, there))
        _band(ax, left, right, other.colour)
        top -= other.mass


def _band(
    ax: Axes, left: tuple[float, tuple[float, float]], right: tuple[float, tuple[float, float]], colour: str
) -> None:
    (x0, (low0, high0)), (x1, (low1, high1)) = left, right
    x0, x1 = x0 + BAR / 2, x1 - BAR / 2
    middle = (x0 + x1) / 2
    upper = [(x0, high0), (middle, high0), (middle, high1), (x1, high1)]
    lower = [(x1, low1), (middle, low1), (middle, low0), (x0, low0)]
    codes = [Outline.MOVETO, *[Outline.CURVE4] * 3, Outline.LINETO, *[Outline.CURVE4] * 3, Outline.CLOSEPOLY]
    outline = Outline([*upper, *lower, upper[0]], codes)
    ax.add_patch(PathPatch(outline, facecolor=to_rgba(colour, 0.28), edgecolor="none", zorder=1))


def _say(ax: Axes, bar: _Bar, words: str, note: str) -> None:
    """Name a bar to its right, with a note under the name."""
    ax.text(bar.x + BAR, bar.middle, f" {words}", va="bottom", fontsize=8.5, zorder=5)
    ax.text(bar.x + BAR, bar.middle, f" {note}", va="top", fontsize=7.5, color=SOFT, zorder=5)


def _largest(named: tuple[str, float]) -> float:
    return -named[1]


def _colour(relation: str) -> str:
    return palette.SHARES.get(SHARES.get(relation, LINKED), SOFT)


def _strips(flow: AttentionFlow) -> Iterator[tuple[str, str, list[tuple[str, float]]]]:
    """Of each asking before the pointer: its name, its colour, and what it read, by item, the most first."""
    by_relation = groupby(flow.events, key=lambda one: one.relation)
    for name, events in ((name, list(events)) for name, events in by_relation):
        yield f"read in {SHARES.get(name, name)}", _colour(name), _by_item((one.label, one.read) for one in events)
    if any(one.remembered for one in flow.events):
        remembered = ((one.label, one.remembered) for one in flow.events)
        yield "remembered by propagation", _colour("semantic"), _by_item(remembered)


def _by_item(weights: Iterator[tuple[str, float]]) -> list[tuple[str, float]]:
    total: dict[str, float] = {}
    for label, weight in weights:
        total[label] = total.get(label, 0.0) + weight
    return sorted(total.items(), key=_largest)


def _draw_strips(ax: Axes, strips: Sequence[tuple[str, str, list[tuple[str, float]]]]) -> None:
    for row, (_, colour, weights) in enumerate(strips):
        left = 0.0
        for place, (label, weight) in enumerate(weights):
            alpha = 0.6 if place % 2 else 0.85
            ax.barh(row, weight, left=left, height=0.72, color=to_rgba(colour, alpha), edgecolor=PAPER, linewidth=0.6)
            if place < NAMED and weight > 0.08:
                words = short(label, int(weight * 110))
                ax.text(left + weight / 2, row, words, ha="center", va="center", color=PAPER, fontsize=8)
            left += weight
    ax.set_yticks(range(len(strips)), [name for name, _, _ in strips], color=INK, fontsize=9)
    ax.set_xticks([])
    ax.set_xlim(0, 1)
    ax.invert_yaxis()
    ax.spines["bottom"].set_visible(False)
    note = "weights, by item: what made the state that asks above; no part of the score"
    ax.set_title(note if strips else "", fontsize=9, fontweight="normal", color=SOFT, pad=6)


def draw_profile(profile: AttentionProfile, segment: str = "all") -> Figure:
    """Draw what attention rests on, one panel an aspect: bars with 95% intervals, and a tick at what was available."""
    panels = {aspect: profile.of(aspect, segment) for aspect in profile.aspects}
    panels = {aspect: shares for aspect, shares in panels.items() if shares}
    columns = 2
    rows = max(1, -(-len(panels) // columns))
    with style():
        figure, grid = plt.subplots(
            rows, columns, figsize=(11, 0.9 + 2.3 * rows), layout="constrained", squeeze=False
        )  # [rows, columns]
        axes = list(grid.flat)
        for ax, (aspect, shares) in zip(axes, panels.items(), strict=False):
            _draw_aspect(ax, aspect, shares)
        for ax in axes[len(panels) :]:
            ax.axis("off")
        if len(panels) < len(axes):
            _explain_marks(axes[-1])
        asked = max((one.questions for one in profile.shares if one.segment == segment), default=0)
        which = "" if segment == "all" else f" · {segment}"
        figure.suptitle(
            f"What attention rests on{which} · {asked:,} questions", x=0.01, ha="left", fontsize=13, fontweight="bold"
        )
        return figure


def _draw_aspect(ax: Axes, aspect: str, shares: Sequence[Share]) -> None:
    place = np.arange(len(shares))
    colours = [palette.SHARES.get(one.value, SOFT) if aspect == "relation" else palette.SEQUENCE[3] for one in shares]
    ax.barh(place, [one.share for one in shares], height=0.66, color=colours, alpha=0.85, zorder=2)
    for row, one in enumerate(shares):
        if one.low is not None and one.high is not None:
            ax.plot([one.low, one.high], [row, row], color=INK, linewidth=1.2, zorder=3)
        if one.available is not None:
            ax.plot([one.available] * 2, [row - 0.42, row + 0.42], color=INK, linewidth=2.4, zorder=4)
        lift = f"×{one.lift:.2f}" if one.lift is not None else ""
        end = max(one.share, one.high or 0, one.available or 0)
        ax.text(end, row, f"  {lift}", va="center", fontsize=8.5, color=SOFT)
    ax.set_yticks(place, [one.value for one in shares], color=INK)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.18 * max(max(one.share, one.high or 0, one.available or 0) for one in shares))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.grid(axis="x", color=FAINT, linewidth=0.8, zorder=0)
    ax.set_axisbelow(True)
    ax.set_title(aspect, fontsize=10.5, pad=6)


def _explain_marks(ax: Axes) -> None:
    """How to read the panels, in the place of a panel."""
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.add_patch(Rectangle((0.04, 0.62), 0.2, 0.12, color=palette.SEQUENCE[3], alpha=0.85, linewidth=0))
    ax.plot([0.2, 0.28], [0.68, 0.68], color=INK, linewidth=1.2)
    ax.plot([0.14, 0.14], [0.4, 0.54], color=INK, linewidth=2.4)
    ax.text(0.14, 0.24, "×1.3", ha="center", va="center", color=SOFT, fontsize=8.5)
    for height, words in (
        (0.68, "share of the attention, 95% interval over users"),
        (0.47, "its share were there no choice"),
        (0.24, "lift, the first over the second"),
    ):
        ax.text(0.34, height, words, va="center", color=SOFT, fontsize=9)


def draw_faithfulness(found: Faithfulness) -> Figure:
    """Draw the deletion and insertion curves, evidence against as many random events, and print the figure.

    Without a question that has evidence there is nothing to draw but that.
    """
    with style():
        figure, (deletion, insertion) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
        _draw_curves(deletion, found, found.deletion, found.deletion_at_random, "taken out")
        _draw_curves(insertion, found, found.insertion, found.insertion_at_random, "put in, with nothing else")
        if found.gap is not None:
            error = "" if found.gap_error is None else f" ± {found.gap_error:.3f}"
            says = f"the score falls {found.gap:.3f}{error} farther without the evidence than without random events"
        else:
            says = "no question's best item has events behind it"
        figure.suptitle("Is what is shown what counts?", x=0.01, ha="left", fontsize=13, fontweight="bold")
        note = f"{says} · {found.questions:,} questions, {found.events:.1f} events each"
        figure.supxlabel(note, x=0.01, ha="left", fontsize=10, color=SOFT)
        return figure


def _draw_curves(ax: Axes, found: Faithfulness, evidence: Sequence[float], random: Sequence[float], words: str) -> None:
    ax.axhline(1, color=FAINT, linewidth=1, zorder=0)
    if evidence:
        steps = np.array(found.steps)
        ax.fill_between(steps, evidence, random, color=WASH, zorder=0)
        for curve, colour, name in (
            (evidence, palette.SHARES["my history"], "the evidence"),
            (random, SOFT, "as many at random"),
        ):
            ax.plot(steps, curve, color=colour, linewidth=2.2, marker="o", markersize=4.5)
            ax.annotate(
                f"{name}  {curve[-1]:.2f}",
                (1, curve[-1]),
                (6, 0),
                textcoords="offset points",
                va="center",
                color=colour,
            )
        ax.set_xticks(steps, [f"{100 * step:.0f}" for step in steps[:-1]] + [f"{steps[-1]:.0%}"])
    ax.set_ylim(0, None)
    ax.set_title(f"events {words}", fontsize=10.5, pad=6)
    ax.set_ylabel("part of the best item's score")
