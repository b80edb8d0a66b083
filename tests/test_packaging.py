"""The wheel and the source distribution are complete; ``make package`` also installs and uses them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("graphrec", "builders", "cli")
BUILD = "import sys; from setuptools.build_meta import {0} as build; build(sys.argv[1])"


def files(folder: Path) -> set[str]:
    """Files of the packages that are to be shipped."""
    found = (path for package in PACKAGES for path in (folder / package).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix() for path in found if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packaged: a build leaves folders behind."""
    copy = tmp_path_factory.mktemp("tree")
    left_out = shutil.ignore_patterns("__pycache__")
    for name in (*PACKAGES, "tests", "docs", "notebooks", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=left_out)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, copy)
    return copy


def built(tree: Path, out: Path, kind: str) -> Path:
    command = [sys.executable, "-c", BUILD.format(f"build_{kind}"), str(out)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    (made,) = out.iterdir()
    return made


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(tree: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(built(tree, tmp_path / "wheel", "wheel")) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        about = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        assert "License-Expression: Apache-2.0" in wheel.read(about).decode()
        assert any(name.endswith("entry_points.txt") for name in wheel.namelist())
    assert names == files(tree)


def test_the_source_distribution_can_be_built_tested_and_read(tree: Path, tmp_path: Path) -> None:
    with tarfile.open(built(tree, tmp_path / "sdist", "sdist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = ("Makefile", "constraints.txt", "pyproject.toml", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md")
    assert {*needed, "tests/worlds.py", "tests/conftest.py", "docs/model.md"} <= names
    assert files(tree) <= names
    assert not [name for name in names if "__pycache__" in name]


USES = """
from builders import ColumnMapping, build_graph
from graphrec import EvaluationProtocol, GraphrecError, ModelConfig, Run, RunConfig, TemporalGraph, TrainingConfig
from graphrec import evaluate, recommend, train
from graphrec.interest import user_profile
from graphrec.pictures import draw_ego
from graphrec.subgraph import ego

events: int = build_graph(["log.csv"], "graph", mapping=ColumnMapping(user="who")).counts["events"]
config = RunConfig(model=ModelConfig(dimension=16), training=TrainingConfig(epochs=1), seed=3)
try:
    print(train("graph", "run", config=config).best_epoch)
except GraphrecError as error:
    print(error)
run = Run.open("run")
protocol: EvaluationProtocol = run.protocol
graph: TemporalGraph = run.graph
lists = recommend(run, ["u0001"], k=4, near=(40.75, -73.99))
score: float = lists[0].items[0].score
print(lists.to_pandas(), lists[0].to_dict()["items"])
mrr: float = evaluate(run, "test", overrides={"novel": True}).metrics["mrr"]
draw_ego(ego(graph, "u0001", time=1_700_000_000)).savefig("ego.png")
print(user_profile(graph, "u0001", until=1_700_000_000))
"""
"""A user's script that is right."""
MISUSES = {
    "a misspelt method": 'from graphrec import Run\n\nRun.opne("run")\n',
    "a wrong argument type": 'from graphrec import Run, recommend\n\nrecommend(Run.open("run"), 3)\n',
    "an unknown keyword": 'from graphrec import Run, recommend\n\nrecommend(Run.open("run"), ["u"], kk=4)\n',
    "a positional option": 'from graphrec import Run, recommend\n\nrecommend(Run.open("run"), ["u"], 1)\n',
    "a misspelt field": 'from graphrec import Run, recommend\n\nprint(recommend(Run.open("run"), ["u"])[0].itmes)\n',
    "a misspelt name": "from graphrec import recomend\n\nprint(recomend)\n",
    "a name of the wrong package": "from graphrec.interest import draw_ego\n\nprint(draw_ego)\n",
    "an unknown setting": "from graphrec import TrainingConfig\n\nTrainingConfig(epoch=3)\n",
    "a method of a builder": 'from builders import ColumnMapping\n\nColumnMapping.laod("mapping.yaml")\n',
}
"""Scripts that a type checker must refuse, at the import or at the use."""


@pytest.fixture(scope="module")
def environment(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which the wheel is installed, beside the packages that it needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    wheel = built(tree, folder / "dist", "wheel")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, str(wheel)], check=True, timeout=120)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin" / "python"


@pytest.mark.parametrize("checker", ["pyright", pytest.param("mypy", marks=pytest.mark.slow)])
def test_a_type_checker_sees_the_installed_wheel(checker: str, environment: Path, tmp_path: Path) -> None:
    """mypy reads torch first, for most of a minute."""
    scripts = {"right.py": USES, **{f"{name.replace(' ', '_')}.py": text for name, text in MISUSES.items()}}
    for name, text in scripts.items():
        (tmp_path / name).write_text(text)
    options = {
        "mypy": ["--strict", "--python-executable", str(environment), "--cache-dir", str(tmp_path / "cache")],
        "pyright": ["--pythonpath", str(environment)],
    }
    command = [sys.executable, "-m", checker, *options[checker], *scripts]
    alone = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, timeout=280)
    found = re.findall(r"(\w+\.py):(\d+)(?::\d+)?(?: -|:) error", done.stdout)
    assert {name for name, _ in found} == set(scripts) - {"right.py"}, done.stdout + done.stderr
    assert {line for _, line in found} <= {"1", "3"}, done.stdout
