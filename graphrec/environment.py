"""Environment: versions of python and packages, cache folder, memory of the process."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path


def versions() -> dict[str, str]:
    """Versions of python, graphrec and each installed package it requires, without importing any of them."""
    found = {"python": platform.python_version(), "graphrec": installed("graphrec") or "not installed"}
    for name, _, extra in requirements():
        version = installed(name)
        if version and not extra:
            found[name] = version
    return found


def cache_folder() -> Path:
    """Cache folder of text vectors: $GRAPHREC_CACHE, else the user's cache folder."""
    if given := os.environ.get("GRAPHREC_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graphrec"


def process_memory() -> int:
    """Largest memory of this process so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def installed(name: str) -> str | None:
    """Version of a distribution; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def requirements() -> Iterator[tuple[str, str, str]]:
    """Each requirement of the installed graphrec: name, version range, extra that asks for it (or empty)."""
    from packaging.requirements import Requirement

    for line in metadata.requires("graphrec") or [] if installed("graphrec") else []:
        requirement = Requirement(line)
        extra = str(requirement.marker).partition("extra == ")[2].strip("\"'") if requirement.marker else ""
        yield requirement.name, str(requirement.specifier), extra
