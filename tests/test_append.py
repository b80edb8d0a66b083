"""Growing a graph: the same as a build from all files, whatever order they come in, whenever the process dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders.append import append_to_graph
from builders.build import build_graph
from graphrec.errors import GraphrecError
from graphrec.graph.temporal_graph import TemporalGraph

MAPPING: dict[str, Any] = {
    "user": "user", "item": "item", "time": "time", "lat": "lat", "lon": "lon", "kind": "kind", "session": "session",
    "text": "text", "time_format": "epoch_s", "h3_resolution": 8,
}  # fmt: skip
START = 1_700_000_000
COLUMNS = ("user", "item", "time", "lat", "lon", "kind", "session", "text")
ROWS = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.sampled_from("wxyz"),
        st.integers(START, START + 6),
        st.sampled_from([(40.70, -73.90), (40.75, -73.99), ("", "")]),
        st.sampled_from(["view", "buy"]),
        st.sampled_from(["s1", "s2", ""]),
        st.sampled_from(["Tea", "Bar", ""]),
    ),
    min_size=1,
    max_size=12,
)


def write(path: Path, rows: list[tuple[Any, ...]]) -> Path:
    lines = [",".join(map(str, (u, i, t, *place, *rest))) for u, i, t, place, *rest in rows]
    path.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    return path


FILTERS: list[dict[str, Any]] = [{}, {"user_core": 2}, {"session_gap": 0.0005}, {"split_by": "user"}]


def ids(root: Path, kind: str) -> list[str]:
    found: list[str] = pq.read_table(root / "nodes" / f"{kind}.parquet")["id"].to_pylist()
    return found


def described(root: Path) -> dict[str, Any]:
    """A graph by the ids that people gave, so that two with other codes are the same."""
    nodes = {path.stem: pq.read_table(path) for path in sorted((root / "nodes").glob("*.parquet"))}
    events = pq.read_table(root / "events.parquet")
    kinds = json.loads((root / "manifest.json").read_text())["kinds"]
    named = {
        kind: pc.take(nodes[kind]["id"], pc.if_else(pc.less(events[kind], 0), None, events[kind])).to_pylist()
        for kind in ("user", "item", "location")
    }
    kind = [kinds[code] for code in events["kind"].to_pylist()]
    rest = [events[name].to_pylist() for name in ("time", "utc_offset", "weight", "split", "session")]
    relations = {}
    for path in sorted((root / "relations").glob("*.parquet")):
        table = pq.read_table(path)
        source, target = ("item", "location") if path.stem == "at" else ("location", "location")
        ends = [
            pc.take(nodes[end]["id"], table[name]).to_pylist() for end, name in ((source, "source"), (target, "target"))
        ]
        others = [table[name].to_pylist() for name in table.column_names if name not in ("source", "target")]
        relations[path.stem] = sorted(zip(*ends, *others, strict=True), key=str)
    return {
        "events": list(zip(*named.values(), kind, *rest, strict=True)),
        "nodes": {name: sorted(table.to_pylist(), key=str) for name, table in nodes.items()},
        "relations": relations,
    }


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=ROWS,
    second=ROWS,
    filters=st.sampled_from([{}, {"user_core": 2}, {"session_gap": 0.0005}, {"split_by": "user"}]),
)
def test_appending_is_building_from_all_files(
    first: list[Any], second: list[Any], filters: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("grow")
    files = [write(folder / "a.csv", first), write(folder / "b.csv", second)]
    options: dict[str, Any] = {"mapping": {**MAPPING, **filters}, "text_model": "none"}
    try:
        build_graph(files[:1], folder / "grown", **options)
        build_graph(files, folder / "whole", **options)
    except GraphrecError:
        return  # the filters left nothing
    before = {
        kind: pq.read_table(folder / "grown" / "nodes" / f"{kind}.parquet")["id"].to_pylist()
        for kind in ("user", "item")
    }
    append_to_graph(folder / "grown", files[1:])
    assert described(folder / "grown") == described(folder / "whole")
    for kind, numbered in before.items():
        assert ids(folder / "grown", kind)[: len(numbered)] == numbered


LOG = [
    ("anna", "bar", START + 100, (40.70, -73.90), "view", "", "Bar"),
    ("ben", "tea", START + 200, (40.75, -73.99), "view", "", "Tea"),
    ("anna", "tea", START + 300, ("", ""), "view", "", "Tea"),
]


def build(tmp_path: Path, **options: Any) -> Path:
    build_graph(
        [write(tmp_path / "log.csv", LOG)], tmp_path / "graph", **{"text_model": "none", "mapping": MAPPING, **options}
    )
    return tmp_path / "graph"


def test_late_events_land_at_their_time_and_say_what_a_node_first_said(tmp_path: Path) -> None:
    graph = build(tmp_path)
    late = write(tmp_path / "late.csv", [("cleo", "bar", START, (40.60, -73.80), "buy", "", "Old bar")])
    append_to_graph(graph, [late])
    grown = TemporalGraph.open(graph)
    assert grown.log.time.tolist() == [START, START + 100, START + 200, START + 300]
    assert grown.nodes["user"].ids.to_pylist() == ["anna", "ben", "cleo"]
    assert grown.nodes["item"].texts.to_pylist() == ["Old bar", "Tea"]
    assert grown.nodes["item"].first_seen.tolist() == [START, START + 200]
    assert grown.manifest.kinds == ["view", "buy"]


def test_the_same_file_twice_adds_nothing(tmp_path: Path) -> None:
    graph = build(tmp_path)
    before = json.loads((graph / "manifest.json").read_text())
    assert append_to_graph(graph, [tmp_path / "log.csv"]).to_dict() == before
    copy = write(tmp_path / "again.csv", [*LOG, ("ben", "bar", START + 400, (40.70, -73.90), "view", "", "Bar")])
    after = append_to_graph(graph, [copy])
    assert after.counts["events"] == before["counts"]["events"] + 1
    assert 0 < after.wall_seconds != before["wall_seconds"]
    rows = pq.read_table(graph / "quarantine.parquet").to_pylist()
    assert [(row["file"], row["row"], row["value"]) for row in rows] == [
        ("again.csv", place, f"same as row {place} of log.csv") for place in (1, 2, 3)
    ]


def test_broken_lines_of_every_file_stay_told(tmp_path: Path) -> None:
    graph = build(tmp_path)
    more = write(
        tmp_path / "more.csv", [("ben", "bar", START + 400 + row, (40.7, -73.9), "view", "", "") for row in range(9)]
    )
    more.write_text(more.read_text() + "too,few\nben,bar,never,,,,,\n")
    with pytest.raises(GraphrecError, match="2 of 11 rows cannot be used"):
        append_to_graph(graph, [more])
    told = {"wrong number of fields": 1, "unparsable time": 1}
    assert append_to_graph(graph, [more], max_bad=0.2).quarantined == told
    last = write(tmp_path / "last.csv", LOG[:1])
    assert append_to_graph(graph, [last]).quarantined == {**told, "duplicate row": 1}


def test_a_table_brings_what_nodes_say_later(tmp_path: Path) -> None:
    graph = build(tmp_path)
    items = tmp_path / "items.csv"
    items.write_text("item,name\ntea,Tea house\nnew,Inn\n")
    append_to_graph(graph, [], items=items)
    grown = TemporalGraph.open(graph)
    assert grown.nodes["item"].ids.to_pylist() == ["bar", "tea", "new"]
    assert grown.nodes["item"].labels.to_pylist() == [None, "Tea house", "Inn"]


def test_old_texts_are_not_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHREC_CACHE", str(tmp_path / "cache"))
    graph = build(tmp_path, text_model="minilm")
    before = TemporalGraph.open(graph).nodes["item"].vectors
    assert before is not None
    old = before.clone()
    from builders.text import encoder

    told: list[str] = []
    encode = encoder.TextEncoder.encode
    monkeypatch.setattr(
        encoder.TextEncoder, "encode", lambda self, texts, *rest: told.extend(texts) or encode(self, texts, *rest)
    )
    monkeypatch.setenv("GRAPHREC_CACHE", str(tmp_path / "empty"))
    more = write(tmp_path / "more.csv", [("ben", "inn", START + 400, ("", ""), "view", "", "Inn"), LOG[0]])
    append_to_graph(graph, [more])
    assert told == ["Inn"]
    vectors = TemporalGraph.open(graph).nodes["item"].vectors
    assert vectors is not None
    assert vectors[:2].equal(old)
    assert bool(vectors[2].any())


KILLED = """
import sys
from builders.append import append_to_graph
from graphrec.progress import NoProgress
class Die(NoProgress):
    count = int(sys.argv[3])
    def step(self, *_):
        Die.count -= 1
        if Die.count < 0:
            import os, signal
            os.kill(os.getpid(), signal.SIGKILL)
    start = advance = finish = step
    def advance(self, *args, **kwargs): self.step()
append_to_graph(sys.argv[1], [sys.argv[2]], progress=Die())
"""


@pytest.mark.slow
def test_a_killed_append_leaves_the_old_graph_whole(tmp_path: Path) -> None:
    graph = build(tmp_path)
    before = described(graph)
    more = write(tmp_path / "more.csv", [("ben", "inn", START + 400, (40.7, -73.9), "view", "", "Inn")])
    steps, killed = 0, True
    while killed:
        command = [sys.executable, "-c", KILLED, str(graph), str(more), str(steps)]
        killed = subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
        if killed:
            assert described(graph) == before
            TemporalGraph.open(graph)
        steps += 1
    assert steps > 8
    assert len(pq.read_table(graph / "events.parquet")) == len(LOG) + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph", "log.csv", "more.csv"]


@pytest.mark.slow
def test_an_append_killed_at_any_moment_leaves_a_whole_graph(tmp_path: Path) -> None:
    graph = build(tmp_path)
    before, rng = described(graph), np.random.default_rng()
    more = write(tmp_path / "more.csv", [("ben", "inn", START + 400, (40.7, -73.9), "view", "", "Inn")])
    for wait in rng.uniform(0.8, 3.5, 8):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(graph), str(more), "1000"])
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        if len(pq.read_table(graph / "events.parquet")) == len(LOG):
            assert described(graph) == before
        TemporalGraph.open(graph)
    append_to_graph(graph, [more])
    assert len(pq.read_table(graph / "events.parquet")) == len(LOG) + 1


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    from builders.assemble.directory import staged

    graph = build(tmp_path)
    more = write(tmp_path / "more.csv", [("ben", "inn", START + 400, (40.7, -73.9), "view", "", "Inn")])
    with staged(graph) as folder:
        (folder / "manifest.json").write_text("{}")
        with pytest.raises(GraphrecError, match="another build or append is writing it"):
            append_to_graph(graph, [more])
