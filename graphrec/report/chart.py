"""Charts of the report as SVG: lines, bars with intervals, stacked bars; the page's style sheet gives their colours."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape
from matplotlib.ticker import MaxNLocator

Number = int | float
Scale = Callable[[Number], float]
"""From a value to a coordinate of the picture."""
WIDTH, HEIGHT = 460, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 92, 16, 30
LABEL_GAP = 15
"""Smallest distance between the labels at the ends of two lines."""
LABEL_WIDTH, ROW_HEIGHT = 150, 26
"""Width of the labels beside bars, and height of a bar with its margins."""
PERIODS_WIDTH, PERIODS_HEIGHT = 940, 190
"""Size of a chart over time."""
MAX_DATES = 8
"""Labelled periods of a chart over time at most."""


@dataclass(frozen=True)
class Bar:
    """One horizontal bar with the interval of its value."""

    name: str
    value: Number
    interval: tuple[Number, Number] | None = None
    """Ends of its whisker; None for none."""
    ours: bool = False
    """True for the bar that the others are compared with."""


def line_chart(title: str, x: Sequence[int], lines: Mapping[str, Sequence[Number]], mark: int | None = None) -> Markup:
    """One line per series over ``x`` (ascending), labelled at its end; ``mark`` draws a vertical line at that x.

    A value that is not finite leaves a gap. The classes ``.line-0``, ``.line-1``, ... have the colours.
    """
    values = [value for line in lines.values() for value in line if math.isfinite(value)] or [0.0]
    ticks = _ticks(min(values), max(values))
    to_x = _scale(x[0], max(x[-1], x[0] + 1), LEFT, WIDTH - RIGHT)
    to_y = _scale(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP)
    parts = [*_y_axis(ticks, to_y, WIDTH - RIGHT)]
    parts += [text(to_x(at), HEIGHT - 10, str(at), "tick middle") for at in x[:: math.ceil(len(x) / 10)]]
    if mark is not None and mark in x:
        at = f"{to_x(mark):.1f}"
        parts.append(f'<line class="mark" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(text(to_x(mark) + 4, TOP - 5, "kept", "tick"))
    last = {name: next((v for v in reversed(line) if math.isfinite(v)), 0.0) for name, line in lines.items()}
    heights = _spread([to_y(value) for value in last.values()])
    for index, (name, line) in enumerate(lines.items()):
        points = [(to_x(at), to_y(value)) for at, value in zip(x, line, strict=True) if math.isfinite(value)]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        dots = "".join(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3"/>' for px, py in points)
        parts.append(f'<g class="line line-{index}"><polyline points="{path}"/>{dots}</g>')
        parts.append(text(WIDTH - RIGHT + 10, heights[index] + 4, name, f"name-{index}"))
    description = ", ".join(f"{name} ends at {value:.3f}" for name, value in last.items())
    return svg(WIDTH, HEIGHT, f"{title}: {description}", parts)


def interval_chart(title: str, bars: Sequence[Bar]) -> Markup:
    """Horizontal bars from zero, with a whisker over each interval and the value at the end.

    A value that is not finite has no bar. The class ``.ours`` marks the bar of the model.
    """
    ends = [end for bar in bars for end in (bar.value, *(bar.interval or ())) if math.isfinite(end)]
    ticks = _ticks(0.0, max([*ends, 0.0]))
    to_x = _scale(0.0, ticks[-1], LABEL_WIDTH, WIDTH - 50)
    foot = ROW_HEIGHT * len(bars) + 4
    parts = [f'<line class="grid" x1="{to_x(at):.1f}" x2="{to_x(at):.1f}" y1="0" y2="{foot}"/>' for at in ticks]
    parts += [text(to_x(at), foot + 16, _number(at, ticks), "tick middle") for at in ticks]
    for index, bar in enumerate(bars):
        parts += _bar(bar, ROW_HEIGHT * index, to_x)
    description = ", ".join(f"{bar.name} {_describe(bar)}" for bar in bars)
    return svg(WIDTH, foot + BOTTOM - 4, f"{title}: {description}", parts)


def _bar(bar: Bar, top: Number, to_x: Scale) -> Iterator[str]:
    kind, middle = ("ours" if bar.ours else "other"), top + ROW_HEIGHT / 2
    yield text(LABEL_WIDTH - 10, middle + 4, bar.name, f"end {kind}")
    if not math.isfinite(bar.value):
        return
    end = to_x(max(bar.value, 0.0))
    yield _rect(kind, LABEL_WIDTH, top + 5, end - LABEL_WIDTH, ROW_HEIGHT - 10)
    if bar.interval and all(map(math.isfinite, bar.interval)):
        low, high = map(to_x, bar.interval)
        end = max(end, high)
        line = f"M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8"
        yield f'<path class="whisker" d="{line}"/>'
    yield text(end + 6, middle + 4, f"{bar.value:.3f}", f"value {kind}")


def _describe(bar: Bar) -> str:
    if not math.isfinite(bar.value):
        return "unknown"
    return f"{bar.value:.3f}" + (f" ({bar.interval[0]:.3f} to {bar.interval[1]:.3f})" if bar.interval else "")


def period_chart(title: str, names: Sequence[str], parts: Mapping[str, Sequence[int]]) -> Markup:
    """Vertical bars, one per period, stacked from ``parts``, with names and counts as a tooltip.

    The classes ``.pile-0``, ``.pile-1``, ... have the colours. Each part has a count for every name.
    """
    totals = [sum(counts) for counts in zip(*parts.values(), strict=True)]
    ticks = _ticks(0, max([*totals, 1]))
    to_y = _scale(0, ticks[-1], PERIODS_HEIGHT - BOTTOM, TOP)
    step = (PERIODS_WIDTH - LEFT - 16) / max(len(names), 1)
    drawn = [*_y_axis(ticks, to_y, PERIODS_WIDTH - 10)]
    for index, name in enumerate(names):
        left, below = LEFT + 6 + step * index, 0
        counts = {part: column[index] for part, column in parts.items()}
        description = ", ".join(f"{part} {count:,}" for part, count in counts.items() if count)
        drawn.append(f"<g><title>{escape(name)}: {escape(description or 'nothing')}</title>")
        for part, count in enumerate(counts.values()):
            if count:
                top = to_y(below + count)
                drawn.append(_rect(f"pile-{part}", left, top, step * 0.82, to_y(below) - top))
            below += count
        drawn.append("</g>")
    dated = range(0, len(names), max(1, math.ceil(len(names) / MAX_DATES)))
    drawn += [text(LEFT + 6 + step * (i + 0.4), PERIODS_HEIGHT - 10, names[i], "tick middle") for i in dated]
    return svg(PERIODS_WIDTH, PERIODS_HEIGHT, title, drawn)


def svg(width: Number, height: Number, description: str, parts: Sequence[str]) -> Markup:
    """A picture of these parts with its text alternative."""
    opening = f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(description)}">'
    return Markup(opening + "".join(parts) + "</svg>")


def text(x: Number, y: Number, content: str, kind: str) -> str:
    """A text at a point, of the classes ``kind``."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(content)}</text>'


def _rect(kind: str, x: Number, y: Number, width: Number, height: Number) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2"/>'


def _scale(low: Number, high: Number, begin: Number, end: Number) -> Scale:
    return lambda value: begin + (value - low) / (high - low) * (end - begin)


def _ticks(low: Number, high: Number) -> list[float]:
    """Two to six round numbers that enclose the values."""
    span = max(high - low, abs(high) * 0.05, 1e-6)
    return [float(tick) for tick in MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, low + span)]


def _number(tick: Number, ticks: Sequence[Number]) -> str:
    """A tick with as many decimals as the distance of the ticks needs."""
    decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    return f"{tick:,.{decimals}f}"


def _y_axis(ticks: Sequence[Number], to_y: Scale, right: Number) -> Iterator[str]:
    for tick in ticks:
        yield f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{to_y(tick):.1f}" y2="{to_y(tick):.1f}"/>'
        yield text(LEFT - 6, to_y(tick) + 4, _number(tick, ticks), "tick end")


def _spread(heights: Sequence[Number]) -> list[Number]:
    """The same heights, moved apart by LABEL_GAP."""
    moved = list(heights)
    order = sorted(range(len(heights)), key=lambda index: -heights[index])  # from the bottom up
    for below, index in itertools.pairwise(order):
        moved[index] = min(moved[index], moved[below] - LABEL_GAP)
    return moved
