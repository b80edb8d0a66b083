"""Training: the same seed gives the same run, the best epoch is kept, and nothing is overwritten."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open

from graphrec.errors import GraphError, RunError
from graphrec.evaluation.evaluation import evaluate
from graphrec.graph.events import TEST
from graphrec.progress import NoProgress
from graphrec.runs.config import RunConfig
from graphrec.runs.run import Run
from graphrec.training.trainer import Training, train
from tests.run_fixtures import changed, graph_of, history, planned, weights

# the same seed, the same run


def test_the_same_seed_gives_the_same_run(city_graph: Path, city_run: Path, tiny: RunConfig, tmp_path: Path) -> None:
    train(city_graph, tmp_path / "run", config=tiny, device="cpu")
    assert weights(tmp_path / "run") == weights(city_run)
    assert history(tmp_path / "run") == history(city_run)


def test_another_seed_gives_another_run(city_graph: Path, city_run: Path, tiny: RunConfig, tmp_path: Path) -> None:
    train(city_graph, tmp_path / "run", config=changed(tiny, seed=1), device="cpu")
    assert weights(tmp_path / "run") != weights(city_run)
    assert history(tmp_path / "run") != history(city_run)


def test_what_happens_in_the_test_split_does_not_touch_a_training(
    city_graph: Path, city_run: Path, tiny: RunConfig, tmp_path: Path
) -> None:
    poisoned = shutil.copytree(city_graph, tmp_path / "graph")
    events = pq.read_table(poisoned / "events.parquet")
    for name, count in (("user", 40), ("item", 120), ("location", 30)):
        column, late = events[name].to_numpy().copy(), events["split"].to_numpy() == TEST
        column[late] = torch.randint(0, count, (int(late.sum()),)).numpy()
        events = events.set_column(events.column_names.index(name), name, pa.array(column, pa.int32()))
    pq.write_table(events, poisoned / "events.parquet")
    train(poisoned, tmp_path / "run", config=tiny, device="cpu")
    assert weights(tmp_path / "run") == weights(city_run)


def test_a_run_directory_says_what_made_it(city_graph: Path, city_run: Path) -> None:
    manifest = json.loads((city_run / "manifest.json").read_text())
    graph = json.loads((city_graph / "manifest.json").read_text())
    assert manifest["graph_hash"] == graph["hash"]
    assert (city_run / manifest["graph"]).resolve() == city_graph.resolve()
    assert manifest["nodes"] == {kind: graph["counts"][kind] for kind in ("user", "item", "location")}
    assert manifest["training_rows"] == graph["counts"]["train"]
    assert (manifest["seed"], manifest["device"], manifest["precision"]) == (0, "cpu", "no")
    assert manifest["wall_seconds"] > 0
    assert manifest["peak_memory"] > 10_000_000
    assert {"python", "torch", "graphrec"} <= manifest["versions"].keys()
    assert len(list(city_run.glob("events.out.tfevents*"))) == 1
    assert [path.name for path in city_run.rglob("*partial*")] == []


def test_each_epoch_learns_more(city_graph: Path, tiny: RunConfig, tmp_path: Path) -> None:
    manifest = train(city_graph, tmp_path / "run", config=changed(tiny, epochs=3, patience=3), device="cpu")
    losses = [record["train_loss"] for record in manifest.history]
    assert losses == sorted(losses, reverse=True)
    assert manifest.history[-1]["learning_rate"] < manifest.history[0]["learning_rate"]


# when it stops, and what it keeps


def test_it_stops_when_validation_no_longer_improves_and_keeps_the_best(
    city_graph: Path, tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = planned(monkeypatch, [0.1, 0.3, 0.2, 0.3, 0.9])
    config = changed(tiny, epochs=5, patience=2, batch_size=512)
    manifest = train(city_graph, tmp_path / "run", config=config, device="cpu")
    assert [record["mrr"] for record in manifest.history] == [0.1, 0.3, 0.2, 0.3]  # level is not better
    assert manifest.best_epoch == 2
    with safe_open(tmp_path / "run" / "model.safetensors", "pt") as file:
        kept = {name: file.get_tensor(name) for name in ends[2]}
    assert all(torch.equal(kept[name], value) for name, value in ends[2].items())
    assert not all(torch.equal(ends[4][name], value) for name, value in ends[2].items())


def test_patience_starts_again_with_each_better_epoch(
    city_graph: Path, tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(monkeypatch, [0.2, 0.1, 0.3, 0.1])
    manifest = train(city_graph, tmp_path / "run", config=changed(tiny, epochs=4, batch_size=512), device="cpu")
    assert len(manifest.history) == 4
    assert manifest.best_epoch == 3


def test_without_validation_the_lowest_loss_is_the_best(tiny: RunConfig, tmp_path: Path) -> None:
    manifest = train(graph_of(tmp_path, "train"), tmp_path / "run", config=changed(tiny, epochs=3), device="cpu")
    losses = [record["train_loss"] for record in manifest.history]
    assert "mrr" not in manifest.history[0]
    assert manifest.best_epoch == 1 + losses.index(min(losses))


def test_val_events_are_learned_from_where_they_are_not_held_out(
    city_graph: Path, tiny: RunConfig, tmp_path: Path
) -> None:
    counts = json.loads((city_graph / "manifest.json").read_text())["counts"]
    manifest = train(city_graph, tmp_path / "run", config=changed(tiny, train_on_val=True), device="cpu")
    assert manifest.training_rows == counts["train"] + counts["val"]
    assert all("mrr" not in epoch for epoch in manifest.history)
    run = Run.open(tmp_path / "run", device="cpu")
    seen = torch.zeros(counts["item"], dtype=torch.bool)
    seen[run.graph.log.item[run.graph.log.split < TEST].long()] = True
    assert torch.equal(run.model.encoder("item").trained, seen)
    with pytest.raises(RunError, match="the val events were trained on"):
        evaluate(run, "val")
    assert evaluate(run, "test").n == counts["test"]


def test_an_epoch_is_as_long_as_it_is_set(city_graph: Path, tiny: RunConfig, tmp_path: Path) -> None:
    settings = changed(tiny, samples_per_epoch=100, batch_size=64, epochs=2, min_steps=1)
    assert Training(city_graph, tmp_path / "run", settings, "cpu", NoProgress()).steps == 2


def test_without_a_train_event_there_is_nothing_to_learn(tiny: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="no train event to learn from"):
        train(graph_of(tmp_path, "test"), tmp_path / "run", config=tiny, device="cpu")
    assert not (tmp_path / "run").exists()


# one step


@pytest.fixture
def exact(tiny: RunConfig) -> RunConfig:
    """Settings under which nothing is left to chance, and a batch that no number of parts divides."""
    return changed(tiny, model={"dropout": 0.0, "id_dropout": 0.0, "propagation_dropout": 0.0}, batch_size=50)


def first_step(graph: Path, folder: Path, config: RunConfig) -> tuple[float, list[torch.Tensor]]:
    """The loss of the first step, and the running means of the gradients that it leaves."""
    training = Training(graph, folder, config, "cpu", NoProgress())
    loss = training._step(next(training._batches(0, 0)))
    return loss, [moments["exp_avg"] for moments in training.optimiser.state_dict()["state"].values()]


@pytest.mark.parametrize("parts", [2, 3, 50])
def test_a_batch_in_parts_gives_the_step_of_the_whole(
    parts: int, city_graph: Path, exact: RunConfig, tmp_path: Path
) -> None:
    loss, gradients = first_step(city_graph, tmp_path, exact)
    loss_in_parts, gradients_in_parts = first_step(city_graph, tmp_path, changed(exact, accumulate=parts))
    assert loss_in_parts == pytest.approx(loss, rel=1e-5)
    for one, other in zip(gradients, gradients_in_parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-7)
    assert max(float(one.abs().max()) for one in gradients) > 1e-4  # 1e-7 is small beside it


def test_the_gradient_is_clipped(city_graph: Path, exact: RunConfig, tmp_path: Path) -> None:
    def norm(clip: float) -> float:
        _, gradients = first_step(city_graph, tmp_path, changed(exact, gradient_clip=clip))
        return 10 * float(torch.stack([one.norm() for one in gradients]).norm())  # the mean is a tenth of the gradient

    assert norm(1e-3) == pytest.approx(1e-3, rel=1e-3)
    assert norm(1e6) > 0.01


@pytest.mark.parametrize("settings", [{"full_softmax": 0, "negatives": 16}, {"precision": "bf16"}])
def test_a_sampled_softmax_and_bfloat16_learn_too(
    settings: dict[str, Any], city_graph: Path, city_run: Path, tiny: RunConfig, tmp_path: Path
) -> None:
    manifest = train(city_graph, tmp_path / "run", config=changed(tiny, **settings), device="cpu")
    assert weights(tmp_path / "run") != weights(city_run)
    assert manifest.history[0]["mrr"] > 0.1  # by chance 0.045, the mean of 1 / rank over 120 items
    assert manifest.precision == settings.get("precision", "no")


@pytest.mark.parametrize("model", [{"fan_out": {}}, {"fan_out": {"nearby": 3}}])
def test_a_model_with_less_learns_too(model: dict[str, Any], city_graph: Path, tiny: RunConfig, tmp_path: Path) -> None:
    manifest = train(city_graph, tmp_path / "run", config=changed(tiny, model=model, epochs=2), device="cpu")
    first, second = (record["train_loss"] for record in manifest.history)
    assert second < first


# what is refused


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("notes.txt", "something else"),
        ("config.yaml", r"an unfinished run \(go on with --resume\)"),
        ("manifest.json", "something else"),
    ],
)
def test_a_place_that_is_taken_is_refused_and_kept(name: str, held: str, city_graph: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunError, match=f"a new folder expected, but it holds {held}; give another --out"):
        train(city_graph, tmp_path, device="cpu")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "mine"}


def test_a_finished_run_and_a_file_are_refused(city_graph: Path, city_run: Path, tmp_path: Path) -> None:
    before = weights(city_run)
    with pytest.raises(RunError, match="it holds a finished run"):
        train(city_graph, city_run, device="cpu")
    assert weights(city_run) == before
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="it holds something else"):
        train(city_graph, tmp_path / "file", device="cpu")


def test_an_empty_folder_is_taken(city_graph: Path, tiny: RunConfig, tmp_path: Path) -> None:
    assert train(city_graph, tmp_path, config=tiny, device="cpu").best_epoch == 1


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "gpu", "mps", ""])
def test_a_training_that_cannot_begin_leaves_no_folder(device: str, city_graph: Path, tmp_path: Path) -> None:
    if device.startswith("cuda") and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(RunError, match=rf"device {device}: .*(no CUDA GPU|expected)"):
        train(city_graph, tmp_path / "run", device=device)
    with pytest.raises(GraphError, match=r"a graph directory with a manifest\.json expected"):
        train(tmp_path, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
