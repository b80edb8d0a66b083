"""Picture of an ego network in a radial layout."""

from __future__ import annotations

import networkx as nx
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from graphrec.graph.conversion import Node
from graphrec.pictures.palette import FAINT, PAPER, SOFT, TYPES, WASH
from graphrec.pictures.radial import Radial, radial
from graphrec.pictures.style import figure_of, short, style, title

MAX_LABELS = 12
"""Labelled nodes on each side."""


def draw_ego(subgraph: nx.MultiDiGraph[Node], ax: Axes | None = None) -> Figure:
    """Draw an ego network with the user in the centre; radius is age, size is number of visits.

    Items lie to the right of locations if the log has both; the most visited nodes are labelled.
    """
    with style():
        ax = ax or plt.subplots(figsize=(11, 6.6), layout="constrained")[1]
        plane = radial(subgraph)
        _draw_rings(ax, plane)
        _draw_edges(ax, plane)
        for kind in sorted({kind for kind, _ in plane.position}):
            _draw_nodes(ax, plane, kind)
        for side in (1, -1):
            _label_nodes(ax, subgraph, plane, side)
        ax.set_xlim(-2, 2, auto=True)
        ax.set_ylim(-1.08, 1.08, auto=True)
        ax.set_aspect("equal", adjustable="datalim")
        ax.axis("off")
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, -0.06), ncols=4, labelcolor=SOFT, handletextpad=0.1)
        title(ax, plane.title, "the further out, the longer ago · the larger, the more often")
        return figure_of(ax)


def _draw_rings(ax: Axes, plane: Radial) -> None:
    ax.add_patch(Circle((0, 0), 1.04, color=WASH, linewidth=0, zorder=0))
    for age, radius in plane.rings.items():
        ax.add_patch(Circle((0, 0), radius, fill=False, color=FAINT, linewidth=1, zorder=1))
        halo = {"facecolor": WASH, "edgecolor": "none", "pad": 1}
        ax.text(0, radius, age, color=SOFT, fontsize=8, ha="center", va="center", zorder=6, bbox=halo)


def _draw_edges(ax: Axes, plane: Radial) -> None:
    own = [pair for pair in plane.edges if pair[0] == plane.centre]
    further = [pair for pair in plane.edges if plane.centre not in pair]
    for drawn, alpha in ((further, 0.14), (own, 0.4)):
        lines = [(plane.position[source], plane.position[target]) for source, target in drawn]
        colours = [TYPES.get(target[0], SOFT) for _, target in drawn]
        widths = [0.8 + 0.6 * np.log2(max(plane.visits[target], 1)) for _, target in drawn]
        ax.add_collection(LineCollection(lines, colors=colours, linewidths=widths, alpha=alpha, zorder=2))


def _draw_nodes(ax: Axes, plane: Radial, kind: str) -> None:
    nodes = [node for node in plane.position if node[0] == kind]
    x, y = zip(*(plane.position[node] for node in nodes), strict=True)
    near = [bool(plane.visits[node]) or node == plane.centre for node in nodes]
    size = np.where(near, 60 * (1 + np.log2([max(plane.visits[node], 1) for node in nodes])), 16)
    ax.scatter(x, y, s=size, color=TYPES.get(kind, SOFT), edgecolor=PAPER, linewidth=1.2, zorder=4, label=kind)


def _label_nodes(ax: Axes, subgraph: nx.MultiDiGraph[Node], plane: Radial, side: int) -> None:
    """Label the most visited nodes of one half in a column beside the rings, each with a line to its node."""
    half = [node for node in plane.position if plane.visits[node] and plane.position[node][0] * side > 0]
    chosen = sorted(half, key=lambda node: (-plane.visits[node], node))[:MAX_LABELS]
    chosen.sort(key=lambda node: -np.arctan2(plane.position[node][1], abs(plane.position[node][0])))
    reach = min(1.0, 0.085 * len(chosen))
    for node, height in zip(chosen, np.linspace(reach, -reach, len(chosen)), strict=True):
        x, y = plane.position[node]
        ax.plot([x, side * 1.1, side * 1.15], [y, height, height], color=SOFT, linewidth=0.6, alpha=0.45, zorder=3)
        label = short(subgraph.nodes[node]["label"], 30)
        times = f"  ×{plane.visits[node]}" if plane.visits[node] > 1 else ""
        ax.text(side * 1.17, height, label + times, ha="left" if side > 0 else "right", va="center", fontsize=9)
