"""What each part of the network is worth: one part taken away, or one added, on the validation rows of two logs.

    GRAPHREC_DATA=/data python benchmarks/ablation.py [--logs nyc-getnext] [--seeds 0 1 2] [--only "no text" "no time"]

Test is not read. The page docs/ablation.md is rewritten, each log between its two marks.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from page import rewrite, spread

from builders.graph import build_graph
from cli.console import RichProgress
from graphrec import RunConfig, train

PAGE = Path(__file__).parents[1] / "docs" / "ablation.md"
LOGS = {
    "nyc-getnext": ("nyc-getnext", ("mrr", "acc@1", "acc@10"), {"mine": 64, "then": 48, "here": 48}),
    "ml-latest-small": ("movielens", ("ndcg@10", "recall@10"), {"mine": 128, "then": 48}),
}
"""Preset, measures and neighbourhoods of each log."""
VARIANTS: dict[str, tuple[str, list[str]]] = {
    "as it is": ("", []),
    "no own history (mine)": ("mine", []),
    "no steps of others (then)": ("then", []),
    "no surroundings (here)": ("here", []),
    "no propagation": ("", ["propagation=false"]),
    "a regression beside propagation": ("", ["ridge=400"]),
    "a path of three events behind each neighbour": ("", ["path=3"]),
    "no text": ("", ["text=false"]),
    "no place": ("", ["geography=false"]),
    "no time": ("", ["time=false"]),
    "no pointers": ("", ["pointers=false"]),
}
"""The neighbourhood that is left out, and settings."""
PLACELESS = {"no surroundings (here)", "no place"}
"""What a log without places is without in any case."""
SHORT = ["epochs=1", "questions=42000", "warmup=40"]
"""Half a pass over the train events of either log: what a part is worth shows long before the last thousandth."""


def main() -> None:
    """Train each variant once a seed; the best epoch's validation measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", nargs="+", default=list(LOGS), choices=LOGS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--out", type=Path, default=None, help="folder for the graphs and the runs; a temporary one")
    arguments = parser.parse_args()
    if "GRAPHREC_DATA" not in os.environ:
        print("skipped: set GRAPHREC_DATA to the folder of the logs")
        return
    with tempfile.TemporaryDirectory() as temporary, RichProgress() as progress:
        out = arguments.out or Path(temporary)
        for log in arguments.logs:
            preset, metrics, fan_out = LOGS[log]
            graph = out / log
            if not graph.exists():
                build_graph([str(Path(os.environ["GRAPHREC_DATA"]) / log)], graph, preset=preset, progress=progress)
            rows = [f"| part | {' | '.join(metrics)} | seconds |", f"|---|{'---|' * (len(metrics) + 1)}"]
            for name in arguments.only:
                if name in PLACELESS and "here" not in fan_out:
                    continue
                left_out, settings = VARIANTS[name]
                kept = {relation: k for relation, k in fan_out.items() if relation != left_out}
                asked = [*SHORT, f"fan_out={json.dumps(kept)}", *settings]
                rows.append(_row(name, graph, out / f"{log}-{name}", arguments.seeds, metrics, asked, progress))
                print(rows[-1], flush=True)
            rewrite(PAGE, "\n".join([f"Seeds {' '.join(map(str, arguments.seeds))}.", "", *rows]), log)


def _row(
    name: str,
    graph: Path,
    out: Path,
    seeds: list[int],
    metrics: tuple[str, ...],
    settings: list[str],
    progress: RichProgress,
) -> str:
    found, seconds = [], []
    for seed in seeds:
        manifest = train(graph, out / str(seed), RunConfig.load(None, settings, seed), progress=progress)
        best = manifest["history"][manifest["best_epoch"] - 1]
        found.append([best[metric] for metric in metrics])
        seconds.append(manifest["wall_seconds"])
    cells = [spread(column) for column in zip(*found, strict=True)]
    return f"| {name} | {' | '.join(cells)} | {statistics.mean(seconds):.0f} |"


if __name__ == "__main__":
    sys.exit(main())
