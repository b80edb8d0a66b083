"""Install a wheel into an empty environment and use it there: ``python tests/packaging/install.py dist/*.whl``.

Takes minutes. First the core alone, far from the repository: a city from its log to recommendations. Then each extra
alone: it is installed, its packages are imported, its commands run, and what it brought is taken out again. Ends with
1 where anything fails, and says how long each took.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
CORE = (
    "graphrec simulate city --users 30 --days 14",
    "graphrec inspect city/events.csv",
    "graphrec build city/events.csv --items city/items.csv --users city/users.csv --text-model none --out graph",
    "graphrec info graph",
    "graphrec train graph --out run --set dimension=16 --set heads=2 --set epochs=1 --device cpu",
    "graphrec evaluate run",
    "graphrec recommend run --user u0001 -k 3 --explain",
    "graphrec doctor",
    "graphrec doctor --json",
)
"""What the core does without any extra."""
EXTRAS = {
    "implicit": "graphrec train graph --out run-als --model als --device cpu",
    "minilm": "graphrec build city/events.csv --items city/items.csv --text-model minilm --out graph-minilm",
    "spark": "graphrec build city/events.csv --text-model none --engine local[1] --out graph-spark",
}
"""What an extra adds to the commands; of the others the packages are imported."""
NOT_FOR_USERS = ("dev",)
IMPORT = """
import importlib, importlib.metadata as metadata, sys
from packaging.requirements import Requirement
wanted = [Requirement(line) for line in metadata.requires("graphrec")]
named = {r.name.lower().replace("_", "-") for r in wanted if r.marker and r.marker.evaluate({"extra": sys.argv[1]})}
for module, owners in metadata.packages_distributions().items():
    if module.isidentifier() and not module.startswith("_") and named & {o.lower().replace("_", "-") for o in owners}:
        importlib.import_module(module)
        print("imported", module)
"""


class Environment:
    """A virtual environment without anything of ours, and a folder to work in."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.work = folder / "environment" / "bin", folder / "work"
        self.work.mkdir()
        subprocess.run([sys.executable, "-m", "venv", self.bin.parent], check=True)

    def run(self, words: Sequence[str | Path]) -> str:
        """Output of a command of the environment, in its folder; CalledProcessError where it fails."""
        alien = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"}
        kept = {name: value for name, value in os.environ.items() if name not in alien}
        surroundings = {**kept, "PATH": f"{self.bin}{os.pathsep}{kept['PATH']}", "HF_HUB_OFFLINE": "1"}
        surroundings["GRAPHREC_CACHE"] = str(self.work / "cache")
        done = subprocess.run(
            list(map(str, words)), cwd=self.work, env=surroundings, capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n", file=sys.stderr)
            done.check_returncode()
        return done.stdout

    def install(self, *wanted: str) -> None:
        """Install at the versions of constraints.txt."""
        self.run([self.bin / "pip", "install", "--quiet", "--constraint", CONSTRAINTS, *wanted])

    def installed(self) -> set[str]:
        """Names of what is installed."""
        listed = json.loads(self.run([self.bin / "pip", "list", "--format", "json"]))
        return {package["name"] for package in listed}


def main(wheel: Path, only: Sequence[str]) -> int:
    """Try the core and each extra, or only those that are named; returns the number of failures."""
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Environment(Path(folder))
        failures += not timed("install", lambda: place.install(str(wheel)))
        failures += not timed("core", lambda: use_core(place))
        for extra in only or extras(place):
            failures += not timed(f"extra {extra}", lambda extra=extra: use_extra(place, wheel, extra))  # type: ignore[misc]
    return failures


def use_core(place: Environment) -> None:
    """Run every command of the core, and import the public names."""
    for line in CORE:
        place.run(shlex.split(line))
    place.run(["python", "-c", "import graphrec; [getattr(graphrec, name) for name in graphrec.__all__]"])


def extras(place: Environment) -> list[str]:
    """Names of the extras that the wheel says it has."""
    code = "from importlib.metadata import metadata; print(*metadata('graphrec').get_all('Provides-Extra'))"
    return [name for name in place.run(["python", "-c", code]).split() if name not in NOT_FOR_USERS]


def use_extra(place: Environment, wheel: Path, extra: str) -> None:
    """Install one extra, import what it names, run its command, and take out what it brought."""
    before = place.installed()
    try:
        place.install(f"graphrec[{extra}] @ {wheel.as_uri()}")
        if "imported" not in place.run(["python", "-c", IMPORT, extra]):
            raise RuntimeError(f"extra {extra}: it names nothing that can be imported")
        if extra in EXTRAS and (extra != "spark" or shutil.which("java")):
            place.run(shlex.split(EXTRAS[extra]))
    finally:
        if brought := sorted(place.installed() - before):
            place.run([place.bin / "pip", "uninstall", "--quiet", "--yes", *brought])


def timed(title: str, work: Callable[[], None]) -> bool:
    """Whether some work ends well; prints its title and seconds."""
    started = time.monotonic()
    try:
        work()
    except (subprocess.CalledProcessError, RuntimeError) as error:
        print(f"{title:<20} FAILED: {error}", flush=True)
        return False
    print(f"{title:<20} ok  {time.monotonic() - started:6.1f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(min(main(Path(sys.argv[1]).resolve(), sys.argv[2:]), 1))
