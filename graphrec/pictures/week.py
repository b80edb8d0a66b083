"""Heat map of a user's activity by hour of the week."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.interest.history import History
from graphrec.pictures.palette import PAPER
from graphrec.pictures.style import COUNTS_MAP, style, title
from graphrec.time_units import FIRST_MONDAY, HOUR, WEEK


def draw_hour_of_week(graph: TemporalGraph, user: str, *, time: int) -> Figure:
    """Draw a user's events before ``time`` (UTC seconds) by weekday and hour of local time."""
    local_time = History.before(graph, user, time).local_time
    hours = (local_time - FIRST_MONDAY) % WEEK // HOUR
    counts = np.bincount(hours, minlength=7 * 24).reshape(7, 24)
    with style():
        figure, ax = plt.subplots(figsize=(10, 3.6), layout="constrained")
        mesh = ax.pcolormesh(counts, cmap=COUNTS_MAP, edgecolors=PAPER, linewidth=2, vmin=0, vmax=max(1, counts.max()))
        ax.set_yticks(np.arange(7) + 0.5, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
        ax.set_xticks(np.arange(0, 25, 3), [f"{hour:02d}:00" for hour in range(0, 25, 3)])
        ax.invert_yaxis()
        ax.spines["bottom"].set_visible(False)
        title(ax, f"When {user} is active", f"{len(local_time):,} events by hour of the local week")
        bar = figure.colorbar(mesh, ax=ax, pad=0.02, aspect=12, ticks=MaxNLocator(4, integer=True))
        bar.outline.set_visible(False)
        return figure
