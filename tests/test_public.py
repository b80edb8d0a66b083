"""The public surface: few names at ``graphrec``, the others in their subpackage; all documented, typed and lazy."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import graphrec
from graphrec import errors

ROOT = Path(__file__).parent.parent
SURFACE = [
    "graphrec",
    "graphrec.errors",
    "graphrec.metrics",
    *sorted(".".join(stub.parent.relative_to(ROOT).parts) for stub in ROOT.glob("graphrec/*/__init__.pyi")),
    *sorted(".".join(stub.parent.relative_to(ROOT).parts) for stub in ROOT.glob("builders/**/__init__.pyi")),
]
"""Packages and modules that users import from."""
PACKAGES = [name for name in SURFACE if (ROOT / name.replace(".", "/")).is_dir()]
"""Those whose names are declared in a stub and imported at first use."""


def public_values(name: str) -> Iterator[object]:
    """The public functions, classes and constants of a package, without its subpackages."""
    module = importlib.import_module(name)
    values = (getattr(module, public) for public in module.__all__)
    return (value for value in values if not isinstance(value, ModuleType))


def test_few_names_stand_at_the_top() -> None:
    assert 12 <= len(list(public_values("graphrec"))) <= 17


def test_every_subpackage_is_reached_from_the_top() -> None:
    assert {f"graphrec.{name}" for name in graphrec.__all__} >= {
        name for name in SURFACE if name.startswith("graphrec.")
    }


@pytest.mark.parametrize("name", SURFACE)
def test_every_name_of_all_is_there_once_in_order_and_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(set(module.__all__))
    assert set(module.__all__) <= set(dir(module))
    assert [value for value in public_values(name) if callable(value) and not value.__doc__] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_a_stub_declares_what_is_imported(name: str) -> None:
    """A type checker reads ``__all__`` of the stub, Python its import lines."""
    tree = ast.parse((ROOT / name.replace(".", "/") / "__init__.pyi").read_text())
    declared = next(node.value for node in tree.body if isinstance(node, ast.Assign))
    assert sorted(ast.literal_eval(declared)) == list(importlib.import_module(name).__all__)
    assert all(
        alias.asname == alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    )


@pytest.mark.parametrize("name", PACKAGES)
def test_no_public_name_is_that_of_a_file_or_folder(name: str) -> None:
    """Once imported, the module would stand where the function did."""
    files = {path.stem for path in (ROOT / name.replace(".", "/")).iterdir()}
    modules = {public for public in importlib.import_module(name).__all__ if f"{name}.{public}" in SURFACE}
    assert files & set(importlib.import_module(name).__all__) == modules


def test_every_error_is_public() -> None:
    tree = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert tree == set(errors.__all__)


def test_the_errors_are_one_tree_and_drawn() -> None:
    tree = [value for value in vars(errors).values() if isinstance(value, type)]
    assert all(issubclass(error, errors.GraphrecError) for error in tree)
    assert all(error.__name__ in (errors.__doc__ or "") for error in tree)


@pytest.mark.parametrize("name", ["InputError", "Relation", "draw_shares"])
def test_a_name_that_has_moved_into_a_subpackage_warns_and_works(name: str) -> None:
    (home,) = [home for home in SURFACE[1:] if name in importlib.import_module(home).__all__]
    with pytest.warns(FutureWarning, match=f"graphrec.{name} is now {home}.{name}"):
        value = getattr(graphrec, name)
    assert value is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize("name", ["recomend", "_private", "__path"])
def test_a_name_that_never_was_is_missing(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'graphrec' has no attribute '{name}'"):
        getattr(graphrec, name)


@pytest.mark.parametrize("name", PACKAGES)
def test_importing_a_package_loads_nothing_heavy(name: str, tmp_path: Path) -> None:
    code = f"import sys, {name}, graphrec.errors, graphrec.environment; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr or f"import {name} imported torch: declare names in __init__.pyi"
