"""Charts as SVG text: lines, bars with intervals, bars over time; their colours come from the page's style sheet."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Number = int | float
Scale = Callable[[Number], float]
"""From a value to a place on the page."""
WIDTH, HEIGHT = 460, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 92, 16, 30
LABEL_GAP = 15
"""Least distance between the names at the ends of two lines."""

NAMES, ROW = 150, 26
"""Width of the names beside bars, and height of a bar with the space around it."""
SPAN, TALL = 940, 190
"""Size of a chart over time."""


@dataclass(frozen=True)
class Bar:
    """One bar across, with how sure its length is."""

    name: str
    value: Number
    interval: tuple[Number, Number] | None = None
    """Ends of its whisker; None for none."""
    ours: bool = False
    """Whether it is the one that the others are compared with."""


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
        parts.append(text(WIDTH - RIGHT + 10, ends[place] + 4, name, f"name-{place}"))
    told = ", ".join(f"{name} ends at {_last(line):.3f}" for name, line in lines.items())
    return svg(WIDTH, HEIGHT, f"{title}: {told}", parts)


def interval_chart(title: str, bars: Sequence[Bar]) -> Markup:
    """Bars from zero, one below the other, with a whisker over each interval and the value at its end.

    A value that is not finite has no bar. The style sheet tells ``.ours`` from the other bars.
    """
    ends = [end for bar in bars for end in (bar.value, *(bar.interval or ())) if math.isfinite(end)]
    ticks = _ticks(0.0, max([*ends, 0.0]))
    across = _scale(0.0, ticks[-1], NAMES, WIDTH - 50)
    height = ROW * len(bars) + BOTTOM
    parts = [*_uprights(ticks, across, height - BOTTOM + 4)]
    for place, bar in enumerate(bars):
        parts += _bar(bar, ROW * place, across)
    told = ", ".join(f"{bar.name} {_in_words(bar)}" for bar in bars)
    return svg(WIDTH, height, f"{title}: {told}", parts)


def _bar(bar: Bar, top: Number, across: Scale) -> Iterator[str]:
    kind, middle = ("ours" if bar.ours else "other"), top + ROW / 2
    yield text(NAMES - 10, middle + 4, bar.name, f"end {kind}")
    if not math.isfinite(bar.value):
        return
    right = across(max(bar.value, 0.0))
    yield f'<rect class="{kind}" x="{NAMES}" y="{top + 5}" width="{right - NAMES:.1f}" height="{ROW - 10}" rx="2"/>'
    if bar.interval and all(map(math.isfinite, bar.interval)):
        low, high = map(across, bar.interval)
        right = max(right, high)
        line = f"M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8"
        yield f'<path class="whisker" d="{line}"/>'
    yield text(right + 6, middle + 4, f"{bar.value:.3f}", f"value {kind}")


def _in_words(bar: Bar) -> str:
    if not math.isfinite(bar.value):
        return "unknown"
    return f"{bar.value:.3f}" + (f" ({bar.interval[0]:.3f} to {bar.interval[1]:.3f})" if bar.interval else "")


def _uprights(ticks: Sequence[Number], across: Scale, foot: Number) -> Iterator[str]:
    decimals = _decimals(ticks)
    for tick in ticks:
        yield f'<line class="grid" x1="{across(tick):.1f}" x2="{across(tick):.1f}" y1="0" y2="{foot}"/>'
        yield text(across(tick), foot + 16, f"{tick:.{decimals}f}", "tick middle")


def period_chart(title: str, names: Sequence[str], parts: Mapping[str, Sequence[int]]) -> Markup:
    """Upright bars, one a period, piled up of ``parts``; each says its name and its counts when pointed at.

    The style sheet gives ``.pile-0``, ``.pile-1``, ... their colours. Every part has a count for every name.
    """
    totals = [sum(counts) for counts in zip(*parts.values(), strict=True)]
    ticks = _ticks(0, max([*totals, 1]))
    up = _scale(0, ticks[-1], TALL - BOTTOM, TOP)
    step = (SPAN - LEFT - 16) / max(len(names), 1)
    drawn = [*_levels(ticks, up)]
    for place, name in enumerate(names):
        left, counts = LEFT + 6 + step * place, [counts[place] for counts in parts.values()]
        told = ", ".join(f"{part} {count:,}" for part, count in zip(parts, counts, strict=True) if count)
        drawn.append(f"<g><title>{escape(name)}: {escape(told or 'nothing')}</title>")
        drawn += [*_pile(counts, left, step * 0.82, up), "</g>"]
    every = -(-len(names) // 8) if names else 1
    drawn += [
        text(LEFT + 6 + step * (place + 0.4), TALL - 10, names[place], "tick middle")
        for place in range(0, len(names), every)
    ]
    return svg(SPAN, TALL, title, drawn)


def _pile(counts: Sequence[int], left: Number, width: Number, up: Scale) -> Iterator[str]:
    below = 0
    for place, count in enumerate(counts):
        if count:
            top, height = up(below + count), up(below) - up(below + count)
            yield f'<rect class="pile-{place}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
        below += count


def _levels(ticks: Sequence[Number], up: Scale) -> Iterator[str]:
    for tick in ticks:
        yield f'<line class="grid" x1="{LEFT}" x2="{SPAN - 10}" y1="{up(tick):.1f}" y2="{up(tick):.1f}"/>'
        yield text(LEFT - 6, up(tick) + 4, f"{tick:,.{_decimals(ticks)}f}", "tick end")


def svg(width: Number, height: Number, told: str, parts: Sequence[str]) -> Markup:
    """One picture of these parts, and what it says to who cannot see it."""
    opening = f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(told)}">'
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
    decimals = _decimals(ticks)
    for tick in ticks:
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(tick):.1f}" y2="{up(tick):.1f}"/>'
        yield text(LEFT - 8, up(tick) + 4, f"{tick:.{decimals}f}", "tick end")


def _decimals(ticks: Sequence[Number]) -> int:
    return max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))


def _epochs(x: Sequence[int], across: Scale, mark: int | None) -> Iterator[str]:
    every = math.ceil(len(x) / 10)
    for at in x[::every]:
        yield text(across(at), HEIGHT - 10, str(at), "tick middle")
    if mark is not None and mark in x:
        yield f'<line class="mark" x1="{across(mark):.1f}" x2="{across(mark):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        yield text(across(mark) + 4, TOP - 5, "kept", "tick")


def _line(place: int, points: Sequence[tuple[Number, Number]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points)
    return f'<g class="line line-{place}"><polyline points="{path}"/>{dots}</g>'


def text(x: Number, y: Number, words: str, kind: str) -> str:
    """Words at a point, of the classes ``kind``."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'


def _last(line: Sequence[Number]) -> Number:
    return next((value for value in reversed(line) if math.isfinite(value)), 0.0)


def _spread(heights: Sequence[Number]) -> list[Number]:
    """The same heights, moved apart so that names do not cover each other."""
    moved = list(heights)
    order = sorted(range(len(heights)), key=lambda place: -heights[place])  # from the bottom up
    for below, place in itertools.pairwise(order):
        moved[place] = min(moved[place], moved[below] - LABEL_GAP)
    return moved
