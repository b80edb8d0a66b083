"""Run directories: what is opened is what was trained, on its graph or that graph grown, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from graphrec.errors import GraphError, GraphrecError, RunError
from graphrec.evaluation.evaluation import evaluate
from graphrec.graph.events import TRAIN
from graphrec.models.stgat import Stgat
from graphrec.queries.query import Queries
from graphrec.runs.config import RunConfig
from graphrec.runs.run import Run, pick_device, read_model
from tests.networks import again, scores, settings, untrained
from tests.worlds import town


@pytest.fixture
def run(city_run: Path, tmp_path: Path) -> Path:
    """A copy of the city's run, far from its graph."""
    return shutil.copytree(city_run, tmp_path / "run")


def test_what_training_validated_is_what_is_evaluated(run: Path, city_graph: Path) -> None:
    opened = Run.open(run, city_graph, device="cpu")
    (record,) = opened.manifest.history
    metrics = evaluate(opened, "val").metrics
    assert {name: metrics[name] for name in ("acc@1", "acc@10", "mrr")} == pytest.approx(
        {name: record[name] for name in ("acc@1", "acc@10", "mrr")}, abs=1e-12
    )


def test_a_run_finds_its_graph_from_any_folder(city_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(Run.open(city_run, device="cpu").graph.log) > 1000
    assert len(Run.open(os.path.relpath(city_run), device="cpu").graph.log) > 1000


def test_a_run_and_its_graph_move_together(city_run: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(city_run.parent, tmp_path / "elsewhere")
    assert Run.open(moved / "run", device="cpu").model.config.dimension == 16


def test_where_the_graph_is_can_be_said(run: Path, city_graph: Path) -> None:
    with pytest.raises(RunError, match=r"its graph is not at .*; say where it is \(--graph\)"):
        Run.open(run, device="cpu")
    assert Run.open(run, city_graph, device="cpu").manifest.graph == "../graph"
    with pytest.raises(GraphError, match="a graph directory with a manifest.json expected"):  # noqa: RUF043
        Run.open(run, run.parent, device="cpu")


def test_a_graph_of_fewer_nodes_is_not_the_one(run: Path, city_graph: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["nodes"]["item"] += 1
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r"trained on a graph of .* give the graph of the training"):
        Run.open(run, city_graph, device="cpu")


SPOILED: dict[str, list[Callable[[bytes], bytes]]] = {
    "manifest.json": [
        lambda data: data[:50],
        lambda data: b"",
        lambda data: b"\xff\xfe",
        lambda data: b"{}",
        lambda data: b"[]",
        lambda data: b"null",
        lambda data: b'{"graph": "../graph", "nodes": {}, "protocol": {"query_time": "now"}}',
        lambda data: b'{"graph": "../graph", "nodes": {}, "protocol": []}',
    ],
    "config.yaml": [lambda data: b"model: [", lambda data: b"\xff", lambda data: b"epoch: 3\n", lambda data: b"- 1\n"],
    "model.safetensors": [lambda data: data[:1000], lambda data: data[:-1], lambda data: b"", lambda data: b"x" * 100],
}


@pytest.mark.parametrize(("name", "spoil"), [(name, spoil) for name, ways in SPOILED.items() for spoil in ways])
def test_a_broken_file_is_one_line(name: str, spoil: Callable[[bytes], bytes], run: Path, city_graph: Path) -> None:
    (run / name).write_bytes(spoil((run / name).read_bytes()))
    with pytest.raises(GraphrecError) as refused:
        Run.open(run, city_graph, device="cpu")
    assert "\n" not in str(refused.value)
    assert name in str(refused.value) or "setting" in str(refused.value)


@pytest.mark.parametrize("name", ["manifest.json", "config.yaml", "model.safetensors"])
def test_a_missing_file_is_one_line(name: str, run: Path, city_graph: Path) -> None:
    (run / name).unlink()
    with pytest.raises(GraphrecError, match=name) as refused:
        Run.open(run, city_graph, device="cpu")
    assert "\n" not in str(refused.value)


def test_a_graph_is_no_run(city_graph: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="a finished run expected, but this is a graph"):
        Run.open(city_graph, device="cpu")
    with pytest.raises(RunError, match="a finished run expected, but there is no manifest"):
        Run.open(tmp_path, device="cpu")


def test_weights_of_something_else_are_one_line(run: Path, city_graph: Path) -> None:
    path = run / "model.safetensors"
    kept = load_file(path)
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(RunError, match=r"model\.safetensors: model weights expected"):
        Run.open(run, city_graph, device="cpu")
    save_file({name: value for name, value in kept.items() if name != "bias.weight"}, path)
    with pytest.raises(
        RunError, match=r"the weights do not fit the settings of config\.yaml \(.*bias\.weight"
    ) as refused:
        Run.open(run, city_graph, device="cpu")
    assert "\n" not in str(refused.value)
    save_file(kept, path)
    RunConfig().save(run / "config.yaml")
    with pytest.raises(RunError, match="the weights do not fit the settings"):
        Run.open(run, city_graph, device="cpu")


@pytest.mark.parametrize("lacking", [{}, {"texts": 0}, {"places": False}, {"locations": 0}])
def test_weights_that_are_saved_and_opened_score_the_same(lacking: dict[str, int], tmp_path: Path) -> None:
    world = town(0, **lacking)
    model = untrained(world, 1)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    opened = read_model(tmp_path / "model.safetensors", world, RunConfig(model=settings()))
    queries = Queries.from_users(torch.arange(8), torch.full((8,), int(world.log.time[-1]) + 1))
    assert torch.equal(scores(world, opened, queries), scores(world, model, queries))


def test_a_graph_may_get_its_first_locations_after_the_training() -> None:
    world = town(0, dated=False)
    bare = replace(world.log, location=torch.full_like(world.log.location, -1))
    nowhere = {**world.nodes, "location": town(0, locations=0).nodes["location"]}
    model = Stgat(replace(world, log=bare, nodes=nowhere, edges={}, _cache={}), settings()).eval()
    queries = Queries.from_users(torch.arange(8), torch.full((8,), int(world.log.time[-1]) + 1))
    assert bool(scores(world, again(model, world), queries).isfinite().all())


def test_only_nodes_of_train_events_have_an_identity(run: Path, city_graph: Path) -> None:
    opened = Run.open(run, city_graph, device="cpu")
    log = opened.graph.log
    for kind in ("user", "item", "location"):
        codes = getattr(log, kind)[log.split == TRAIN].unique()
        assert torch.equal(opened.model.encoder(kind).trained.nonzero()[:, 0], codes[codes >= 0].long())


def test_devices() -> None:
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("gpu", "CPU", "cuda:", "cuda:x", "cpu:0", "meta"):
        with pytest.raises(RunError, match=f"device {name}: auto, cpu, cuda or cuda:1 expected"):
            pick_device(name)
