"""Radial layout of an ego network: the user in the centre, older neighbours further out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import networkx as nx

from graphrec.formatting import format_utc
from graphrec.graph.conversion import Node
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.time_units import DAY, HOUR, MINUTE

RINGS = {
    "1 hour": HOUR,
    "1 day": DAY,
    "1 week": 7 * DAY,
    "1 month": 30 * DAY,
    "3 months": 91 * DAY,
    "1 year": 365 * DAY,
    "5 years": 1826 * DAY,
}
INNER = 0.25
"""Radius of the newest neighbours; the oldest are at 1."""
FULL_SECTOR = (72.0, -252.0)
"""Degrees between which the user's neighbours lie, the latest first; the gap at the top has the labels of the rings."""
RIGHT_SECTOR, LEFT_SECTOR = (72.0, -72.0), (108.0, 252.0)
"""The same for items and other nodes, where a graph has both."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Radial:
    """Positions in a disc of radius 1 with the user at its centre."""

    centre: Node
    """The user."""
    position: dict[Node, Point]
    """Coordinates of each drawn node; an item that is its own location is drawn once."""
    rings: dict[str, float]
    """Radius of each ring by its age in words."""
    edges: list[tuple[Node, Node]]
    """Distinct pairs of drawn nodes with an edge, sorted."""
    title: str
    """Title of the picture: whose network as of when."""
    visits: dict[Node, int]
    """Number of the user's events that lead to each node; 0 for one further away."""


def radial(subgraph: nx.MultiDiGraph[Node]) -> Radial:
    """Lay an ego network out by type and parent (angle) and by age (radius, logarithmic).

    The age of a node is that of the newest edge to it; it lies in the sector of the node it was reached from. A node
    that only timeless edges reach lies at the rim.
    """
    centre = ("user", str(subgraph.graph["user"]))
    shown = [node for node in subgraph if node[0] != "location" or ("item", node[1]) not in subgraph]
    age = _ages(subgraph, shown, centre)
    span = (min(age.values(), default=HOUR), max(age.values(), default=DAY))
    radius = {node: _radius(age[node], span) if node in age else 1.0 for node in shown}
    angle = _angles(_children(subgraph, shown), radius, centre)
    position = {node: (radius[node] * math.cos(turn), radius[node] * math.sin(turn)) for node, turn in angle.items()}
    rings = {words: _radius(seconds, span) for words, seconds in RINGS.items() if span[0] <= seconds <= span[1]}
    visits = {node: subgraph.number_of_edges(centre, node) for node in shown}
    position[centre] = (0.0, 0.0)
    edges = sorted({(s, t) for s, t in subgraph.edges() if s in position and t in position and s != t})
    asked = "" if subgraph.graph["time"] >= TIME_MAX else f" as of {format_utc(subgraph.graph['time'])}"
    return Radial(centre, position, rings, edges, f"The world of {centre[1]}{asked}", visits)


def _ages(subgraph: nx.MultiDiGraph[Node], shown: list[Node], centre: Node) -> dict[Node, int]:
    """Seconds from the newest dated edge of each node to the time of the query, ten minutes at least."""
    last: dict[Node, int] = {}
    for _, target, data in subgraph.edges(data=True):
        if "time" in data:
            last[target] = max(data["time"], last.get(target, data["time"]))
    time = int(subgraph.graph["time"])
    now = time if time < TIME_MAX else max(last.values(), default=0) + HOUR
    return {node: max(now - last[node], 10 * MINUTE) for node in shown if node in last and node != centre}


def _children(subgraph: nx.MultiDiGraph[Node], shown: list[Node]) -> dict[Node, list[Node]]:
    """Nodes first reached from each node, one hop further out."""
    hop = {node: subgraph.nodes[node].get("hop", 0) for node in shown}
    children: dict[Node, list[Node]] = {node: [] for node in shown}
    seen: set[Node] = set()
    for source, target in subgraph.edges():
        if source in hop and target in hop and hop[target] == hop[source] + 1 and target not in seen:
            children[source].append(target)
            seen.add(target)
    return children


def _angles(children: dict[Node, list[Node]], radius: dict[Node, float], centre: Node) -> dict[Node, float]:
    """Angle of each node, radians: the user's neighbours from new to old, further nodes in their parent's sector."""
    items = [node for node in children[centre] if node[0] == "item"]
    others = [node for node in children[centre] if node[0] != "item"]
    sectors = [(items, RIGHT_SECTOR), (others, LEFT_SECTOR)] if items and others else [(items or others, FULL_SECTOR)]
    angle: dict[Node, float] = {}
    while sectors:
        nodes, (begin, end) = sectors.pop()
        width = (end - begin) / max(len(nodes), 1)
        for step, node in enumerate(sorted(nodes, key=lambda node: (radius[node], node))):
            middle = begin + (step + 0.5) * width
            angle[node] = math.radians(middle)
            sectors.append((children[node], (middle - 0.4 * width, middle + 0.4 * width)))
    return angle


def _radius(age: int, span: tuple[int, int]) -> float:
    low, high = math.log(span[0]), math.log(max(span[1], span[0] * 2))
    return INNER + (1 - INNER) * (math.log(age) - low) / (high - low)
