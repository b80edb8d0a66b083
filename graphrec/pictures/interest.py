"""Pictures of a forecast with change points, and of cohorts of users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from graphrec.formatting import format_date
from graphrec.interest.change_points import ChangePoint
from graphrec.interest.cohorts import Cohorts, InterestGroups
from graphrec.interest.forecast import Forecast
from graphrec.interest.over_time import InterestOverTime
from graphrec.pictures.palette import FAINT, INK, PAPER, SHARES, SOFT
from graphrec.pictures.style import COUNTS_MAP, date_axis, per_step, stack_legend, style, theme_colours, title

MAX_THEMES = 2
"""Themes in the line of a change at most."""
LINE_HEIGHT = 0.17
"""Height of the line of a change, inches."""
CHANGE_COLOUR = SHARES["semantic space"]


def draw_forecast(interest: InterestOverTime, forecast: Forecast, *, changes: Sequence[ChangePoint] = ()) -> Figure:
    """Draw events per step with the interval of the forecast, the shares of the themes, and the change points.

    ``forecast`` must have the user, time and step of ``interest``; ``changes`` are those of ``interest_changes``.
    """
    with style():
        size = (11, 5.8 + LINE_HEIGHT * len(changes))
        figure, (activity, themes) = plt.subplots(
            2, 1, figsize=size, sharex=True, height_ratios=(3, 2), layout="constrained"
        )
        _draw_activity(activity, interest, forecast)
        _draw_changes(activity, changes)
        _draw_theme_shares(themes, interest, forecast)
        date_axis(themes)
        lines = "\n".join(f"{number}   {_describe(change)}" for number, change in enumerate(changes, 1))
        figure.supxlabel(lines, x=0.01, ha="left", fontsize=9, color=SOFT)
        note = f"events {per_step(interest.step_days)}; the shade holds {forecast.level:.0%} of what may come"
        title(activity, f"What comes next of {interest.user}", note)
        return figure


def _draw_activity(ax: Axes, interest: InterestOverTime, forecast: Forecast) -> None:
    past, ahead = _middle(interest.start, interest.step_days), _middle(forecast.start, forecast.step_days)
    ax.plot(past, interest.events, color=INK, linewidth=1.4, marker="o", markersize=3)
    low, high = forecast.events_interval.T
    colour = SHARES["my history"]
    ax.fill_between(ahead, low, high, color=colour, alpha=0.22, linewidth=0)
    ax.plot(ahead, forecast.events, color=colour, linewidth=1.8, marker="o", markersize=3)
    ax.axvline(forecast.start[0].astype("datetime64[s]"), color=FAINT, linewidth=1, zorder=0)
    ax.set_ylim(0, None)
    ax.grid(axis="y", color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)


def _draw_changes(ax: Axes, changes: Sequence[ChangePoint]) -> None:
    for number, change in enumerate(changes, 1):
        time: Any = np.datetime64(change.start, "s")
        ax.axvline(time, color=CHANGE_COLOUR, linewidth=1.2, linestyle=(0, (3, 2)))
        coordinates: Any = ("data", "axes fraction")
        look: dict[str, Any] = {"va": "top", "color": CHANGE_COLOUR, "fontsize": 9}
        ax.annotate(str(number), (time, 1), (3, -1), coordinates, "offset points", **look)


def _describe(change: ChangePoint) -> str:
    """A change in words, by the names that changed most."""
    parts = [
        f"{'more' if change.after[index] > change.before[index] else 'less'} {change.names[index]}"
        for index in change.ranked()[:MAX_THEMES]
    ]
    return f"{format_date(change.start)}: {', '.join(parts)}"


def _draw_theme_shares(ax: Axes, interest: InterestOverTime, forecast: Forecast) -> None:
    """Shares of the themes, a bar per step; those of the forecast are paler."""
    colours = dict(zip(interest.themes, theme_colours(interest.themes), strict=True))
    for record, alpha in ((interest, 1.0), (forecast, 0.55)):
        time = _middle(record.start, record.step_days)
        columns = {name: (record.share[:, index], colours[name]) for index, name in enumerate(record.themes)}
        _stack_bars(ax, time, columns, 0.86 * record.step_days, alpha=alpha, labelled=record is interest)


def _stack_bars(
    ax: Axes,
    time: NDArray[Any],
    columns: dict[str, tuple[NDArray[np.float64], str]],
    width_days: float,
    *,
    alpha: float = 1.0,
    labelled: bool = True,
) -> None:
    """Stacked bars of shares with their colours, by name, on an axis of percent."""
    width = np.timedelta64(int(width_days * 24 * 60), "m")
    bottom = np.zeros(len(time))
    for name, (share, colour) in columns.items():
        label = name if labelled else None
        ax.bar(time, share, width=width, bottom=bottom, color=colour, alpha=alpha, label=label)
        bottom += share
    stack_legend(ax)
    ax.set_ylim(0, 1)
    ax.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])


def draw_retention(cohorts: Cohorts) -> Figure:
    """Draw the share of each cohort that was active by number of steps after its first, as a labelled heat map."""
    count, ages = cohorts.retention.shape
    with style():
        figure, ax = plt.subplots(figsize=(max(7, 2.8 + 0.62 * ages), 2 + 0.42 * count), layout="constrained")
        ax.pcolormesh(cohorts.retention, cmap=COUNTS_MAP, edgecolors=PAPER, linewidth=2, vmin=0, vmax=1)
        for row, age in zip(*np.nonzero(~np.isnan(cohorts.retention)), strict=True):
            share = cohorts.retention[row, age]
            colour = PAPER if share > 0.5 else INK
            ax.text(age + 0.5, row + 0.5, f"{share:.0%}", ha="center", va="center", fontsize=8, color=colour)
        names = [f"{name}  ({size:,})" for name, size in zip(cohorts.names, cohorts.size.tolist(), strict=True)]
        ax.set_yticks(np.arange(count) + 0.5, names)
        ax.set_xticks(np.arange(ages) + 0.5, [str(age) for age in range(ages)])
        ax.invert_yaxis()
        ax.spines["bottom"].set_visible(False)
        ax.set_xlabel(f"periods of {cohorts.step_days} days since the first event")
        note = "part of those who began in a period that was active later; number of people in brackets"
        title(ax, "Who came back", note)
        return figure


def draw_groups(groups: InterestGroups) -> Figure:
    """Draw the size of each group of similar interest per step of time, as shares of the active users."""
    with style():
        figure, ax = plt.subplots(figsize=(11, 4.4), layout="constrained")
        share = groups.size / np.maximum(groups.size.sum(axis=1, keepdims=True), 1)
        columns = dict(zip(groups.names, zip(share.T, theme_colours(groups.names), strict=False), strict=False))
        _stack_bars(ax, _middle(groups.start, groups.step_days), columns, 0.9 * groups.step_days)
        date_axis(ax)
        title(ax, "What people come for", f"part of the active people of {groups.step_days} days in each group")
        return figure


def _middle(start: NDArray[np.int64], step_days: int) -> NDArray[Any]:
    return (start + step_days * 43_200).astype("datetime64[s]")
