"""Next check-in on nyc-getnext, STHGCN's rows: trains with several seeds, reads test once a run, writes the table.

    GRAPHREC_DATA=/data python benchmarks/next_place.py [--seeds 0 1 2] [--out FOLDER]

Settings were chosen on validation rows only. The page beside this file is rewritten between its two marks.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from page import rewrite

from builders.graph import build_graph
from cli.console import RichProgress
from graphrec import Run, RunConfig, evaluate, train
from graphrec.environment import versions

PAGE = Path(__file__).with_suffix(".md")
METRICS = ("acc@1", "acc@5", "acc@10", "acc@20", "mrr")
PUBLISHED = {
    "GETNext 2022, published": (0.2435, 0.5089, 0.6143, None, 0.3621),
    "STHGCN 2023, published best": (0.2734, 0.5361, 0.6244, None, 0.3915),
    "STHGCN 2023, published mean of 10": (0.2625, 0.5226, 0.6117, None, 0.3798),
}
"""Same rows, last-event time, from the papers."""


def main() -> None:
    """Build once, train and evaluate once a seed, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=None, help="folder for the graph and the runs; a temporary one")
    arguments = parser.parse_args()
    if "GRAPHREC_DATA" not in os.environ:
        print("skipped: set GRAPHREC_DATA to the folder that holds nyc-getnext/")
        return
    data = Path(os.environ["GRAPHREC_DATA"]) / "nyc-getnext"
    with tempfile.TemporaryDirectory() as temporary, RichProgress() as progress:
        out = arguments.out or Path(temporary)
        graph = out / "graph"
        if not graph.exists():
            build_graph([str(data)], graph, preset="nyc-getnext", progress=progress)
        results = [_run(graph, out / f"run-{seed}", seed, progress) for seed in arguments.seeds]
    _write(results)


def _run(graph: Path, out: Path, seed: int, progress: RichProgress) -> dict[str, Any]:
    manifest = train(graph, out, RunConfig.load(seed=seed), "cpu", progress=progress)
    result = evaluate(Run.open(out, device="cpu"), "test", progress=progress)
    return {"manifest": manifest, "result": result}


def _write(results: list[dict[str, Any]]) -> None:
    table = _table(results)
    print(table)
    rewrite(PAGE, table)


def _table(results: list[dict[str, Any]]) -> str:
    first = results[0]["result"]
    model = [[run["result"]["metrics"][name] for name in METRICS] for run in results]
    seeds = [run["manifest"]["seed"] for run in results]
    rows = [f"| graphrec, seed {seed} | {_cells(values)} |" for seed, values in zip(seeds, model, strict=True)]
    mean = [statistics.mean(column) for column in zip(*model, strict=True)]
    spread = [statistics.stdev(column) if len(column) > 1 else 0.0 for column in zip(*model, strict=True)]
    rows.append(f"| **graphrec, mean of {len(seeds)}** | {' | '.join(f'**{value:.4f}**' for value in mean)} |")
    rows.append(f"| standard deviation over seeds | {_cells(spread)} |")
    rows += [f"| {name}, measured here | {_of(values)} |" for name, values in first["baselines"].items()]
    rows += [f"| {name} | {_cells(values)} |" for name, values in PUBLISHED.items()]
    new = [[run["result"]["slices"]["new"]["metrics"][name] for name in METRICS] for run in results]
    means = _cells([statistics.mean(column) for column in zip(*new, strict=True)])
    rows.append(f"| graphrec on targets new to the user, mean | {means} |")
    head = f"| model | {' | '.join(METRICS)} |\n|---|{'---|' * len(METRICS)}"
    return "\n".join([_facts(results), "", head, *rows])


def _facts(results: list[dict[str, Any]]) -> str:
    manifests = [run["manifest"] for run in results]
    seconds = ", ".join(f"{manifest['wall_seconds']:.0f}" for manifest in manifests)
    memory = max(manifest["peak_memory"] for manifest in manifests) / 2**30
    epochs = ", ".join(f"{manifest['best_epoch']} of {len(manifest['history'])}" for manifest in manifests)
    return (
        f"{results[0]['result']['n']:,} test rows, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, "
        f"{os.cpu_count()} cores, {manifests[0]['threads']} threads, torch {versions()['torch']}, "
        f"graph {manifests[0]['graph_hash'][:12]}.\n"
        f"Training wall time {seconds} s; best epoch {epochs}; peak memory {memory:.2f} GiB of the process; "
        f"{manifests[0]['parameters']:,} parameters."
    )


def _of(values: dict[str, float]) -> str:
    return _cells([values[name] for name in METRICS])


def _cells(values: Any) -> str:
    return " | ".join("" if value is None else f"{value:.4f}" for value in values)


if __name__ == "__main__":
    sys.exit(main())
