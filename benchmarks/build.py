"""Building a graph from simulated logs: graphrec beside the same work by hand in DuckDB's SQL and in Polars.

    python benchmarks/build.py [--rows 1 5 20] [--repeats 3] [--cache FOLDER]

Each build is a process of its own on two processors. What the three wrote is compared bit for bit before a figure is
believed. The page beside this file is rewritten between its two marks.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from page import rewrite

HERE = Path(__file__).parent
PAGE = Path(__file__).with_suffix(".md")
THREADS = 2
ENGINES = ("graphrec", "sql", "polars")
NAMES = {"graphrec": "`graphrec build`", "sql": "DuckDB, SQL by hand", "polars": "Polars by hand"}
LIBRARIES = ("graphrec", "ibis-framework", "duckdb", "polars", "pyarrow", "h3", "numpy", "scipy")


@dataclass(frozen=True)
class Run:
    """What one process took."""

    cpu: float
    """Seconds of processors, user and system together."""
    wall: float
    """Seconds by the clock."""
    peak: int
    """Most bytes of memory at a time."""


def main() -> None:
    """Make the logs, build each with each engine, compare, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, nargs="+", default=[1, 5, 20], help="millions of rows")
    parser.add_argument("--repeats", type=int, default=3, help="builds of each log by each engine")
    parser.add_argument("--cache", type=Path, default=None, help="folder that keeps the logs; a temporary one")
    parser.add_argument("--no-page", action="store_true", help="print only, and leave the page as it is")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.cache or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        measured = [compare(int(millions * 1_000_000), arguments.repeats, folder) for millions in arguments.rows]
    page = "\n".join([facts(arguments.repeats), "", *engine_table(measured), "", *growth_table(measured), "",
                      *estimate_table(measured), "", *work_table(measured)])  # fmt: skip
    print(page)
    if arguments.no_page:
        return
    rewrite(PAGE, page)


def compare(rows: int, repeats: int, folder: Path) -> dict[str, Any]:
    """Build one log ``repeats`` times with each engine; SystemExit where they did not do the same work."""
    log, mapping = folder / f"log-{rows}.csv", folder / "mapping.json"
    if not log.exists():
        ask(f"import build_log; from pathlib import Path; print(build_log.write_log(Path({str(log)!r}), {rows}) or 0)")
    mapping.write_text(ask("import build_log, json; print(json.dumps(json.dumps(build_log.MAPPING)))"))
    estimate = ask(f"import build; build.print_estimate({str(log)!r})")
    runs: dict[str, list[Run]] = {engine: [] for engine in ENGINES}
    written = {}
    for _ in range(repeats):  # the engines take turns, so that a busy minute of the machine meets all of them
        for engine in ENGINES:
            out = folder / f"{engine}-{rows}"
            shutil.rmtree(out, ignore_errors=True)
            runs[engine].append(measure(command(engine, log, mapping, out)))
            print(f"{rows:,} rows, {engine}: {runs[engine][-1]}", file=sys.stderr)
            written[engine] = ask(f"import build_check; build_check.print_work({str(out)!r})")
            shutil.rmtree(out)
    if any(work != written["sql"] for work in written.values()):
        raise SystemExit(f"{rows:,} rows: the builds did not do the same work: {json.dumps(written, indent=2)}")
    middle = {engine: median(of_engine) for engine, of_engine in runs.items()}
    return {"rows": rows, "bytes": log.stat().st_size, "runs": middle, "work": written["sql"], "estimate": estimate}


def command(engine: str, log: Path, mapping: Path, out: Path) -> list[str]:
    """What to run, in the folder of this file."""
    if engine == "graphrec":
        graphrec = str(Path(sys.executable).with_name("graphrec"))
        return [graphrec, "build", str(log), "--mapping", str(mapping), "--text-model", "none", "--out", str(out)]
    module = f"build_{engine}"
    code = f"from pathlib import Path; import {module}; {module}.build(Path({str(log)!r}), Path({str(out)!r}))"
    return [sys.executable, "-c", code]


def measure(arguments: list[str]) -> Run:
    """Run a process to its end on two processors; SystemExit if it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(arguments, **settings(), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: failed")
    return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024)


def ask(code: str) -> Any:
    """What a line of Python prints as JSON; in a process of its own, for its memory would count as its neighbour's."""
    done = subprocess.run([sys.executable, "-c", code], **settings(), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def settings() -> dict[str, Any]:
    """In which folder, on how many threads and on which processors a process runs."""
    threads = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(THREADS))
    processors = sorted(os.sched_getaffinity(0))[:THREADS]
    return {
        "cwd": HERE,
        "env": {**os.environ, **threads},
        "preexec_fn": lambda: os.sched_setaffinity(0, processors),
    }


def median(runs: list[Run]) -> Run:
    """The median of each figure."""
    figures = ([getattr(run, name) for run in runs] for name in ("cpu", "wall", "peak"))
    cpu, wall, peak = map(statistics.median, figures)
    return Run(cpu, wall, int(peak))


def print_estimate(log: str) -> None:
    """Print seconds and bytes that graphrec expects of a log."""
    from build_log import COLUMNS

    from builders.engine.connect import connect
    from builders.engine.estimate import estimate_build
    from builders.sources.source import Layout, detect_source

    with tempfile.TemporaryDirectory() as temporary:
        engine = connect(Path(temporary))
        expected = estimate_build(engine, [detect_source(Path(log), Layout(), Path(temporary))], len(COLUMNS))
    print(json.dumps([expected.seconds, expected.peak_bytes]))


def facts(repeats: int) -> str:
    """Date, machine and versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} processors, {memory:.0f} GiB, "
        f"Python {platform.python_version()}, {versions}.\nMedian of {repeats}; each build on {THREADS} processors."
    )


def engine_table(measured: list[dict[str, Any]]) -> list[str]:
    """Each build, and its processor time as a ratio to the SQL's."""
    head = "| rows | build | CPU s | CPU to SQL's | wall s | peak memory |"
    lines = [head, "|---:|---|---:|---:|---:|---:|"]
    for size in measured:
        bar = size["runs"]["sql"].cpu
        for engine, run in size["runs"].items():
            figures = f"{run.cpu:.1f} | **{run.cpu / bar:.2f}** | {run.wall:.1f} | {mebibytes(run.peak)}"
            lines.append(f"| {size['rows']:,} | {NAMES[engine]} | {figures} |")
    return lines


def growth_table(measured: list[dict[str, Any]]) -> list[str]:
    """Processor seconds for each million rows: what does not rise is no worse than linear."""
    sizes = " | ".join(f"{size['rows']:,}" for size in measured)
    lines = [f"| CPU s a million rows | {sizes} |", f"|---|{'---:|' * len(measured)}"]
    for engine in ENGINES:
        cells = " | ".join(f"{1e6 * size['runs'][engine].cpu / size['rows']:.2f}" for size in measured)
        lines.append(f"| {NAMES[engine]} | {cells} |")
    return lines


def estimate_table(measured: list[dict[str, Any]]) -> list[str]:
    """What `graphrec build` expected, and what came."""
    lines = ["| rows | expected s | measured s | ratio | expected memory | measured | ratio |", f"|{'---:|' * 7}"]
    for size in measured:
        seconds, peak = size["estimate"]
        run = size["runs"]["graphrec"]
        times = f"{seconds:.1f} | {run.wall:.1f} | {seconds / run.wall:.2f}"
        memory = f"{mebibytes(peak)} | {mebibytes(run.peak)} | {peak / run.peak:.2f}"
        lines.append(f"| {size['rows']:,} | {times} | {memory} |")
    return lines


def work_table(measured: list[dict[str, Any]]) -> list[str]:
    """What all three wrote."""
    names = ("events", "users", "items", "locations", "set aside")
    lines = [f"| rows | bytes | {' | '.join(names)} | sha256 of all values |", f"|{'---:|' * (len(names) + 2)}---|"]
    for size in measured:
        work = size["work"]
        counts = " | ".join(f"{work['counts'][name]:,}" for name in ("events", "user", "item", "location"))
        aside = sum(work["set aside"].values())
        lines.append(f"| {size['rows']:,} | {size['bytes']:,} | {counts} | {aside:,} | `{work['sha256'][:16]}` |")
    return lines


def mebibytes(count: float) -> str:
    """A number of bytes for people."""
    return f"{count / 2**20:,.0f} MiB"


if __name__ == "__main__":
    sys.exit(main())
