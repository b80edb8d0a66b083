"""Projection of a network's item vectors to a plane, coloured by theme."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa
import torch
from matplotlib import patheffects
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from graphrec.errors import InputError, MissingPackage, RunError
from graphrec.formatting import format_utc
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.interest.themes import themes_of
from graphrec.models.ranker import Ranker
from graphrec.models.ranking import StgatRanker
from graphrec.pictures.palette import INK, PAPER
from graphrec.pictures.style import bare, short, style, theme_colours, title

MAX_ITEMS = 1_500
"""Items at most, the most visited."""
MAX_LABELS = 18
"""Labelled items at most."""
LABEL_GAP = 4
"""Smallest gap between two labels, pixels at 100 per inch."""


def draw_embedding(ranker: Ranker, time: int, *, method: str = "pca") -> Figure:
    """Draw a network's vectors of the items visited before ``time`` (UTC seconds).

    Nearby items are similar to the network; colours are categories or themes of the items' texts, which it may or may
    not have used; the size is the number of visits before ``time``. ``pca`` projects to the two directions of most
    variance; ``umap`` keeps neighbours together (McInnes et al. 2018, arXiv 1802.03426). The vectors are those of the
    trained network at any time.

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
    position, note = _project(table, method)
    with style():
        figure, ax = plt.subplots(figsize=(11, 7), layout="constrained")
        _draw_items(ax, view, items, visits, position)
        bare(ax)
        title(ax, f"What the network takes for alike, {len(items):,} items", note)
        figure.draw_without_rendering()  # fixes the layout, so that labels can be measured
        _label_items(ax, view, items, position)
        return figure


def _visited(view: TemporalGraph) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes and visits of the most visited items, the most visited first."""
    visits = torch.bincount(view.events.item.long(), minlength=len(view.nodes["item"])).cpu().numpy()
    items = np.argsort(-visits, kind="stable")[: min(MAX_ITEMS, int(np.count_nonzero(visits)))]
    return items, visits[items]


def _project(vectors: NDArray[np.float64], method: str) -> tuple[NDArray[np.float64], str]:
    """Positions on a plane, [items, 2], and the subtitle of the picture."""
    if method == "pca":
        position, share = principal_plane(vectors)
        note = "the two directions in which item vectors differ most (PCA): "
        note += f"{share[0]:.0%} and {share[1]:.0%} of all differences"
    elif method == "umap":
        position = _umap(vectors)
        note = "neighbours kept together, distances beyond them without meaning (UMAP)"
    else:
        raise InputError(f"draw_embedding: a method of pca or umap expected, got {method!r}")
    return position, f"{note} · the larger, the more visits"


def principal_plane(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates in the first two principal components, [items, 2], and their shares of the variance, [2].

    The sign of a component, which PCA leaves open, makes its largest weight positive.
    """
    centred = vectors - vectors.mean(axis=0)
    variance, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], 0))
    return centred @ axes, variance[::-1][:2] / max(variance.sum(), 1e-300)


def _umap(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    with warnings.catch_warnings():  # umap warns that TensorFlow is missing, and that a seed limits it to one thread
        warnings.simplefilter("ignore")
        try:
            from umap import UMAP
        except ImportError:
            raise MissingPackage("UMAP is not installed; pip install 'graphrec[umap]', or take method='pca'") from None
        mapped = UMAP(n_neighbors=min(15, len(vectors) - 1), metric="cosine", random_state=0).fit_transform(vectors)
    return np.asarray(mapped, dtype=np.float64)


def _draw_items(
    ax: Axes, graph: TemporalGraph, items: NDArray[np.int64], visits: NDArray[np.int64], position: NDArray[np.float64]
) -> None:
    """Draw a point per item in the colour of its theme, with a legend."""
    themes = themes_of(graph, items, visits)
    colours = theme_colours(themes.names)
    of_item = [colours[index] for index in themes.membership.argmax(axis=1)]
    x, y = position.T
    ax.scatter(x, y, s=8 + 9 * np.log2(visits), color=of_item, alpha=0.8, edgecolor=PAPER, linewidth=0.4)
    for name, colour in zip(themes.names, colours, strict=True):
        ax.scatter([], [], s=50, color=colour, label=name)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), labelcolor=INK)


def _label_items(ax: Axes, graph: TemporalGraph, items: NDArray[np.int64], position: NDArray[np.float64]) -> None:
    """Label the most visited items that have a label, skipping labels that would overlap."""
    labels = graph.nodes["item"].labels.take(pa.array(items)).to_pylist()
    middle, quarter = position[:, 0].mean(), np.ptp(position[:, 0]) / 4
    taken: list[Bbox] = []
    halo = [patheffects.withStroke(linewidth=2.5, foreground=PAPER)]
    for row, label in enumerate(labels):
        if not label or len(taken) == MAX_LABELS:
            continue
        text, point, leftwards = short(label, 26), tuple(position[row]), position[row, 0] > middle + quarter
        offset, side = ((-4, 3), "right") if leftwards else ((4, 3), "left")  # on the right towards the middle
        name = ax.annotate(text, point, offset, textcoords="offset points", ha=side, fontsize=8, path_effects=halo)
        name.set_in_layout(False)
        box = name.get_window_extent().padded(LABEL_GAP / 2)
        if any(box.overlaps(other) for other in taken):
            name.remove()
        else:
            taken.append(box)
