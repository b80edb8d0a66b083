"""The public surface: ``graphrec.__all__`` is complete, and each name in it is there and documented."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import graphrec
from graphrec import errors

pytestmark = pytest.mark.skipif(graphrec.__file__ is None, reason="graphrec/__init__.py is not written yet")


def test_every_name_of_all_is_there_once() -> None:
    assert len(set(graphrec.__all__)) == len(graphrec.__all__)
    missing = [name for name in graphrec.__all__ if not hasattr(graphrec, name)]
    assert missing == []


def test_all_is_sorted() -> None:
    assert list(graphrec.__all__) == sorted(graphrec.__all__)


def test_no_public_name_is_that_of_a_file() -> None:
    """Once imported, the file would stand where the function did."""
    files = {path.stem for path in Path(graphrec.__file__).parent.iterdir()}
    assert files & set(graphrec.__all__) == set()


def test_dir_shows_what_all_names() -> None:
    assert set(graphrec.__all__) <= set(dir(graphrec))


def test_nothing_public_is_left_out() -> None:
    ours = {name for name, value in vars(graphrec).items() if getattr(value, "__module__", "").startswith("graphrec")}
    assert {name for name in ours if not name.startswith("_")} - set(graphrec.__all__) == set()


def test_every_public_name_is_documented() -> None:
    values = {name: getattr(graphrec, name) for name in graphrec.__all__}
    assert [name for name, value in values.items() if callable(value) and not value.__doc__] == []


def test_every_error_is_public() -> None:
    tree = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert tree <= set(graphrec.__all__)


def test_the_errors_are_one_tree_and_drawn() -> None:
    tree = [value for value in vars(errors).values() if isinstance(value, type)]
    assert all(issubclass(error, errors.GraphrecError) for error in tree)
    assert all(error.__name__ in (errors.__doc__ or "") for error in tree)


def test_import_graphrec_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, graphrec, graphrec.errors, graphrec.environment; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr or "import graphrec imported torch: load names lazily (PEP 562)"
