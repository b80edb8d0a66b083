"""Resuming: killed or interrupted, wherever it was, a training ends bit for bit where an undisturbed one does."""

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

import pytest
import torch
from safetensors import safe_open

from graphrec.errors import RunError
from graphrec.runs.config import RunConfig
from graphrec.training import checkpoint
from graphrec.training.trainer import Training, train
from tests.run_fixtures import changed, graph_of, history, planned, weights


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
    with safe_open(path, "np") as file:  # "pt" opens the file twice, and it may be another by then
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
    train(city_graph, run, config=long, device="cpu")
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
    train(city_graph, run, config=short, device="cpu")
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
        train(city_graph, tmp_path / "run", config=short, device="cpu")
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


def test_an_interrupted_training_remembers_how_long_it_has_been_patient(
    city_graph: Path, tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(monkeypatch, [0.3, 0.2, 0.1, 0.9])
    with interrupted(torch.optim.AdamW, "step", 5, before=True):  # two steps an epoch: in the third
        train(city_graph, tmp_path / "run", config=changed(tiny, epochs=4, batch_size=512), device="cpu")
    manifest = train(city_graph, tmp_path / "run", device="cpu", resume=True)
    assert [record["mrr"] for record in manifest.history] == [0.3, 0.2, 0.1]
    assert manifest.best_epoch == 1


# what is refused


def test_there_must_be_something_to_resume(city_graph: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nothing to resume here; start a run without --resume"):
        train(city_graph, tmp_path / "run", device="cpu", resume=True)
    assert not (tmp_path / "run").exists()


def test_a_run_resumes_with_its_own_settings_only(
    city_graph: Path, city_run: Path, tiny: RunConfig, tmp_path: Path
) -> None:
    run = shutil.copytree(city_run, tmp_path / "run")
    with pytest.raises(RunError, match="the run to resume has other settings than given"):
        train(city_graph, run, config=changed(tiny, epochs=9), device="cpu", resume=True)
    train(city_graph, run, config=tiny, device="cpu", resume=True)


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
