"""The work of ``graphrec build`` on a simulated log, written by hand in Polars.

Like the SQL beside it, it knows the columns of its one log. Lines are cut at their commas: the log has no quotes, and
Polars' reader of CSV does not tell a line that has a field too many.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from build_cells import cells_of, near, write_manifest
from build_log import COLUMNS

EARLIEST, LATEST, DAY = -2_208_988_800, 7_258_118_400, 86_400
ROWS = 1 << 29
"""One integer, ``time * ROWS + row``, orders the events."""
TIME, LAT, LON, OFFSET, WEIGHT = (pl.col(name) for name in ("seconds", "lat", "lon", "offset", "weight"))


def lines(log: Path) -> pl.LazyFrame:
    """The log's lines, cut into fields, with the typed values of those that have one."""
    fields = pl.col("line").str.splitn(",", len(COLUMNS) + 1).struct.rename_fields([*COLUMNS, "more"]).struct.unnest()
    numbers = {"lat": "latitude", "lon": "longitude", "offset": "timezone_offset"}
    return (
        pl.scan_lines(log, name="line")
        .slice(1)
        .with_columns(fields, content=pl.col("line").hash().reinterpret(signed=True))
        .with_columns(
            pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", strict=False).dt.epoch("s").alias("seconds"),
            pl.col("rating").cast(pl.Float32, strict=False).alias("weight"),
            *(pl.col(name).cast(pl.Float64, strict=False).alias(role) for role, name in numbers.items()),
        )
    )


def failures() -> list[tuple[pl.Expr, str | None, str, pl.Expr]]:
    """What makes a row unusable, the first that holds: whether, column, reason, value."""
    column, nothing = pl.col, pl.lit(None, pl.String)
    both = column("latitude") + ", " + column("longitude")
    return [
        (column("session").is_null() | column("more").is_not_null(), None, "wrong number of fields", column("line")),
        (column("user_id") == "", "user_id", "missing user", nothing),
        (column("venue_id") == "", "venue_id", "missing item", nothing),
        (column("time") == "", "time", "missing time", nothing),
        (TIME.is_null(), "time", "unparsable time", column("time")),
        (~TIME.is_between(EARLIEST, LATEST), "time", "time out of range", column("time")),
        (int(time.time()) + DAY < TIME, "time", "time in the future", column("time")),
        (TIME.is_between(0, DAY - 1), "time", "time is 1 January 1970, most likely a missing one", column("time")),
        ((LAT.abs() > 90) & (LAT.abs() <= 180) & (LON.abs() <= 90), "latitude",
         "latitude and longitude seem to be swapped", both),
        (LAT.is_null() & (column("latitude") != ""), "latitude", "latitude is not a number", column("latitude")),
        (LAT.abs() > 90, "latitude", "latitude out of range", column("latitude")),
        (LON.is_null() & (column("longitude") != ""), "longitude", "longitude is not a number", column("longitude")),
        (LON.abs() > 180, "longitude", "longitude out of range", column("longitude")),
        (LAT.is_null() != LON.is_null(), "longitude", "half a coordinate", column("latitude") + column("longitude")),
        ((LAT == 0) & (LON == 0), "latitude", "latitude and longitude are 0, most likely missing", both),
        (OFFSET.is_null() & (column("timezone_offset") != ""), "timezone_offset", "UTC offset is not a number",
         column("timezone_offset")),
        (OFFSET.abs() > 900, "timezone_offset", "UTC offset out of range", column("timezone_offset")),
        (WEIGHT.is_null() & (column("rating") != ""), "rating", "weight is not a number", column("rating")),
    ]  # fmt: skip


def write_part(log: Path, file: Path) -> None:
    """Write the log part: every row of the log, a bad one with its reason."""
    checks = failures()
    failed = pl.coalesce(*(pl.when(bad).then(pl.lit(number, pl.Int8)) for number, (bad, *_) in enumerate(checks)))
    value = pl.coalesce(*(pl.when(pl.col("failed") == number).then(check[3]) for number, check in enumerate(checks)))
    nothing = pl.lit(None, pl.String)
    rows = lines(log).with_columns(failed=failed)
    rows.select(
        user="user_id",
        item="venue_id",
        location=nothing,
        time="seconds",
        lat="lat",
        lon="lon",
        utc_offset=pl.col("offset").fill_null(0).cast(pl.Int16, strict=False),
        kind=pl.lit("check-in"),
        weight=pl.col("weight").fill_null(1),
        session=pl.when(pl.col("session") != "").then("session"),
        split=pl.lit(None, pl.Int8),
        text=pl.when(pl.col("category") != "").then("category"),
        label=nothing,
        content="content",
        failed="failed",
        value=pl.when(pl.col("failed").is_not_null()).then(value),
    ).sink_parquet(file, compression="snappy")


def repeated_rows(part: pl.LazyFrame) -> pl.DataFrame:
    """``row`` of the rows that are the same as one before, and that one's, ``first``."""
    same = part.group_by("content").agg(pl.len().alias("count"), pl.col("row").min().alias("first"))
    same = same.filter(pl.col("count") > 1).collect(engine="streaming")
    again = part.select("row", "content").join(same.lazy(), on="content").filter(pl.col("row") > pl.col("first"))
    return again.select("row", "first").collect(engine="streaming")


def write_quarantine(file: Path, name: str, rows: pl.LazyFrame, repeated: pl.DataFrame) -> None:
    """Write the bad rows and the repeated ones."""
    checks = failures()
    reasons = pl.DataFrame({"column": [check[1] for check in checks], "reason": [check[2] for check in checks]})
    reasons = reasons.with_row_index("failed").with_columns(pl.col("failed").cast(pl.Int8))
    bad = rows.filter(pl.col("failed").is_not_null()).collect(engine="streaming").join(reasons, on="failed")
    again = repeated.select(
        "row",
        column=pl.lit(None, pl.String),
        reason=pl.lit("duplicate row"),
        value=pl.lit("same as row ") + (pl.col("first") + 1).cast(pl.String),
    )
    both = pl.concat([bad.select("row", "column", "reason", "value"), again]).sort("row")
    both.select(
        pl.lit(name).alias("file"), pl.col("row").cast(pl.Int64) + 1, "column", "reason", "value"
    ).write_parquet(file)


def numbered(nodes: pl.DataFrame) -> pl.DataFrame:
    """Nodes with ``first_seen`` and ``code``, in the order of their first events."""
    nodes = nodes.sort("key").with_columns(first_seen=pl.col("key") // ROWS)
    return nodes.with_row_index("code").with_columns(pl.col("code").cast(pl.Int32)).drop("key")


def write_nodes(file: Path, nodes: pl.DataFrame) -> None:
    """Write a node table; what it does not say is null."""
    types = {"id": pl.String, "label": pl.String, "text": pl.String, "lat": pl.Float64, "lon": pl.Float64}
    columns = [
        pl.col(name) if name in nodes.columns else pl.lit(None, dtype).alias(name) for name, dtype in types.items()
    ]
    nodes.select(*columns, "first_seen").write_parquet(file)


def split_cuts(events: pl.LazyFrame) -> tuple[int, int, int]:
    """How many events there are, and the first seconds of val and of test."""
    seconds = events.select("time").collect(engine="streaming")["time"].sort()
    count = len(seconds)
    t_val, t_test = (seconds[math.floor(share * count + 1e-9)] for share in (0.8, 0.9))
    return count, t_val, t_test


def build(log: Path, out: Path) -> None:
    """Build ``out`` from the CSV ``log``; POLARS_MAX_THREADS says on how many threads."""
    for folder in ("log", "nodes", "relations"):
        (out / folder).mkdir(parents=True)
    write_part(log, out / "log" / "events-0000.parquet")
    rows = pl.scan_parquet(out / "log" / "events-0000.parquet", row_index_name="row")
    part = rows.filter(pl.col("failed").is_null()).with_columns(key=pl.col("time") * ROWS + pl.col("row"))
    repeated = repeated_rows(part)
    write_quarantine(out / "quarantine.parquet", log.name, rows, repeated)
    events = part.join(repeated.lazy(), on="row", how="anti")
    count, t_val, t_test = split_cuts(events)

    users = numbered(part.group_by(id="user").agg(pl.col("key").min()).collect(engine="streaming"))
    first = pl.col("key").min(), pl.col("text").min_by("key")
    spots = part.group_by("item", "lat", "lon").agg(*first).collect(engine="streaming")
    told = (pl.col(name).min_by("key") for name in ("lat", "lon", "text"))
    items = numbered(spots.group_by(id="item").agg(pl.col("key").min(), *told))
    cells = pl.DataFrame(cells_of(spots.select("lat", "lon").drop_nulls().unique().to_arrow()))
    placed = spots.join(cells, on=["lat", "lon"], how="left")
    centres = (pl.col(name).first().alias(name[5:]) for name in ("cell_lat", "cell_lon"))
    known = placed.filter(pl.col("cell").is_not_null())
    locations = numbered(known.group_by(id="cell").agg(pl.col("key").min(), *centres))
    placed = placed.join(items.select(item="id", item_code="code"), on="item")
    placed = placed.join(locations.select(cell="id", location_code="code"), on="cell", how="left")

    at = placed.filter(pl.col("location_code").is_not_null()).group_by(source="item_code", target="location_code")
    at.agg(valid_from=pl.col("key").min() // ROWS).sort("source", "valid_from").write_parquet(
        out / "relations" / "at.parquet"
    )
    split = pl.when(pl.col("time") < t_val).then(0).when(pl.col("time") < t_test).then(1).otherwise(2).cast(pl.Int8)
    visits = part.filter(pl.col("session").is_not_null()).group_by("user", "session", split.alias("split"))
    visits = numbered(visits.agg(pl.col("key").min()).collect(engine="streaming"))
    coded = (
        events.with_columns(split=split)
        .join(users.lazy().select(user="id", user_code="code"), on="user")
        .join(placed.lazy().select("item", "lat", "lon", "item_code", "location_code"), on=["item", "lat", "lon"],
              nulls_equal=True)
        .join(visits.lazy().select("user", "session", "split", visit="code"), on=["user", "session", "split"],
              how="left")
    )  # fmt: skip
    coded.sort("key").select(
        user="user_code",
        item="item_code",
        location=pl.col("location_code").fill_null(-1),
        time="time",
        utc_offset="utc_offset",
        kind=pl.lit(0, pl.Int8),
        weight="weight",
        split="split",
        session=pl.col("visit").fill_null(-1),
    ).sink_parquet(out / "events.parquet", compression="snappy")

    nodes = {"user": users, "item": items, "location": locations}
    for kind, table in nodes.items():
        write_nodes(out / "nodes" / f"{kind}.parquet", table)
    where = (locations[name].to_numpy() for name in ("lat", "lon", "first_seen"))
    pq.write_table(near(*where), out / "relations" / "near.parquet")
    counts = {"events": count, **{kind: len(table) for kind, table in nodes.items()}}
    write_manifest(out, log, counts, t_val, t_test)
