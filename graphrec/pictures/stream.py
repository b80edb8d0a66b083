"""Where a user's interest went, week by week."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from graphrec.interest.over_time import InterestOverTime
from graphrec.pictures.palette import INK, PAPER, SOFT, THEMES
from graphrec.pictures.style import style, title


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
    title(ax, f"Where the interest of {interest.user} went", f"events {every}, {interest.events.max():,} at the widest")


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
