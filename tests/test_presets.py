"""Logs that are known by name: small files in their very format, and the real ones where they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from builders.graph import build_graph
from builders.presets import find_files, load_preset, presets
from graphrec.errors import GraphrecError
from graphrec.graph import TemporalGraph
from graphrec.protocol import Protocol


def build(folder: Path, name: str, files: list[Path] | None = None) -> tuple[dict[str, Any], TemporalGraph]:
    manifest = build_graph(files or [folder], folder / "graph", preset=name, text_model="none")
    return manifest, TemporalGraph.open(folder / "graph")


def test_foursquare(tmp_path: Path) -> None:
    rows = [
        ("470", "49bbd6c0f964a520f4531fe3", "4bf58dd8d48988d127951735", "Café", "40.719810", "-74.002581", "-240"),
        (
            "979",
            "4a43c0aef964a520c6a61fe3",
            "4bf58dd8d48988d1df941735",
            'Bridge "old"',
            "40.606799",
            "-74.044169",
            "-240",
        ),
    ]
    times = ("Tue Apr 03 18:00:09 +0000 2012", "Tue Apr 03 18:00:25 +0000 2012")
    text = "".join("\t".join((*row, time)) + "\n" for row, time in zip(rows, times, strict=True))
    (tmp_path / "dataset_TSMC2014_NYC.txt").write_bytes(text.encode("latin-1"))
    manifest, graph = build(tmp_path, "foursquare-tsmc")
    assert graph.nodes["user"].ids.to_pylist() == ["470", "979"]
    assert graph.nodes["item"].texts.to_pylist() == ["Café", 'Bridge "old"']
    assert graph.log.time.tolist() == [1333476009, 1333476025]
    assert graph.log.utc_offset.tolist() == [-240, -240]
    assert manifest["kinds"] == ["check-in"]
    (tmp_path / "mine.txt").write_bytes(text.encode("latin-1"))
    assert len(build(tmp_path, "foursquare-tsmc", [tmp_path / "mine.txt"])[1].log) == 2  # a single log has any name


def write_getnext(folder: Path) -> None:
    header = "user_id,POI_id,POI_catname,latitude,longitude,timezone,UTC_time,trajectory_id\n"
    for month, name in enumerate(("train", "val", "test"), start=1):
        rows = [f"1,p{day},Bar,40.7,-73.9,-300,2012-0{month}-0{day} 10:00:00+00:00,1_{month}\n" for day in (1, 2, 3)]
        (folder / f"NYC_{name}.csv").write_text(header + "".join(rows))
    (folder / "venues.csv").write_text("venue_id,name,category,description\np1,Joe's,Bar,A bar\np2,Ann's,Café,A café\n")


def test_getnext(tmp_path: Path) -> None:
    write_getnext(tmp_path)
    manifest, graph = build(tmp_path, "nyc-getnext")
    assert graph.log.split.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert graph.nodes["item"].texts.to_pylist() == ["Joe's. Bar.", "Ann's. Café.", "Bar"]
    assert (manifest["split"]["t_val"], manifest["split"]["t_test"]) == (1328090400, 1330596000)
    protocol = Protocol(**manifest["protocol"])
    assert protocol.target_rows(graph, "test").tolist() == [8]
    assert protocol.training_rows(graph).tolist() == [0, 1, 2]


def test_the_files_of_a_split_are_known_by_name_whatever_their_order(tmp_path: Path) -> None:
    write_getnext(tmp_path)
    files = [tmp_path / f"NYC_{name}.csv" for name in ("test", "val", "train")]
    found = find_files("nyc-getnext", files)
    assert [path.name for path in found.logs] == ["NYC_train.csv", "NYC_val.csv", "NYC_test.csv"]
    assert found.items == tmp_path / "venues.csv"
    with pytest.raises(GraphrecError, match=r"NYC_train.csv, .* expected, got NYC_test.csv"):
        find_files("nyc-getnext", files[:1])


def test_chrono(tmp_path: Path) -> None:
    rows = [f"0,{i % 3},Bar,40.7,-73.9,{1333909229 + i},1_{i // 5},T{i // 20}\n" for i in range(30)]
    (tmp_path / "checkins.csv").write_text("user_idx,poi_idx,cat,lat,lon,unix_s,traj_id,block\n" + "".join(rows))
    graph = build(tmp_path, "nyc-chrono")[1]
    assert graph.log.split.tolist() == [0] * 18 + [1] * 2 + [2] * 10


MOVIELENS = {
    "latest": {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n1,10,4.0,1260759179\n",
        "movies.csv": "movieId,title,genres\n31,Dangerous Minds (1995),Drama|Crime\n5,Heat,Action\n",
        "tags.csv": "userId,movieId,tag,timestamp\n1,31,school,1260759144\n",
    },
    "1m": {
        "ratings.dat": "1::31::2.5::1260759144\n1::10::4::1260759179\n",
        "movies.dat": "31::Dangerous Minds (1995)::Drama|Crime\n5::Heat::Action\n",
    },
    "100k": {
        "u.data": "1\t31\t2.5\t1260759144\n1\t10\t4\t1260759179\n",
        "u.item": "31|Dangerous Minds (1995)|01-Jan-1995||http|0|0|0|0|0|0|1|0|1|0|0|0|0|0|0|0|0|0|0\n"
        "5|Heat|01-Jan-1995||http|0|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n",
    },
}


@pytest.mark.parametrize("edition", MOVIELENS)
def test_movielens(edition: str, tmp_path: Path) -> None:
    for name, text in MOVIELENS[edition].items():
        (tmp_path / name).write_text(text)
    manifest, graph = build(tmp_path, "movielens")
    assert graph.nodes["item"].ids.to_pylist() == ["31", "10", "5"]
    assert graph.nodes["item"].labels.to_pylist() == ["Dangerous Minds (1995)", None, "Heat"]
    genres = "Crime Drama" if edition == "100k" else "Drama, Crime."
    assert graph.nodes["item"].texts.to_pylist()[0] == f"Dangerous Minds (1995). {genres}"
    assert graph.log.weight.tolist() == [2.5, 4.0]
    assert manifest["protocol"]["novel"]


def test_phoenix(tmp_path: Path) -> None:
    (tmp_path / "data_PHO.csv").write_text(
        "Location_id,POI_id,User_id,TimeStamp,Zone,Latitude,Longitude,Category\n"
        "1275,77,8,Mon Jun 03 15:03:41 +0000 2013,-420,33.434071,-111.994311,Bakery\n"
    )
    graph = build(tmp_path, "phoenix-malls")[1]
    assert [graph.nodes[kind].ids.to_pylist() for kind in ("user", "item", "location")] == [["8"], ["1275"], ["77"]]
    assert graph.log.time.tolist() == [1370271821]


def test_a_key_of_ones_own_goes_before_the_presets(tmp_path: Path) -> None:
    write_getnext(tmp_path)
    mapping = {"split_by": "time", "h3_resolution": 5}
    manifest = build_graph([tmp_path], tmp_path / "graph", preset="nyc-getnext", mapping=mapping, text_model="none")
    assert manifest["split"]["method"] == "time"
    assert manifest["locations"]["resolution"] == 5


def test_presets_are_listed_when_one_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(GraphrecError, match=r"did you mean 'movielens'\?; there are foursquare-tsmc, "):
        load_preset("movie-lens")
    with pytest.raises(GraphrecError, match=r"files named .* expected, got an empty folder"):
        find_files("movielens", [tmp_path])
    assert all(preset.about and len(preset.forms) for preset in presets().values())


REAL = {
    "nyc-getnext": ("nyc-getnext", {"events": 104_850, "user": 1_075, "item": 5_134}, {"val": 1_410, "test": 1_348}),
    "nyc-chrono": ("nyc-chrono", {"events": 113_344, "user": 1_082, "item": 4_988}, {}),
    "movielens": ("ml-latest-small", {"events": 100_004, "user": 671, "item": 9_125, "location": 0}, {}),
    "phoenix-malls": ("phoenix-malls", {"events": 22_610, "user": 1_623, "item": 3_413, "location": 2_441}, {}),
}


@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_real_logs_have_their_known_counts(name: str, tmp_path: Path) -> None:
    folder, counts, targets = REAL[name]
    root = os.environ.get("GRAPHREC_DATA")
    if root is None or not (Path(root) / folder).is_dir():
        pytest.skip(f"GRAPHREC_DATA does not lead to a folder with {folder}")
    manifest = build_graph([Path(root) / folder], tmp_path / "graph", preset=name, text_model="none")
    assert {key: manifest["counts"][key] for key in counts} == counts
    graph, protocol = TemporalGraph.open(tmp_path / "graph"), Protocol(**manifest["protocol"])
    assert {split: len(protocol.target_rows(graph, split)) for split in targets} == targets
