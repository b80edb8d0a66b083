"""The wheel and the source distribution are complete; ``make package`` also installs and uses them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
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
