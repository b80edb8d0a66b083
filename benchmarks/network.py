"""The network on every log and protocol that it is measured by: chosen on validation rows, test read once a run.

    GRAPHREC_DATA=/data python benchmarks/network.py [--tasks last-event gowalla] [--seeds 0 1 2 3 4] [--split val]

Tasks that differ in what is asked and not in what is learned share their trainings. The sections of the page beside
this file are rewritten, each between its two marks, when the test split is read.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from page import rewrite
from variants import register_variants

from builders import build_graph
from cli.console import RichProgress
from graphrec import EvaluationResult, Run, RunConfig, evaluate, train
from graphrec.environment import versions
from graphrec.evaluation.per_query import per_query_metrics
from graphrec.metrics import means
from graphrec.runs import RunManifest

PAGE = Path(__file__).with_suffix(".md")
RANKS = ("acc@1", "acc@5", "acc@10", "mrr")
LISTS_10 = ("ndcg@10", "recall@10")
LISTS_20 = ("recall@20", "ndcg@20")


@dataclass(frozen=True)
class Task:
    """One log under one protocol."""

    log: str
    """Folder of the data, and the preset unless ``preset`` names another."""
    metrics: Sequence[str] = RANKS
    settings: Sequence[str] = ()
    """What the training is told besides the defaults."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """How the judging departs from the run's protocol."""
    known: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    """What others reach, by the metrics."""
    preset: str = ""
    text_model: str = "minilm"


NEXT_PLACE = {
    "GETNext 2022, published": (0.2435, 0.5089, 0.6143, 0.3621),
    "STHGCN 2023, published best": (0.2734, 0.5361, 0.6244, 0.3915),
    "STHGCN 2023, published mean of 10": (0.2625, 0.5226, 0.6117, 0.3798),
}
REQUEST = {
    "LLM4POI 2024 (7B), published": (0.3372, 0.3982, 0.5010, 0.3807),
    "GNPR-SID 2025 (LLM), published, request time assumed": (0.3618, 0.4472, 0.5521, 0.4133),
}
GETNEXT = {"GETNext as released": (0.2459, 0.4682, 0.5531, 0.3465)}
GOWALLA = {
    "LightGCN 2020, published": (0.1830, 0.1554),
    "UltraGCN 2021, published": (0.1862, 0.1580),
    "SimpleX 2021, published": (0.1872, 0.1557),
    "GF-CF 2021, published": (0.1849, 0.1518),
    "BSPM-EM 2023, published": (0.1920, 0.1597),
    "EASE, published": (0.1765, 0.1467),
}
MOVIES = {"EASE, a peer's": (0.138, 0.079), "ItemKNN, a peer's": (0.121, 0.066), "RecTools SASRec": (0.097, 0.066)}
GOWALLA_SETTINGS = (
    *("low_pass=448", "model.name=stgat-no-ids", "samples_per_epoch=12800"),
    *("epochs=1", "learning_rate=0.005", "warmup=20"),
)
"""Ids of so many users and items are not learned in minutes; the few other weights are, in fifty steps."""
REFIT = "train_on_val=true"
"""Once the settings are chosen, the weights are fitted to all that is not test, val included."""
CITY = 'fan_out={"own_history": 64, "transitions": 48, "nearby": 48}'
"""As good on validation as the default of 128 own events, in three quarters of the time."""
WIDE = 'fan_out={"own_history": 64, "transitions": 128, "nearby": 256}'
LISTS = ('fan_out={"own_history": 128, "transitions": 48}', "transition_ridge=30", "epochs=3")
TASKS = {
    "last-event": Task("nyc-getnext", settings=[REFIT, CITY], known=NEXT_PLACE),
    "request": Task("nyc-getnext", settings=[REFIT, CITY, "query_time=request"], known=REQUEST),
    "novel": Task("nyc-getnext", settings=[REFIT, WIDE, "novel=true", "epochs=3"]),
    "frozen": Task("nyc-chrono", settings=[REFIT, CITY], asked={"history": "frozen"}, known=GETNEXT, text_model="none"),
    "streaming": Task("nyc-chrono", settings=[REFIT, CITY], known=GETNEXT, text_model="none"),
    "gowalla": Task(
        "gowalla-cf", LISTS_20, [REFIT, *GOWALLA_SETTINGS], known=GOWALLA, preset="lightgcn", text_model="none"
    ),
    "movies": Task("ml-latest-small", LISTS_10, [REFIT, *LISTS], known=MOVIES, preset="movielens"),
}


def main() -> None:
    """Build, train and evaluate, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--split", default="test", choices=["val", "test"], help="val leaves the page alone")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings to try, with --split val")
    parser.add_argument("--out", type=Path, default=None, help="folder for the graphs and the runs; a temporary one")
    arguments = parser.parse_args()
    register_variants()
    if "GRAPHREC_DATA" not in os.environ:
        print("skipped: set GRAPHREC_DATA to the folder of the logs")
        return
    if arguments.set and arguments.split == "test":
        parser.error("--set goes with --split val: settings are chosen on validation rows")
    with tempfile.TemporaryDirectory() as temporary, RichProgress() as progress:
        out = arguments.out or Path(temporary)
        for name in arguments.tasks:
            task = TASKS[name]
            settings = [
                *(one for one in task.settings if arguments.split == "test" or one != REFIT),
                *arguments.set,
            ]
            graph = _graph(task, out, progress)
            runs = [_trained(task, graph, out, settings, seed, progress) for seed in arguments.seeds]
            first = evaluate(
                runs[0], arguments.split, overrides=task.asked, progress=progress
            )  # the baselines have no seed
            found = [first.metrics, *(_judged(run, arguments.split, task.asked) for run in runs[1:])]
            table = _table(task, settings, runs, found, first)
            print(f"\n{name}\n{table}", flush=True)
            if arguments.split == "test":
                rewrite(PAGE, table, name)


def _graph(task: Task, out: Path, progress: RichProgress) -> Path:
    graph = out / task.log
    if not graph.exists():
        data = Path(os.environ["GRAPHREC_DATA"]) / task.log
        preset = task.preset or task.log
        build_graph([str(data)], graph, preset=preset, text_model=task.text_model, progress=progress)
    return graph


def _trained(task: Task, graph: Path, out: Path, settings: Sequence[str], seed: int, progress: RichProgress) -> Run:
    where = out / "-".join(["run", task.log, *settings, str(seed)]).replace("/", "_")
    if not (where / "manifest.json").exists():
        train(
            graph,
            where,
            config=RunConfig.load(None, settings, seed=seed),
            device="auto",
            resume=where.exists(),
            progress=progress,
        )
    return Run.open(where)


def _judged(run: Run, split: str, asked: Mapping[str, Any]) -> dict[str, float]:
    """What the model alone reaches."""
    protocol = run.protocol.with_changes(asked)
    return means(per_query_metrics(run.graph, run.ranker, protocol, protocol.target_rows(run.graph, split)))


def _table(
    task: Task,
    settings: Sequence[str],
    runs: Sequence[Run],
    found: Sequence[Mapping[str, float]],
    first: EvaluationResult,
) -> str:
    measured = [[metrics[name] for name in task.metrics] for metrics in found]
    rows = [f"| graphrec, seed {run.config.seed} | {_cells(row)} |" for run, row in zip(runs, measured, strict=True)]
    mean = [statistics.mean(column) for column in zip(*measured, strict=True)]
    rows.append(f"| **graphrec, mean of {len(runs)}** | {' | '.join(f'**{value:.4f}**' for value in mean)} |")
    if len(runs) > 1:
        spread = [statistics.stdev(column) for column in zip(*measured, strict=True)]
        rows.append(f"| standard deviation | {_cells(spread)} |")
    for name, values in first.baselines.items():
        rows.append(f"| {name}, measured here | {_cells([values[metric] for metric in task.metrics])} |")
    rows += [f"| {name} | {_cells(values)} |" for name, values in task.known.items()]
    head = f"| model | {' | '.join(task.metrics)} |\n|---|{'---|' * len(task.metrics)}"
    facts = _facts([run.manifest for run in runs], first.n)
    return "\n".join([facts, "", f"Settings: {' '.join(settings) or 'the defaults'}.", "", head, *rows])


def _facts(manifests: Sequence[RunManifest], questions: int) -> str:
    seconds = ", ".join(f"{manifest.wall_seconds:.0f}" for manifest in manifests)
    memory = max(manifest.peak_memory for manifest in manifests) / 2**30
    epochs = ", ".join(f"{manifest.best_epoch} of {len(manifest.history)}" for manifest in manifests)
    threads = manifests[0].threads
    return (
        f"{questions:,} questions, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"{threads} thread{'s' * (threads > 1)} a run, {manifests[0].device}, torch {versions()['torch']}, "
        f"graph {manifests[0].graph_hash[:12]}.\n"
        f"Training wall time {seconds} s; best epoch {epochs}; peak memory {memory:.2f} GiB; "
        f"{manifests[0].parameters:,} parameters."
    )


def _cells(values: Sequence[float | None]) -> str:
    return " | ".join("" if value is None else f"{value:.4f}" for value in values)


if __name__ == "__main__":
    sys.exit(main())
