"""Where things happen: the log's own locations, or H3 cells of coordinates."""

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
"""H3 resolutions that are tried, fine to coarse: cells of 0.015 to 36 square kilometres."""


@dataclass(frozen=True)
class Placed:
    """Events that have their locations."""

    events: Any
    """The events; ``location`` is missing where ``points`` say it."""
    method: str
    """``log`` (its own ids), ``h3`` (cells of the coordinates) or ``none``."""
    points: Any | None = None
    """``lat``, ``lon``, the ``location`` there and ``first``, the key of the first event there (null without one), of
    all coordinates; None: the events say their locations."""
    resolution: int | None = None
    """Of the H3 cells."""
    centres: Any | None = None
    """``id``, ``lat``, ``lon`` of the cells; None: a location is where its first event was."""
    listed: Any | None = None
    """Locations known without an event: ``row``, ``id``, ``label``, ``text``, ``lat``, ``lon``; None: none are."""
    items: Any | None = None
    """``id``, ``location``, ``since`` of the items that their table places; None: it places none."""

    def located(self) -> Any:
        """The events with ``location``."""
        if self.points is None:
            return self.events
        places = self.points.select("lat", "lon", "location")
        return self.events.left_join(places, ["lat", "lon"]).drop("lat_right", "lon_right")


def place_events(
    engine: Engine, events: Any, mapping: ColumnMapping, items: Any | None, locations: Any | None
) -> Placed:
    """Give every event its location: the log's own id, or else the H3 cell of its coordinates.

    A log without coordinates takes those of its table of items.

    Parameters
    ----------
    items, locations
        What tables list, as `builders.ingest.node_tables.listed_nodes` gives it; None: no table.
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


def _place_in_cells(engine: Engine, events: Any, mapping: ColumnMapping, items: Any | None) -> Placed:
    where = events.filter(events.lat.notnull())
    known = where.group_by("lat", "lon").aggregate(first=where.key.min(), events=where.count())
    known = engine.to_pyarrow(known)
    if items is not None:
        known = _with_items(known, engine.to_pyarrow(items.filter(items.lat.notnull()).select("lat", "lon").distinct()))
    resolution = mapping.h3_resolution
    if resolution is None:
        resolution = choose_resolution(known, mapping.h3_events_per_cell)
    points, centres = _cells(engine, known, resolution)
    placed = Placed(events.drop("location"), "h3", points, resolution, centres)
    if items is None:
        return placed
    cells = points.select("lat", "lon", cell="location")
    told = items.inner_join(cells, ["lat", "lon"])
    first = told.group_by(id="cell").aggregate(row=told.row.min())
    nothing = ibis.literal(None, type="string")
    listed = first.inner_join(centres, "id").mutate(label=nothing, text=nothing)
    return replace(placed, listed=listed, items=told.select("id", "since", location="cell"))


def _with_items(points: pa.Table, others: pa.Table) -> pa.Table:
    """Points of events and, without an event, those of items."""
    known = set(zip(points["lat"].to_pylist(), points["lon"].to_pylist(), strict=True))
    pairs = zip(others["lat"].to_pylist(), others["lon"].to_pylist(), strict=True)
    new = others.filter(pa.array([pair not in known for pair in pairs], pa.bool_()))
    none = {"first": pa.nulls(len(new), pa.int64()), "events": pa.array(np.zeros(len(new), np.int64))}
    return pa.concat_tables([points, pa.table({"lat": new["lat"], "lon": new["lon"], **none}, schema=points.schema)])


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
