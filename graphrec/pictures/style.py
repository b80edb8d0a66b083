"""The style of all pictures, and what several of them draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from graphrec.pictures.palette import FAINT, INK, PAPER, SEQUENCE, SOFT, THEMES

STYLE: dict[Any, Any] = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "savefig.bbox": "tight",
    "savefig.dpi": 150,
    "figure.constrained_layout.h_pad": 0.12,
    "figure.constrained_layout.w_pad": 0.12,
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 14,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}
"""matplotlib settings of all pictures."""
COUNTS_MAP = LinearSegmentedColormap.from_list("little to much", SEQUENCE)
"""Colour map of counts and shares."""


@contextmanager
def style() -> Iterator[None]:
    """Context with the settings of these pictures, for others as well: ``with style(): ...``."""
    plt.draw_if_interactive()  # type: ignore[no-untyped-call]
    # That line loads the backend: the settings it makes (in a notebook, to show figures) must outlive the style.
    with mpl.rc_context(STYLE):
        yield


def title(ax: Axes, text: str, note: str) -> None:
    """Set a title and a subtitle in a softer colour."""
    ax.set_title(text, pad=26)
    ax.annotate(note, (0, 1), (0, 10), xycoords="axes fraction", textcoords="offset points", color=SOFT)


def bare(ax: Axes) -> None:
    """Hide ticks and spines."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def date_axis(ax: Axes) -> None:
    """Label the x axis with dates, as short as they are clear."""
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def stack_legend(ax: Axes) -> None:
    """A legend to the right, in the order of a stack: the last one on top."""
    handles, names = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], names[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), labelcolor=INK)


def theme_colours(themes: Sequence[str]) -> list[str]:
    """One colour per theme; "other" is always grey."""
    return [THEMES[-1] if name == "other" else colour for name, colour in zip(themes, THEMES, strict=False)]


def per_step(step_days: int) -> str:
    """The unit of counts per step of time: ``a week``, ``in 28 days``."""
    return "a week" if step_days == 7 else f"in {step_days} days"


def short(text: object, length: int) -> str:
    """A text of at most ``length`` characters."""
    full = str(text)
    return full if len(full) <= length else full[: length - 1].rstrip() + "…"


def figure_of(ax: Axes) -> Figure:
    """The figure that axes belong to."""
    figure = ax.get_figure(root=True)
    if not isinstance(figure, Figure):
        raise TypeError(f"axes of a matplotlib figure expected, got axes of {type(figure).__name__}")
    return figure
