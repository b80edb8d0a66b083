"""Pictures that show offline: a neighbourhood, an interest, a week, the evidence behind a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import networkx as nx
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from graphrec.evidence import LINKED
from graphrec.graph import TemporalGraph
from graphrec.history import DAY, MONDAY, History
from graphrec.interest import InterestOverTime
from graphrec.palette import FAINT, INK, PAPER, SEQUENCE, SHARES, SOFT, THEMES, TYPES, WASH
from graphrec.radial import Radial, radial
from graphrec.relation import NEVER
from graphrec.subgraph import Node, utc

STYLE: dict[Any, Any] = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "savefig.bbox": "tight",
    "savefig.dpi": 150,
    "figure.constrained_layout.h_pad": 0.12,
    "figure.constrained_layout.w_pad": 0.12,
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 14,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}
"""matplotlib settings that all pictures share."""
LABELS = 12
"""Nodes named on each side of an ego graph."""


@contextmanager
def style() -> Iterator[None]:
    """The look of the pictures here, for pictures of one's own: ``with style(): ...``."""
    plt.draw_if_interactive()  # type: ignore[no-untyped-call]
    # The line above loads the backend: what that sets (in a notebook, to show figures) must outlive the style.
    with mpl.rc_context(STYLE):
        yield


def draw_ego(subgraph: nx.MultiDiGraph[Node], ax: Axes | None = None) -> Figure:
    """Draw an ego graph with the user in the middle: the further out the longer ago, the larger the more often.

    Items lie to the right of locations where the log tells them apart; the most visited nodes are named.
    """
    with style():
        ax = ax or plt.subplots(figsize=(11, 6.6), layout="constrained")[1]
        plane = radial(subgraph)
        _draw_rings(ax, plane)
        _draw_edges(ax, subgraph, plane)
        for kind in sorted({kind for kind, _ in plane.place}):
            _draw_nodes(ax, plane, kind)
        for side in (1, -1):
            _name_nodes(ax, subgraph, plane, side)
        ax.set_xlim(-2, 2, auto=True)
        ax.set_ylim(-1.08, 1.08, auto=True)
        ax.set_aspect("equal", adjustable="datalim")
        ax.axis("off")
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, -0.06), ncols=4, labelcolor=SOFT, handletextpad=0.1)
        asked = "" if subgraph.graph["time"] >= NEVER else f" as of {utc(subgraph.graph['time'])}"
        _title(
            ax, f"The world of {plane.centre[1]}{asked}", "the further out, the longer ago · the larger, the more often"
        )
        return _figure(ax)


def _draw_rings(ax: Axes, plane: Radial) -> None:
    ax.add_patch(Circle((0, 0), 1.04, color=WASH, linewidth=0, zorder=0))
    for words, radius in plane.rings.items():
        ax.add_patch(Circle((0, 0), radius, fill=False, color=FAINT, linewidth=1, zorder=1))
        halo = {"facecolor": WASH, "edgecolor": "none", "pad": 1}
        ax.text(0, radius, words, color=SOFT, fontsize=8, ha="center", va="center", zorder=6, bbox=halo)


def _draw_edges(ax: Axes, subgraph: nx.MultiDiGraph[Node], plane: Radial) -> None:
    pairs = sorted({(s, t) for s, t in subgraph.edges() if s in plane.place and t in plane.place and s != t})
    mine = [pair for pair in pairs if pair[0] == plane.centre]
    further = [pair for pair in pairs if plane.centre not in pair]
    for drawn, alpha in ((further, 0.14), (mine, 0.4)):
        lines = [(plane.place[source], plane.place[target]) for source, target in drawn]
        colours = [TYPES.get(target[0], SOFT) for _, target in drawn]
        widths = [0.8 + 0.6 * np.log2(max(plane.visits[target], 1)) for _, target in drawn]
        ax.add_collection(LineCollection(lines, colors=colours, linewidths=widths, alpha=alpha, zorder=2))


def _draw_nodes(ax: Axes, plane: Radial, kind: str) -> None:
    nodes = [node for node in plane.place if node[0] == kind]
    x, y = zip(*(plane.place[node] for node in nodes), strict=True)
    near = [60 * (1 + np.log2(max(plane.visits[node], 1))) for node in nodes]
    size = [area if plane.visits[node] or node == plane.centre else 16 for node, area in zip(nodes, near, strict=True)]
    ax.scatter(x, y, s=size, color=TYPES.get(kind, SOFT), edgecolor=PAPER, linewidth=1.2, zorder=4, label=kind)


def _name_nodes(ax: Axes, subgraph: nx.MultiDiGraph[Node], plane: Radial, side: int) -> None:
    """Name the most visited nodes of one half in a column beside the rings, each tied to its node."""
    near = [node for node in plane.place if plane.visits[node] and plane.place[node][0] * side > 0]
    chosen = sorted(near, key=lambda node: (-plane.visits[node], node))[:LABELS]
    chosen.sort(key=lambda node: -np.arctan2(plane.place[node][1], abs(plane.place[node][0])))
    reach = min(1.0, 0.085 * len(chosen))
    for node, height in zip(chosen, np.linspace(reach, -reach, len(chosen)), strict=True):
        x, y = plane.place[node]
        ax.plot([x, side * 1.1, side * 1.15], [y, height, height], color=SOFT, linewidth=0.6, alpha=0.45, zorder=3)
        words = _short(subgraph.nodes[node]["label"], 30)
        times = f"  ×{plane.visits[node]}" if plane.visits[node] > 1 else ""
        ax.text(side * 1.17, height, words + times, ha="left" if side > 0 else "right", va="center", fontsize=9)


def draw_interest(interest: InterestOverTime) -> Figure:
    """Draw an interest: events of each theme as a stream over the weeks, and the drift from week to week below."""
    with style():
        figure, (stream, drift) = plt.subplots(
            2, 1, figsize=(11, 5.6), sharex=True, height_ratios=(4, 1), layout="constrained"
        )
        time = interest.start.astype("datetime64[s]").astype("datetime64[m]")
        _draw_stream(stream, interest, time)
        _draw_drift(drift, interest, time)
        return figure


def _draw_stream(ax: Axes, interest: InterestOverTime, time: NDArray[Any]) -> None:
    amount = (interest.share * interest.events[:, None]).T  # [themes, w]
    colours = theme_colours(interest.themes)
    if len(time) > 2:  # a curve through the true amounts that never overshoots them
        fine = np.linspace(0, len(time) - 1, 12 * len(time))
        amount = PchipInterpolator(np.arange(len(time)), amount, axis=1)(fine)
        step = interest.step_days * 24 * 60
        time = time[0] + (fine * step).astype("timedelta64[m]")
    ax.stackplot(time, amount, colors=colours, baseline="sym", edgecolor=PAPER, linewidth=0.8, labels=interest.themes)
    handles, names = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], names[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), labelcolor=INK)
    ax.set_yticks([])
    ax.spines["bottom"].set_visible(False)
    every = "a week" if interest.step_days == 7 else f"in {interest.step_days} days"
    _title(
        ax, f"Where the interest of {interest.user} went", f"events {every}, {interest.events.max():,} at the widest"
    )


def _draw_drift(ax: Axes, interest: InterestOverTime, time: NDArray[Any]) -> None:
    width = np.timedelta64(int(interest.step_days * 24 * 60 * 0.7), "m")
    ax.bar(time, np.nan_to_num(interest.drift), width=width, color=SOFT, alpha=0.8)
    ax.set_ylabel("drift", rotation=0, ha="right", va="center")
    ax.set_ylim(0, max(0.05, float(np.nan_to_num(interest.drift).max()) * 1.15))
    ax.yaxis.set_major_locator(MaxNLocator(2))
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def theme_colours(themes: tuple[str, ...]) -> list[str]:
    """One colour a theme; "other" is always the grey one."""
    return [THEMES[-1] if name == "other" else colour for name, colour in zip(themes, THEMES, strict=False)]


def hour_of_week(graph: TemporalGraph, user: str, time: int) -> Figure:
    """Draw when a user is active: events before ``time`` (UTC seconds) by weekday and hour of their own clock."""
    local_time = History.before(graph, user, time).local_time
    hours = (local_time - MONDAY) % (7 * DAY) // 3600
    counts = np.bincount(hours, minlength=7 * 24).reshape(7, 24)
    with style():
        figure, ax = plt.subplots(figsize=(10, 3.6), layout="constrained")
        colours = LinearSegmentedColormap.from_list("little to much", SEQUENCE)
        mesh = ax.pcolormesh(counts, cmap=colours, edgecolors=PAPER, linewidth=2, vmin=0, vmax=max(1, counts.max()))
        ax.set_yticks(np.arange(7) + 0.5, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
        ax.set_xticks(np.arange(0, 25, 3), [f"{hour:02d}:00" for hour in range(0, 25, 3)])
        ax.invert_yaxis()
        ax.spines["bottom"].set_visible(False)
        _title(ax, f"When {user} is active", f"{len(local_time):,} events by hour of the local week")
        bar = figure.colorbar(mesh, ax=ax, pad=0.02, aspect=12, ticks=MaxNLocator(4, integer=True))
        bar.outline.set_visible(False)
        return figure


def draw_shares(recommendation: Mapping[str, Any]) -> Figure:
    """Draw what each recommended item's score is made of; ``recommendation`` as ``graphrec recommend --json`` gives it.

    An item's bar is as long as its score.
    """
    items = list(recommendation["items"])
    with style():
        figure, ax = plt.subplots(figsize=(10, 1.1 + 0.42 * max(len(items), 1)), layout="constrained")
        names = [_short(item.get("label") or item["item"], 38) for item in items]
        left = np.zeros(len(items))
        for share, colour in SHARES.items():
            if share == LINKED and not any(share in item["shares"] for item in items):
                continue
            width = np.array([float(item["shares"].get(share, 0.0)) for item in items])
            ax.barh(range(len(items)), width, left=left, color=colour, edgecolor=PAPER, height=0.72, label=share)
            left += width
        for row, item in enumerate(items):
            ax.text(left[row], row, f" {item['score']:.3f}", va="center", color=SOFT, fontsize=9)
        ax.set_yticks(range(len(items)), names, color=INK)
        ax.invert_yaxis()
        ax.set_xticks([])
        ax.spines["bottom"].set_visible(False)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, handlelength=1, borderaxespad=0, columnspacing=1.4)
        ax.set_title(f"Why these for {recommendation['user']}", pad=34)
        return figure


def _title(ax: Axes, title: str, note: str) -> None:
    ax.set_title(title, pad=26)
    ax.annotate(note, (0, 1), (0, 10), xycoords="axes fraction", textcoords="offset points", color=SOFT)


def _short(text: object, length: int) -> str:
    words = str(text)
    return words if len(words) <= length else words[: length - 1].rstrip() + "…"


def _figure(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    if not isinstance(figure, Figure):
        raise TypeError(f"axes of a matplotlib figure expected, got axes of {type(figure).__name__}")
    return figure
