"""Locations of events: those of the log, or H3 cells of coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import h3.api.basic_int as h3
import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.engine.backend import Engine
from builders.mapping.column_mapping import ColumnMapping

RESOLUTIONS = range(10, 5, -1)
"""H3 resolutions to choose from, fine to coarse: cells of 0.015 to 36 square kilometres."""


@dataclass(frozen=True)
class LocatedEvents:
    """Events and their locations."""

    events: Any
    """The events; without ``location`` if there are ``points``."""
    method: str
    """``log`` (its own ids), ``h3`` (cells of the coordinates) or ``none``."""
    points: Any | None = None
    """``lat``, ``lon``, the ``location`` there and ``first``, the key of the first event there (null without one), of
    all coordinates; None: the events have ``location``."""
    resolution: int | None = None
    """Resolution of the H3 cells; None for other locations."""
    centres: Any | None = None
    """``id``, ``lat``, ``lon`` of the cells; None: a location has the coordinates of its first event."""
    listed: Any | None = None
    """Locations of tables: ``row``, ``id``, ``label``, ``text``, ``lat``, ``lon``; None: no table lists any."""
    items: Any | None = None
    """``id``, ``location``, ``since`` of the items whose table has locations; None: no table has any."""

    def with_locations(self) -> Any:
        """The events with ``location``."""
        if self.points is None:
            return self.events
        points = self.points.select("lat", "lon", "location")
        return self.events.left_join(points, ["lat", "lon"]).drop("lat_right", "lon_right")


def locate_events(
    engine: Engine, events: Any, mapping: ColumnMapping, items: Any | None, locations: Any | None
) -> LocatedEvents:
    """Locate every event: at the location of the log, or else in the H3 cell of its coordinates.

    Events of a log without coordinates have those of the table of items.

    Parameters
    ----------
    items, locations
        Tables of nodes from `builders.ingest.node_tables.listed_nodes`; None: no table.
    """
    has_points = items is not None and engine.to_pyarrow(items.lat.count()).as_py()
    item_points = items if has_points else None
    if mapping.lat is None and item_points is not None:
        where = item_points.filter(item_points["first"]).select(item="id", item_lat="lat", item_lon="lon")
        events = events.drop("lat", "lon").left_join(where, "item").drop("item_right")
        events = events.rename(lat="item_lat", lon="item_lon")
    if mapping.location is not None:
        located = None if items is None else items.filter(items.location.notnull()).select("id", "location", "since")
        listed = None if locations is None else locations.filter(locations["first"])
        return LocatedEvents(events, "log", listed=listed, items=located)
    if mapping.lat is None and item_points is None:
        return LocatedEvents(events, "none")
    return _locate_in_cells(engine, events, mapping, item_points)


def _locate_in_cells(engine: Engine, events: Any, mapping: ColumnMapping, items: Any | None) -> LocatedEvents:
    where = events.filter(events.lat.notnull())
    known = where.group_by("lat", "lon").aggregate(first=where.key.min(), events=where.count())
    if items is not None:  # the points of items without events
        others = items.filter(items.lat.notnull()).select("lat", "lon").distinct().anti_join(known, ["lat", "lon"])
        known = known.union(others.mutate(first=ibis.null("int64"), events=ibis.literal(0, "int64")))
    known = engine.to_pyarrow(known)
    resolution = mapping.h3_resolution
    if resolution is None:
        resolution = choose_resolution(known, mapping.h3_events_per_cell)
    points, centres = _cells(engine, known, resolution)
    located = LocatedEvents(events.drop("location"), "h3", points, resolution, centres)
    if items is None:
        return located
    cells = points.select("lat", "lon", cell="location")
    in_cells = items.inner_join(cells, ["lat", "lon"])
    first = in_cells.group_by(id="cell").aggregate(row=in_cells.row.min())
    listed = first.inner_join(centres, "id").mutate(label=ibis.null("string"), text=ibis.null("string"))
    return replace(located, listed=listed, items=in_cells.select("id", "since", location="cell"))


def choose_resolution(points: pa.Table, min_events: int) -> int:
    """The finest of `RESOLUTIONS` with at least ``min_events`` events per cell on average, else the coarsest.

    Parameters
    ----------
    points
        ``lat``, ``lon`` in degrees and ``events``, their number there.
    """
    pairs = zip(points["lat"].to_pylist(), points["lon"].to_pylist(), strict=True)
    total = pc.sum(points["events"]).as_py() or 0
    cells = {h3.latlng_to_cell(lat, lon, RESOLUTIONS[0]) for lat, lon in pairs}
    for resolution in RESOLUTIONS:
        cells = {h3.cell_to_parent(cell, resolution) for cell in cells}
        if total >= min_events * len(cells):
            return resolution
    return RESOLUTIONS[-1]


def _cells(engine: Engine, points: pa.Table, resolution: int) -> tuple[Any, Any]:
    """The H3 cells of distinct coordinates, ``lat`` and ``lon`` in degrees; their ids are hexadecimal.

    Returns
    -------
    Tables ``lat``, ``lon``, ``location``, ``first``, and ``id``, ``lat``, ``lon`` with the centre of each cell.
    """
    pairs = zip(points["lat"].to_pylist(), points["lon"].to_pylist(), strict=True)
    cells = np.fromiter((h3.latlng_to_cell(lat, lon, resolution) for lat, lon in pairs), np.int64, len(points))
    distinct, inverse = np.unique(cells, return_inverse=True)
    names = pa.array([h3.int_to_str(int(cell)) for cell in distinct], pa.string())
    centre = np.array([h3.cell_to_latlng(int(cell)) for cell in distinct], np.float64).reshape(-1, 2)
    where = {name: points[name] for name in ("lat", "lon", "first")}
    by_point = pa.table({**where, "location": names.take(pa.array(inverse))})
    by_cell = pa.table({"id": names, "lat": centre[:, 0], "lon": centre[:, 1]})
    return engine.create_table("cells", by_point), engine.create_table("centres", by_cell)
