"""Map of a user's events in hexagonal cells, with home, work and habits; it needs no network."""

from __future__ import annotations

from typing import Any

import h3
import numpy as np
import torch
from matplotlib import patheffects
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from graphrec.errors import InputError
from graphrec.formatting import format_date, format_utc
from graphrec.graph.geography import has_coordinates
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.interest.history import History
from graphrec.interest.places import HabitualPlaces, habitual_places
from graphrec.pictures.palette import INK, PAPER, SEQUENCE, SHARES, WASH
from graphrec.pictures.style import bare, figure_of, style, title
from graphrec.queries.sampling import event_coordinates

KM_PER_DEGREE = 111.195
"""Length of a degree of latitude on a sphere of 6,371 km."""
RESOLUTION = 8
"""H3 cells of about 0.9 km across."""
MAX_OFF_MAP = 0.01
"""Share of the events on each side, north, south, east and west, that may lie off the map."""
MARGIN = 0.25
"""Margin around the others, as a share of their extent."""


def draw_places(
    graph: TemporalGraph, user: str, *, time: int, resolution: int = RESOLUTION, named: bool = True
) -> Figure:
    """Draw where a user was before ``time`` (UTC seconds), as H3 cells, with home, work and habits.

    Parameters
    ----------
    graph, user, time
        Whose events strictly before when.
    resolution
        Of the H3 cells, 0 to 15: 8 is about 0.9 km across, 7 about 2.4 km, 6 about 6.5 km. Homes and habits are drawn
        in the middle of their cell, so a coarse map does not give them away.
    named
        Whether home, work and habits are marked; if not, only the cells are shown.

    Raises InputError for a user not known by then or without an event at a known place.
    """
    if not 0 <= resolution <= 15:
        raise InputError(f"map: an H3 resolution from 0 to 15 expected, got {resolution}")
    history = History.before(graph, user, time)
    coordinates = event_coordinates(graph, torch.from_numpy(history.row).to(graph.log.time.device))
    where = coordinates[has_coordinates(coordinates)].tolist()
    if not where:
        raise InputError(
            f"user {user!r} has no event at a known place before {format_utc(time)}; a map needs coordinates"
        )
    cells, counts = np.unique([h3.latlng_to_cell(lat, lon, resolution) for lat, lon in where], return_counts=True)
    middle = np.array([h3.cell_to_latlng(cell) for cell in cells])
    origin = _quantiles(middle, counts, 0.5)
    visible = _on_map(_kilometres(middle, origin), counts, resolution)
    with style():
        figure, ax = plt.subplots(figsize=(9, 7.4), layout="constrained")
        _draw_cells(ax, cells[visible], counts[visible], origin)
        _frame(ax, _kilometres(middle[visible], origin), resolution)
        if named:
            _mark_places(ax, habitual_places(graph, user, until=time), resolution, origin)
        _draw_scale_bar(ax)
        events, hidden = int(counts[visible].sum()), int(counts[~visible].sum())
        note = (
            f"{events:,} events in {visible.sum():,} cells of {_across(resolution)}, until {format_date(history.until)}"
        )
        title(ax, f"Where {user} was", note + (f" · {hidden:,} farther off" if hidden else ""))
        return figure


def _kilometres(degrees: NDArray[np.float64], origin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kilometres east and north of ``origin``, [n, 2]; a degree of longitude is shorter far from the equator."""
    north, east = degrees[:, 0] - origin[0], (degrees[:, 1] - origin[1] + 180) % 360 - 180
    return KM_PER_DEGREE * np.stack((east * np.cos(np.radians(origin[0])), north), axis=1)


def _draw_cells(ax: Axes, cells: NDArray[Any], counts: NDArray[np.int64], origin: NDArray[np.float64]) -> None:
    shapes = [_kilometres(np.array(h3.cell_to_boundary(cell)), origin) for cell in cells]
    colours = LinearSegmentedColormap.from_list("little to much", SEQUENCE[1:])
    drawn = PolyCollection(
        shapes, array=counts, cmap=colours, norm=LogNorm(1, max(2, counts.max())), edgecolor=PAPER, linewidth=0.6
    )
    ax.add_collection(drawn)
    bar = figure_of(ax).colorbar(drawn, ax=ax, shrink=0.4, aspect=12, pad=0.02, label="events")
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())


def _quantiles(
    points: NDArray[np.float64], counts: NDArray[np.int64], quantile: float | tuple[float, ...]
) -> NDArray[np.float64]:
    """Quantiles of either coordinate over the events, [2, ...]."""
    return np.array([np.quantile(axis, quantile, weights=counts, method="inverted_cdf") for axis in points.T])


def _on_map(middle: NDArray[np.float64], counts: NDArray[np.int64], resolution: int) -> NDArray[np.bool_]:
    """Mask of the cells on the map, [cells]: those of nearly all events, and a margin."""
    low, high = _quantiles(middle, counts, (MAX_OFF_MAP, 1 - MAX_OFF_MAP)).T
    around = MARGIN * (high - low).max() + _margin(resolution)
    visible: NDArray[np.bool_] = ((middle >= low - around) & (middle <= high + around)).all(axis=1)
    return visible


def _margin(resolution: int) -> float:
    """Distance from the centre of a cell to the edge of the map, kilometres, so that no cell is cut."""
    return 2.5 * float(h3.average_hexagon_edge_length(resolution, unit="km"))


def _frame(ax: Axes, middle: NDArray[np.float64], resolution: int) -> None:
    """Limits that show all cells with a margin, in the aspect ratio of the figure."""
    low, high = middle.min(axis=0), middle.max(axis=0)
    (x, y), (width, height) = (low + high) / 2, np.maximum((high - low) / 2, _margin(resolution)) + _margin(resolution)
    width, height = max(width, 1.18 * height), max(height, 0.7 * width)
    ax.set_xlim(x - width, x + width)
    ax.set_ylim(y - height, y + height)
    ax.set_aspect("equal")
    ax.set_facecolor(WASH)
    bare(ax)


def _mark_places(ax: Axes, places: HabitualPlaces, resolution: int, origin: NDArray[np.float64]) -> None:
    """Markers of home, work and habit places at the centre of their cells."""
    home, work, habits = SHARES["what people do next"], SHARES["semantic space"], SHARES["what happens here"]
    marks = [("home", places.home, home, "^"), ("work", places.work, work, "s")]
    marks += [
        ("habit" if place.label == place.id else place.label, place, habits, "o")  # an id tells a reader nothing
        for place in places.habits
    ]
    taken: set[str] = set()
    for words, place, colour, shape in marks:
        if place is None or place.coordinates is None:
            continue
        cell = h3.latlng_to_cell(*place.coordinates, resolution)
        if cell in taken:
            continue
        taken.add(cell)
        x, y = _kilometres(np.array([h3.cell_to_latlng(cell)]), origin)[0]
        ax.scatter([x], [y], s=110 if shape != "o" else 36, marker=shape, color=colour, edgecolor=PAPER, zorder=4)
        text = ax.annotate(words, (x, y), (9, 3), textcoords="offset points", fontsize=9, color=INK, zorder=5)
        text.set_path_effects([patheffects.withStroke(linewidth=3, foreground=PAPER)])
        text.set_clip_on(True)


def _draw_scale_bar(ax: Axes) -> None:
    """A scale bar of a round length, up to a fifth of the width."""
    left, right = ax.get_xlim()
    longest = (right - left) / 5
    step = 10 ** np.floor(np.log10(longest))
    length = max(factor * step for factor in (1, 2, 5) if factor * step <= longest)
    bottom, top = ax.get_ylim()
    x, y = left + 0.03 * (right - left), bottom + 0.04 * (top - bottom)
    ax.plot([x, x + length], [y, y], color=INK, linewidth=3, solid_capstyle="butt", zorder=5)
    label = f"{length:g} km" if length >= 1 else f"{1000 * length:g} m"
    ax.annotate(label, (x, y), (0, 5), textcoords="offset points", fontsize=9, color=INK, zorder=5)
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)


def _across(resolution: int) -> str:
    """Width of a cell between opposite sides, in words."""
    km = np.sqrt(3) * h3.average_hexagon_edge_length(resolution, unit="km")
    return f"{km:.2g} km" if km >= 1 else f"{float(f'{1000 * km:.2g}'):g} m"
