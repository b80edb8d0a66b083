"""Whatever a log comes from and whatever is asked of it, through the whole build."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.append import append_to_graph
from builders.build import build_graph
from builders.mapping.column_mapping import ColumnMapping
from builders.text.vector_files import VectorsOption
from graphrec.errors import GraphrecError
from graphrec.graph.temporal_graph import TemporalGraph

DAY = 86_400
FIRST = 1_704_067_200  # 2024-01-01
HEADER = "user,item,time,latitude,longitude"
ROWS = [
    f"{user},{item},2024-01-0{day},{lat},{lon}"
    for day, (user, item, lat, lon) in enumerate(
        [
            ("annabel-lee", "bar", 40.70, -73.90),
            ("benjamin-button", "bar", 40.70, -73.90),
            ("annabel-lee", "tea", 40.75, -73.99),
            ("benjamin-button", "bar", 40.75, -73.99),
            ("annabel-lee", "zoo", 40.80, -73.80),
        ],
        start=1,
    )
]


def write(path: Path, rows: list[str] = ROWS, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def build(folder: Path, *files: str | Path, **options: Any) -> TemporalGraph:
    build_graph(files or [write(folder / "log.csv")], folder / "graph", **{"text_model": "none", **options})
    return TemporalGraph.open(folder / "graph")


def test_a_database_gives_the_graph_of_its_rows(tmp_path: Path) -> None:
    expected = build(tmp_path).manifest
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE visits (user, item, time, latitude REAL, longitude REAL)")
        connection.execute("CREATE TABLE other (a)")
        connection.executemany("INSERT INTO visits VALUES (?, ?, ?, ?, ?)", [row.split(",") for row in ROWS])
    connection.close()
    for query in ("visits", "SELECT * FROM visits ORDER BY time"):
        found = build(tmp_path, f"sqlite:///{tmp_path / 'shop.db'}", mapping={"query": query}).manifest
        assert found.hash == expected.hash
    with pytest.raises(GraphrecError, match="query: a database"):
        build(tmp_path, write(tmp_path / "log.csv"), mapping={"query": "visits"})


def test_an_address_gives_the_graph_of_its_file_and_grows(tmp_path: Path) -> None:
    expected = build(tmp_path).manifest
    store = fsspec.filesystem("memory")
    store.pipe("/origins/a.csv", write(tmp_path / "a.csv", ROWS[:3]).read_bytes())
    found = build(tmp_path, "memory://origins/*.csv")
    assert found.manifest.counts["events"] == 3
    store.pipe("/origins/b.csv", write(tmp_path / "b.csv", ROWS[3:]).read_bytes())
    assert append_to_graph(tmp_path / "graph", ["memory://origins/b.csv"]).counts == expected.counts
    assert [source["name"] for source in json.loads((tmp_path / "graph" / "manifest.json").read_text())["sources"]] == [
        "memory:///origins/a.csv", "memory:///origins/b.csv",
    ]  # fmt: skip


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for day, rows in (("monday", ROWS[:3]), ("tuesday", [*ROWS[3:], "cleo,bar,never,,"])):
        (tmp_path / day).mkdir()
        write(tmp_path / day / "log.csv", rows)
    graph = build(tmp_path, tmp_path / "*" / "log.csv", max_bad=0.5)
    assert [source.name for source in graph.manifest.sources] == ["monday/log.csv", "tuesday/log.csv"]
    [bad] = pq.read_table(tmp_path / "graph" / "quarantine.parquet").to_pylist()
    assert (bad["file"], bad["row"]) == ("tuesday/log.csv", 3)


def test_an_item_is_wherever_it_had_an_event(tmp_path: Path) -> None:
    graph = build(tmp_path, mapping={"h3_resolution": 8})
    at = graph.edges["at"]
    bar = at.source == graph.nodes["item"].code("bar")
    assert ((at.valid_from[bar] - FIRST) // DAY).tolist() == [0, 3]
    assert len(set(at.target[bar].tolist())) == 2


def test_filters_are_counted(tmp_path: Path) -> None:
    graph = build(tmp_path, mapping={"dates": ["2024-01-02", "2024-01-05"], "user_core": 2})
    assert graph.manifest.counts["events"] == 2
    assert graph.manifest.filtered == {"outside the dates": 2, "user with too few events": 1}


def test_a_log_without_times_is_a_split_a_second(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("0 10 11\n1 10\n")
    (tmp_path / "test.txt").write_text("0 12\n1\n")
    files = [tmp_path / "train.txt", tmp_path / "test.txt"]
    mapping = {"lists": True, "timeless": True, "columns": ["user", "item"], "split_by": "files"}
    graph = build(tmp_path, *files, mapping={**mapping, "user": "user", "item": "item"})
    assert graph.log.time.tolist() == [0, 0, 0, 2]
    assert graph.nodes["item"].first_seen.tolist() == [0, 0, 2]
    assert graph.log.split.tolist() == [0, 0, 0, 2]


def test_relations_of_a_mapping_beside_it(tmp_path: Path) -> None:
    ties = ["annabel-lee,benjamin-button,2024-01-03", "annabel-lee,nobody,2024-01-03"]
    write(tmp_path / "ties.csv", ties, "a,b,since")
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("relations:\n  friend: {file: ties.csv, both_ways: true}\n")
    graph = build(tmp_path, mapping=ColumnMapping.load(mapping))
    assert graph.manifest.relations["friend"] == ["user", "user"]
    assert sorted(zip(graph.edges["friend"].source.tolist(), graph.edges["friend"].target.tolist(), strict=True)) == [
        (0, 1), (1, 0),
    ]  # fmt: skip
    assert graph.manifest.quarantined == {"unknown user": 1}
    write(tmp_path / "more.csv", ["nobody,bar,2024-01-09,40.70,-73.90"])
    append_to_graph(tmp_path / "graph", [tmp_path / "more.csv"])
    grown = TemporalGraph.open(tmp_path / "graph")
    assert len(grown.edges["friend"].source) == 4
    assert grown.manifest.quarantined == {}


def test_given_vectors_outlive_an_append(tmp_path: Path) -> None:
    table = pa.table({"id": ["bar", "zoo"], "vector": [[3.0, 4.0], [1.0, 0.0]]})
    pq.write_table(table, tmp_path / "covers.parquet")
    graph = build(tmp_path, vectors=[VectorsOption("item", tmp_path / "covers.parquet")])
    expected = [[0.6, 0.8], [0, 0], [1, 0]]
    assert graph.nodes["item"].vectors is not None
    assert np.allclose(graph.nodes["item"].vectors.numpy(), expected, atol=1e-3)
    write(tmp_path / "more.csv", ["cleo,inn,2024-01-09,40.70,-73.90"])
    append_to_graph(tmp_path / "graph", [tmp_path / "more.csv"])
    vectors = TemporalGraph.open(tmp_path / "graph").nodes["item"].vectors
    assert vectors is not None
    assert np.allclose(vectors.numpy(), [*expected, [0, 0]], atol=1e-3)


def test_under_pseudonyms_no_file_names_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHREC_PSEUDONYM_KEY", "correct horse battery staple")
    users = tmp_path / "annabel-lee-users.csv"
    users.write_text("user,name,bio\nannabel-lee,Annabel,I am annabel-lee\n")
    log = write(tmp_path / "annabel-lee.csv", [*ROWS, "annabel-lee,bar,never,40.70,-73.90", "annabel-lee,too"])
    graph = build(tmp_path, log, users=users, max_bad=0.5, mapping={"privacy": "pseudonyms,coordinates=7,time=1d"})
    privacy = graph.manifest.privacy
    assert privacy["risk"]["before"]["users"] == privacy["risk"]["after"]["users"] == 2
    more = write(tmp_path / "benjamin-button.csv", ["benjamin-button,tea,2024-01-09,40.70,-73.90"])
    append_to_graph(tmp_path / "graph", [more])
    assert append_to_graph(tmp_path / "graph", [more]).counts["events"] == 6
    assert len(TemporalGraph.open(tmp_path / "graph").nodes["user"]) == 2
    for path in (path for path in (tmp_path / "graph").rglob("*") if path.is_file()):
        said = (
            str(pq.read_table(path).to_pydict()) if path.suffix == ".parquet" else path.read_bytes().decode("latin-1")
        )
        assert "annabel" not in said.lower() + path.name, path
        assert "benjamin" not in said.lower() + path.name, path
    monkeypatch.setenv("GRAPHREC_PSEUDONYM_KEY", "another key that is long enough")
    with pytest.raises(GraphrecError, match="set the key of the build"):
        append_to_graph(tmp_path / "graph", [write(tmp_path / "next.csv", ROWS[:1])])


def test_places_of_few_are_dropped_and_counted(tmp_path: Path) -> None:
    graph = build(tmp_path, mapping={"privacy": {"places": 2}, "h3_resolution": 8})
    assert graph.manifest.counts["events"] == 4
    assert graph.manifest.privacy["dropped"] == 1
    assert "zoo" not in graph.nodes["item"].ids.to_pylist()


def test_building_needs_no_torch() -> None:
    script = "import builders.build, builders.append, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
