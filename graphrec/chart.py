"""Line charts as SVG text; their colours come from the page's style sheet."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from markupsafe import Markup, escape

Number = int | float
Scale = Callable[[Number], float]
"""From a value to a place on the page."""
WIDTH, HEIGHT = 460, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 92, 16, 30
LABEL_GAP = 15
"""Least distance between the names at the ends of two lines."""


def line_chart(title: str, x: Sequence[int], lines: Mapping[str, Sequence[Number]], mark: int | None = None) -> Markup:
    """One line a series over ``x`` (increasing), named at its end; ``mark`` draws an upright at that x.

    A value that is not finite leaves a hole. The style sheet gives ``.line-0``, ``.line-1``, ... their colours.
    """
    values = [value for line in lines.values() for value in line if math.isfinite(value)] or [0.0]
    ticks = _ticks(min(values), max(values))
    across = _scale(x[0], max(x[-1], x[0] + 1), LEFT, WIDTH - RIGHT)
    up = _scale(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP)
    parts = [*_grid(ticks, up), *_epochs(x, across, mark)]
    ends = _spread([up(_last(line)) for line in lines.values()])
    for place, (name, line) in enumerate(lines.items()):
        points = [(across(at), up(value)) for at, value in zip(x, line, strict=True) if math.isfinite(value)]
        parts.append(_line(place, points))
        parts.append(_text(WIDTH - RIGHT + 10, ends[place] + 4, name, f"name-{place}"))
    described = escape(f"{title}: " + ", ".join(f"{name} ends at {_last(line):.3f}" for name, line in lines.items()))
    opening = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{described}">'
    return Markup(opening + "".join(parts) + "</svg>")


def _scale(low: Number, high: Number, begin: Number, end: Number) -> Scale:
    return lambda value: begin + (value - low) / (high - low) * (end - begin)


def _ticks(low: Number, high: Number) -> list[Number]:
    """Three to six round numbers that enclose the values."""
    span = max(high - low, abs(high) * 0.05, 1e-6)
    power = 10 ** math.floor(math.log10(span / 3))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 4)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [step * place for place in range(first, last + 1)]


def _grid(ticks: Sequence[Number], up: Scale) -> Iterator[str]:
    decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    for tick in ticks:
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(tick):.1f}" y2="{up(tick):.1f}"/>'
        yield _text(LEFT - 8, up(tick) + 4, f"{tick:.{decimals}f}", "tick end")


def _epochs(x: Sequence[int], across: Scale, mark: int | None) -> Iterator[str]:
    every = math.ceil(len(x) / 10)
    for at in x[::every]:
        yield _text(across(at), HEIGHT - 10, str(at), "tick middle")
    if mark is not None and mark in x:
        yield f'<line class="mark" x1="{across(mark):.1f}" x2="{across(mark):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        yield _text(across(mark), TOP - 5, "kept", "tick middle")


def _line(place: int, points: Sequence[tuple[Number, Number]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points)
    return f'<g class="line line-{place}"><polyline points="{path}"/>{dots}</g>'


def _text(x: Number, y: Number, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _last(line: Sequence[Number]) -> Number:
    return next((value for value in reversed(line) if math.isfinite(value)), 0.0)


def _spread(heights: Sequence[Number]) -> list[Number]:
    """The same heights, moved apart so that names do not cover each other."""
    moved = list(heights)
    order = sorted(range(len(heights)), key=lambda place: -heights[place])  # from the bottom up
    for below, place in itertools.pairwise(order):
        moved[place] = min(moved[place], moved[below] - LABEL_GAP)
    return moved
