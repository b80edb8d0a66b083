"""Where things happen: H3 cells of coordinates, and which locations are near each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h3.api.basic_int as h3
import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.spatial import cKDTree

from builders.engine import Engine
from builders.mapping import Mapping

EARTH_RADIUS = 6_371_008.8
"""Mean radius in metres."""
NEAREST, NEAR_METRES = 6, 5_000.0
"""A location is near at most so many others at a time, none farther than this."""


RESOLUTIONS = range(10, 5, -1)
"""H3 resolutions that are tried, fine to coarse: cells of 0.015 to 36 square kilometres."""


@dataclass(frozen=True)
class Placed:
    """Events that have their locations."""

    events: Any
    """The events with ``location``."""
    method: str
    """``log`` (its own ids), ``h3`` (cells of the coordinates) or ``none``."""
    resolution: int | None = None
    """Of the H3 cells."""
    centres: Any | None = None
    """``id``, ``lat``, ``lon`` of the cells; None: a location is where its first event was."""
    listed: Any | None = None
    """Locations known without an event: ``row``, ``id``, ``label``, ``text``, ``lat``, ``lon``; None: none are."""
    items: Any | None = None
    """``id``, ``location``, ``since`` of the items that their table places; None: it places none."""


def place_events(engine: Engine, events: Any, mapping: Mapping, items: Any | None, locations: Any | None) -> Placed:
    """Give every event its location: the log's own id, or else the H3 cell of its coordinates.

    A log without coordinates takes those of its table of items.

    Parameters
    ----------
    items, locations
        What tables list, as `builders.catalogue.listed_nodes` gives it; None: no table.
    """
    somewhere = items if items is not None and _any(engine, items.lat) else None
    if mapping.lat is None and somewhere is not None:
        where = somewhere.filter(somewhere["first"]).select(item="id", item_lat="lat", item_lon="lon")
        events = events.drop("lat", "lon").left_join(where, "item").drop("item_right")
        events = events.rename(lat="item_lat", lon="item_lon")
    if mapping.location is not None:
        told = items.filter(items.location.notnull()).select("id", "location", "since") if items is not None else None
        listed = locations.filter(locations["first"]) if locations is not None else None
        return Placed(events, "log", listed=listed, items=told)
    if mapping.lat is None and somewhere is None:
        return Placed(events, "none")
    return _place_in_cells(engine, events, mapping, somewhere)


def _any(engine: Engine, column: Any) -> bool:
    return bool(engine.to_pyarrow(column.count()).as_py())


def _place_in_cells(engine: Engine, events: Any, mapping: Mapping, items: Any | None) -> Placed:
    points = events.select("lat", "lon", events=1)
    if items is not None:
        points = points.union(items.select("lat", "lon", events=0))
    points = points.filter(points.lat.notnull()).group_by("lat", "lon").aggregate(events=points.events.sum())
    known = engine.to_pyarrow(points)
    resolution = mapping.h3_resolution
    if resolution is None:
        resolution = choose_resolution(known, mapping.h3_events_per_cell)
    cells, centres = _cells(engine, known, resolution)
    placed = events.drop("location").left_join(cells, ["lat", "lon"]).drop("lat_right", "lon_right")
    if items is None:
        return Placed(placed, "h3", resolution, centres)
    told = items.inner_join(cells.rename(cell="location"), ["lat", "lon"])
    first = told.group_by(id="cell").aggregate(row=told.row.min())
    nothing = ibis.literal(None, type="string")
    listed = first.inner_join(centres, "id").mutate(label=nothing, text=nothing)
    return Placed(placed, "h3", resolution, centres, listed, told.select("id", "since", location="cell"))


def choose_resolution(points: pa.Table, wanted: int) -> int:
    """The finest of `RESOLUTIONS` whose cells hold ``wanted`` events on average, else the coarsest.

    Parameters
    ----------
    points
        ``lat``, ``lon`` in degrees and ``events``, how many there are.
    """
    pairs = zip(points["lat"].to_pylist(), points["lon"].to_pylist(), strict=True)
    total = pc.sum(points["events"]).as_py() or 0
    cells = {h3.latlng_to_cell(lat, lon, RESOLUTIONS[0]) for lat, lon in pairs}
    for resolution in RESOLUTIONS:
        cells = {h3.cell_to_parent(cell, resolution) for cell in cells}
        if total >= wanted * len(cells):
            return resolution
    return RESOLUTIONS[-1]


def _cells(engine: Engine, points: pa.Table, resolution: int) -> tuple[Any, Any]:
    """The H3 cells of distinct coordinates, ``lat`` and ``lon`` in degrees, named as written in hexadecimal.

    Returns
    -------
    Tables ``lat``, ``lon``, ``location``, and ``id``, ``lat``, ``lon`` with the centre of each cell.
    """
    pairs = zip(points["lat"].to_pylist(), points["lon"].to_pylist(), strict=True)
    cells = np.fromiter((h3.latlng_to_cell(lat, lon, resolution) for lat, lon in pairs), np.int64, len(points))
    distinct, inverse = np.unique(cells, return_inverse=True)
    names = pa.array([h3.int_to_str(int(cell)) for cell in distinct], pa.string())
    centre = np.array([h3.cell_to_latlng(int(cell)) for cell in distinct], np.float64).reshape(-1, 2)
    by_point = pa.table({"lat": points["lat"], "lon": points["lon"], "location": names.take(pa.array(inverse))})
    by_cell = pa.table({"id": names, "lat": centre[:, 0], "lon": centre[:, 1]})
    return engine.create_table("cells", by_point), engine.create_table("centres", by_cell)


def near(lat: np.ndarray, lon: np.ndarray, first_seen: np.ndarray) -> pa.Table:
    """Locations near each other: ``source``, ``target`` int32, ``valid_from`` int64, ``metres`` float32.

    An edge leads to every location that was among the nearest ``NEAREST`` when it came to be known (``first_seen``,
    UTC seconds). So the nearest ones as of any time are among the edges valid by then, and no place of the future
    takes the place of one of today. Locations without coordinates (NaN) have no edge.
    """
    known = np.flatnonzero(~np.isnan(lat))
    source, target, metres = _neighbours(_unit_vectors(lat[known], lon[known]), first_seen[known])
    return pa.table(
        {
            "source": pa.array(known[source], pa.int32()),
            "target": pa.array(known[target], pa.int32()),
            "valid_from": pa.array(first_seen[known[target]], pa.int64()),
            "metres": pa.array(metres, pa.float32()),
        }
    )


def _unit_vectors(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    phi, theta = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=1)  # [n, 3]


def _neighbours(points: np.ndarray, first_seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, targets and metres of the edges, of each source the nearest first."""
    source, target, apart = _candidates(points, np.argsort(first_seen, kind="stable"))
    order = np.lexsort((apart, source))
    source, target, apart = source[order], target[order], apart[order]
    begin = np.searchsorted(source, np.arange(len(points) + 1))
    earliest = np.full((len(points), NEAREST), np.iinfo(np.int64).max)  # when the nearer ones came to be known, rising
    kept = np.zeros(len(source), bool)
    for rank in range(int(np.diff(begin).max(initial=0))):
        rows = np.flatnonzero(begin[:-1] + rank < begin[1:])
        edge = begin[rows] + rank
        when = first_seen[target[edge]]
        kept[edge] = new = when < earliest[rows, -1]
        earliest[rows[new]] = np.sort(np.column_stack((earliest[rows[new], :-1], when[new])), axis=1)
    metres = 2 * EARTH_RADIUS * np.arcsin(apart[kept] / 2)
    return source[kept], target[kept], metres


def _candidates(points: np.ndarray, by_time: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of which one may have been among the nearest of the other when it came to be known, and their chords.

    Points arrive in groups that double what is there. One of a group counts only if it is nearer than the nearest of
    the groups before: about as many in each group, so that the pairs grow with the logarithm of the points.
    """
    reach = np.full((len(points), NEAREST), 2 * np.sin(NEAR_METRES / EARTH_RADIUS / 2))  # the nearest so far, rising
    found, begin = [np.empty((3, 0))], 0
    while begin < len(points):
        group = by_time[begin : 2 * begin + 64]
        near_each = cKDTree(points[group]).query_ball_point(points, reach[:, -1])
        source = np.repeat(np.arange(len(points)), [len(near) for near in near_each])
        target = group[np.concatenate([*near_each, []]).astype(np.int64)]
        source, target = source[source != target], target[source != target]
        apart = np.linalg.norm(points[source] - points[target], axis=1)
        found.append(np.stack((source, target, apart)))
        reach = _smallest(reach, source, apart)
        begin += len(group)
    source, target, apart = np.concatenate(found, axis=1)
    return source.astype(np.int64), target.astype(np.int64), apart


def _smallest(reach: np.ndarray, source: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """The ``NEAREST`` smallest distances of each source, old and new, rising."""
    rows = np.concatenate((np.repeat(np.arange(len(reach)), NEAREST), source))
    distance = np.concatenate((reach.ravel(), apart))
    order = np.lexsort((distance, rows))
    begin = np.searchsorted(rows[order], np.arange(len(reach)))
    smallest: np.ndarray = distance[order][begin[:, None] + np.arange(NEAREST)]
    return smallest
