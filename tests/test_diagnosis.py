"""What `graphrec doctor` looks at, with one thing broken at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from graphrec import diagnosis
from graphrec.diagnosis import EXTRAS, INTERNAL_EXTRAS, Check, checks
from graphrec.environment import versions

ROOT = Path(diagnosis.__file__).parent.parent


def named(name: str) -> Check:
    return next(check for check in checks() if check.name == name)


def require(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Let graphrec's metadata ask for these requirements."""
    monkeypatch.setattr(metadata, "requires", lambda name: list(lines))


def test_versions_name_python_graphrec_and_what_it_requires() -> None:
    found = versions()
    assert found["graphrec"] == metadata.version("graphrec")
    assert found["torch"] == metadata.version("torch")
    assert list(found)[:2] == ["python", "graphrec"]
    assert "pytest" not in found  # an extra's package


def test_here_nothing_fails() -> None:
    assert [check for check in checks() if check.state == "fail"] == []


def test_only_what_is_not_ok_has_a_remedy() -> None:
    assert all(bool(check.remedy) == (check.state != "ok") for check in checks())


def test_a_missing_package_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    require(monkeypatch, "no-such-package>=3")
    assert named("no-such-package") == Check(
        "no-such-package", "fail", "not installed", "run: pip install -c constraints.txt 'no-such-package>=3'"
    )


def test_an_old_package_fails_and_a_local_build_counts_as_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    require(monkeypatch, "torch>=99", "numpy>=1")
    assert named("torch").state == "fail"
    assert named("torch").found.endswith("but >=99 is needed")
    assert named("numpy").state == "ok"
    require(monkeypatch, f"torch>={metadata.version('torch').partition('+')[0]}")
    assert named("torch").state == "ok"


def test_a_missing_extra_is_a_warning_and_the_developers_extra_is_no_business_of_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require(monkeypatch, 'no-such-package; extra == "fast"', 'neither-this; extra == "dev"', 'numpy; extra == "slow"')
    assert (named("extra fast").state, named("extra slow").state) == ("warn", "ok")
    assert not any(check.name == "extra dev" for check in checks())


def test_graphrec_itself_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert versions()["graphrec"] == "not installed"
    assert named("graphrec").state == "fail"


def test_a_package_from_elsewhere_fails(tmp_path: Path) -> None:
    """Another distribution's top-level ``builders`` stands before ours on the path."""
    (tmp_path / "builders").mkdir()
    (tmp_path / "builders" / "__init__.py").write_text("")
    code = "from graphrec.diagnosis import checks; print(*[c.found for c in checks() if c.state == 'fail'], sep='\\n')"
    surroundings = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith(f"{tmp_path / 'builders'}, expected "), done.stderr
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("name", ["builders.py", "builders/__init__.py"])
def test_a_file_in_the_working_folder_that_would_be_imported_instead_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    assert named("shadow of builders").state == "warn"
    assert not any(check.name == "shadow of cli" for check in checks())


def test_the_checkout_does_not_shadow_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(diagnosis.__file__).parent.parent)
    assert not any(check.name.startswith("shadow") for check in checks())


def test_a_cache_that_cannot_be_written_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRAPHREC_CACHE", str(tmp_path / "file" / "cache"))
    assert named("cache folder").state == "fail"


def test_every_extra_says_what_it_is_for_and_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {*EXTRAS, *INTERNAL_EXTRAS} == given.keys()
    require(monkeypatch, 'no-such-package; extra == "implicit"')
    assert named("extra implicit").found == "the models als and bpr: without no-such-package"
    assert named("extra implicit").remedy == "if you need the models als and bpr: pip install 'graphrec[implicit]'"


def test_memory_and_disk_are_told_and_too_little_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert " GiB are free" in named("memory").found
    assert " GiB are free in this folder" in named("disk").found
    monkeypatch.setattr(diagnosis, "MIN_MEMORY_GIB", 1e9)
    monkeypatch.setattr(diagnosis, "MIN_DISK_GIB", 1e9)
    assert (named("memory").state, named("disk").state) == ("warn", "warn")


def test_java_is_looked_for_where_there_is_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "installed", lambda name: None if name == "pyspark" else "9.9")
    assert not any(check.name == "java" for check in checks())
    monkeypatch.setattr(diagnosis, "installed", lambda name: "9.9")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert named("java").state == "warn"
    assert f"JAVA_HOME={tmp_path}" in named("java").found
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch(mode=0o755)
    assert named("java").found == f"{tmp_path / 'bin' / 'java'}, for Spark"


def test_text_models_at_hand_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(diagnosis, "installed", lambda name: None)
    assert named("text models").state == "warn"
    assert named("text models").found == "none here; no others, by HF_HUB_OFFLINE"
    (tmp_path / "models--owner--reader").mkdir()
    assert named("text models") == Check("text models", "ok", "owner/reader; no others, by HF_HUB_OFFLINE")
    monkeypatch.setattr(diagnosis, "installed", lambda name: "9.9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    assert named("text models").found == "minilm, owner/reader; others from the Hugging Face hub"
