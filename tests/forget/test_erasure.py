"""Forgetting: a person is gone from graph, runs and cache, everything else is as if they had never come."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_weights

from builders.append import rebuild
from builders.build import build_graph
from builders.forget.erasure import forget_user, user_id_columns
from builders.forget.id_search import IdPattern, Search, search
from builders.mapping.pseudonyms import VARIABLE, Key
from builders.text.vector_cache import VectorCache, delete_cached_vectors
from graphrec.errors import ConfigError, GraphError, InputError, RunError
from graphrec.formatting import FORGOTTEN
from graphrec.graph.manifest import GraphManifest
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.models.registry import BUILT_IN
from graphrec.recommendation import recommend
from graphrec.runs.config import RunConfig
from graphrec.runs.run import Run
from graphrec.training.trainer import train

ANNA = "anna_karenina"
PEOPLE = ("bo_bergman", ANNA, "anna_karenina_2", "cy_cooper")
START = 1_700_000_000


def line(user: str, item: str, hour: int) -> str:
    lat = 40 + 0.02 * (ord(item[-1]) - ord("a"))
    return f"{user},{item},{START + 3600 * hour},{lat:.4f},-3.7,{user}-{hour // 24}"


LINES = [line(PEOPLE[n % 4], f"shop_{'abcd'[(n * n + n // 4) % 4]}", 5 * n) for n in range(48)]
HERS = [line(ANNA, "clinic_x", 31), line(ANNA, "clinic_x", 200)]
"""Only Anna goes there."""
BROKEN = [
    f"{ANNA},shop_a,soon,40.0,-3.7,s",
    f"{ANNA};shop_a",
    "bo_bergman,shop_a,later,40.0,-3.7,s",
    f"bo_bergman,shop_a,after {ANNA},40.0,-3.7,s",
    HERS[0],
]
"""Three that tell of her, one that does not, and a row twice."""
USERS = [("bo_bergman", "Bo Bergman", "Reads maps"), (ANNA, "Anna K.", "Likes trains")]


def log(folder: Path, without: str = "") -> Path:
    """A log and a table of users, with or without those who bear a name."""
    folder.mkdir(exist_ok=True)
    lines = [row for row in [*LINES, *HERS, *BROKEN] if not without or not IdPattern.of(without).count(row.encode())]
    (folder / "log.csv").write_text("\n".join(["user,item,time,lat,lon,session", *lines]) + "\n")
    people = [f"{name},{label},{text}" for name, label, text in USERS if name != without]
    (folder / "users.csv").write_text("\n".join(["user,name,bio", *people]) + "\n")
    return folder


def built(folder: Path, **options: Any) -> Path:
    build_graph([folder / "log.csv"], folder / "graph", text_model="none", max_bad=0.5, **options)
    return folder / "graph"


def said(graph: TemporalGraph) -> set[tuple[Any, ...]]:
    """The events with ids in place of codes."""
    columns = [[*nodes.ids.to_pylist(), None] for nodes in (graph.nodes[kind] for kind in ("user", "item", "location"))]
    codes = zip(*(getattr(graph.log, kind).tolist() for kind in ("user", "item", "location")), strict=True)
    times = graph.log.time.tolist()
    return {
        (*(ids[code] for ids, code in zip(columns, row, strict=True)), time)
        for row, time in zip(codes, times, strict=True)
    }


def nodes_of(folder: Path, kind: str) -> dict[str, tuple[Any, ...]]:
    """What a graph says of each node of a type that is not forgotten."""
    rows = pq.read_table(folder / "nodes" / f"{kind}.parquet").to_pylist()
    return {row["id"]: tuple(row.values()) for row in rows if row["id"]}


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graph with everybody in it; read only."""
    folder = log(tmp_path_factory.mktemp("with"))
    return built(folder, users=folder / "users.csv")


@pytest.fixture(scope="module")
def trained(original: Path, tiny: RunConfig) -> Path:
    """A run on it; read only."""
    model = tiny.model.model_copy(update={"transition_ridge": 2.0})
    train(original, original.with_name("run"), config=tiny.model_copy(update={"model": model}), device="cpu")
    return original.with_name("run")


@pytest.fixture
def graph(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "graph")


@pytest.fixture
def run(graph: Path, trained: Path) -> Path:
    out = shutil.copytree(trained, graph.with_name("run"))
    (out / "report.html").write_text(f"<p>Why these for {ANNA}")
    return out


def test_what_is_left_is_what_would_be_there_without_them(graph: Path, tmp_path: Path) -> None:
    done = forget_user(graph, ANNA)
    folder = log(tmp_path / "never", without=ANNA)
    never = built(folder, users=folder / "users.csv")
    assert said(TemporalGraph.open(graph)) == said(TemporalGraph.open(never))
    for kind in ("user", "item", "location"):
        assert nodes_of(graph, kind) == nodes_of(never, kind)
    mine = sum(row.startswith(f"{ANNA},") for row in [*LINES, *HERS, *BROKEN])
    assert done.rows == mine + 2  # one of Bo that names her, and one in the table of users
    assert done.nodes == {"user": 1, "item": 1, "location": 1}
    values = pq.read_table(graph / "quarantine.parquet")["value"].to_pylist()
    assert (values, done.quarantined) == ([FORGOTTEN, FORGOTTEN, "later", FORGOTTEN], 4)


def test_a_search_finds_nothing_where_it_found_a_lot(graph: Path) -> None:
    def found() -> Search:

        return search({graph: graph}, [ANNA], lambda path: user_id_columns(path, GraphManifest()))

    assert {match.where for match in found().matches} >= {"column user", "column id", "column session", "column value"}
    done = forget_user(graph, ANNA)
    assert found() == done.search
    assert (done.search.found, done.search.everywhere) == (0, True)
    assert done.search.files == sum(path.is_file() for path in graph.rglob("*"))
    assert b"anna_karenina_2" in (graph / "log" / "events-0000.parquet").read_bytes()  # who is called alike stays


def test_the_others_keep_their_codes_and_the_forgotten_say_nothing(graph: Path) -> None:
    before = {kind: pq.read_table(graph / "nodes" / f"{kind}.parquet") for kind in ("user", "item", "location")}
    forget_user(graph, ANNA)
    for kind, old in before.items():
        new = pq.read_table(graph / "nodes" / f"{kind}.parquet")
        forgotten = [code for code, name in enumerate(new["id"].to_pylist()) if not name]
        assert len(forgotten) == 1
        assert all(new["id"][code] == old["id"][code] for code in range(len(old)) if code not in forgotten)
        empty = {"id": "", "label": FORGOTTEN, "text": None, "lat": None, "lon": None, "first_seen": TIME_MAX}
        assert new.take(forgotten).to_pylist() == [empty]
    opened = TemporalGraph.open(graph)
    clinic = before["item"]["id"].to_pylist().index("clinic_x")
    assert not opened.visible("item")[clinic]
    assert clinic not in opened.edges["at"].source.tolist()


def test_a_row_keeps_its_place_in_its_part(graph: Path) -> None:
    before = pq.read_table(graph / "log" / "events-0000.parquet")
    forget_user(graph, ANNA)
    after = pq.read_table(graph / "log" / "events-0000.parquet")
    mine = pc.or_kleene(pc.equal(before["user"], ANNA), pc.match_substring(before["value"], ANNA))
    others = pc.invert(pc.fill_null(mine, False))
    assert after.filter(others).to_pylist() == before.filter(others).to_pylist()
    empty = dict.fromkeys(before.column_names) | {"failed": -1, "before": 0}
    assert all(row == empty for row in after.filter(mine).to_pylist())


def test_what_others_name_stays(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    events = [(ANNA, "x", "mall"), ("bo", "x", "home"), (ANNA, "y", "home"), ("bo", "z", "home")]
    rows = [f"{user},{item},{START + 9 * n},{place}" for n, (user, item, place) in enumerate(events)]
    (tmp_path / "more" / "log.csv").write_text("\n".join(["user,item,time,location", *rows]) + "\n")
    (tmp_path / "more" / "items.csv").write_text("item,title,location\ny,Yoghurt,mall\nz,Zander,home\n")
    other = built(tmp_path / "more", items=tmp_path / "more" / "items.csv")
    done = forget_user(other, ANNA)
    assert done.nodes == {"user": 1}  # x is Bo's too, y and mall are in the table of items
    assert TemporalGraph.open(other).nodes["item"].ids.to_pylist() == ["x", "y", "z"]


def test_ties_of_users_are_forgotten_too(tmp_path: Path) -> None:
    folder = log(tmp_path / "with")
    ties = [("bo_bergman", ANNA), ("bo_bergman", "cy_cooper"), (ANNA, "cy_cooper")]
    (folder / "friends.csv").write_text("\n".join(["user,friend", *map(",".join, ties)]) + "\n")
    mapping = {"user": "user", "relations": {"friends": {"file": str(folder / "friends.csv")}}}
    graph = built(folder, mapping=mapping)
    forget_user(graph, ANNA)
    left = pq.read_table(graph / "log" / "relation-friends-0000.parquet").to_pylist()
    assert [(row["source_id"], row["target_id"]) for row in left] == [(None, None), ties[1], (None, None)]
    opened = TemporalGraph.open(graph)
    edges, code = opened.edges["friends"], opened.nodes["user"].code
    assert (edges.source.tolist(), edges.target.tolist()) == ([code("bo_bergman")], [code("cy_cooper")])


@pytest.mark.parametrize("moment", ["rebuild", "search"])
def test_what_goes_wrong_leaves_all_as_it_was(graph: Path, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the power is gone")

    if moment == "search":
        monkeypatch.setattr("builders.forget.erasure.search", fail)
    before = content(graph.parent)
    with pytest.raises(RuntimeError, match="power"):
        forget_user(graph, ANNA, rebuild=fail if moment == "rebuild" else None)
    assert content(graph.parent) == before


def test_a_rebuild_that_gives_codes_away_is_refused(graph: Path) -> None:
    def careless(log: Path, old: Path, out: Path) -> None:
        for path in (old / "nodes").glob("*.parquet"):
            table = pq.read_table(path)
            pq.write_table(table.filter(pc.not_equal(table["id"], "")), path)
        rebuild(log, old, out)

    before = content(graph.parent)
    with pytest.raises(GraphError, match="keep their codes"):
        forget_user(graph, ANNA, rebuild=careless)
    assert content(graph.parent) == before


def test_who_is_not_there_is_not_forgotten(graph: Path) -> None:
    before = content(graph)
    for user, told in (("nobody", "no such user"), ("", "got an empty one")):
        with pytest.raises(InputError, match=told):
            forget_user(graph, user)
    assert content(graph) == before


def test_the_last_one_is_not_taken_out(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(f"user,item,time\n{ANNA},x,{START}\n{ANNA},y,{START + 1}\n")
    with pytest.raises(InputError, match="holds no other user"):
        forget_user(built(tmp_path), ANNA)


def test_a_graph_without_its_log_and_a_copy_left_behind_are_refused(graph: Path) -> None:
    (left := graph.with_name(".graph.x7")).mkdir()
    with pytest.raises(InputError, match="left a copy"):
        forget_user(graph, ANNA)
    left.rmdir()
    shutil.rmtree(graph / "log")
    with pytest.raises(GraphError, match="log parts"):
        forget_user(graph, ANNA)


def test_a_graph_of_pseudonyms_forgets_the_real_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Key(b"correct horse battery staple")
    folder = log(tmp_path / "with")
    text = (folder / "log.csv").read_text()
    for name in sorted(PEOPLE, key=len, reverse=True):
        text = text.replace(name, key.pseudonym(name))
    (folder / "log.csv").write_text(text)
    graph = built(folder)
    manifest = json.loads((graph / "manifest.json").read_text())
    manifest["privacy"] = {"pseudonyms": True, "key": key.fingerprint}
    (graph / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv(VARIABLE, "another key of enough bytes")
    with pytest.raises(ConfigError, match="set the key of the build"):
        forget_user(graph, ANNA)
    monkeypatch.setenv(VARIABLE, "correct horse battery staple")
    done = forget_user(graph, ANNA)
    assert (done.nodes["user"], done.search.found, done.search.everywhere) == (1, 0, True)
    assert key.pseudonym(ANNA).encode() not in b"".join(content(graph).values())
    assert key.pseudonym("cy_cooper") in nodes_of(graph, "user")


def test_a_run_forgets_what_it_learned_of_them(graph: Path, run: Path) -> None:
    opened = TemporalGraph.open(graph)
    code = {"user": opened.nodes["user"].code(ANNA), "item": opened.nodes["item"].code("clinic_x")}
    (code["location"],) = set(opened.log.location[opened.log.item == code["item"]].tolist())
    before = load_weights(run / "model.safetensors")
    done = forget_user(graph, ANNA, runs=[run])
    after = load_weights(run / "model.safetensors")
    assert before.keys() == after.keys()
    often = "cf.propagation.log_counts"
    for name, beside in {"cf.propagation.interactions": [often], "cf.transition.events": []}.items():
        who, what = before[name]
        kept = (who != code["user"]) & (what != code["item"])
        assert 0 < int(kept.sum()) < len(kept)
        for part in (name, *beside):
            assert torch.equal(after.pop(part), before.pop(part)[..., kept]), part
    for name, old in before.items():
        kind = name.split(".")[1] if name.startswith("nodes.") else "item" if name == "bias.weight" else ""
        touched = name.endswith(("identity.weight", "trained")) or name == "bias.weight"
        rows = [code[kind]] if touched else []
        others = [row for row in range(len(old)) if row not in rows]
        assert torch.equal(after[name][others], old[others]), name
        assert all(bool((after[name][row] == 0).all()) for row in rows), name
    assert bool(before["nodes.user.identity.weight"][code["user"]].any())
    assert done.runs == (run,)
    assert not (run / "checkpoints").exists()
    assert not (run / "report.html").exists()
    assert Run.open(run, device="cpu").manifest.graph_hash == Run.open(run, device="cpu").graph.manifest.hash
    (hers, his) = recommend(Run.open(run, device="cpu"), [ANNA, "bo_bergman"], k=5)
    assert (hers.known, his.known) == (False, True)
    assert not {FORGOTTEN, "", "clinic_x"} & {item.item for item in [*hers.items, *his.items]}


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name != "stgat"])
def test_every_model_forgets(name: str, graph: Path) -> None:
    run = graph.with_name(name)
    train(graph, run, config=RunConfig.load(settings=[f"model.name={name}", "epochs=1"]), device="cpu")
    clinic = TemporalGraph.open(graph).nodes["item"].code("clinic_x")
    done = forget_user(graph, ANNA, runs=[run])
    assert (done.runs, done.search.found) == ((run,), 0)
    opened = Run.open(run, device="cpu")
    left = load_weights(run / "model.safetensors")
    assert all(not (left[pairs][1] == clinic).any() for pairs in ("visited", "alike") if pairs in left)
    assert all(not left[rows][clinic].any() for rows in ("item.weight", "item.item") if rows in left)
    (hers, his) = recommend(opened, [ANNA, "bo_bergman"], k=5)
    assert (hers.known, his.known) == (False, True)
    assert not {FORGOTTEN, "", "clinic_x"} & {item.item for item in [*hers.items, *his.items]}


def test_a_run_can_be_brought_later(graph: Path, run: Path) -> None:
    forget_user(graph, ANNA)
    with pytest.raises(RunError, match="trained on a graph"):
        Run.open(run, device="cpu")
    before = content(graph)
    done = forget_user(graph, ANNA, runs=[run])
    assert (done.rows, done.nodes, done.search.found) == (0, {}, 0)
    assert content(graph) == before
    assert Run.open(run, device="cpu").graph.nodes["user"].code(ANNA) == -1
    kept = content(run)
    forget_user(graph, ANNA, runs=[run])
    assert content(run) == kept


def test_a_run_that_is_not_there_is_refused(graph: Path) -> None:
    with pytest.raises(RunError, match="a finished run expected"):
        forget_user(graph, ANNA, runs=[graph.parent / "no" / "run"])
    assert [path.name for path in graph.parent.iterdir()] == ["graph"]


def test_a_run_of_another_graph_stops_everything(graph: Path, city_run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(city_run, tmp_path / "other")
    before = content(graph.parent), content(other)
    with pytest.raises(RunError, match="trained on another"):
        forget_user(graph, ANNA, runs=[other])
    assert (content(graph.parent), content(other)) == before


def test_vectors_become_zero_and_the_cache_forgets_texts(graph: Path, text_cache: Path) -> None:
    """Bo's and Anna's texts have vectors; a graph elsewhere has encoded Anna's too, and has a text of its own."""
    ids = pq.read_table(graph / "nodes" / "user.parquet")["id"].to_pylist()
    (graph / "vectors").mkdir()
    save_file({"vectors": np.ones((len(ids), 3), np.float16)}, graph / "vectors" / "user.safetensors")
    texts = pq.read_table(graph / "nodes" / "user.parquet")["text"].to_pylist()
    hers, his = texts[ids.index(ANNA)], texts[ids.index("bo_bergman")]
    store = VectorCache(text_cache / "vectors" / "a-model", 3)
    store.append([hers, his], np.ones((2, 3), np.float16))
    store.append([hers], np.ones((1, 3), np.float16))
    done = forget_user(graph, ANNA)
    assert done.texts == 2
    assert [texts for texts, _ in store.find([hers, his, "else"], set())] == [[his]]
    vectors = load_file(graph / "vectors" / "user.safetensors")["vectors"]
    assert [bool(row.any()) for row in vectors] == [name != ANNA for name in ids]
    assert delete_cached_vectors([his], text_cache / "vectors") == 1
    assert not list((text_cache / "vectors" / "a-model").iterdir())


def test_vectors_stay_for_a_model_that_reads_them_even_if_no_text_is_left(graph: Path) -> None:
    (graph / "vectors").mkdir()
    count = len(pq.read_table(graph / "nodes" / "item.parquet"))
    save_file({"vectors": np.ones((count, 3), np.float16)}, graph / "vectors" / "item.safetensors")
    forget_user(graph, ANNA)
    vectors = load_file(graph / "vectors" / "item.safetensors")["vectors"]
    ids = pq.read_table(graph / "nodes" / "item.parquet")["id"].to_pylist()
    assert [bool(row.any()) for row in vectors] == [bool(name) for name in ids]
    assert vectors.dtype == np.float16


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("by anna_karenina, again anna_karenina.", 2),
        ("anna_karenina_2", 0),
        ("xanna_karenina anna_kareninas", 0),
        ("the-anna_karenina-club", 0),
        ("anna_karenina-club the-anna_karenina", 2),
        ("§anna_karenina§", 1),
    ],
)
def test_a_word_is_found_outside_longer_ones(text: str, count: int) -> None:
    assert IdPattern.of(ANNA, ["the-anna_karenina-club"]).count(text.encode()) == count


def parquet(path: Path, **columns: list[str | None]) -> Path:
    pq.write_table(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}), path)
    return path


def everywhere(folder: Path, name: str) -> tuple[dict[str, int], bool]:
    found = search({folder: Path("there")}, [name], lambda path: {"user"})
    return {f"{match.file.name}: {match.where}": match.count for match in found.matches}, found.everywhere


def test_an_id_is_searched_for_in_texts_names_and_bytes(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", user=["bo", None], text=["seen with anna_karenina", None])
    (tmp_path / "b.json").write_text(json.dumps({"x": [{"\u00e4nna_karenina": 1}, 7, "ok"]}))
    (tmp_path / "anna_karenina.log").write_bytes(b"")
    (tmp_path / "c.bin").write_bytes(b"\x00anna_karenina\xff")
    found, whole = everywhere(tmp_path, ANNA)
    assert found.pop("a.parquet: bytes", 1)
    assert found == {"a.parquet: column text": 1, "anna_karenina.log: name": 1, "c.bin: bytes": 1}
    assert whole
    assert everywhere(tmp_path, "\u00e4nna_karenina")[0] == {"b.json: JSON": 1}  # there the bytes are escaped


def test_a_short_id_is_searched_for_only_where_users_stand(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", user=["7", "17", "7"], item=["7", "1", "2"], text=["7 seas", "7", ""])
    assert everywhere(tmp_path, "7") == ({"a.parquet: column user": 2}, False)


def test_an_item_of_the_same_id_is_not_the_user(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", user=["bo", "bo"], item=["1234567", "1"], text=["1234567", ""])
    assert everywhere(tmp_path, "1234567") == ({}, False)
    parquet(tmp_path / "b.parquet", user=["1234567"])
    assert everywhere(tmp_path, "1234567") == ({"b.parquet: column user": 1}, False)


def test_the_command_says_what_it_did(
    graph: Path, run: Path, graphrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = graphrec("forget", graph, "--user", ANNA, "--run", run)
    assert done.code == 0, done
    told = " ".join(done.out.split())
    assert "rows of the log 18" in told
    assert "nodes 1 user, 1 item, 1 location" in told
    assert "found 0" in told
    again = graphrec("forget", graph, "--user", ANNA, "--run", run, "--json")
    assert json.loads(again.out)["search"]["found"] == 0
    assert json.loads(again.out)["runs"] == [str(run)]
    assert "no such user" in graphrec("forget", graph, "--user", ANNA).refusal


def test_the_command_fails_where_the_id_is_still_found(
    graph: Path, graphrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaky(log: Path, old: Path, out: Path) -> None:
        rebuild(log, old, out)
        (out / "notes.txt").write_text(f"we shall miss {ANNA}")

    monkeypatch.setattr("builders.append.rebuild", leaky)
    done = graphrec("forget", graph, "--user", ANNA)
    assert "the id is still found (bytes), in 1 place in all" in done.refusal
    assert "notes.txt" in done.out
