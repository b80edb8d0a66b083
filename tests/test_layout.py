"""Three plain packages, each imported from this checkout and only in the allowed direction."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("graphrec", "builders", "cli")


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_imported_from_here_whatever_the_working_folder(package: str, tmp_path: Path) -> None:
    done = run("-W", "error", "-c", f"import {package}; print({package}.__file__)", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == ROOT / package / "__init__.py"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_every_module_can_be_imported_first(tmp_path: Path) -> None:
    """No module leans on another having been imported before it: each one alone, in one process, freshly.

    Those of Spark need an extra that few have.
    """
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    ]
    code = f"""
import importlib, sys
for name in {modules!r}:
    for loaded in [m for m in sys.modules if m.split(".")[0] in {PACKAGES!r}]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != "pyspark" or not name.startswith("builders.engine.spark"):
            raise
"""
    done = run("-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_imports_run_one_way() -> None:
    done = run(str(Path(sys.executable).with_name("lint-imports")), folder=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("loaded", ["torch", "transformers", "ibis", "pyarrow"])
def test_help_loads_nothing_heavy(loaded: str, tmp_path: Path) -> None:
    """A command imports graphrec and builders inside its function, and graphrec/__init__.py loads names lazily."""
    code = f"""
import sys
from typer.testing import CliRunner
from cli.main import app
result = CliRunner().invoke(app, ["--help"])
assert result.exit_code == 0, result.output
sys.exit({loaded!r} in sys.modules)
"""
    done = run("-c", code, folder=tmp_path)
    assert done.returncode == 0, f"graphrec --help imported {loaded}. {done.stderr}"


def test_the_distribution_holds_the_three_packages_only() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["tool"]["setuptools"]["packages"]["find"]["include"] == [f"{name}*" for name in PACKAGES]


def test_torch_is_pinned() -> None:
    """A free torch pulls several GB of CUDA onto a machine without a GPU."""
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()


def test_constraints_name_packages_and_nothing_else() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if line.count("==") != 1 or set(line) & set("/@: +")] == []
