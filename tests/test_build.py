"""From log files to a graph directory: codes, splits, places, tables of nodes, and never half a graph."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import h3.api.basic_int as h3
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from builders.assemble.event_codes import session_codes
from builders.assemble.near import MAX_NEIGHBOURS, near
from builders.assemble.places import RESOLUTIONS, choose_resolution
from builders.assemble.split import split_events
from builders.build import build_graph
from builders.mapping.column_mapping import ColumnMapping
from graphrec.errors import GraphrecError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MIN

LOG = """\
user,item,time,latitude,longitude
ben,tea,2024-01-02,40.75,-73.99
anna,bar,2024-01-01,40.70,-73.90
anna,tea,2024-01-02,40.75,-73.99
cleo,zoo,2024-01-05,,
anna,bar,2024-01-03,40.70,-73.90
"""
"""Rows out of order, two of one second, one without a place."""
FINE = {"h3_resolution": 8}
DAY = 86_400
FIRST = 1_704_067_200  # 2024-01-01


def build(folder: Path, text: str = LOG, **options: Any) -> TemporalGraph:
    log = folder / "log.csv"
    log.write_text(text)
    build_graph([log], folder / "graph", text_model="none", **options)
    return TemporalGraph.open(folder / "graph")


def table(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def ids(graph: TemporalGraph, kind: str) -> list[str]:
    found: list[str] = graph.nodes[kind].ids.to_pylist()
    return found


def test_codes_follow_the_first_events_in_time(tmp_path: Path) -> None:
    graph = build(tmp_path)
    assert ids(graph, "user") == ["anna", "ben", "cleo"]
    assert ids(graph, "item") == ["bar", "tea", "zoo"]
    assert graph.log.user.tolist() == [0, 1, 0, 0, 2]  # ben before anna on the second day, as in the log
    assert graph.log.item.tolist() == [0, 1, 1, 0, 2]
    assert ((graph.log.time - FIRST) // DAY).tolist() == [0, 1, 1, 2, 4]
    assert graph.log.location.tolist() == [0, 1, 1, 0, -1]


def test_a_node_of_the_log_is_known_from_its_first_event(tmp_path: Path) -> None:
    graph = build(tmp_path)
    assert ((graph.nodes["item"].first_seen - FIRST) // DAY).tolist() == [0, 1, 4]
    assert ((graph.nodes["location"].first_seen - FIRST) // DAY).tolist() == [0, 1]


def test_the_manifest_counts_what_is_there(tmp_path: Path) -> None:
    manifest = build(tmp_path, LOG + "dora,bar,never,40.7,-73.9\n", max_bad=0.2, mapping=FINE).manifest
    assert manifest.counts == {
        "events": 5, "user": 3, "item": 3, "location": 2, "train": 4, "val": 0, "test": 1,
    }  # fmt: skip
    assert manifest.time_span == (FIRST, FIRST + 4 * DAY)
    assert manifest.quarantined == {"unparsable time": 1}
    assert manifest.mapping["lat"] == "latitude"
    assert manifest.locations == {"method": "h3", "resolution": 8}
    assert [(source.name, source.rows) for source in manifest.sources] == [("log.csv", 6)]
    assert 0 < manifest.wall_seconds < 600
    assert manifest.peak_memory > 10_000_000
    assert pq.read_table(tmp_path / "graph" / "quarantine.parquet")["value"].to_pylist() == ["never"]


def test_cells_are_places_with_a_centre(tmp_path: Path) -> None:
    graph = build(tmp_path, mapping=FINE)
    centres = graph.nodes["location"].coordinates
    assert centres is not None
    assert np.abs(centres.numpy() - [[40.70, -73.90], [40.75, -73.99]]).max() < 0.01
    at = graph.edges["at"]
    assert (at.source.tolist(), at.target.tolist()) == ([0, 1], [0, 1])
    assert ((at.valid_from - FIRST) // DAY).tolist() == [0, 1]


def test_a_table_of_items_brings_text_labels_places_and_items_without_events(tmp_path: Path) -> None:
    items = table(
        tmp_path,
        "items.csv",
        "item_id,name,category,latitude,longitude\nnew,New,Inn|Pub,40.70,-73.90\ntea,Tea House,Café,40.70,-73.90\n",
    )
    graph = build(tmp_path, items=items)
    nodes = graph.nodes["item"]
    assert nodes.ids.to_pylist() == ["bar", "tea", "zoo", "new"]
    assert nodes.labels.to_pylist() == [None, "Tea House", None, "New"]
    assert nodes.texts.to_pylist() == [None, "Tea House. Café.", None, "New. Inn, Pub."]
    assert nodes.first_seen.tolist() == [FIRST, TIME_MIN, FIRST + 4 * DAY, TIME_MIN]
    assert nodes.coordinates is not None
    assert nodes.coordinates[1].tolist() == pytest.approx([40.70, -73.90])  # the table's, not the event's
    at = graph.edges["at"]
    assert (at.source.tolist(), at.target.tolist()) == ([0, 1, 3], [0, 0, 0])
    assert at.valid_from.tolist() == [FIRST, TIME_MIN, TIME_MIN]
    assert graph.nodes["location"].first_seen[0] == TIME_MIN


def test_a_log_without_coordinates_takes_those_of_its_items(tmp_path: Path) -> None:
    items = table(tmp_path, "items.csv", "id,lat,lon\ntea,40.75,-73.99\nbar,40.70,-73.90\n")
    log = "".join(",".join(line.split(",")[:3]) + "\n" for line in LOG.splitlines())
    graph = build(tmp_path, log, items=items)
    assert graph.log.location.tolist() == [0, 1, 1, 0, -1]


def test_the_logs_own_locations_with_a_table_of_them(tmp_path: Path) -> None:
    log = "user,item,time,location\na,x,1704067200,north\nb,y,1704067260,\nb,x,1704067320,south\n"
    places = table(
        tmp_path, "places.csv", "location_id,name,lat,lon\nsouth,Southside,40.70,-73.9\nwest,Westend,40.71,-73.9\n"
    )
    users = table(tmp_path, "people.csv", "user_id,name,occupation\nb,Ben,Baker of bread\n")
    graph = build(tmp_path, log, locations=places, users=users)
    assert ids(graph, "location") == ["north", "south", "west"]
    assert graph.nodes["location"].label(1) == "Southside"
    assert graph.manifest.locations["method"] == "log"
    near_edges = graph.edges["near"]
    assert (near_edges.source.tolist(), near_edges.target.tolist()) == ([1, 2], [2, 1])
    assert near_edges.metres is not None
    assert near_edges.metres.tolist() == pytest.approx([1112, 1112], abs=1)
    assert graph.nodes["user"].texts.to_pylist() == [None, "Ben. Baker of bread."]


def test_no_place_at_all(tmp_path: Path) -> None:
    graph = build(tmp_path, "user,item,time\na,x,1704067200\n")
    assert len(graph.nodes["location"]) == len(graph.edges["near"].source) == len(graph.edges["at"].source) == 0
    assert graph.log.location.tolist() == [-1]


def test_text_kind_weight_and_offset_come_from_the_log(tmp_path: Path) -> None:
    log = (
        "user,item,time,category,action,rating,utc_offset\n"
        "a,x,1704067200,Tea house,view,,-300\na,x,1704067300,Bar,buy,2.5,60\na,y,1704067400,,view,1,\n"
    )
    graph = build(tmp_path, log)
    assert graph.nodes["item"].texts.to_pylist() == ["Tea house", None]  # as its first event says
    assert graph.manifest.kinds == ["view", "buy"]
    assert graph.log.kind.tolist() == [0, 1, 0]
    assert graph.log.weight.tolist() == [1.0, 2.5, 1.0]
    assert graph.log.utc_offset.tolist() == [-300, 60, 0]


FORMATS = ("csv", "tsv.gz", "jsonl", "parquet")


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_same_graph(form: str, tmp_path: Path) -> None:
    rows = [line.split(",") for line in LOG.splitlines()]
    columns = {name: [row[place] or None for row in rows[1:]] for place, name in enumerate(rows[0])}
    path = tmp_path / f"other.{form}"
    if form == "parquet":
        pq.write_table(pa.table(columns), path)
    elif form == "jsonl":
        path.write_text("".join(json.dumps(dict(zip(rows[0], row, strict=True))) + "\n" for row in rows[1:]))
    else:
        text = "\n".join((LOG.replace(",", "\t") if form == "tsv.gz" else LOG).splitlines())
        path.write_bytes(gzip.compress(text.encode()) if form == "tsv.gz" else text.encode())
    manifest = build_graph([path], tmp_path / "other", text_model="none")
    assert manifest.hash == build(tmp_path).manifest.hash


def test_the_hash_tells_other_data_apart(tmp_path: Path) -> None:
    assert build(tmp_path).manifest.hash != build(tmp_path, LOG.replace("bar", "inn")).manifest.hash


def test_random_logs_are_encoded_as_a_slow_reference_does(tmp_path: Path) -> None:
    rng = random.Random()  # a fresh seed each time
    rows = [
        (f"u{rng.randrange(9)}", f"i{rng.randrange(20)}", rng.randrange(50), f"s{rng.randrange(4)}") for _ in range(200)
    ]
    rows = list(dict.fromkeys(rows))
    log = "user,item,time,session\n" + "".join(f"{u},{i},{1_704_067_200 + t},{s}\n" for u, i, t, s in rows)
    graph = build(tmp_path, log)
    ordered = sorted(rows, key=lambda row: row[2])
    users, items = (list(dict.fromkeys(row[place] for row in ordered)) for place in (0, 1))
    assert (ids(graph, "user"), ids(graph, "item")) == (users, items)
    assert graph.log.user.tolist() == [users.index(row[0]) for row in ordered]
    assert graph.log.item.tolist() == [items.index(row[1]) for row in ordered]
    parts = [(split, row[0], row[3]) for split, row in zip(graph.log.split.tolist(), ordered, strict=True)]
    assert graph.log.session.tolist() == [list(dict.fromkeys(parts)).index(part) for part in parts]
    for earlier, later in ((0, 1), (0, 2), (1, 2)):
        before, after = (graph.log.time[graph.log.split == code] for code in (earlier, later))
        assert not len(before) or not len(after) or before.max() < after.min()


def split(mapping: dict[str, Any], time: list[int], **columns: Any) -> tuple[list[int], Any, Any]:
    n = len(time)
    given = {name: np.array(columns.get(name, [0] * n)) for name in ("user", "file", "column")}
    given["row"] = np.arange(1, n + 1)
    codes, about = split_events(
        ColumnMapping.of(mapping), np.array(time), **given, names=columns.get("names", ["log.csv"])
    )
    return codes.tolist(), about["t_val"], about["t_test"]


def test_splits() -> None:
    assert split({}, list(range(10))) == ([0] * 8 + [1, 2], 8, 9)
    assert split({}, [1] * 7 + [8, 8, 8]) == ([0] * 7 + [2, 2, 2], 8, 8)  # a second is never cut
    assert split({}, [5, 5, 5]) == ([0, 0, 0], 6, 6)
    assert split({"split_fractions": [0.5, 0.5, 0]}, [1, 2, 3, 4]) == ([0, 0, 1, 1], 3, 5)
    assert split({"split_dates": ["1970-01-02", "1970-01-03"]}, [0, DAY, 2 * DAY]) == ([0, 1, 2], DAY, 2 * DAY)
    assert split({"split_by": "user"}, list(range(20)), user=[0, 1] * 10) == ([0] * 16 + [2] * 4, 16, 16)
    assert split({"split_by": "user"}, list(range(13)), user=[0] * 13)[0] == [0] * 10 + [1] + [2, 2]
    assert split({"split": "s"}, [1, 2, 3, 4], column=[0, 0, 1, 2]) == ([0, 0, 1, 2], 3, 4)
    assert split({"split": "s"}, [1, 2, 3, 4], column=[0, 1, 0, 2]) == ([0, 1, 0, 2], None, 4)
    assert split({"split": "s", "val_from_train": 0.5}, [1, 2, 3], column=[0, 0, 2]) == ([0, 1, 2], 2, 3)
    names = ["my_test.csv", "my_train.csv"]
    assert split({"split_by": "files"}, [1, 2], file=[1, 0], names=names) == ([0, 2], 2, 2)


def test_files_that_are_no_splits_are_refused() -> None:
    with pytest.raises(GraphrecError, match="names with train, val and test"):
        split({"split_by": "files"}, [1, 2], file=[0, 1], names=["monday.csv", "tuesday.csv"])


def test_a_session_lies_in_one_split() -> None:
    user, session, split = (
        np.array(column) for column in ([0, 0, 3, 1, 0, 1], [4, 4, -1, 4, 4, 0], [0, 0, 0, 0, 2, 0])
    )
    assert session_codes(user, session, split).tolist() == [0, 0, -1, 1, 2, 3]
    assert session_codes(user[:0], session[:0], split[:0]).tolist() == []


def test_cells_are_as_fine_as_they_stay_full(tmp_path: Path) -> None:
    spread = [(40.7 + 0.01 * (place % 10), -73.9 + 0.01 * (place // 10), 100) for place in range(100)]
    lat, lon, events = (list(column) for column in zip(*spread, strict=True))
    points = pa.table({"lat": lat, "lon": lon, "events": events})
    cells = {
        resolution: len({h3.latlng_to_cell(*pair, resolution) for pair in zip(lat, lon, strict=True)})
        for resolution in RESOLUTIONS
    }
    for wanted in (1, 100, 200, 1000, 10_000):
        full = [resolution for resolution, count in cells.items() if wanted * count <= 10_000]
        assert choose_resolution(points, wanted) == max(full, default=min(RESOLUTIONS))
    with_parents = build(tmp_path, mapping={"h3_events_per_cell": 3}).manifest
    assert with_parents.mapping["h3_resolution"] == with_parents.locations["resolution"] == min(RESOLUTIONS)


def test_near_equals_a_slow_reference() -> None:
    rng = np.random.default_rng()
    lat, lon = rng.normal(40.7, 0.05, 60), rng.normal(-74, 0.05, 60)
    lat[:8], lon[:8] = 40.7, -74.0  # more at one point than a location has neighbours
    lat[59] = np.nan
    first_seen = rng.integers(0, 40, 60)
    found = near(lat, lon, first_seen)
    phi, theta = np.radians(lat), np.radians(lon)
    half = (
        np.sin((phi[:, None] - phi) / 2) ** 2
        + np.cos(phi)[:, None] * np.cos(phi) * np.sin((theta[:, None] - theta) / 2) ** 2
    )
    metres = 2 * 6_371_008.8 * np.arcsin(np.sqrt(half))
    np.fill_diagonal(metres, np.nan)
    for time in (*range(0, 41, 4), 100):
        for source in range(60):
            within = metres[source][(metres[source] <= 5_000) & (first_seen < time)]
            edges = found.filter((pc.field("source") == source) & (pc.field("valid_from") < time))
            assert source not in edges["target"].to_pylist()
            np.testing.assert_allclose(
                np.sort(edges["metres"])[:MAX_NEIGHBOURS], np.sort(within)[:MAX_NEIGHBOURS], atol=0.5
            )


BROKEN = {
    "a broken log": ("user,item,time\n", {}, "a header but no row"),
    "a wrong time": ("user,item,time\na,b,soon\n", {}, "mostly: unparsable time"),
    "a wrong column": (LOG, {"mapping": {"user": "usr"}}, "no column 'usr', did you mean 'user'"),
    "a wrong template": (LOG, {"mapping": {"item_text": "{nme}"}}, "item_text: .* has no column 'nme'"),
    "a wrong preset": (LOG, {"preset": "nyc"}, "preset 'nyc' is unknown"),
    "no split column": (LOG, {"mapping": {"split_by": "column"}}, "a 'split' column expected"),
    "a pattern that is none": (LOG, {"mapping": {"time_format": "%Q"}}, "."),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_build_that_fails_leaves_what_was_there(name: str, tmp_path: Path) -> None:
    text, options, words = BROKEN[name]
    with pytest.raises(GraphrecError, match=words) as caught:
        build(tmp_path, text, **options)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]
    before = build(tmp_path).manifest
    with pytest.raises(GraphrecError):
        build(tmp_path, text, **options)
    assert TemporalGraph.open(tmp_path / "graph").manifest == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph", "log.csv"]


def test_a_graph_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    build(tmp_path)
    assert len(build(tmp_path, "user,item,time\na,x,1704067200\n").log) == 1
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.txt").write_text("years of work")
    for target, words in (("papers", "holds other files"), ("log.csv", "there is a file")):
        with pytest.raises(GraphrecError, match=words):
            build_graph([tmp_path / "log.csv"], tmp_path / target, text_model="none")
    assert (tmp_path / "papers" / "thesis.txt").read_text() == "years of work"


TABLES = {
    "foreign": ("item_id,name\nq,Q\nr,R\n", "not one item of the log is in column 'item_id'"),
    "without an id": ("colour,size\nred,1\nblue,2\n", "no column looks like the item's id; it has colour, size"),
    "empty": ("", "the file is empty"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_does_not_fit_is_refused(name: str, tmp_path: Path) -> None:
    text, words = TABLES[name]
    with pytest.raises(GraphrecError, match=words):
        build(tmp_path, items=table(tmp_path, "items.csv", text))


def test_rows_of_a_table_are_set_aside_too(tmp_path: Path) -> None:
    items = table(tmp_path, "items.csv", "id,name,lat,lon\ntea,Tea,99,100\nbar,Bar,1,1\nbar,Other,2,2\n,None,3,3\n")
    graph = build(tmp_path, items=items)
    assert graph.manifest.quarantined == {
        "latitude out of range": 1, "missing id": 1, "id is listed twice": 1,
    }  # fmt: skip
    assert graph.nodes["item"].labels.to_pylist() == ["Bar", None, None]


def test_a_table_of_locations_needs_locations(tmp_path: Path) -> None:
    with pytest.raises(GraphrecError, match="needs a column of the log with their ids"):
        build(tmp_path, locations=table(tmp_path, "places.csv", "id,name\na,A\n"))


def test_val_of_a_log_without_times_is_drawn_from_each_users_events(tmp_path: Path) -> None:
    """It lies after train and before test, hits each user alike but never their first, and stays when the log grows."""
    mapping = {"lists": True, "timeless": True, "columns": ["user", "item"], "user": "user", "item": "item"}
    mapping |= {"split_by": "files", "val_from_train": 0.2}
    train, test = tmp_path / "train.txt", tmp_path / "test.txt"
    train.write_text("".join(f"{user} {' '.join(str(user + n) for n in range(40))}\n" for user in range(50)))
    test.write_text("".join(f"{user} 999\n" for user in range(50)))
    build_graph([train, test], tmp_path / "graph", text_model="none", mapping=mapping)
    log = TemporalGraph.open(tmp_path / "graph").log
    assert torch.equal(log.time, log.split.long())
    val = log.split == 1
    assert 0.17 < val.sum() / (log.split < 2).sum() < 0.23
    of_user = torch.bincount(log.user[val].long())
    assert (int(of_user.min()), int(of_user.max())) >= (6, 8)
    assert int(of_user.max()) <= 10
    train.write_text(train.read_text() + "77 1 2 3 4 5 6 7\n")
    build_graph([train, test], tmp_path / "grown", text_model="none", mapping=mapping)
    grown = TemporalGraph.open(tmp_path / "grown").log
    drawn, now = (set((one.user * 10_000 + one.item)[one.split == 1].tolist()) for one in (log, grown))
    assert drawn <= now
