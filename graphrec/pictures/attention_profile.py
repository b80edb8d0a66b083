"""A picture of what attention rests on, against what was available."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from graphrec.evidence.attention_profile import AttentionProfile, Share
from graphrec.pictures import palette
from graphrec.pictures.palette import FAINT, INK, SOFT
from graphrec.pictures.style import style


def draw_attention_profile(profile: AttentionProfile, segment: str = "all") -> Figure:
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
