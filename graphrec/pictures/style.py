"""The one look of all pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graphrec.pictures.palette import FAINT, INK, PAPER, SOFT

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
"""matplotlib settings that all pictures share."""


@contextmanager
def style() -> Iterator[None]:
    """The look of the pictures here, for pictures of one's own: ``with style(): ...``."""
    plt.draw_if_interactive()  # type: ignore[no-untyped-call]
    # The line above loads the backend: what that sets (in a notebook, to show figures) must outlive the style.
    with mpl.rc_context(STYLE):
        yield


def title(ax: Axes, words: str, note: str) -> None:
    """Put a title over a picture and a quieter line below it."""
    ax.set_title(words, pad=26)
    ax.annotate(note, (0, 1), (0, 10), xycoords="axes fraction", textcoords="offset points", color=SOFT)


def short(text: object, length: int) -> str:
    """A text of at most so many letters."""
    words = str(text)
    return words if len(words) <= length else words[: length - 1].rstrip() + "…"


def figure_of(ax: Axes) -> Figure:
    """The figure that axes belong to."""
    figure = ax.get_figure(root=True)
    if not isinstance(figure, Figure):
        raise TypeError(f"axes of a matplotlib figure expected, got axes of {type(figure).__name__}")
    return figure
