"""What tests share: no network, one thread, a text cache of the session, a small city, the folder of real logs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from graphrec.runs.config import RunConfig

hypothesis.settings.register_profile("ci", derandomize=True)  # the same cases each time; elsewhere new ones
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported, so before any test module
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the programs that tests start, beside those of another process
os.environ["COLUMNS"] = "80"  # the width that help and tables are held to


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch  # after jaxtyping's import hook, and not for tests that are only collected

    torch.set_num_threads(1)  # the tensors are tiny: a second thread costs more than it brings, on a busy machine 40x


@pytest.fixture(scope="session", autouse=True)
def text_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder of text vectors for the whole session: nothing is encoded twice, nothing is left behind."""
    folder = tmp_path_factory.mktemp("text-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHREC_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real logs, from $GRAPHREC_DATA."""
    given = os.environ.get("GRAPHREC_DATA")
    if not given:
        pytest.skip("set GRAPHREC_DATA to the folder of the real logs to run this test")
    folder = Path(given)
    if not folder.is_dir():
        pytest.skip(f"GRAPHREC_DATA={given} is not a folder")
    return folder


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the log and the tables of a small simulated city; read only."""
    from builders.simulation.simulated_log import simulate_city

    folder = tmp_path_factory.mktemp("city")
    simulate_city(folder, users=40, days=20)
    return folder


@pytest.fixture(scope="session")
def city_graph(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Graph directory of the city, without text vectors; read only."""
    from builders.build import build_graph

    tables = {name: city / f"{name}.csv" for name in ("items", "users", "locations")}
    out = tmp_path_factory.mktemp("city-graph") / "graph"
    build_graph([city / "events.csv"], out, **tables, text_model="none")  # type: ignore[arg-type]
    return out


@pytest.fixture(scope="session")
def long_city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of half a year of a simulated city: its tables, truth.json, and in ``graph`` its graph; read only."""
    from builders.build import build_graph
    from builders.simulation.simulated_log import simulate_city

    folder = tmp_path_factory.mktemp("long-city") / "city"
    simulate_city(folder, users=100, days=182)
    tables = {name: folder / f"{name}.csv" for name in ("items", "users", "locations")}
    build_graph([folder / "events.csv"], folder / "graph", **tables, text_model="none")  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="session")
def tiny() -> RunConfig:
    """Settings that train on the city in about a second."""
    from graphrec.runs.config import RunConfig

    model = {"dimension": 16, "heads": 2, "fan_out": {"own_history": 8, "transitions": 6, "nearby": 6}}
    training = {"epochs": 1, "batch_size": 64, "checkpoint_every": 5, "warmup": 5}
    return RunConfig.check({"model": model, "training": training})


@pytest.fixture(scope="session")
def city_run(city_graph: Path, tiny: RunConfig) -> Path:
    """Run directory of one epoch on the city; read only: copy it to evaluate it."""
    from graphrec.training.trainer import train

    out = city_graph.with_name("run")
    train(city_graph, out, config=tiny, device="cpu")
    return out


@dataclass(frozen=True)
class Ended:
    """What a command left on the terminal."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line that a refused command ends with, after the progress that came before it."""
        assert self.code == 1, self
        assert "Traceback" not in self.err
        line = self.err.splitlines()[-1]
        assert line.startswith("error: "), self.err
        return line.removeprefix("error: ")


@pytest.fixture
def graphrec(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """The console script, run in this process: ``graphrec("info", folder)``."""
    from cli.main import main

    def run(*arguments: str | Path) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["graphrec", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return Ended(end.value.code if isinstance(end.value.code, int) else 0, *capsys.readouterr())

    return run
