"""Where a trained network puts the items: their vectors flattened to a plane, coloured by what the items are."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa
import torch
from matplotlib import patheffects
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from graphrec.errors import InputError, MissingPackage, RunError
from graphrec.formatting import format_utc
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.interest.themes import OTHER, themes_of
from graphrec.models.ranker import Ranker
from graphrec.models.ranking import StgatRanker
from graphrec.pictures.palette import INK, PAPER, SOFT, THEMES
from graphrec.pictures.style import short, style

MOST = 1_500
"""Items that are drawn at most, the most visited."""
NAMED = 18
"""Items that are named at most."""
APART = 4
"""Pixels, at 100 an inch, that the names of two items lie apart at least."""


def draw_embedding(ranker: Ranker, time: int, method: str = "pca") -> Figure:
    """Draw the vectors that a network has for the items that were visited before ``time`` (UTC seconds).

    Near each other lies what the network takes for alike; colours are categories or themes of the items' texts, which
    it may or may not have used; the larger the point, the more visits before ``time``. ``pca`` shows the two directions
    in which the vectors differ most; ``umap`` keeps neighbours together (McInnes et al. 2018, arXiv 1802.03426).
    The vectors are those that training ended with, whatever the time.

    Raises RunError for a model without such vectors, InputError for another method or fewer than three items, and
    MissingPackage for ``umap`` without the extra ``[umap]``.
    """
    if not isinstance(ranker, StgatRanker):
        raise RunError("a model with item vectors ('stgat') expected; this one scores items without")
    view = ranker.graph.as_of(time)
    items, visits = _visited(view)
    if len(items) < 3:
        raise InputError(
            f"draw_embedding: 3 visited items expected before {format_utc(time)}, got {len(items)}; ask a later time"
        )
    table = ranker.table.vector[torch.from_numpy(items)].double().cpu().numpy()
    place, note = _flattened(table, method)
    with style():
        figure, ax = plt.subplots(figsize=(11, 7), layout="constrained")
        _draw_items(ax, view, items, visits, place)
        ax.set_xticks([])
        ax.set_yticks([])
        for side in ax.spines.values():
            side.set_visible(False)
        ax.set_title(f"What the network takes for alike, {len(items):,} items", pad=26)
        ax.annotate(note, (0, 1), (0, 10), xycoords="axes fraction", textcoords="offset points", color=SOFT)
        figure.draw_without_rendering()  # the points are where they stay, so that names can be measured
        _name_items(ax, view, items, place)
        return figure


def _visited(view: TemporalGraph) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes of the most visited items, the most visited first, and their visits."""
    visits = torch.bincount(view.events.item.long(), minlength=len(view.nodes["item"])).cpu().numpy()
    items = np.argsort(-visits, kind="stable")[: min(MOST, int(np.count_nonzero(visits)))]
    return items, visits[items]


def _flattened(vectors: NDArray[np.float64], method: str) -> tuple[NDArray[np.float64], str]:
    """Places on a plane, [items, 2], and a line on what it shows."""
    if method == "pca":
        place, share = principal_plane(vectors)
        both = f"{share[0]:.0%} and {share[1]:.0%} of all differences"
        return (
            place,
            f"the two directions in which item vectors differ most (PCA): {both} · the larger, the more visits",
        )
    if method == "umap":
        return _umap(
            vectors
        ), "neighbours kept together, distances beyond them without meaning (UMAP) · the larger, the more visits"
    raise InputError(f"draw_embedding: a method of pca or umap expected, got {method!r}")


def principal_plane(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places on the first two principal components, [items, 2], and the share of the variance of each, [2].

    The sign of a component, which PCA leaves open, is such that its strongest weight is positive.
    """
    centred = vectors - vectors.mean(axis=0)
    variance, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], 0))
    return centred @ axes, variance[::-1][:2] / max(variance.sum(), 1e-300)


def _umap(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        with warnings.catch_warnings():  # it says that TensorFlow is not there
            warnings.simplefilter("ignore")
            from umap import UMAP
    except ImportError:
        raise MissingPackage("UMAP is not installed; pip install 'graphrec[umap]', or take method='pca'") from None
    with warnings.catch_warnings():  # and that a seed leaves it one thread
        warnings.simplefilter("ignore")
        mapped = UMAP(n_neighbors=min(15, len(vectors) - 1), metric="cosine", random_state=0).fit_transform(vectors)
    return np.asarray(mapped, dtype=np.float64)


def _draw_items(
    ax: Axes, graph: TemporalGraph, items: NDArray[np.int64], visits: NDArray[np.int64], place: NDArray[np.float64]
) -> None:
    """Draw a point an item, theme by theme, so that the legend names them."""
    themes = themes_of(graph, items, visits)
    colours = [THEMES[-1] if name == OTHER else colour for name, colour in zip(themes.names, THEMES, strict=False)]
    of_item = [colours[number] for number in themes.membership.argmax(axis=1)]
    ax.scatter(
        place[:, 0], place[:, 1], s=8 + 9 * np.log2(visits), color=of_item, alpha=0.8, edgecolor=PAPER, linewidth=0.4
    )
    for name, colour in zip(themes.names, colours, strict=True):
        ax.scatter([], [], s=50, color=colour, label=name)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), labelcolor=INK)


def _name_items(ax: Axes, graph: TemporalGraph, items: NDArray[np.int64], place: NDArray[np.float64]) -> None:
    """Name the most visited items that have a name, as long as names do not run into each other."""
    labels = graph.nodes["item"].labels.take(pa.array(items)).to_pylist()
    middle, quarter = place[:, 0].mean(), np.ptp(place[:, 0]) / 4
    taken: list[Bbox] = []
    for row, label in enumerate(labels):
        if not label or len(taken) == NAMED:
            continue
        left = bool(place[row, 0] > middle + quarter)  # there names run towards the middle
        name = _write(ax, short(label, 26), place[row], left)
        box = name.get_window_extent().padded(APART / 2)
        if any(box.overlaps(other) for other in taken):
            name.remove()
        else:
            taken.append(box)


def _write(ax: Axes, words: str, place: NDArray[np.float64], left: bool) -> Annotation:
    """A name beside a point, which does not move the layout."""
    name = ax.annotate(
        words,
        (place[0], place[1]),
        (-4 if left else 4, 3),
        textcoords="offset points",
        ha="right" if left else "left",
        fontsize=8,
        path_effects=[patheffects.withStroke(linewidth=2.5, foreground=PAPER)],
    )
    name.set_in_layout(False)
    return name
