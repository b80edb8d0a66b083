"""Maps of hexagons as SVG text: no tiles, no network; their colours come from the page's style sheet."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import h3.api.basic_str as h3
import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from graphrec.evaluation.query_map import QueryMap
from graphrec.formatting import format_percent
from graphrec.graph.geography import EARTH_RADIUS_KM
from graphrec.report.chart import Number, svg, text

WIDTH, MIN_HEIGHT, MAX_HEIGHT = 460, 200, 520
"""Width of a map, and bounds of its height."""
EDGE, FOOT = 14, 30
"""Free space around the cells, and that of the scale bar below them."""
LEVELS = 5
"""Colours of a map."""
DEGREE_KM = math.radians(EARTH_RADIUS_KM)
"""Length of a degree of latitude."""


@dataclass(frozen=True)
class Hexagon:
    """One cell to draw."""

    cell: str
    """H3 index as written in hexadecimal."""
    level: int | None
    """Which of the style sheet's ``.level-0``, ``.level-1``, ... it has; None: ground."""
    description: str = ""
    """What it says when pointed at."""


def hexagon_map(description: str, hexagons: Sequence[Hexagon]) -> Markup:
    """Cells where they lie, north above, in an equirectangular projection true to scale at the middle latitude.

    ``description`` is the alternative text. Cells on both sides of the 180th meridian lie beside each other.
    """
    outlines = _outlines([hexagon.cell for hexagon in hexagons])
    corners = np.concatenate(outlines)
    low, high = corners.min(axis=0), corners.max(axis=0)
    east, north = high - low
    unit = min((WIDTH - 2 * EDGE) / east, (MAX_HEIGHT - 2 * EDGE - FOOT) / north)  # of the picture, per kilometre
    height = max(north * unit + 2 * EDGE + FOOT, MIN_HEIGHT)
    middle = (WIDTH / 2, (height - FOOT) / 2)
    parts = [
        _polygon(hexagon, middle + (outline - (low + high) / 2) * (unit, -unit))
        for hexagon, outline in zip(hexagons, outlines, strict=True)
    ]
    return svg(WIDTH, round(height), description, [*parts, *_scale_bar(height, unit)])


def _outlines(cells: Sequence[str]) -> list[NDArray[np.float64]]:
    """Corners of each cell, [corners, 2] kilometres east and north of a point; the 180th meridian does not tear one."""
    degrees = [np.unwrap(h3.cell_to_boundary(cell), period=360, axis=0) for cell in cells]
    latitude, longitude = np.concatenate(degrees).T
    middle = np.degrees(np.angle(np.exp(1j * np.radians(longitude)).mean()))
    narrow = max(np.cos(np.radians((latitude.min() + latitude.max()) / 2)), 0.05)
    turned = [corners - (0, 360 * np.round((corners[0, 1] - middle) / 360)) for corners in degrees]
    return [DEGREE_KM * corners[:, ::-1] * (narrow, 1) for corners in turned]


def _polygon(hexagon: Hexagon, corners: NDArray[np.float64]) -> str:
    kind = "ground" if hexagon.level is None else f"level-{hexagon.level}"
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    title = f"<title>{escape(hexagon.description)}</title>" if hexagon.description else ""
    return f'<polygon class="{kind}" points="{points}">{title}</polygon>'


def _scale_bar(height: Number, km: Number) -> Iterator[str]:
    """A bar of a round number of kilometres, at most a third of the picture."""
    longest = WIDTH / 3 / km
    power = 10 ** math.floor(math.log10(longest))
    length = next(factor * power for factor in (5, 2, 1) if factor * power <= longest)
    name = f"{length:,.0f} km" if length >= 1 else f"{length * 1000:,.0f} m"
    bottom = height - 10
    yield f'<path class="scale" d="M{EDGE} {bottom - 5:.1f}v5h{length * km:.1f}v-5"/>'
    yield text(EDGE + length * km + 8, bottom, name, "tick")


@dataclass(frozen=True)
class Legend:
    """A map with what its colours mean."""

    title: str
    picture: Markup
    levels: tuple[tuple[int, str], ...]
    """Each level that occurs, and its values in words."""


def question_maps(questions: QueryMap) -> tuple[Legend, Legend]:
    """Two maps: how many questions there were in each cell, and how often the right item was among the first ten."""
    counts = sorted({cell.n for cell in questions.cells})
    steps = sorted({counts[len(counts) * part // LEVELS] for part in range(1, LEVELS)} - {counts[0]})
    ends = [*(step - 1 for step in steps), counts[-1]]
    names = [
        f"{low:,} to {high:,}" if low < high else f"{low:,}"
        for low, high in zip([counts[0], *steps], ends, strict=True)
    ]
    parts = [f"{100 * level // LEVELS} to {100 * (level + 1) // LEVELS}%" for level in range(LEVELS)]
    by_count = [bisect_right(steps, cell.n) for cell in questions.cells]
    by_accuracy = [min(int(LEVELS * cell.accuracy + 1e-9), LEVELS - 1) for cell in questions.cells]
    return (
        _levelled("How many questions", questions, by_count, names),
        _levelled("How often right among the first ten", questions, by_accuracy, parts),
    )


def _levelled(title: str, questions: QueryMap, levels: Sequence[int], names: Sequence[str]) -> Legend:
    hexagons = [Hexagon(cell, None) for cell in questions.background]
    for cell, level in zip(questions.cells, levels, strict=True):
        facts = f"{cell.n:,} questions of {cell.users:,} users, {format_percent(cell.accuracy)} right"
        hexagons.append(Hexagon(cell.cell, level, facts))
    description = f"Map, {title.lower()}: {len(questions.cells)} cells; the table below has the fullest."
    found = tuple((level, names[level]) for level in sorted(set(levels)))
    return Legend(title, hexagon_map(description, hexagons), found)


def centre(cell: str) -> str:
    """Where a cell is, in degrees to two places: 40.75 N, 73.99 W."""
    latitude, longitude = h3.cell_to_latlng(cell)
    north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
    return f"{abs(latitude):.2f} {north}, {abs(longitude):.2f} {east}"
