"""The work of ``graphrec build`` on a simulated log, written by hand in DuckDB's SQL.

This is the bar: it knows the columns of its one log, takes no mapping and makes no file whole before it is in place.
The rows are read once into the log part, bad ones with their reason; the rest reads that part. One integer,
``time << 29 | row``, orders the events, so that the first event of a node is a minimum.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from string import Template
from typing import Any

import duckdb
import pyarrow.parquet as pq
from build_cells import cells_of, near, write_manifest
from build_log import COLUMNS

PART = f"""
COPY (
  SELECT user_id AS "user", venue_id AS item, NULL::VARCHAR AS location, seconds AS "time", lat, lon,
    coalesce("offset", 0)::SMALLINT AS utc_offset, 'check-in' AS kind, coalesce(weight, 1)::FLOAT AS weight,
    nullif(session, '') AS session, NULL::TINYINT AS split, nullif(category, '') AS "text", NULL::VARCHAR AS label,
    hash({", ".join(COLUMNS)}) AS content, failed, CASE WHEN failed IS NOT NULL THEN CASE
      WHEN failed = 0 THEN concat_ws(',', {", ".join(COLUMNS)}, more)
      WHEN failed < 4 THEN NULL WHEN failed < 8 THEN "time"
      WHEN failed IN (8, 14) THEN latitude || ', ' || longitude
      WHEN failed < 11 THEN latitude WHEN failed < 13 THEN longitude WHEN failed = 13 THEN latitude || longitude
      WHEN failed < 17 THEN timezone_offset ELSE rating END END AS value
  FROM (
    SELECT *, CASE
      WHEN session IS NULL OR more IS NOT NULL THEN 0
      WHEN user_id = '' THEN 1
      WHEN venue_id = '' THEN 2
      WHEN "time" = '' THEN 3
      WHEN seconds IS NULL THEN 4
      WHEN seconds NOT BETWEEN -2208988800 AND 7258118400 THEN 5
      WHEN seconds > $tomorrow THEN 6
      WHEN seconds BETWEEN 0 AND 86399 THEN 7
      WHEN abs(lat) > 90 AND abs(lat) <= 180 AND abs(lon) <= 90 THEN 8
      WHEN lat IS NULL AND latitude <> '' THEN 9
      WHEN abs(lat) > 90 THEN 10
      WHEN lon IS NULL AND longitude <> '' THEN 11
      WHEN abs(lon) > 180 THEN 12
      WHEN (lat IS NULL) <> (lon IS NULL) THEN 13
      WHEN lat = 0 AND lon = 0 THEN 14
      WHEN "offset" IS NULL AND timezone_offset <> '' THEN 15
      WHEN abs("offset") > 900 THEN 16
      WHEN weight IS NULL AND rating <> '' THEN 17
    END::TINYINT AS failed
    FROM (
      SELECT *,
        epoch(TRY_CAST("time" AS TIMESTAMP))::BIGINT AS seconds,
        TRY_CAST(latitude AS DOUBLE) AS lat,
        TRY_CAST(longitude AS DOUBLE) AS lon,
        TRY_CAST(timezone_offset AS DOUBLE) AS "offset",
        TRY_CAST(rating AS FLOAT) AS weight
      FROM read_csv($log, auto_detect = false, header = true, delim = ',', quote = '"', escape = '"', nullstr = '\x01',
        columns = {{{", ".join(f"'{name}': 'VARCHAR'" for name in (*COLUMNS, "more"))}}},
        null_padding = true, strict_mode = false, ignore_errors = true)
    )
  )
) TO $part (FORMAT parquet);
CREATE VIEW part AS
SELECT *, ("time" << 29) | file_row_number AS key FROM read_parquet($part, file_row_number = true) WHERE failed IS NULL;
"""
REPEATED = """
CREATE TABLE repeated AS
SELECT file_row_number, first FROM part JOIN (
  SELECT content, min(file_row_number) AS first FROM part GROUP BY content HAVING count(*) > 1
) USING (content) WHERE file_row_number > first;
CREATE VIEW event AS FROM part ANTI JOIN repeated USING (file_row_number);
"""
REASONS = """
  (0, NULL, 'wrong number of fields'), (1, 'user_id', 'missing user'), (2, 'venue_id', 'missing item'),
  (3, 'time', 'missing time'), (4, 'time', 'unparsable time'), (5, 'time', 'time out of range'),
  (6, 'time', 'time in the future'), (7, 'time', 'time is 1 January 1970, most likely a missing one'),
  (8, 'latitude', 'latitude and longitude seem to be swapped'),
  (9, 'latitude', 'latitude is not a number'), (10, 'latitude', 'latitude out of range'),
  (11, 'longitude', 'longitude is not a number'), (12, 'longitude', 'longitude out of range'),
  (13, 'longitude', 'half a coordinate'), (14, 'latitude', 'latitude and longitude are 0, most likely missing'),
  (15, 'timezone_offset', 'UTC offset is not a number'), (16, 'timezone_offset', 'UTC offset out of range'),
  (17, 'rating', 'weight is not a number')
"""
QUARANTINE = f"""
COPY (
  SELECT $name AS file, file_row_number + 1 AS "row", "column", reason, value
  FROM read_parquet($part, file_row_number = true)
  JOIN (VALUES {REASONS}) AS reasons (failed, "column", reason) USING (failed) WHERE failed IS NOT NULL
  UNION ALL
  SELECT $name, file_row_number + 1, NULL, 'duplicate row', 'same as row ' || (first + 1) FROM repeated
  ORDER BY "row"
) TO $quarantine (FORMAT parquet);
"""
CUTS = """
SELECT quantile_disc("time", [$val, $test]) FROM event;
"""
NODES = """
CREATE TABLE users AS
SELECT id, key >> 29 AS first_seen, row_number() OVER (ORDER BY key) - 1 AS code
FROM (SELECT "user" AS id, min(key) AS key FROM part GROUP BY id);
CREATE TABLE spots AS
SELECT item, lat, lon, min(key) AS key, arg_min("text", key) AS "text" FROM part GROUP BY ALL;
CREATE TABLE items AS
SELECT id, "text", lat, lon, key >> 29 AS first_seen, row_number() OVER (ORDER BY key) - 1 AS code
FROM (SELECT item AS id, min(key) AS key, arg_min(lat, key) AS lat, arg_min(lon, key) AS lon,
  arg_min("text", key) AS "text" FROM spots GROUP BY id);
"""
LOCATIONS = """
CREATE TABLE locations AS
SELECT id, lat, lon, key >> 29 AS first_seen, row_number() OVER (ORDER BY key) - 1 AS code
FROM (SELECT cell AS id, any_value(cell_lat) AS lat, any_value(cell_lon) AS lon, min(key) AS key
  FROM spots JOIN cells ON spots.lat = cells.lat AND spots.lon = cells.lon GROUP BY id);
CREATE TABLE places AS
SELECT spots.item, spots.lat, spots.lon, spots.key >> 29 AS first_seen,
  items.code::INTEGER AS item_code, coalesce(locations.code, -1)::INTEGER AS location_code
FROM spots JOIN items ON spots.item = items.id
LEFT JOIN cells ON spots.lat = cells.lat AND spots.lon = cells.lon LEFT JOIN locations ON cells.cell = locations.id;
COPY (
  SELECT item_code AS source, location_code AS target, min(first_seen) AS valid_from
  FROM places WHERE location_code >= 0 GROUP BY ALL ORDER BY source, valid_from
) TO $at (FORMAT parquet);
"""
VISITS = """
CREATE MACRO split_of(seconds) AS CASE WHEN seconds < $t_val THEN 0 WHEN seconds < $t_test THEN 1 ELSE 2 END::TINYINT;
CREATE TABLE visits AS
SELECT visit, (row_number() OVER (ORDER BY key) - 1)::INTEGER AS code
FROM (SELECT hash("user", session, split_of("time")) AS visit, min(key) AS key
  FROM part WHERE session IS NOT NULL GROUP BY visit);
"""
EVENTS = """
COPY (
  SELECT users.code::INTEGER AS "user", item_code AS item, location_code AS location, "time", utc_offset,
    0::TINYINT AS kind, weight, split_of("time") AS split, coalesce(visits.code, -1) AS session
  FROM event
  JOIN users ON "user" = users.id
  JOIN places ON event.item = places.item AND event.lat IS NOT DISTINCT FROM places.lat
    AND event.lon IS NOT DISTINCT FROM places.lon
  LEFT JOIN visits ON visit = CASE WHEN session IS NOT NULL THEN hash("user", session, split_of("time")) END
  ORDER BY key
) TO $events (FORMAT parquet);
"""
NODE = """
COPY (
  SELECT id, NULL::VARCHAR AS label, {text} AS "text", {lat}::DOUBLE AS lat, {lon}::DOUBLE AS lon, first_seen
  FROM {table} ORDER BY code
) TO $file (FORMAT parquet);
"""
NODES_SAY = {
    "user": {"text": "NULL::VARCHAR", "lat": "NULL", "lon": "NULL"},
    "item": {"text": '"text"', "lat": "lat", "lon": "lon"},
    "location": {"text": "NULL::VARCHAR", "lat": "lat", "lon": "lon"},
}
"""What the first event says of a node of each type."""


def build(log: Path, out: Path, memory: str = "1GB") -> None:
    """Build ``out`` from the CSV ``log`` on two threads."""
    for folder in ("log", "nodes", "relations"):
        (out / folder).mkdir(parents=True)
    connection = duckdb.connect(config={"threads": 2, "memory_limit": memory, "temp_directory": str(out / "spill")})
    part = out / "log" / "events-0000.parquet"
    run(connection, PART, log=log, part=part, tomorrow=int(time.time()) + 86_400)
    run(connection, REPEATED)
    run(connection, QUARANTINE, name=log.name, part=part, quarantine=out / "quarantine.parquet")
    ((count,),) = run(connection, "SELECT count(*) FROM event")
    val, test = ((math.floor(share * count + 1e-9) + 0.5) / count for share in (0.8, 0.9))
    (((t_val, t_test),),) = run(connection, CUTS, val=val, test=test)
    run(connection, NODES)
    coordinates = connection.sql("SELECT DISTINCT lat, lon FROM spots WHERE lat IS NOT NULL").to_arrow_table()
    connection.register("cells", cells_of(coordinates))
    run(connection, LOCATIONS, at=out / "relations" / "at.parquet")
    run(connection, VISITS, t_val=t_val, t_test=t_test)
    run(connection, EVENTS, events=out / "events.parquet")
    counts = {"events": count, **_write_nodes(connection, out)}
    _write_near(connection, out / "relations" / "near.parquet")
    write_manifest(out, log, counts, t_val, t_test)


def run(connection: duckdb.DuckDBPyConnection, statements: str, **values: object) -> list[tuple[Any, ...]]:
    """The rows of the last of some statements, with ``values`` as their literals."""
    literals = {name: str(value) if isinstance(value, int | float) else f"'{value}'" for name, value in values.items()}
    return connection.execute(Template(statements).substitute(literals)).fetchall()


def _write_nodes(connection: duckdb.DuckDBPyConnection, out: Path) -> dict[str, int]:
    for kind, columns in NODES_SAY.items():
        run(connection, NODE.format(table=f"{kind}s", **columns), file=out / "nodes" / f"{kind}.parquet")
    return {kind: run(connection, f"SELECT count(*) FROM {kind}s")[0][0] for kind in NODES_SAY}


def _write_near(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    found = connection.sql("SELECT lat, lon, first_seen FROM locations ORDER BY code").fetchnumpy()
    pq.write_table(near(found["lat"], found["lon"], found["first_seen"]), file)
