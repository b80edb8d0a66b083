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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from page import rewrite, spread
from variants import register_variants

from builders import build_graph
from cli.console import RichProgress
from graphrec import RunConfig, train

PAGE = Path(__file__).parents[1] / "docs" / "ablation.md"


@dataclass(frozen=True)
class Log:
    """One log, as the benchmarks train on it."""

    preset: str
    metrics: Sequence[str]
    fan_out: Mapping[str, int]


LOGS = {
    "nyc-getnext": Log(
        "nyc-getnext",
        ("mrr", "acc@1", "acc@10"),
        {"own_history": 64, "transitions": 48, "nearby": 48},
    ),
    "ml-latest-small": Log(
        "movielens",
        ("ndcg@10", "recall@10"),
        {"own_history": 128, "transitions": 48},
    ),
}
VARIANTS = {
    "own_history": "no own history (mine)",
    "transitions": "no steps of others (then)",
    "nearby": "no surroundings (here)",
}
PARTS = {
    "no propagation": ["propagation=false"],
    "no text": ["model.name=stgat-no-text"],
    "no place": ["model.name=stgat-no-place"],
    "no time": ["model.name=stgat-no-time"],
    "no pointers": ["model.name=stgat-no-pointers"],
    "a regression of what comes later": ["transition_ridge=30"],
}
BASE = ["transition_ridge=0"]
"""The regression is fitted at once and would hide what the other parts learn; it is a row of its own."""
SHORT = ["epochs=1", "samples_per_epoch=42000", "warmup=40"]
"""Half a pass over the train events of either log: what a part is worth shows long before the last thousandth."""


def main() -> None:
    """Train each variant once a seed; the best epoch's validation measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", nargs="+", default=list(LOGS), choices=LOGS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parts = {part for log in LOGS.values() for part, _ in _variants(log)}
    parser.add_argument("--only", nargs="+", default=[], choices=parts, metavar="PART", help="all without")
    parser.add_argument("--whole", action="store_true", help="whole trainings, in place of half a pass")
    parser.add_argument("--out", type=Path, default=None, help="folder for the graphs and the runs; a temporary one")
    arguments = parser.parse_args()
    register_variants()
    if "GRAPHREC_DATA" not in os.environ:
        print("skipped: set GRAPHREC_DATA to the folder of the logs")
        return
    with tempfile.TemporaryDirectory() as temporary, RichProgress() as progress:
        out = arguments.out or Path(temporary)
        for name in arguments.logs:
            log, graph = LOGS[name], out / name
            if not graph.exists():
                data = Path(os.environ["GRAPHREC_DATA"]) / name
                build_graph([str(data)], graph, preset=log.preset, progress=progress)
            rows = [f"| part | {' | '.join(log.metrics)} | seconds |", f"|---|{'---|' * (len(log.metrics) + 1)}"]
            for part, settings in _variants(log):
                if not arguments.only or part in arguments.only:
                    asked = [*BASE, *([] if arguments.whole else SHORT), *settings]
                    rows.append(
                        _row(part, graph, out / f"{name}-{part}", arguments.seeds, log.metrics, asked, progress)
                    )
                    print(rows[-1], flush=True)
            section = f"{name} whole" if arguments.whole else name
            rewrite(PAGE, "\n".join([f"Seeds {' '.join(map(str, arguments.seeds))}.", "", *rows]), section)


def _variants(log: Log) -> Iterator[tuple[str, list[str]]]:
    """Each part that is taken away or added, with all settings of the run."""
    placed = "nearby" in log.fan_out
    for part, left_out in {"as it is": "", **{part: name for name, part in VARIANTS.items()}}.items():
        if not left_out or left_out in log.fan_out:
            kept = {name: k for name, k in log.fan_out.items() if name != left_out}
            yield part, [f"fan_out={json.dumps(kept)}"]
    for part, settings in PARTS.items():
        if placed or part != "no place":
            yield part, [f"fan_out={json.dumps(log.fan_out)}", *settings]


def _row(
    name: str,
    graph: Path,
    out: Path,
    seeds: list[int],
    metrics: Sequence[str],
    settings: list[str],
    progress: RichProgress,
) -> str:
    found, seconds = [], []
    for seed in seeds:
        manifest = train(graph, out / str(seed), config=RunConfig.load(None, settings, seed=seed), progress=progress)
        best = manifest.history[manifest.best_epoch - 1]
        found.append([best[metric] for metric in metrics])
        seconds.append(manifest.wall_seconds)
    cells = [spread(column) for column in zip(*found, strict=True)]
    return f"| {name} | {' | '.join(cells)} | {statistics.mean(seconds):.0f} |"


if __name__ == "__main__":
    sys.exit(main())
