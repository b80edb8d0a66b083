"""Training: the same seed gives the same run, a stopped one goes on to the same end, and nothing is overwritten."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open

from builders.graph import build_graph
from graphrec import checkpoint
from graphrec.config import RunConfig
from graphrec.errors import GraphError, RunError
from graphrec.events import TEST
from graphrec.progress import Silent
from graphrec.training import Training, train

STOPWATCH = {"seconds", "wall_seconds", "peak_memory"}
"""What no seed decides."""


def changed(config: RunConfig, seed: int = 0, model: dict[str, Any] | None = None, **training: Any) -> RunConfig:
    """The same settings but for some."""
    return RunConfig(
        model=config.model.model_copy(update=model or {}),
        training=config.training.model_copy(update=training),
        seed=seed,
    )


def weights(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def history(run: Path) -> list[dict[str, float]]:
    records = json.loads((run / "manifest.json").read_text())["history"]
    return [{name: value for name, value in record.items() if name not in STOPWATCH} for record in records]


def planned(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> dict[int, dict[str, torch.Tensor]]:
    """Let validation find these MRRs, epoch by epoch; returns the weights that each epoch will end with."""
    ends: dict[int, dict[str, torch.Tensor]] = {}

    def validate(self: Training) -> dict[str, float]:
        epoch = len(self.state.history)
        ends[epoch + 1] = {name: value.clone() for name, value in self.model.state_dict().items()}
        return {"mrr": scores[epoch]}

    monkeypatch.setattr(Training, "_validate", validate)
    return ends


# the same seed, the same run


def test_the_same_seed_gives_the_same_run(city_graph: Path, city_run: Path, tiny: RunConfig, tmp_path: Path) -> None:
    train(city_graph, tmp_path / "run", tiny, device="cpu")
    assert weights(tmp_path / "run") == weights(city_run)
    assert history(tmp_path / "run") == history(city_run)


def test_another_seed_gives_another_run(city_graph: Path, city_run: Path, tiny: RunConfig, tmp_path: Path) -> None:
    train(city_graph, tmp_path / "run", changed(tiny, seed=1), device="cpu")
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
    train(poisoned, tmp_path / "run", tiny, device="cpu")
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
    manifest = train(city_graph, tmp_path / "run", changed(tiny, epochs=3, patience=3), device="cpu")
    losses = [record["train_loss"] for record in manifest["history"]]
    assert losses == sorted(losses, reverse=True)
    assert manifest["history"][-1]["learning_rate"] < manifest["history"][0]["learning_rate"]


# stopped, and gone on with


def begin(graph: Path, run: Path, config: RunConfig) -> subprocess.Popen[str]:
    """``graphrec train`` in a process of its own, with the threads that the tests have."""
    settings = run.with_suffix(".yaml")
    config.save(settings)
    script = Path(sys.executable).with_name("graphrec")
    return subprocess.Popen(
        [script, "train", graph, "--out", run, "--config", settings, "--device", "cpu"],
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def steps_done(run: Path) -> int:
    path = run / "checkpoints" / "last.safetensors"
    if not path.is_file():
        return 0
    with safe_open(path, "pt") as file:
        return int(json.loads(file.metadata()["state"])["step"])


def stop_after(process: subprocess.Popen[str], run: Path, steps: int, how: signal.Signals) -> str:
    """Send the signal once a checkpoint has been written beyond so many steps; returns what came on stderr."""
    with process:
        while process.poll() is None and steps_done(run) < steps:
            time.sleep(0.005)
        process.send_signal(how)
        _, errors = process.communicate(timeout=60)
    assert not (run / "manifest.json").exists(), "the training was over before it was stopped"
    return errors


@pytest.fixture(scope="module")
def long(tiny: RunConfig) -> RunConfig:
    """Two epochs of 60 steps, a checkpoint every second."""
    return changed(tiny, epochs=2, batch_size=16, checkpoint_every=2)


@pytest.fixture(scope="module")
def undisturbed(city_graph: Path, long: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    train(city_graph, run, long, device="cpu")
    return run


@pytest.mark.parametrize("steps", [1, 63], ids=["in the first epoch", "in the second epoch"])
def test_a_killed_training_ends_where_an_undisturbed_one_does(
    steps: int, city_graph: Path, long: RunConfig, undisturbed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    stop_after(begin(city_graph, run, long), run, steps, signal.SIGKILL)
    assert steps <= steps_done(run) < 120
    train(city_graph, run, device="cpu", resume=True)
    assert weights(run) == weights(undisturbed)
    assert history(run) == history(undisturbed)


def test_an_interrupted_training_ends_where_an_undisturbed_one_does(
    city_graph: Path, long: RunConfig, undisturbed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = begin(city_graph, run, long)
    errors = stop_after(process, run, 1, signal.SIGINT)
    assert process.returncode == 130
    assert errors.endswith("error: interrupted\n")
    assert "Traceback" not in errors
    train(city_graph, run, device="cpu", resume=True)
    assert weights(run) == weights(undisturbed)
    assert history(run) == history(undisturbed)


@pytest.fixture(scope="module")
def short(tiny: RunConfig) -> RunConfig:
    """Two epochs of four steps, a checkpoint every third."""
    return changed(tiny, epochs=2, batch_size=256, checkpoint_every=3)


@pytest.fixture(scope="module")
def whole(city_graph: Path, short: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    train(city_graph, run, short, device="cpu")
    return run


@contextmanager
def interrupted(owner: Any, name: str, call: int, before: bool) -> Iterator[None]:
    """Ctrl-C at one of the calls of a function: before it does anything, or when it has done everything."""
    function, calls = getattr(owner, name), iter(range(1, 10**6))

    def stopping(*arguments: Any, **named: Any) -> Any:
        now = next(calls) == call
        if now and before:
            raise KeyboardInterrupt
        result = function(*arguments, **named)
        if now:
            raise KeyboardInterrupt
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, stopping)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (torch.optim.AdamW, "step", 5),  # the weights are changed, the step is not counted
        (Training, "_validate", 1),
        (checkpoint, "save", 2),  # the first is within the first epoch, the second is its best
        (checkpoint, "save", 3),
        (checkpoint, "save", 5),
    ],
)
def test_wherever_an_interrupt_comes_the_end_is_the_same(
    owner: Any, name: str, call: int, before: bool, city_graph: Path, short: RunConfig, whole: Path, tmp_path: Path
) -> None:
    with interrupted(owner, name, call, before):
        train(city_graph, tmp_path / "run", short, device="cpu")
    train(city_graph, tmp_path / "run", device="cpu", resume=True)
    assert weights(tmp_path / "run") == weights(whole)
    assert history(tmp_path / "run") == history(whole)


def test_a_training_stopped_before_its_first_checkpoint_starts_anew(
    city_graph: Path, city_run: Path, tiny: RunConfig, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    tiny.save(run / "config.yaml")
    train(city_graph, run, device="cpu", resume=True)
    assert weights(run) == weights(city_run)


def test_resuming_a_finished_run_changes_nothing(city_graph: Path, city_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(city_run, tmp_path / "run")
    (run / "model.safetensors").unlink()  # what is lost is made again from the best checkpoint
    train(city_graph, run, device="cpu", resume=True)
    assert weights(run) == weights(city_run)
    assert history(run) == history(city_run)


# when it stops, and what it keeps


def test_it_stops_when_validation_no_longer_improves_and_keeps_the_best(
    city_graph: Path, tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = planned(monkeypatch, [0.1, 0.3, 0.2, 0.3, 0.9])
    config = changed(tiny, epochs=5, patience=2, batch_size=512)
    manifest = train(city_graph, tmp_path / "run", config, device="cpu")
    assert [record["mrr"] for record in manifest["history"]] == [0.1, 0.3, 0.2, 0.3]  # level is not better
    assert manifest["best_epoch"] == 2
    with safe_open(tmp_path / "run" / "model.safetensors", "pt") as file:
        kept = {name: file.get_tensor(name) for name in ends[2]}
    assert all(torch.equal(kept[name], value) for name, value in ends[2].items())
    assert not all(torch.equal(ends[4][name], value) for name, value in ends[2].items())


def test_patience_starts_again_with_each_better_epoch(
    city_graph: Path, tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(monkeypatch, [0.2, 0.1, 0.3, 0.1])
    manifest = train(city_graph, tmp_path / "run", changed(tiny, epochs=4, batch_size=512), device="cpu")
    assert len(manifest["history"]) == 4
    assert manifest["best_epoch"] == 3


def test_an_interrupted_training_remembers_how_long_it_has_been_patient(
    city_graph: Path, tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(monkeypatch, [0.3, 0.2, 0.1, 0.9])
    with interrupted(torch.optim.AdamW, "step", 5, before=True):  # two steps an epoch: in the third
        train(city_graph, tmp_path / "run", changed(tiny, epochs=4, batch_size=512), device="cpu")
    manifest = train(city_graph, tmp_path / "run", device="cpu", resume=True)
    assert [record["mrr"] for record in manifest["history"]] == [0.3, 0.2, 0.1]
    assert manifest["best_epoch"] == 1


LOG = "user,item,time\n" + "".join(f"u{n % 3},i{n % 5},{1_700_000_000 + 3600 * n}\n" for n in range(30))


def graph_of(folder: Path, split: str) -> Path:
    """A log without places or text whose events all lie in one split."""
    header, *rows = LOG.splitlines()
    (folder / "log.csv").write_text("\n".join([f"{header},split", *(f"{row},{split}" for row in rows)]))
    build_graph([folder / "log.csv"], folder / "graph", text_model="none")
    return folder / "graph"


def test_without_validation_the_lowest_loss_is_the_best(tiny: RunConfig, tmp_path: Path) -> None:
    manifest = train(graph_of(tmp_path, "train"), tmp_path / "run", changed(tiny, epochs=3), device="cpu")
    losses = [record["train_loss"] for record in manifest["history"]]
    assert "mrr" not in manifest["history"][0]
    assert manifest["best_epoch"] == 1 + losses.index(min(losses))


def test_without_a_train_event_there_is_nothing_to_learn(tiny: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="no train event to learn from"):
        train(graph_of(tmp_path, "test"), tmp_path / "run", tiny, device="cpu")
    assert not (tmp_path / "run").exists()


# one step


@pytest.fixture
def exact(tiny: RunConfig) -> RunConfig:
    """Settings under which nothing is left to chance, and a batch that no number of parts divides."""
    return changed(tiny, model={"dropout": 0.0, "id_dropout": 0.0}, batch_size=50)


def first_step(graph: Path, folder: Path, config: RunConfig) -> tuple[float, list[torch.Tensor]]:
    """The loss of the first step, and the running means of the gradients that it leaves."""
    training = Training(graph, folder, config, "cpu", Silent())
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
        _, gradients = first_step(city_graph, tmp_path, changed(exact, clip=clip))
        return 10 * float(torch.stack([one.norm() for one in gradients]).norm())  # the mean is a tenth of the gradient

    assert norm(1e-3) == pytest.approx(1e-3, rel=1e-3)
    assert norm(1e6) > 0.01


@pytest.mark.parametrize("settings", [{"full_softmax": 0, "negatives": 16}, {"precision": "bf16"}])
def test_a_sampled_softmax_and_bfloat16_learn_too(
    settings: dict[str, Any], city_graph: Path, city_run: Path, tiny: RunConfig, tmp_path: Path
) -> None:
    manifest = train(city_graph, tmp_path / "run", changed(tiny, **settings), device="cpu")
    assert weights(tmp_path / "run") != weights(city_run)
    assert manifest["history"][0]["mrr"] > 0.1  # by chance 0.045, the mean of 1 / rank over 120 items
    assert manifest["precision"] == settings.get("precision", "no")


@pytest.mark.parametrize("model", [{"fan_out": {}}, {"fan_out": {"here": 3}}, {"identity": False, "geography": False}])
def test_a_model_with_less_learns_too(model: dict[str, Any], city_graph: Path, tiny: RunConfig, tmp_path: Path) -> None:
    manifest = train(city_graph, tmp_path / "run", changed(tiny, model=model, epochs=2), device="cpu")
    first, second = (record["train_loss"] for record in manifest["history"])
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
    assert train(city_graph, tmp_path, tiny, device="cpu")["best_epoch"] == 1


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "gpu", "mps", ""])
def test_a_training_that_cannot_begin_leaves_no_folder(device: str, city_graph: Path, tmp_path: Path) -> None:
    if device.startswith("cuda") and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(RunError, match=rf"device {device}: .*(no CUDA GPU|expected)"):
        train(city_graph, tmp_path / "run", device=device)
    with pytest.raises(GraphError, match=r"a graph directory with a manifest\.json expected"):
        train(tmp_path, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_there_must_be_something_to_resume(city_graph: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nothing to resume here; start a run without --resume"):
        train(city_graph, tmp_path / "run", device="cpu", resume=True)
    assert not (tmp_path / "run").exists()


def test_a_run_resumes_with_its_own_settings_only(
    city_graph: Path, city_run: Path, tiny: RunConfig, tmp_path: Path
) -> None:
    run = shutil.copytree(city_run, tmp_path / "run")
    with pytest.raises(RunError, match="the run to resume has other settings than given"):
        train(city_graph, run, changed(tiny, epochs=9), device="cpu", resume=True)
    train(city_graph, run, tiny, device="cpu", resume=True)


def test_a_run_resumes_on_its_own_graph_only(
    city: Path, city_graph: Path, city_run: Path, tiny: RunConfig, tmp_path: Path
) -> None:
    run = shutil.copytree(city_run, tmp_path / "run")
    with pytest.raises(RunError, match="is of another graph or of other settings"):
        train(graph_of(tmp_path, "train"), run, device="cpu", resume=True)
    other = shutil.copytree(city_graph, tmp_path / "other")  # as many nodes, but other events
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps({**manifest, "hash": "other"}))
    with pytest.raises(RunError, match="begun on another graph than"):
        train(other, run, device="cpu", resume=True)


@pytest.mark.parametrize("spoil", [lambda data: data[:1000], lambda data: b"", lambda data: b"x" + data])
@pytest.mark.parametrize("name", ["last", "best"])
def test_a_broken_checkpoint_is_one_line(
    name: str, spoil: Callable[[bytes], bytes], city_graph: Path, city_run: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(city_run, tmp_path / "run")
    path = run / "checkpoints" / f"{name}.safetensors"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(RunError, match=rf"{name}\.safetensors: a checkpoint expected \([^\n]+$"):
        train(city_graph, run, device="cpu", resume=True)
