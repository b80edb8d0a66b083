"""Aggregation of queries into H3 cells with enough users for k-anonymity."""

from __future__ import annotations

import h3.api.basic_int as h3
import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from graphrec.evaluation.query_map import MIN_USERS, MapCell, QueryMap
from graphrec.graph.geography import has_coordinates
from graphrec.graph.temporal_graph import TemporalGraph

FINEST, COARSEST = 9, 1
"""Finest and coarsest H3 resolution: cells of 0.1 km2 to 600,000 km2."""
MIN_COVERAGE = 0.8
"""Share of the located queries that published cells should cover."""
MAX_WIDTH, MAX_CELLS = 60, 400
"""Cells side by side and in total at most: smaller cells are illegible, and more make a large page."""


def map_queries(graph: TemporalGraph, rows: Int64[Tensor, " n"], accuracy: Float64[Tensor, " n"]) -> QueryMap | None:
    """Aggregate queries into cells, as fine as MIN_USERS and MIN_COVERAGE allow.

    Parameters
    ----------
    graph
        The graph; no event after the last query is read.
    rows
        Event of each query.
    accuracy
        Metric of each query, 0 to 1.

    Returns
    -------
    None where no cell has MIN_USERS users, such as in a log without coordinates.
    """
    until = graph.log.count_before(int(graph.log.time[rows].max()) + 1) if len(rows) else 0
    cells, of_event = _cells(graph, until)
    rows, user = rows.cpu(), graph.log.user.cpu().long().numpy()
    asked = of_event[rows.numpy()]
    earned = accuracy.cpu().numpy()[asked >= 0]
    user_asked, placed = user[rows.numpy()][asked >= 0], asked[asked >= 0]
    resolution = _resolution(cells, placed, user_asked)
    if resolution is None:
        return None
    parents, code = _parents(cells, resolution)
    count, users = _count(code[placed], user_asked, len(parents))
    total = np.bincount(code[placed], earned, len(parents))
    known = of_event[:until] >= 0
    _, users_before = _count(code[of_event[:until][known]], user[:until][known], len(parents))
    shown = users >= MIN_USERS
    ground = np.flatnonzero(~shown & (users_before >= MIN_USERS))
    ground = np.sort(ground[np.argsort(-users_before[ground], kind="stable")[:MAX_CELLS]])
    order = np.argsort(-count, kind="stable")
    order = order[shown[order]]
    columns = (parents[order], count[order], users[order], total[order] / count[order])
    return QueryMap(
        resolution=resolution,
        cells=tuple(
            MapCell(cell=h3.int_to_str(cell), n=n, users=distinct, accuracy=mean)
            for cell, n, distinct, mean in zip(*(column.tolist() for column in columns), strict=True)
        ),
        background=tuple(h3.int_to_str(int(cell)) for cell in parents[ground]),
        hidden=int(count[~shown].sum()),
        unplaced=int((asked < 0).sum()),
    )


def _cells(graph: TemporalGraph, until: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Finest cell of each item or location with an event, and the index of each event's cell (-1: none).

    The place of an event is that of its item, or of its location where the item has no coordinates.
    """
    items = len(graph.nodes["item"])
    tables = [(len(graph.nodes[kind]), graph.nodes[kind].coordinates) for kind in ("item", "location")]
    points = torch.cat([torch.full((n, 2), torch.nan) if place is None else place.cpu() for n, place in tables])
    known = has_coordinates(points)
    item, location = graph.log.item[:until].cpu().long(), graph.log.location[:until].cpu().long()
    place = torch.where(known[:items][item], item, torch.where(location >= 0, items + location, -1))
    placed = place.numpy()[(place >= 0).numpy()]
    seen = np.zeros(len(points) + 1, bool)
    seen[placed] = True
    seen &= np.append(known.numpy(), False)
    number = np.where(seen, np.cumsum(seen) - 1, -1)  # at -1, the last: -1
    pairs = points[torch.from_numpy(np.flatnonzero(seen))].tolist()
    cells = np.array([h3.latlng_to_cell(latitude, longitude, FINEST) for latitude, longitude in pairs], np.int64)
    return cells, number[place.numpy()]


def _resolution(cells: NDArray[np.int64], asked: NDArray[np.int64], user: NDArray[np.int64]) -> int | None:
    """Finest legible resolution that covers MIN_COVERAGE of the queries, else the one that covers the most."""
    best, most = None, 0
    for resolution in range(FINEST, COARSEST - 1, -1):
        parents, code = _parents(cells, resolution)
        count, users = _count(code[asked], user, len(parents))
        shown = users >= MIN_USERS
        seen = int(count[shown].sum())
        if not seen or shown.sum() > MAX_CELLS or _across(parents[shown], resolution) > MAX_WIDTH:
            continue
        if seen >= MIN_COVERAGE * len(asked):
            return resolution
        if seen > most:
            best, most = resolution, seen
    return best


def _across(cells: NDArray[np.int64], resolution: int) -> float:
    """Cells side by side over the larger extent, by their spacing of root 3 edges."""
    latitude, longitude = np.array([h3.cell_to_latlng(int(cell)) for cell in cells]).T
    turns = np.diff(np.sort(longitude), append=longitude.min() + 360)  # the widest lies around the back of the globe
    degrees = max(np.ptp(latitude), (360 - turns.max()) * np.cos(np.deg2rad(latitude.mean())))
    return float(degrees * 111.2 / (3**0.5 * h3.average_hexagon_edge_length(resolution, unit="km")))


def _parents(cells: NDArray[np.int64], resolution: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct parent cells at a resolution, and the index of each finest cell's parent."""
    coarse = np.array([h3.cell_to_parent(int(cell), resolution) for cell in cells], np.int64)
    parents, code = np.unique(coarse, return_inverse=True)
    return parents, code


def _count(cell: NDArray[np.int64], user: NDArray[np.int64], cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of entries and of distinct users of each cell."""
    people = int(user.max()) + 1 if len(user) else 1
    pairs = np.sort(cell * people + user)  # np.unique takes ten times as long on five million
    distinct = pairs[np.diff(pairs, prepend=-1) > 0]
    return np.bincount(cell, minlength=cells), np.bincount(distinct // people, minlength=cells)
