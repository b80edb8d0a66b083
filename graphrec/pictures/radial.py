"""Where the nodes of an ego graph go: the user in the middle, the further out the longer ago."""

from __future__ import annotations

import math
from dataclasses import dataclass

import networkx as nx

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
"""Radius of what has just happened; what is longest ago is at 1."""
ROUND = (72.0, -252.0)
"""Degrees between which the user's neighbours lie, the latest first; ages are written in the gap at the top."""
RIGHT, LEFT = (72.0, -72.0), (108.0, 252.0)
"""The same for the items and the rest, where a graph has both."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Radial:
    """A plane of radius 1 with the user at its origin."""

    centre: Node
    """The user."""
    place: dict[Node, Point]
    """Coordinates of each node that is drawn: an item that is its own location is drawn once."""
    rings: dict[str, float]
    """Ages in words and the radius at which they lie."""
    visits: dict[Node, int]
    """How many events of the user lead to each node; 0 for one further away."""


def radial(subgraph: nx.MultiDiGraph[Node]) -> Radial:
    """Lay an ego graph out by type and kin (direction) and age (distance, logarithmic).

    A node is as old as the last edge that leads to it, lies beside the node it was reached from, and one that
    only timeless edges reach lies at the rim.
    """
    centre = ("user", str(subgraph.graph["user"]))
    shown = [node for node in subgraph if node[0] != "location" or ("item", node[1]) not in subgraph]
    age = _ages(subgraph, shown, centre)
    span = (min(age.values(), default=HOUR), max(age.values(), default=DAY))
    radius = {node: _radius(age[node], span) if node in age else 1.0 for node in shown}
    angle = _angles(_kin(subgraph, shown), radius, centre)
    place = {node: (radius[node] * math.cos(turn), radius[node] * math.sin(turn)) for node, turn in angle.items()}
    rings = {words: _radius(seconds, span) for words, seconds in RINGS.items() if span[0] <= seconds <= span[1]}
    visits = {node: subgraph.number_of_edges(centre, node) for node in shown}
    return Radial(centre, {centre: (0.0, 0.0), **place}, rings, visits)


def _ages(subgraph: nx.MultiDiGraph[Node], shown: list[Node], centre: Node) -> dict[Node, int]:
    """Seconds from the last dated edge of each node to the time of the question, ten minutes at least."""
    last: dict[Node, int] = {}
    for _, target, data in subgraph.edges(data=True):
        if "time" in data:
            last[target] = max(data["time"], last.get(target, data["time"]))
    asked = int(subgraph.graph["time"])
    now = asked if asked < TIME_MAX else max(last.values(), default=0) + HOUR
    return {node: max(now - last[node], 10 * MINUTE) for node in shown if node in last and node != centre}


def _kin(subgraph: nx.MultiDiGraph[Node], shown: list[Node]) -> dict[Node, list[Node]]:
    """The nodes first reached from each node, one hop further out."""
    hop = {node: subgraph.nodes[node].get("hop", 0) for node in shown}
    kin: dict[Node, list[Node]] = {node: [] for node in shown}
    placed: set[Node] = set()
    for source, target in subgraph.edges():
        if source in hop and target in hop and hop[target] == hop[source] + 1 and target not in placed:
            kin[source].append(target)
            placed.add(target)
    return kin


def _angles(kin: dict[Node, list[Node]], radius: dict[Node, float], centre: Node) -> dict[Node, float]:
    """Radians of each node: neighbours of the user side by side from new to old, further ones in their wedge."""
    items = [node for node in kin[centre] if node[0] == "item"]
    others = [node for node in kin[centre] if node[0] != "item"]
    sectors = [(items, RIGHT), (others, LEFT)] if items and others else [(items or others, ROUND)]
    angle: dict[Node, float] = {}
    while sectors:
        nodes, (begin, end) = sectors.pop()
        width = (end - begin) / max(len(nodes), 1)
        for step, node in enumerate(sorted(nodes, key=lambda node: (radius[node], node))):
            middle = begin + (step + 0.5) * width
            angle[node] = math.radians(middle)
            sectors.append((kin[node], (middle - 0.4 * width, middle + 0.4 * width)))
    return angle


def _radius(age: int, span: tuple[int, int]) -> float:
    low, high = math.log(span[0]), math.log(max(span[1], span[0] * 2))
    return INNER + (1 - INNER) * (math.log(age) - low) / (high - low)
