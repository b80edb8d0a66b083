"""Where things happen: H3 cells of coordinates, and which locations are near each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h3.api.basic_int as h3
import ibis
import numpy as np
import pyarrow as pa
from scipy.spatial import cKDTree

from builders.catalogue import Catalogue
from builders.engine import materialise
from builders.mapping import Mapping

EARTH_RADIUS = 6_371_008.8
"""Mean radius in metres."""
NEAREST, NEAR_METRES = 6, 5_000.0
"""A location is near at most so many others at a time, none farther than this."""
WALK, STRIDE = 1_024, 32
"""How many of the nearest are looked at to find those, and how many at once."""


@dataclass(frozen=True)
class Placed:
    """Events that have their locations."""

    events: Any
    """The events with ``location`` and its coordinates ``place_lat``, ``place_lon``."""
    method: str
    """``log`` (its own ids), ``h3`` (cells of the coordinates) or ``none``."""
    listed: Any | None
    """Locations known without an event: ``row``, ``id``, ``label``, ``text``, ``lat``, ``lon``; None: none are."""
    items: Any | None
    """``id`` and ``location`` of the items that their catalogue places; None: it places none."""


def place_events(
    connection: Any, events: Any, mapping: Mapping, items: Catalogue | None, locations: Catalogue | None
) -> Placed:
    """Give every event its location: the log's own id, or else the H3 cell of its coordinates.

    A log without coordinates takes those of its items' catalogue.
    """
    if mapping.lat is None and items is not None and items.mapping.lat is not None:
        places = items.table.select("id", item_lat="lat", item_lon="lon")
        events = events.drop("lat", "lon").left_join(places, events.item == places.id)
        events = events.drop("id").rename(lat="item_lat", lon="item_lon")
    if mapping.location is not None:
        placed = materialise(connection, "placed", events.mutate(place_lat=events.lat, place_lon=events.lon))
        told = items.table.select("id", "location") if items is not None and items.mapping.location else None
        return Placed(placed, "log", locations.table if locations else None, told)
    if mapping.lat is None and (items is None or items.mapping.lat is None):
        nowhere = ibis.literal(None, type="float64")
        return Placed(events.mutate(place_lat=nowhere, place_lon=nowhere), "none", None, None)
    return _place_in_cells(connection, events, mapping.h3_resolution, items)


def _place_in_cells(connection: Any, events: Any, resolution: int, items: Catalogue | None) -> Placed:
    coordinates = events.select("lat", "lon")
    if items is not None:
        coordinates = coordinates.union(items.table.select("lat", "lon"))
    cells = cells_of(connection, "cells", coordinates, resolution)
    by_event = cells.select("lat", "lon", location="cell", place_lat="cell_lat", place_lon="cell_lon")
    joined = events.drop("location").left_join(by_event, ["lat", "lon"]).drop("lat_right", "lon_right")
    placed = materialise(connection, "placed", joined)
    if items is None or items.mapping.lat is None:
        return Placed(placed, "h3", None, None)
    told = items.table.select("row", "id", "lat", "lon").inner_join(cells, ["lat", "lon"])
    first = told.group_by("cell").aggregate(row=told.row.min(), lat=told.cell_lat.min(), lon=told.cell_lon.min())
    nothing = ibis.literal(None, type="string")
    listed = first.select("row", id="cell", label=nothing, text=nothing, lat="lat", lon="lon")
    return Placed(placed, "h3", listed, told.select("id", location="cell"))


def cells_of(connection: Any, name: str, coordinates: Any, resolution: int) -> Any:
    """The H3 cell of each distinct coordinate pair, as table ``name``.

    Parameters
    ----------
    coordinates
        Expression with ``lat`` and ``lon`` in degrees; rows with nulls have no cell.

    Returns
    -------
    Table ``lat``, ``lon``, ``cell`` (the cell's id as written in hexadecimal), ``cell_lat``, ``cell_lon`` (its centre).
    """
    distinct = coordinates.filter(coordinates.lat.notnull()).select("lat", "lon").distinct().to_pyarrow()
    pairs = zip(distinct["lat"].to_pylist(), distinct["lon"].to_pylist(), strict=True)
    cells = [h3.latlng_to_cell(lat, lon, resolution) for lat, lon in pairs]
    centres = np.array([h3.cell_to_latlng(cell) for cell in cells], np.float64).reshape(-1, 2)
    columns = {
        "cell": pa.array([h3.int_to_str(cell) for cell in cells], pa.string()),
        "cell_lat": centres[:, 0],
        "cell_lon": centres[:, 1],
    }
    table = pa.table({"lat": distinct["lat"], "lon": distinct["lon"], **columns})
    return connection.create_table(name, table, overwrite=True)


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
    """Walk outwards from all points at once until no farther one can ever have been among the nearest."""
    chord = 2 * np.sin(NEAR_METRES / EARTH_RADIUS / 2)
    count = len(points)
    tree: Any = cKDTree(points) if count else None
    earliest = np.full((count, NEAREST), np.iinfo(np.int64).max)  # when the nearer ones came to be known, rising
    walking, found = np.arange(count), [np.empty((3, 0))]
    for start in range(1, min(count, WALK) + 1, STRIDE):
        ranks = np.arange(start, min(start + STRIDE, count + 1))
        distance, target = tree.query(points[walking], k=ranks, distance_upper_bound=chord)
        for place in range(len(ranks)):
            reached = np.isfinite(distance[:, place]) & (target[:, place] != walking)  # itself is among them
            rows, others = walking[reached], target[reached, place]
            kept = first_seen[others] < earliest[rows, -1]
            rows, others = rows[kept], others[kept]
            found.append(np.stack((rows, others, distance[reached, place][kept])))
            earliest[rows] = np.sort(np.column_stack((earliest[rows, :-1], first_seen[others])), axis=1)
        walking = walking[np.isfinite(distance[:, -1]) & (earliest[walking, -1] > first_seen.min())]
        if not len(walking):
            break
    source, other, apart = np.concatenate(found, axis=1)
    order = np.argsort(source, kind="stable")  # of each source, the nearest first
    metres = 2 * EARTH_RADIUS * np.arcsin(apart[order] / 2)
    return source[order].astype(np.int64), other[order].astype(np.int64), metres
