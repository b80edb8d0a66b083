from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from graphrec.errors import GraphError
from graphrec.graph.events import Events
from graphrec.graph.manifest import FORMAT
from graphrec.graph.relation import Relation
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX, TIME_MIN
from tests.worlds import events, graph, random_world

SEEDS = st.integers(0, 10_000)


def small_world() -> TemporalGraph:
    """Rows 0 to 6; a day is 86,400 s.

    time (days)  0   0   1   1.5   1.5   4   4.5
    user 0       0       2   3           5
    user 1           1             4         6
    item         a   b   b   c     a     a   c
    """
    days = [0, 0, 1, 1.5, 1.5, 4, 4.5]
    log = events(
        [0, 1, 0, 0, 1, 0, 1], [0, 1, 1, 2, 0, 0, 2], [int(86_400 * day) for day in days], [-1, 0, 0, -1, 1, 1, 0]
    )
    return graph(log, users=2, items=3, locations=2, seed=0)


def edges_of(relation: Relation) -> list[tuple[int, int, int, int]]:
    """(source, target, time, event) of every edge."""
    source = torch.arange(relation.sources).repeat_interleave(relation.start.diff())
    return list(
        zip(*(column.tolist() for column in (source, relation.target, relation.time, relation.event)), strict=True)
    )


# --- the record checks itself -------------------------------------------------------------------------------------


def test_a_missing_node_type_is_refused() -> None:
    world = small_world()
    with pytest.raises(GraphError, match=r"node type 'location' expected, got \['item', 'user'\]"):
        replace(world, nodes={kind: table for kind, table in world.nodes.items() if kind != "location"})


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        ("user", 2, r"user codes of the events must lie in 0\.\.1, got 0\.\.2"),
        ("item", -1, r"item codes of the events must lie in 0\.\.2, got -1\.\.2"),
        ("location", -2, r"location codes of the events must lie in -1\.\.1, got -2\.\.1"),
        ("location", 2, r"location codes of the events must lie in -1\.\.1, got -1\.\.2"),
    ],
)
def test_codes_out_of_range_are_refused(kind: str, code: int, message: str) -> None:
    world = small_world()
    column = getattr(world.log, kind).clone()
    column[0 if code > -1 else 3] = code
    with pytest.raises(GraphError, match=message):
        replace(world, log=replace(world.log, **{kind: column}))


def test_edges_to_nowhere_are_refused() -> None:
    world = small_world()
    near = replace(world.edges["near"], target=torch.tensor([1, 2]))
    with pytest.raises(GraphError, match=r"target codes of relation 'near' must lie in 0\.\.1, got 1\.\.2"):
        replace(world, edges={"near": near})
    with pytest.raises(GraphError, match="node type 'planet'"):
        replace(world, edges={"near": replace(near, source_type="planet")})


def test_a_relation_that_is_not_there_says_what_is() -> None:
    with pytest.raises(GraphError, match=r"'friend' is not in this graph; it has \['item->item', .*'near'"):
        small_world().relation("friend")


# --- relations ----------------------------------------------------------------------------------------------------


def test_event_relations_by_hand() -> None:
    world = small_world()
    assert [edge[3] for edge in edges_of(world.relation("user->item"))] == [0, 2, 3, 5, 1, 4, 6]
    assert [edge[:2] for edge in edges_of(world.relation("item->user"))] == [
        (0, 0), (0, 1), (0, 0), (1, 1), (1, 0), (2, 0), (2, 1)
    ]  # fmt: skip
    assert [edge[3] for edge in edges_of(world.relation("location->item"))] == [1, 2, 6, 4, 5]
    assert [edge[3] for edge in edges_of(world.relation("user->location"))] == [2, 5, 1, 4, 6]


def test_followed_by_is_dated_by_the_later_event_and_ends_at_the_gap() -> None:
    day = 86_400
    world = small_world()
    # b -> a (1.5 days), c -> a (2.5) and a -> c (3) took longer than a day
    assert edges_of(world.relation("item->item")) == [(0, 1, day, 2), (1, 2, day + day // 2, 3)]
    patient = replace(world, follow_gap=3 * day, _cache={})
    assert len(patient.relation("item->item")) == 5


def test_events_of_the_same_second_do_not_follow_each_other() -> None:
    world = graph(events([0, 0, 0], [0, 1, 2], [10, 10, 20]), 1, 3)
    assert edges_of(world.relation("item->item")) == [(1, 2, 20, 2)]


def test_static_relations_are_timeless_and_of_no_event() -> None:
    assert edges_of(small_world().relation("near")) == [(0, 1, TIME_MIN, -1), (1, 0, TIME_MIN, -1)]


@settings(deadline=None, max_examples=15)
@given(SEEDS)
def test_previous_equals_a_slow_reference(seed: int) -> None:
    world = random_world(seed, users=5, count=80)
    last: dict[int, int] = {}
    expected = []
    for row, user in enumerate(world.log.user.tolist()):
        expected.append(last.get(user, -1))
        last[user] = row
    assert world.previous.tolist() == expected


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.integers(0, 79), st.sampled_from(["user->item", "user->location", "item->item"]))
def test_counts_as_a_matrix_equal_a_slow_reference(seed: int, row: int, name: str) -> None:
    world = random_world(seed, users=5, items=6, count=80)
    log, time = world.log, int(world.log.time[row])
    source = {"user->item": log.user, "user->location": log.user, "item->item": log.item[world.previous]}[name]
    target = log.location if name == "user->location" else log.item
    gap = log.time - log.time[world.previous]
    follows = (world.previous >= 0) & (gap > 0) & (gap <= world.follow_gap)
    expected = np.zeros((len(world.nodes[name[:4]]), len(world.nodes[name.split(">")[1]])))
    for event in range(len(log)):
        if log.time[event] < time and (name != "item->item" or follows[event]):
            expected[source[event], target[event]] += 1
    assert np.array_equal(world.to_scipy(name, time).toarray(), expected)
    assert np.array_equal(world.as_of(time).to_scipy(name, TIME_MAX).toarray(), expected)


# --- as of a time -------------------------------------------------------------------------------------------------


def test_a_view_shows_what_was_strictly_before() -> None:
    world = small_world()
    view = world.as_of(129_600)  # 1.5 days
    assert view.events.item.tolist() == [0, 1, 1]
    assert len(world.events) == 7
    assert view.events.time.data_ptr() == world.log.time.data_ptr()
    assert view.relation("user->item") is world.relation("user->item")


def test_a_view_of_a_view_sees_no_further() -> None:
    view = small_world().as_of(100)
    assert view.as_of(TIME_MAX).horizon == 100
    assert view.as_of(50).horizon == 50
    assert len(view.as_of(TIME_MIN).events) == 0


def test_nodes_are_visible_from_their_first_second_on() -> None:
    world = small_world()
    first_seen = torch.tensor([TIME_MIN, 10, 20])
    world = replace(world, nodes={**world.nodes, "item": replace(world.nodes["item"], first_seen=first_seen)})
    assert world.as_of(20).visible("item").tolist() == [True, True, False]
    assert world.visible("item").tolist() == [True, True, True]


def test_an_empty_graph_answers() -> None:
    world = graph(events([], [], []), 0, 0)
    assert (len(world.events), len(world.previous)) == (0, 0)
    for name in ("user->item", "item->item", "location->item"):
        assert len(world.relation(name)) == 0
    assert world.to_scipy("user->item", TIME_MAX).shape == (0, 0)


def test_names_of_nodes() -> None:
    table = small_world().nodes["item"]
    assert (table.code("item-2"), table.code("nobody")) == (2, -1)
    assert table.label(1) == "item-1"
    assert replace(table, labels=pa.array(["Park", None, ""])).label(0) == "Park"


def test_the_same_device_is_the_same_graph() -> None:
    world = small_world()
    assert world.to("cpu") is world


# --- the graph directory ------------------------------------------------------------------------------------------


def write(world: TemporalGraph, root: Path) -> Path:
    """The directory of a world, as docs/graph-directory.md describes it, without any of graphrec's own code."""
    for folder in ("nodes", "vectors", "relations"):
        (root / folder).mkdir(parents=True)
    log = {field.name: getattr(world.log, field.name).numpy() for field in fields(Events)}
    pq.write_table(pa.table(log), root / "events.parquet")
    for kind, table in world.nodes.items():
        places = table.coordinates if table.coordinates is not None else torch.full((len(table), 2), float("nan"))
        lat, lon = (pa.array(column.double().numpy(), from_pandas=True) for column in places.unbind(1))
        columns = {"id": table.ids, "label": table.labels, "text": table.texts, "lat": lat, "lon": lon}
        pq.write_table(
            pa.table({**columns, "first_seen": table.first_seen.numpy()}), root / "nodes" / f"{kind}.parquet"
        )
        if table.vectors is not None:
            save_file({"vectors": table.vectors}, root / "vectors" / f"{kind}.safetensors")
    for name, edges in world.edges.items():
        ends = {"source": edges.source.int().numpy(), "target": edges.target.int().numpy()}
        valid_from = pa.array([None if time == TIME_MIN else time for time in edges.valid_from.tolist()], pa.int64())
        columns = {**ends, "valid_from": valid_from, "metres": edges.metres.numpy()}
        pq.write_table(pa.table(columns), root / "relations" / f"{name}.parquet")
    relations = {name: [edges.source_type, edges.target_type] for name, edges in world.edges.items()}
    manifest = world.manifest.model_copy(
        update={"format": FORMAT, "node_types": [*world.nodes], "relations": relations}
    )
    (root / "manifest.json").write_text(json.dumps(manifest.to_dict()), encoding="utf-8")
    return root


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write(random_world(1), tmp_path / "graph")


def test_a_directory_opens_as_what_was_written(directory: Path) -> None:
    world, opened = random_world(1), TemporalGraph.open(directory)
    for field in fields(Events):
        column, expected = getattr(opened.log, field.name), getattr(world.log, field.name)
        assert column.dtype == expected.dtype
        assert torch.equal(column, expected), field.name
    for kind, table in world.nodes.items():
        found = opened.nodes[kind]
        assert found.ids.to_pylist() == table.ids.to_pylist()
        assert torch.equal(found.first_seen, table.first_seen)
        assert (found.vectors is None) == (table.vectors is None)
        assert (found.coordinates is None) == (table.coordinates is None)
    assert torch.equal(opened.nodes["item"].vectors, world.nodes["item"].vectors)
    assert torch.equal(opened.nodes["item"].coordinates, world.nodes["item"].coordinates)
    assert edges_of(opened.relation("near")) == edges_of(world.relation("near"))
    assert torch.equal(opened.edges["near"].metres, world.edges["near"].metres)
    assert opened.manifest.hash == "world-1"


def test_an_empty_world_survives_the_disk(tmp_path: Path) -> None:
    opened = TemporalGraph.open(write(graph(events([], [], []), 0, 0), tmp_path / "empty"))
    assert [len(table) for table in opened.nodes.values()] == [0, 0, 0]
    assert len(opened.events) == 0


def test_labels_texts_and_dated_edges_survive_the_disk(tmp_path: Path) -> None:
    world = small_world()
    items = replace(world.nodes["item"], labels=pa.array(["Café", None, "c"]), texts=pa.array([None, "a bar", None]))
    near = replace(world.edges["near"], valid_from=torch.tensor([TIME_MIN, 77]))
    world = replace(world, nodes={**world.nodes, "item": items}, edges={"near": near}, _cache={})
    opened = TemporalGraph.open(write(world, tmp_path / "graph"))
    assert [opened.nodes["item"].label(code) for code in range(3)] == ["Café", "item-1", "c"]
    assert opened.nodes["item"].texts.to_pylist() == [None, "a bar", None]
    assert opened.edges["near"].valid_from.tolist() == [TIME_MIN, 77]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def set_manifest(root: Path, text: str) -> None:
    (root / "manifest.json").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda root: (root / "manifest.json").unlink(), "a graph directory with a manifest.json expected"),
        (lambda root: truncate(root / "manifest.json"), "not a graph manifest"),
        (lambda root: set_manifest(root, ""), "not a graph manifest"),
        (lambda root: set_manifest(root, "[1]"), "not a graph manifest"),
        (lambda root: set_manifest(root, '{"format": 1}'), "not a graph manifest .*node_types"),
        (lambda root: set_manifest(root, '{"counts": 1}'), "not a graph manifest .*format"),
        (lambda root: set_manifest(root, '{"format": "new"}'), "not a graph manifest"),
        (lambda root: set_manifest(root, json.dumps({"format": FORMAT + 1})), "newer than this graphrec reads"),
        (lambda root: (root / "manifest.json").write_bytes(b"\xff\xfe\x00"), "not a graph manifest"),
        (lambda root: (root / "events.parquet").unlink(), "events.parquet: a Parquet file expected"),
        (lambda root: truncate(root / "events.parquet"), "events.parquet: a Parquet file expected"),
        (lambda root: (root / "nodes" / "item.parquet").write_bytes(b""), "item.parquet: a Parquet file expected"),
        (lambda root: truncate(root / "relations" / "near.parquet"), "near.parquet: a Parquet file expected"),
        (
            lambda root: truncate(root / "vectors" / "item.safetensors"),
            "item.safetensors: a safetensors file of vectors",
        ),
        (
            lambda root: save_file({"vectors": torch.zeros(2, 8)}, root / "vectors" / "item.safetensors"),
            "30 vectors expected, got 2",
        ),
        (
            lambda root: rewrite(root / "events.parquet", lambda table: table.drop_columns(["session"])),
            r"events.parquet: columns \['session'\] expected, got \['user'",
        ),
        (
            lambda root: rewrite(root / "nodes" / "user.parquet", lambda table: table.drop_columns(["lat", "id"])),
            r"user.parquet: columns \['id', 'lat'\] expected",
        ),
        (
            lambda root: rewrite(root / "relations" / "near.parquet", lambda table: table.drop_columns(["target"])),
            r"near.parquet: columns \['target'\] expected",
        ),
        (
            lambda root: rewrite(root / "nodes" / "user.parquet", lambda table: table.slice(0, 2)),
            r"user codes of the events must lie in 0\.\.1",
        ),
        (
            lambda root: rewrite(root / "events.parquet", lambda table: table.take(list(range(299, -1, -1)))),
            "time must not decrease",
        ),
    ],
)
def test_a_broken_directory_gives_one_clear_line(
    directory: Path, break_it: Callable[[Path], object], message: str
) -> None:
    break_it(directory)
    with pytest.raises(GraphError, match=message) as caught:
        TemporalGraph.open(directory)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_gives_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="make one with 'graphrec build'"):
        TemporalGraph.open(tmp_path / "nowhere")
