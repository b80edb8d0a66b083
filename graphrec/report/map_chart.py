"""Maps of hexagons as SVG text: no tiles, no network; their colours come from the page's style sheet."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import h3.api.basic_str as h3
from markupsafe import Markup, escape

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

Point = tuple[Number, Number]


@dataclass(frozen=True)
class Hexagon:
    """One cell to draw."""

    cell: str
    """H3 index as written in hexadecimal."""
    level: int | None
    """Which of the style sheet's ``.level-0``, ``.level-1``, ... it has; None: ground."""
    told: str = ""
    """What it says when pointed at."""


def hexagon_map(told: str, hexagons: Sequence[Hexagon]) -> Markup:
    """Cells where they lie, north above, in an equirectangular projection true to scale at the middle latitude.

    ``told`` is what the map says to who cannot see it. Cells on both sides of the 180th meridian lie beside each other.
    """
    outlines = _outlines([hexagon.cell for hexagon in hexagons])
    project, height, km = _projection(outlines.values())
    parts = [_polygon(hexagon, map(project, outlines[hexagon.cell])) for hexagon in hexagons]
    return svg(WIDTH, round(height), told, [*parts, *_scale_bar(height, km)])


def _outlines(cells: Sequence[str]) -> Mapping[str, list[Point]]:
    """Corners of each cell, (latitude, longitude) in degrees; a longitude goes beyond 180 to be next to the others."""
    centres = [math.radians(h3.cell_to_latlng(cell)[1]) for cell in cells]
    middle = math.degrees(math.atan2(sum(map(math.sin, centres)), sum(map(math.cos, centres))))
    return {cell: _corners(cell, middle) for cell in cells}


def _corners(cell: str, middle: Number) -> list[Point]:
    centre = _turned(h3.cell_to_latlng(cell)[1], middle)
    return [(latitude, _turned(longitude, centre)) for latitude, longitude in h3.cell_to_boundary(cell)]


def _turned(longitude: Number, about: Number) -> Number:
    """The same meridian, written as the number nearest to ``about``."""
    return about + (longitude - about + 180) % 360 - 180


def _projection(outlines: Iterable[list[Point]]) -> tuple[Callable[[Point], Point], Number, Number]:
    """From degrees to places on the picture, its height, and how many of its units a kilometre is."""
    points = [point for outline in outlines for point in outline]
    south, north = min(latitude for latitude, _ in points), max(latitude for latitude, _ in points)
    west, east = min(longitude for _, longitude in points), max(longitude for _, longitude in points)
    narrow = max(math.cos(math.radians((south + north) / 2)), 0.05)
    unit = min((WIDTH - 2 * EDGE) / ((east - west) * narrow), (MAX_HEIGHT - 2 * EDGE - FOOT) / (north - south))
    height = max((north - south) * unit + 2 * EDGE + FOOT, MIN_HEIGHT)
    left = (WIDTH - (east - west) * narrow * unit) / 2
    top = (height - FOOT - (north - south) * unit) / 2
    return (
        lambda point: (left + (point[1] - west) * narrow * unit, top + (north - point[0]) * unit),
        height,
        unit / DEGREE_KM,
    )


def _polygon(hexagon: Hexagon, corners: Iterator[Point]) -> str:
    kind = "ground" if hexagon.level is None else f"level-{hexagon.level}"
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    title = f"<title>{escape(hexagon.told)}</title>" if hexagon.told else ""
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
    return (
        _levelled("How many questions", questions, [bisect_right(steps, cell.n) for cell in questions.cells], names),
        _levelled(
            "How often right among the first ten",
            questions,
            [min(int(LEVELS * cell.accuracy + 1e-9), LEVELS - 1) for cell in questions.cells],
            parts,
        ),
    )


def _levelled(title: str, questions: QueryMap, levels: Sequence[int], names: Sequence[str]) -> Legend:
    hexagons = [Hexagon(cell, None) for cell in questions.background]
    hexagons += [
        Hexagon(
            cell.cell, level, f"{cell.n:,} questions of {cell.users:,} users, {format_percent(cell.accuracy)} right"
        )
        for cell, level in zip(questions.cells, levels, strict=True)
    ]
    told = f"Map, {title.lower()}: {len(questions.cells)} cells; the table below has the fullest."
    found = tuple((level, names[level]) for level in sorted(set(levels)))
    return Legend(title, hexagon_map(told, hexagons), found)


def centre(cell: str) -> str:
    """Where a cell is, in degrees to two places: 40.75 N, 73.99 W."""
    latitude, longitude = h3.cell_to_latlng(cell)
    north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
    return f"{abs(latitude):.2f} {north}, {abs(longitude):.2f} {east}"
