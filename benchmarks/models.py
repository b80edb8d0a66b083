"""Every built-in model on nyc-getnext, on STHGCN's rows: chosen on validation rows, test read once per run.

    GRAPHREC_DATA=/data python benchmarks/models.py [--models sasrec ease] [--seeds 0 1 2]

Queries, candidates and metrics are the same for all. The page beside this file is rewritten between its two marks.
``stgat`` itself is in network.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from page import rewrite

from builders import build_graph
from cli.console import RichProgress
from graphrec import Run, RunConfig, evaluate, train
from graphrec.environment import versions
from graphrec.models.registry import BUILT_IN

PAGE = Path(__file__).with_suffix(".md")
METRICS = ("acc@1", "acc@5", "acc@10", "acc@20", "mrr")
MODELS = [name for name in BUILT_IN if name != "stgat"]
FIXED = ("ease", "item-knn", "slit")
"""Deterministic models."""


def main() -> None:
    """Build the graph, train and evaluate each model once per seed, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
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
            build_graph([str(data)], graph, preset="nyc-getnext", text_model="none", progress=progress)
        rows = [
            _row(name, [_run(graph, out, name, seed, progress) for seed in _seeds(name, arguments.seeds)])
            for name in arguments.models
        ]
    head = ["model", "seeds", *METRICS, "validation mrr", "training s", "peak memory"]
    table = "\n".join([_facts(), "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *rows])
    print(table)
    rewrite(PAGE, table)


def _seeds(name: str, seeds: Sequence[int]) -> Sequence[int]:
    return seeds[:1] if name in FIXED else seeds


def _run(graph: Path, out: Path, name: str, seed: int, progress: RichProgress) -> dict[str, Any]:
    where = out / f"{name}-{seed}"
    manifest = train(
        graph, where, config=RunConfig.load(None, [f"model.name={name}"], seed=seed), device="cpu", progress=progress
    )
    return {
        "manifest": manifest,
        "metrics": evaluate(Run.open(where, device="cpu"), "test", progress=progress).metrics,
    }


def _row(name: str, runs: Sequence[dict[str, Any]]) -> str:
    manifests = [run["manifest"] for run in runs]
    found = [statistics.mean(run["metrics"][metric] for run in runs) for metric in METRICS]
    chosen = statistics.mean(manifest.history[manifest.best_epoch - 1]["mrr"] for manifest in manifests)
    seconds = statistics.mean(manifest.wall_seconds for manifest in manifests)
    memory = max(manifest.peak_memory for manifest in manifests) / 2**20
    cells = [f"{value:.4f}" for value in (*found, chosen)]
    return f"| {name} | {len(runs)} | {' | '.join(cells)} | {seconds:.1f} | {memory:,.0f} MiB |"


def _facts() -> str:
    used = ", ".join(f"{name} {version}" for name, version in versions().items() if name in ("torch", "graphrec"))
    return f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, {used}. Means over seeds."


if __name__ == "__main__":
    sys.exit(main())
