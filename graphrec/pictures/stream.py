"""Stream graph of a user's interest over time."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from graphrec.interest.over_time import InterestOverTime
from graphrec.pictures.palette import PAPER, SOFT
from graphrec.pictures.style import date_axis, per_step, stack_legend, style, theme_colours, title


def draw_interest(interest: InterestOverTime) -> Figure:
    """Draw the events of each theme per step as a stream, and the drift from step to step below."""
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
    if len(time) > 2:  # a monotone curve through the amounts, which never overshoots them
        fine = np.linspace(0, len(time) - 1, 12 * len(time))
        amount = PchipInterpolator(np.arange(len(time)), amount, axis=1)(fine)
        time = time[0] + (fine * interest.step_days * 24 * 60).astype("timedelta64[m]")
    colours = theme_colours(interest.themes)
    ax.stackplot(time, amount, colors=colours, baseline="sym", edgecolor=PAPER, linewidth=0.8, labels=interest.themes)
    stack_legend(ax)
    ax.set_yticks([])
    ax.spines["bottom"].set_visible(False)
    note = f"events {per_step(interest.step_days)}, {interest.events.max():,} at the widest"
    title(ax, f"Where the interest of {interest.user} went", note)


def _draw_drift(ax: Axes, interest: InterestOverTime, time: NDArray[Any]) -> None:
    width = np.timedelta64(int(interest.step_days * 24 * 60 * 0.7), "m")
    ax.bar(time, np.nan_to_num(interest.drift), width=width, color=SOFT, alpha=0.8)
    ax.set_ylabel("drift", rotation=0, ha="right", va="center")
    ax.set_ylim(0, max(0.05, float(np.nan_to_num(interest.drift).max()) * 1.15))
    ax.yaxis.set_major_locator(MaxNLocator(2))
    date_axis(ax)
