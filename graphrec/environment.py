"""Where graphrec runs: versions, device, folders, and whether another package stands in its place."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

PACKAGES = ("graphrec", "builders", "cli")
"""The top-level packages of this project."""
INTERNAL_EXTRAS = ("dev",)
"""Extras for those who work on graphrec; a user need not hear that they are absent."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    """What was looked at."""
    state: Literal["ok", "warn", "fail"]
    """``warn``: something optional is missing or odd; ``fail``: graphrec will not work."""
    found: str
    """What was found."""
    remedy: str = ""
    """What to do about it; empty if ok."""


def versions() -> dict[str, str]:
    """Versions of python, graphrec and each installed package it requires, without importing any of them."""
    found = {"python": platform.python_version(), "graphrec": _installed("graphrec") or "not installed"}
    for name, _, extra in _requirements():
        version = _installed(name)
        if version and not extra:
            found[name] = version
    return found


def checks() -> list[Check]:
    """Everything that ``graphrec doctor`` looks at; raises nothing, whatever is broken."""
    return [
        _python(),
        *_packages(),
        *_extras(),
        _device(),
        *(_origin(package) for package in PACKAGES),
        *_shadows(Path.cwd()),
        _hub(),
        _cache(),
    ]


def cache_folder() -> Path:
    """Where text vectors are kept: $GRAPHREC_CACHE, else the user's cache folder."""
    if given := os.environ.get("GRAPHREC_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graphrec"


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _requirements() -> Iterator[tuple[str, str, str]]:
    """Each requirement of the installed graphrec: name, version range, extra that asks for it (or empty)."""
    from packaging.requirements import Requirement

    for line in metadata.requires("graphrec") or [] if _installed("graphrec") else []:
        requirement = Requirement(line)
        extra = str(requirement.marker).partition("extra == ")[2].strip("\"'") if requirement.marker else ""
        yield requirement.name, str(requirement.specifier), extra


def _python() -> Check:
    wanted = metadata.metadata("graphrec")["Requires-Python"] if _installed("graphrec") else ">=3.11"
    found = platform.python_version()
    if _satisfies(found, wanted):
        return Check("python", "ok", found)
    return Check("python", "fail", found, f"python {wanted} is needed: make the environment with a newer python")


def _satisfies(version: str, wanted: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(wanted).contains(version, prereleases=True)


def _packages() -> Iterator[Check]:
    if not _installed("graphrec"):
        yield Check("graphrec", "fail", "not installed", "run: pip install -c constraints.txt -e .")
    for name, wanted, extra in _requirements():
        if not extra:
            yield _package(name, wanted)


def _package(name: str, wanted: str) -> Check:
    found = _installed(name)
    remedy = f"run: pip install -c constraints.txt '{name}{wanted}'"
    if found is None:
        return Check(name, "fail", "not installed", remedy)
    if not _satisfies(found, wanted):
        return Check(name, "fail", f"{found}, but {wanted} is needed", remedy)
    return Check(name, "ok", found)


def _extras() -> Iterator[Check]:
    missing: dict[str, list[str]] = {}
    for name, wanted, extra in _requirements():
        if extra and extra not in INTERNAL_EXTRAS:
            found = _installed(name)
            missing.setdefault(extra, []).extend([] if found and _satisfies(found, wanted) else [name])
    for extra, names in missing.items():
        if names:
            found = f"without {', '.join(names)}"
            yield Check(f"extra {extra}", "warn", found, f"if you need it: pip install 'graphrec[{extra}]'")
        else:
            yield Check(f"extra {extra}", "ok", "installed")


def _device() -> Check:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check("device", "fail", f"torch does not load: {error}", "install torch again: see constraints.txt")
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return Check("device", "ok", f"cuda: {torch.cuda.get_device_name(0)}, {memory:.0f} GiB")
    if torch.backends.mps.is_available():
        return Check("device", "ok", "mps")
    return Check("device", "ok", f"cpu, {torch.get_num_threads()} threads")


def _folder(package: str) -> Path | None:
    """Folder that ``import package`` would read, without importing it; None if there is none."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or []) if spec else []
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent
    return Path(places[0]) if places else None


def _origin(package: str) -> Check:
    name, home = f"import {package}", Path(__file__).parent.parent
    found = _folder(package)
    if found is None:
        return Check(name, "fail", "not found", "install graphrec again: pip install -c constraints.txt -e .")
    if found.resolve() != (home / package).resolve():
        remedy = f"another package or file called {package!r} stands before graphrec's: uninstall or rename it"
        return Check(name, "fail", f"{found}, expected {home / package}", remedy)
    return Check(name, "ok", str(found))


def _shadows(folder: Path) -> Iterator[Check]:
    """What in the working folder ``python`` and ``python -m`` would import instead."""
    for package in PACKAGES:
        for path in (folder / package, folder / f"{package}.py"):
            ours = path.resolve() == Path(__file__).parent.parent.resolve() / package
            if not ours and (path.is_file() or (path / "__init__.py").is_file()):
                remedy = "python started in this folder imports it in place of graphrec's: rename it"
                yield Check(f"shadow of {package}", "warn", str(path), remedy)


def _hub() -> Check:
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    return Check("text models", "ok", "local and cached ones only (HF_HUB_OFFLINE)" if offline else "hub allowed")


def _cache() -> Check:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Check("cache folder", "ok", str(folder))
    except OSError as error:
        return Check("cache folder", "fail", f"{folder}: {error.strerror}", "set GRAPHREC_CACHE to a folder you own")
