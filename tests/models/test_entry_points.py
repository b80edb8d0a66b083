"""A model of another package: the one that docs/how-to/add-a-model.md makes, installed as that page says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.completion import model_names as offered
from graphrec.errors import ConfigError
from graphrec.models.registry import BUILT_IN, model_entry, model_names, register
from graphrec.runs.config import RunConfig
from graphrec.runs.run import Run
from tests.test_docs import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "add-a-model.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages with the page's one."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    model, *_ = (block for block in blocks(PAGE.read_text(encoding="utf-8")) if block.language == "python")
    (project,) = (block for block in blocks(PAGE.read_text(encoding="utf-8")) if block.detail == "pyproject.toml")
    (source / "neumf.py").write_text(model.code)
    (source / "pyproject.toml").write_text(project.code)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run([*command, "--target", folder, source], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a page of the docs has registered in this process."""
    monkeypatch.setattr("graphrec.models.registry._registered", {})


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "neumf", raising=False)
    return site


def test_a_model_of_an_installed_package_is_used_like_any_other(
    installed: Path, city_graph: Path, tmp_path: Path, graphrec: Callable[..., Any]
) -> None:
    run = tmp_path / "run"
    trained = graphrec(
        "train", city_graph, "--model", "neumf", "--set", "dimension=8", "--set", "epochs=2", "--out", run
    )
    assert trained.code == 0, trained.err
    assert RunConfig.load(run / "config.yaml").model.name == "neumf"
    evaluated = graphrec("evaluate", run)
    assert (evaluated.code, "neumf" in evaluated.out) == (0, True)
    assert graphrec("recommend", run, "--user", "u0003", "-k", "3").code == 0
    opened = Run.open(run)
    assert type(opened.model).__name__ == "NeuMF"
    assert not opened.is_explainable


def test_its_hyperparameters_are_checked(installed: Path) -> None:
    assert RunConfig.load(settings=["model.name=neumf", "negatives=2"]).training.negatives == 4096
    assert RunConfig.load(settings=["model.negatives=2", "model.name=neumf"]).model.model_dump()["negatives"] == 2
    assert RunConfig.load(settings=["model.name=neumf"]).training.weight_decay == 0.0
    with pytest.raises(ConfigError, match=r"setting model\.heads: there is none of that name here, got 2"):
        RunConfig.check({"model": {"name": "neumf", "heads": 2}})
    with pytest.raises(ConfigError, match=r"model 'neumv': one of stgat, .*, neumf expected, did you mean 'neumf'\?"):
        RunConfig.check({"model": {"name": "neumv"}})


def test_it_is_listed_and_completed_without_being_imported(installed: Path) -> None:
    assert model_names() == [*BUILT_IN, "neumf"]
    assert offered("n") == ["neumf"]
    assert "neumf" not in sys.modules


def test_it_is_gone_with_its_package(site: Path) -> None:
    assert "neumf" not in model_names()
    with pytest.raises(ConfigError, match="model 'neumf': one of"):
        model_entry("neumf")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("no_such_module:NEUMF", r"model broken: no_such_module:NEUMF cannot be imported"),
        ("graphrec.models.slit:NEUMF", r"model broken: graphrec\.models\.slit:NEUMF cannot be imported"),
        ("graphrec.models.slit:DAY", r"model broken: a ModelEntry of this name expected at .*, got 86400"),
        ("graphrec.models.slit:SLIT", r"model broken: a ModelEntry of this name expected at "),
    ],
)
def test_an_entry_that_cannot_be_used_is_one_line(
    place: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "broken-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[graphrec.models]\nbroken = {place}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert RunConfig.load(settings=["epochs=3"]).model.name == "stgat"  # whoever does not name it is not disturbed
    with pytest.raises(ConfigError, match=said):
        RunConfig.check({"model": {"name": "broken"}})


def test_a_built_in_name_is_not_given_away() -> None:
    with pytest.raises(ConfigError, match="model 'slit': graphrec has a model of this name"):
        register(model_entry("slit"))
