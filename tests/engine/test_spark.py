"""Spark against DuckDB: the same logs make the same graphs, row for row."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks.build_log import MAPPING, write_log
from builders.append import append_to_graph
from builders.build import build_graph
from builders.engine.backend import Engine
from builders.engine.connect import connect
from builders.engine.duckdb_scan import json_valid
from builders.ingest.row_checks import number
from builders.mapping.timestamps import FORMATS, to_seconds
from builders.sources.source import Layout, detect_source
from graphrec.errors import ConfigError, InputError

SPARK = "local[2]"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),  # of py4j
]

HEADER = "user,item,time,lat,lon,kind,stars"
CLEAN = """\
ben,tea,2024-01-02 10:00:00,40.75,-73.99,visit,3
anna,bar,2024-01-01T09:00:00Z,40.70,-73.90,visit,
anna,tea,2024-01-02 10:00:00,40.75,-73.99,buy,4.5
cleo,zoo,2024-01-05,,,visit,1e0
anna,bar,2024-01-03 08:00:00+02,40.70,-73.90,visit,2
ben,bar,2024/1/4 7:5:3,40.70,-73.90,visit,5
"""
BROKEN = '''\
ben,tea,2024-01-02 10:00:00,40.75,-73.99,visit,3
,bar,2024-01-02,40.7,-73.9,visit,1
dora,,2024-01-02,40.7,-73.9,visit,1
dora,bar,never,40.7,-73.9,visit,1
dora,bar,1802-01-01,40.7,-73.9,visit,1
dora,bar,2024-01-02,95.5,-73.9,visit,1

dora,bar,2024-01-02,-73.9,140.7,visit,1
dora,bar,2024-01-02,-73.9,40.7,visit,1
dora,bar,2024-01-02,40.7,,visit,1
dora,bar,2024-01-02,0,0,visit,1
dora,bar,2024-01-02,n/k,E3,visit,1
dora,bar,2024-01-02,40.7,-73.9,visit,0x1p3
dora,bar,2024-01-02,40.7,-73.9
dora,bar,2024-01-02,40.7,-73.9,visit,1,too,many
"fay ""f""","tea, green",2024-01-06,40.7,-73.9,visit, "2"
dora,"ba"r,2024-01-02,40.7,-73.9,visit,1
 gil ,\\N,2024-01-02,40.7,-73.9,visit,1
gil,tea,2024-01-08T00:00:00Z,40.7,-73.9,visit,1
'''
LINES = [
    {"user": "hana", "item": "tea", "time": "2024-01-07T10:00:00Z", "lat": 40.7001, "lon": -73.9, "stars": 2.50},
    {"user": 7, "item": "bar", "time": "2024-01-07T11:00:00Z", "lat": None, "kind": "buy", "stars": float("nan")},
    {"user": {"id": 7}, "item": "bar", "time": "2024-01-07T12:00:00Z"},
    {"user": "[hana", "item": "b\u00e4r", "time": "2024-01-07T13:00:00Z"},
]


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for all tests: it takes ten seconds to start."""
    sql = pytest.importorskip("pyspark.sql", reason="Spark is not installed: pip install 'graphrec[spark]'")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, and there is no 'java' here")
    yield
    running = sql.SparkSession.getActiveSession()
    if running is not None:
        running.stop()


@pytest.fixture(scope="module")
def engines(session: None, tmp_path_factory: pytest.TempPathFactory) -> list[Engine]:
    return [connect(tmp_path_factory.mktemp("scratch"), name) for name in ("duckdb", SPARK)]


def graphs(folder: Path, files: list[Path], **options: Any) -> list[Path]:
    """The graphs that DuckDB and Spark build."""
    found = [folder / "duckdb", folder / "spark"]
    for out, engine in zip(found, ("duckdb", SPARK), strict=True):
        build_graph(files, out, text_model="none", engine=engine, max_bad=0.99, **options)
    return found


def assert_same(ours: Path, theirs: Path) -> None:
    """Every table of two graphs is the same; of log parts the usable rows, all but their hash."""
    names = [sorted(str(file.relative_to(root)) for file in root.rglob("*.parquet")) for root in (ours, theirs)]
    assert names[0] == names[1]
    for name in names[0]:
        one, other = (pq.read_table(root / name) for root in (ours, theirs))
        if "content" in one.column_names:
            assert one["failed"].to_pylist() == other["failed"].to_pylist()
            one, other = (part.filter(pc.is_null(part["failed"])).drop("content") for part in (one, other))
        if name == "quarantine.parquet":
            order = [(column, "ascending") for column in ("file", "row", "reason")]
            one, other = one.sort_by(order), other.sort_by(order)
        assert one.schema == other.schema or name.startswith("log/"), name
        assert one.to_pylist() == other.to_pylist(), name
    hashes = [json.loads((root / "manifest.json").read_text())["hash"] for root in (ours, theirs)]
    assert hashes[0] == hashes[1]


def test_every_kind_of_file_and_of_bad_row(tmp_path: Path) -> None:
    files = {
        "a.csv": "\ufeff" + HEADER + "\n" + CLEAN + BROKEN,
        "b.csv": HEADER.replace(",", "\t") + "\r\n" + CLEAN.replace(",", "\t").replace("\n", "\r\n"),
        "d.csv": HEADER + '\nivo,"two\nlines",2024-01-09,40.7,-73.9,visit,1\nivo,tea\nivo,bar,2024-01-09,,,visit,\n',
        "e.jsonl": "\n".join([json.dumps(line) for line in LINES] + ["", "{user: 1}", '{"user": 1} x', "[1]"]) + "\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress((HEADER + "\n" + CLEAN).encode()))
    rows = {
        "user": ["kim", "lea"],
        "item": ["tea", None],
        "time": pa.array([1_704_100_000, 1_704_200_000], pa.timestamp("s", "UTC")),
        "lat": [40.70005, 1e-5],
        "lon": [-73.9, 12345678.5],
        "kind": pa.array([1, None], pa.int32()),
        "stars": [True, None],
    }
    pq.write_table(pa.table(rows), tmp_path / "f.parquet")
    given = {"user": "user", "item": "item", "time": "time", "lat": "lat", "lon": "lon", "kind": "kind"}
    paths = [tmp_path / name for name in ("a.csv", "b.csv", "c.csv.gz", "d.csv", "f.parquet")]
    assert_same(*graphs(tmp_path / "tables", paths, mapping={**given, "weight": "stars", "text": "item"}))
    assert_same(*graphs(tmp_path / "lines", [tmp_path / "e.jsonl"], mapping={**given, "h3_resolution": 9}))


def test_tables_filters_and_sessions(tmp_path: Path) -> None:
    visits = [(f"u{n % 7}", f"i{n * n % 11}", f"p{n % 4}", 1_700_000_000 + 5000 * (n * 7 % 90)) for n in range(90)]
    (tmp_path / "log.csv").write_text("user,item,place,time\n" + "".join(f"{u},{i},{p},{t}\n" for u, i, p, t in visits))
    (tmp_path / "items.csv").write_text(
        "item,title,genre,place\ni0,Tea|Pot,,p1\ni4,Bar,Fun,p2\ni4,Bar,Fun,p3\ni5,Zoo,Out,p9\ni5,Zoo,Out,p9\nnew,New,,\n,x,,\n"
    )
    (tmp_path / "places.csv").write_text("id,name,lat,lon\np1,One,40.7,-73.9\np2,Two,40.71,-73.9\np3,Three,x,2\n")
    (tmp_path / "friends.csv").write_text("user,friend,since\nu1,u2,2023-11-14\nu2,nobody,\nu3,u4,soon\n")
    mapping = {
        "user": "user",
        "item": "item",
        "time": "time",
        "location": "place",
        "item_text": "{title}. {genre}.",
        "session_gap": 12,
        "least_session": 2,
        "user_core": 5,
        "collapse_repeats": True,
        "relations": {"friend": {"file": str(tmp_path / "friends.csv"), "source": "user", "target": "user"}},
    }
    tables = {"items": tmp_path / "items.csv", "locations": tmp_path / "places.csv"}
    assert_same(*graphs(tmp_path, [tmp_path / "log.csv"], mapping=mapping, **tables))


def test_duckdb_appends_to_what_spark_built(tmp_path: Path) -> None:
    more = CLEAN.splitlines()[0] + "\nzoe,tea,2024-02-01,40.7,-73.9,visit,\n"
    for name, text in (("one.csv", CLEAN), ("two.csv", more)):
        (tmp_path / name).write_text(f"{HEADER}\n{text}")
    ours, theirs = graphs(tmp_path, [tmp_path / "one.csv"])
    manifests = [append_to_graph(graph, [tmp_path / "two.csv"], max_bad=0.9) for graph in (ours, theirs)]
    assert_same(ours, theirs)
    assert [manifest.quarantined for manifest in manifests] == [{"duplicate row": 1}] * 2
    (tmp_path / "three.csv").write_text(f"{HEADER}\nyan,tea,2024-02-02,40.7,-73.9,visit,\n")
    append_to_graph(theirs, [tmp_path / "three.csv"], engine=SPARK)
    with pytest.raises(ConfigError, match="append with 'duckdb'"):
        append_to_graph(ours, [tmp_path / "three.csv"], engine=SPARK)


TIMES = [
    "2024-01-02", "2024-1-2", "2024/01/02", "2024/1-2", "2024-01-02T10:00", "2024-01-02T10:00:00Z",
    "2024-01-02T10:00:00+0530", "2024", "2024-01", "2024-01-02T10:00:00.1239999", "2024-01-02T10:00:00.", "99-01-01",
    "2024-02-30", "2024-01-02Z", "T10:00", "20240102", "2024-01-02T10:00Z", "2024-01-02T",
    "2024-01-02T10:00:00.123+00:00", "1704189600", "1704189600.5", "1704189600000", "1.7e9", "12", "x",
    "24/Sep/2012:10:00:00", "2024-01-02 10", "2024-01-02 10:5:7", "2024-01-02 10:00:00+05",
    "2024-01-02 10:00:00 +05:30", "2024 01 02", "2024-01-02 10:00:00 UTC", "2024-01-02 10:00:00 America/New_York",
    " 2024-01-02 ", "2024-01-02  10:00:00", "2024-01-02 23:59:60", "2024-01-02 10:00:00-5", "3/4/2024 9:05",
    "03/04/2024 09:05", "13/4/2024 09:05:01", "31/2/2024 10:00", "Mon Sep 24 10:00:00 +0000 2012",
    "Tue Sep 24 10:00:00 +0530 2012", "24.9.2012 1:2:3", "4/13/2024 09:05:01", "4/13/2024 9:5", "24.9.2012 1:2",
    "24-9-2012 +05", "24/Sep/2012:10:00:00 +02:00", "24/9/2012 10:00 x", "Tue, 24 Sep 2012 10:00:00 -0700",
]  # fmt: skip
NUMBERS = [
    "1d", "1f", "1_0", "1__0", "_1", "0x1p3", "1.", ".5", "+1", "--1", "1e5", "1E+5", "1e", "inf", "-Infinity", "NaN",
    "infin", "1,5", "true", "+-1", "1e400", "$1", "-", ".", "1e-3",
]  # fmt: skip
DOCUMENTS = [
    '{"a":1}', '{"a":1} x', "{a:1}", "{'a':1}", '{"a":NaN}', '{"a":01}', '{"a":"\t"}', "", '{"a":1}}', "[1]", "1", "x",
    '{"a":-Infinity}', '{"a":1},{"b":2}', '{"a":1,"a":2}', '{"a":1}]', '{"a":1},"b":2', '{"a":"\\x"}',
]  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
def test_times_are_read_alike(engines: list[Engine], form: str) -> None:
    found = []
    for engine in engines:
        table = engine.create_table("times", pa.table({"place": range(len(TIMES)), "text": TIMES}))
        rows = engine.to_pyarrow(table.select("place", "text", seconds=to_seconds(table.text, form)).order_by("place"))
        found.append(dict(zip(rows["text"].to_pylist(), rows["seconds"].to_pylist(), strict=True)))
    assert found[0] == found[1]
    assert any(found[0].values())


def test_numbers_and_json_are_read_alike(engines: list[Engine]) -> None:
    found = []
    for engine in engines:
        numbers = engine.create_table("numbers", pa.table({"text": [*NUMBERS, " 1 ", "1\t", None]}))
        documents = engine.create_table("documents", pa.table({"text": [*DOCUMENTS, None]}))
        both = numbers.mutate(value=number(numbers.text)), documents.mutate(value=json_valid(documents.text))
        rows = [row for table in both for row in engine.to_pyarrow(table).to_pylist()]
        found.append(sorted((str(row["text"]), str(row["value"])) for row in rows))
    assert found[0] == found[1]


def test_lines_keep_their_order_over_pieces(engines: list[Engine], tmp_path: Path) -> None:
    rows = [f"u{n},i{n},{n}" if n % 100 else "short" for n in range(3000)]
    log = tmp_path / "log.csv"
    log.write_text("user,item,time\n" + "\n".join(rows) + "\n")
    engine = engines[1]
    engine.run("SET spark.sql.files.maxPartitionBytes = 5000")
    try:
        source = detect_source(log, Layout(), tmp_path)
        table, _ = engine.scan(source, "pieces")
        engine.materialise("pieces_kept", table, tmp_path / "part.parquet")
        rejected = engine.rejects(source)
    finally:
        engine.run("RESET spark.sql.files.maxPartitionBytes")
    assert pq.read_table(tmp_path / "part.parquet")["c2"].to_pylist() == [str(n) for n in range(3000) if n % 100]
    assert rejected is not None
    assert rejected["line"].to_pylist() == [n + 2 for n in range(0, 3000, 100)]


def test_errors_are_one_line(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(f'{HEADER}\n{CLEAN}ben,"tea,2024-01-02,1,1,visit,1\n{CLEAN}')
    with pytest.raises(InputError, match="a quote in row 7 is never closed"):
        build_graph([log], tmp_path / "graph", text_model="none", engine=SPARK)
    with pytest.raises(ConfigError, match="a Spark master such as"):
        build_graph([log], tmp_path / "graph", text_model="none", engine="hadoop")
    log.write_text(f"{HEADER}\n{CLEAN}")
    with pytest.raises(ConfigError, match="anonymization needs DuckDB"):
        build_graph([log], tmp_path / "graph", text_model="none", engine=SPARK, mapping={"privacy": {"time": "1h"}})


def test_a_million_rows(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    write_log(log, 1_000_000, seed=11)
    assert_same(*graphs(tmp_path, [log], mapping=MAPPING))
