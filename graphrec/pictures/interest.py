"""Pictures of what comes next of an interest, of when it changed, and of cohorts of people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray

from graphrec.formatting import format_date
from graphrec.interest.change_points import ChangePoint
from graphrec.interest.cohorts import Cohorts, InterestGroups
from graphrec.interest.forecast import Forecast
from graphrec.interest.over_time import InterestOverTime
from graphrec.pictures.palette import FAINT, INK, PAPER, SEQUENCE, SHARES, SOFT
from graphrec.pictures.stream import theme_colours
from graphrec.pictures.style import style, title

TOLD = 2
"""Themes that a change is told by."""
LINE = 0.17
"""Height of a line about a change, inches."""
COLOUR = SHARES["semantic space"]
"""Of changes."""


def draw_forecast(interest: InterestOverTime, coming: Forecast, changes: Sequence[ChangePoint] = ()) -> Figure:
    """Draw events a step so far and the fan of those to come, the themes, and what changed when.

    ``coming`` is to be of the same user, time and length of step as ``interest``; ``changes`` as ``interest_changes``
    gives them.
    """
    with style():
        height = 5.8 + LINE * len(changes)
        figure, (activity, themes) = plt.subplots(
            2, 1, figsize=(11, height), sharex=True, height_ratios=(3, 2), layout="constrained"
        )
        _draw_fan(activity, interest, coming)
        _number_changes(activity, changes)
        _draw_themes(themes, interest, coming)
        _date_axis(themes)
        told = "\n".join(f"{number}   {_tell(change)}" for number, change in enumerate(changes, 1))
        figure.supxlabel(told, x=0.01, ha="left", fontsize=9, color=SOFT)
        every = "a week" if interest.step_days == 7 else f"in {interest.step_days} days"
        title(
            activity,
            f"What comes next of {interest.user}",
            f"events {every}; the shade holds {coming.level:.0%} of what may come",
        )
        return figure


def _draw_fan(ax: Axes, interest: InterestOverTime, coming: Forecast) -> None:
    past, ahead = _middle(interest.start, interest.step_days), _middle(coming.start, coming.step_days)
    ax.plot(past, interest.events, color=INK, linewidth=1.4, marker="o", markersize=3)
    low, high = coming.events_interval.T
    colour = SHARES["my history"]
    ax.fill_between(ahead, low, high, color=colour, alpha=0.22, linewidth=0)
    ax.plot(ahead, coming.events, color=colour, linewidth=1.8, marker="o", markersize=3)
    ax.axvline(coming.start[0].astype("datetime64[s]"), color=FAINT, linewidth=1, zorder=0)
    ax.set_ylim(0, None)
    ax.grid(axis="y", color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)


def _number_changes(ax: Axes, changes: Sequence[ChangePoint]) -> None:
    for number, change in enumerate(changes, 1):
        when: Any = np.datetime64(change.start, "s")
        ax.axvline(when, color=COLOUR, linewidth=1.2, linestyle=(0, (3, 2)))
        at: Any = ("data", "axes fraction")
        ax.annotate(str(number), (when, 1), (3, -1), at, "offset points", va="top", color=COLOUR, fontsize=9)


def _tell(change: ChangePoint) -> str:
    """A change in words, by the names that changed most."""
    parts = [
        f"{'more' if change.after[place] > change.before[place] else 'less'} {change.names[place]}"
        for place in change.ranked()[:TOLD]
    ]
    return f"{format_date(change.start)}: {', '.join(parts)}"


def _draw_themes(ax: Axes, interest: InterestOverTime, coming: Forecast) -> None:
    """Shares of the themes of both, a bar a step; the ones to come are paler."""
    colours = dict(zip(interest.themes, theme_colours(interest.themes), strict=True))
    width = np.timedelta64(int(interest.step_days * 24 * 60 * 0.86), "m")
    for record, alpha in ((interest, 1.0), (coming, 0.55)):
        below = np.zeros(len(record.start))
        for place, name in enumerate(record.themes):
            share = record.share[:, place]
            label = name if record is interest else None
            time = _middle(record.start, record.step_days)
            ax.bar(time, share, width=width, bottom=below, color=colours[name], alpha=alpha, label=label)
            below += share
    handles, names = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], names[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), labelcolor=INK)
    ax.set_ylim(0, 1)
    ax.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])


def draw_retention(cohorts: Cohorts) -> Figure:
    """Draw which part of each cohort was active how many steps after its first, as a heat map with its figures."""
    count, ages = cohorts.retention.shape
    with style():
        figure, ax = plt.subplots(figsize=(max(7, 2.8 + 0.62 * ages), 2 + 0.42 * count), layout="constrained")
        colours = LinearSegmentedColormap.from_list("little to much", SEQUENCE)
        ax.pcolormesh(cohorts.retention, cmap=colours, edgecolors=PAPER, linewidth=2, vmin=0, vmax=1)
        for row, age in zip(*np.nonzero(~np.isnan(cohorts.retention)), strict=True):
            part = cohorts.retention[row, age]
            colour = PAPER if part > 0.5 else INK
            ax.text(age + 0.5, row + 0.5, f"{part:.0%}", ha="center", va="center", fontsize=8, color=colour)
        names = [f"{name}  ({size:,})" for name, size in zip(cohorts.names, cohorts.size.tolist(), strict=True)]
        ax.set_yticks(np.arange(count) + 0.5, names)
        ax.set_xticks(np.arange(ages) + 0.5, [str(age) for age in range(ages)])
        ax.invert_yaxis()
        ax.spines["bottom"].set_visible(False)
        ax.set_xlabel(f"periods of {cohorts.step_days} days since the first event")
        title(
            ax,
            "Who came back",
            "part of those who began in a period that was active later; number of people in brackets",
        )
        return figure


def draw_groups(groups: InterestGroups) -> Figure:
    """Draw how large each group of like interest was in each step of time, as shares of the active people."""
    with style():
        figure, ax = plt.subplots(figsize=(11, 4.4), layout="constrained")
        part = groups.size / np.maximum(groups.size.sum(axis=1, keepdims=True), 1)
        width = np.timedelta64(int(groups.step_days * 24 * 60 * 0.9), "m")
        below = np.zeros(len(groups.start))
        for place, colour in enumerate(theme_colours(groups.names)):
            time = _middle(groups.start, groups.step_days)
            ax.bar(time, part[:, place], width=width, bottom=below, color=colour, label=groups.names[place])
            below += part[:, place]
        handles, names = ax.get_legend_handles_labels()
        ax.legend(handles[::-1], names[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), labelcolor=INK)
        ax.set_ylim(0, 1)
        ax.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
        _date_axis(ax)
        title(ax, "What people come for", f"part of the active people of {groups.step_days} days in each group")
        return figure


def _middle(start: NDArray[np.int64], step_days: int) -> NDArray[Any]:
    return (start + step_days * 43_200).astype("datetime64[s]")


def _date_axis(ax: Axes) -> None:
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
