"""Pictures to move about in, by the extra ``[interactive]``: a map (folium) and a neighbourhood (plotly)."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import torch

from graphrec.errors import InputError, MissingPackage
from graphrec.formatting import format_utc, pluralize
from graphrec.graph.conversion import Node, known_user
from graphrec.graph.geography import has_coordinates
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.pictures.palette import FAINT, INK, PAPER, SOFT, TYPES, WASH
from graphrec.pictures.radial import Radial, radial
from graphrec.queries.sampling import event_coordinates
from graphrec.queries.user_history import user_events

if TYPE_CHECKING:
    from folium import Map
    from plotly.graph_objects import Figure

LAYOUT: dict[str, Any] = {
    "font": {"color": INK},
    "paper_bgcolor": PAPER,
    "plot_bgcolor": PAPER,
    "hovermode": "closest",
    "xaxis": {"visible": False},
    "yaxis": {"visible": False, "scaleanchor": "x"},
    "legend": {"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.02},
    "margin": {"l": 20, "r": 20, "t": 60, "b": 20},
    "height": 720,
}
"""The look that the static pictures have, in plotly's words."""


def draw_map_interactive(graph: TemporalGraph, user: str, *, time: int) -> Map:
    """A user's places before ``time`` (UTC seconds) on a map to zoom into: the larger, the more often.

    ``.save("places.html")`` writes a page. The page loads leaflet's scripts and the tiles of OpenStreetMap when it is
    opened, so it needs a network then, and whoever serves the tiles learns which streets are looked at. It shows where
    a person goes: personal data.

    Raises InputError for a user whom the graph does not know before ``time`` or whose places it does not know, and
    MissingPackage without the extra ``[interactive]``.
    """
    folium = _package("folium")
    view = graph.as_of(time)
    rows = user_events(view, known_user(view, user), view.horizon)
    where = event_coordinates(view, rows)
    placed = has_coordinates(where)
    rows, where = rows[placed], where[placed].double().cpu()
    if not len(rows):
        raise InputError(f"draw_map_interactive: no place of {user!r} is known before {format_utc(view.horizon)}")
    drawn = folium.Map(control_scale=True)
    items, visit, times = torch.unique(view.log.item[rows].cpu(), return_inverse=True, return_counts=True)
    when = view.log.time[rows].cpu()
    for place, (code, often) in enumerate(zip(items.tolist(), times.tolist(), strict=True)):
        last = format_utc(int(when[visit == place].max()))
        words = f"on {last}" if often == 1 else f"{often} times, last on {last}"
        folium.CircleMarker(
            where[visit == place][0].tolist(),
            radius=4 + 2 * float(np.log2(often)),
            color=PAPER,
            weight=1,
            fill_color=TYPES["item"],
            fill_opacity=0.8,
            tooltip=f"<b>{escape(view.nodes['item'].label(code))}</b><br>{words}",
        ).add_to(drawn)
    drawn.fit_bounds([where.min(0).values.tolist(), where.max(0).values.tolist()])
    return drawn


def draw_ego_interactive(subgraph: nx.MultiDiGraph[Node]) -> Figure:
    """An ego graph, or a model's neighbourhood, laid out as by ``graphrec.draw_ego``: pointing at a node names it.

    ``.write_html("ego.html", include_plotlyjs=True)`` writes a page that needs no network.
    Raises MissingPackage without the extra ``[interactive]``.
    """
    plotly = _package("plotly.graph_objects")
    plane = radial(subgraph)
    figure = plotly.Figure(layout={**LAYOUT, "title": {"text": escape(plane.title)}})
    _add_rings(figure, plane)
    x, y = (_line((plane.position[s][axis], plane.position[t][axis]) for s, t in plane.edges) for axis in (0, 1))
    line = {"color": SOFT, "width": 0.6}
    figure.add_scatter(x=x, y=y, mode="lines", line=line, opacity=0.35, hoverinfo="skip", showlegend=False)
    for kind in sorted({kind for kind, _ in plane.position}):
        nodes = [node for node in plane.position if node[0] == kind]
        where = {name: [plane.position[node][axis] for node in nodes] for axis, name in enumerate("xy")}
        size = [8 + 4 * float(np.log2(1 + plane.visits[node])) for node in nodes]
        marker = {"size": size, "color": TYPES.get(kind, SOFT), "line": {"color": PAPER, "width": 1}}
        words = [_described(subgraph, node) for node in nodes]
        figure.add_scatter(**where, mode="markers", marker=marker, name=kind, text=words, hoverinfo="text")
    return figure


def _add_rings(figure: Figure, plane: Radial) -> None:
    for radius in (1.04, *plane.rings.values()):
        look = {"fillcolor": WASH, "line": {"color": WASH}} if radius == 1.04 else {"line": {"color": FAINT}}
        figure.add_shape(type="circle", x0=-radius, x1=radius, y0=-radius, y1=radius, layer="below", **look)
    for words, radius in plane.rings.items():
        figure.add_annotation(
            x=0, y=radius, text=words, showarrow=False, font={"color": SOFT, "size": 11}, bgcolor=WASH
        )


def _line(pairs: Iterable[tuple[float, float]]) -> list[float | None]:
    """The ends of lines one after the other, with a gap between any two."""
    return [value for pair in pairs for value in (*pair, None)]


def _described(subgraph: nx.MultiDiGraph[Node], node: Node) -> str:
    """Name of a node, how often and when last an event led to it, and what the model gave those events."""
    edges = [data for _, _, data in subgraph.in_edges(node, data=True) if "event" in data]
    lines = [f"<b>{escape(str(subgraph.nodes[node]['label']))}</b>"]
    if edges:
        times = {data["event"] for data in edges}
        lines.append(f"{pluralize(len(times), 'event')}, last on {format_utc(max(d['time'] for d in edges))}")
    if mass := sum(data.get("mass", 0.0) for data in edges):
        lines.append(f"mass {mass:.3f}")
    return "<br>".join(lines)


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise MissingPackage(f"{package} is not installed; pip install 'graphrec[interactive]'") from None
