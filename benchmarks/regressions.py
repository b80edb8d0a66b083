"""Closed-form item-to-item regressions on ml-latest-small: EASE, SLIT as published, and ours (item-transition).

    GRAPHREC_DATA=/data python benchmarks/regressions.py [--split val]

The protocol is that of the MovieLens table of network.md: the last 20% of each user's ratings, new items only, one list
per user, everything that is not test learned from. Hyperparameters are chosen on a log without the test split whose own
last fifth is held out (stand_in_by_time.py); then each model reads the test split once. ``--split val`` stops before
that and leaves the page alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from page import rewrite
from torch import Tensor

from builders.build import build_graph
from graphrec.environment import versions
from graphrec.evaluation.per_query import per_query_metrics
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import means
from graphrec.models.baselines import ItemTransition
from graphrec.models.item_to_item import Ease, EaseConfig
from graphrec.models.score_ranker import ItemScorer, ScoreRanker
from graphrec.models.slit import Slit, SlitConfig
from graphrec.queries.query import Queries
from graphrec.runs.config import TrainingConfig
from graphrec.runs.training_split import protocol_for, training_view

PAGE = Path(__file__).with_suffix(".md")
LOG = "ml-latest-small"
METRICS = ("ndcg@10", "recall@10")
ALL_BUT_TEST = TrainingConfig(train_on_val=True)
RIDGES = {"ease": (30.0, 100.0, 300.0, 1000.0), "item-transition": (10.0, 30.0, 100.0)}
SLIT_GRID: dict[str, tuple[Any, ...]] = {
    "position_decay": (1.0, 4.0, 16.0, 64.0, 256.0),
    "inference_decay": (1.0, 4.0, 16.0, 64.0, 256.0),
    "ridge": (0.1, 1.0, 10.0, 100.0),
    "session_decay_days": (None, 32.0, 256.0, 2048.0),
}
"""Values for each setting of SLIT; the authors' grids go up to 8 events, for sessions that are much shorter."""

Scores = dict[str, float]


class FactoredSlit(Slit):
    """SLIT that solves for the histories in place of all pairs of items; one factor serves every inference decay."""

    def scores(self, queries: Queries) -> Tensor:
        """The same scores as SLIT's."""
        if "solved" not in self.__dict__:
            self.solved = self.factors()
        factor, cross = self.solved
        history = torch.from_numpy(self.history(queries).toarray()).float()
        return (torch.cholesky_solve(history.T, factor).T @ cross).double()


def main() -> None:
    """Build both graphs, choose on the one, read test on the other, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="test", choices=["val", "test"], help="val chooses and leaves test alone")
    parser.add_argument("--out", type=Path, default=None, help="folder for the graphs; a temporary one")
    arguments = parser.parse_args()
    if "GRAPHREC_DATA" not in os.environ:
        print(f"skipped: set GRAPHREC_DATA to the folder that holds {LOG}/")
        return
    data = Path(os.environ["GRAPHREC_DATA"]) / LOG
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary)
        if not (out / "stand-in").exists():
            subprocess.run(
                [sys.executable, Path(__file__).with_name("stand_in_by_time.py"), data, out / "stand-in"], check=True
            )
        stand_in = _graph(out / "stand-in", out / "graph-stand-in")
        chosen = {
            "ease": _best_ridge(stand_in, "ease"),
            "slit": _best_slit(stand_in),
            "item-transition": _best_ridge(stand_in, "item-transition"),
        }
        if arguments.split == "test":
            graph = _graph(data, out / "graph")
            table = _table(graph, chosen)
            print(table)
            rewrite(PAGE, table)


def _graph(data: Path, out: Path) -> TemporalGraph:
    """The graph as training sees it, with every event that is not test among the train events."""
    if not out.exists():
        build_graph([str(data)], out, preset="movielens", text_model="none")
    return training_view(TemporalGraph.open(out, torch.device("cpu")), ALL_BUT_TEST)


def _model(graph: TemporalGraph, name: str, settings: dict[str, Any]) -> ItemScorer:
    if name == "ease":
        return Ease(graph, EaseConfig(**settings))
    return Slit(graph, SlitConfig(**settings)) if name == "slit" else ItemTransition(graph, **settings)


def _scores(graph: TemporalGraph, model: ItemScorer) -> Scores:
    protocol = protocol_for(graph, ALL_BUT_TEST)
    return means(per_query_metrics(graph, ScoreRanker(graph, model), protocol, protocol.target_rows(graph, "test")))


def _best_ridge(graph: TemporalGraph, name: str) -> dict[str, Any]:
    return _best(
        name, ({"ridge": ridge} for ridge in RIDGES[name]), lambda one: _scores(graph, _model(graph, name, one))
    )


def _best_slit(graph: TemporalGraph) -> dict[str, Any]:
    """Settings by coordinate: both decays and the source row first, then the ridge, then the age of a session."""
    factors: dict[SlitConfig, FactoredSlit] = {}

    def measure(settings: dict[str, Any]) -> Scores:
        fitted = SlitConfig(**{**settings, "inference_decay": 1.0})
        if fitted not in factors:
            factors.clear()  # one at a time: two dense matrices each
            factors[fitted] = FactoredSlit(graph, fitted)
        factors[fitted].config = SlitConfig(**settings)
        return _scores(graph, factors[fitted])

    def decays() -> Iterator[dict[str, Any]]:
        for source in ("past", "last"):
            for position in SLIT_GRID["position_decay"]:
                for inference in SLIT_GRID["inference_decay"]:
                    yield {"source": source, "position_decay": position, "inference_decay": inference}

    best = _best("slit", decays(), measure)
    for name in ("ridge", "session_decay_days"):
        best = _best("slit", ({**best, name: value} for value in SLIT_GRID[name]), measure)
    return best


def _best(
    name: str, candidates: Iterator[dict[str, Any]], measure: Callable[[dict[str, Any]], Scores]
) -> dict[str, Any]:
    """The settings with the highest NDCG@10."""
    found = []
    for settings in candidates:
        scores = measure(settings)
        found.append((scores[METRICS[0]], settings))
        print(f"{name} {settings}: {', '.join(f'{metric} {scores[metric]:.4f}' for metric in METRICS)}", flush=True)
    return max(found, key=lambda one: one[0])[1]


def _table(graph: TemporalGraph, chosen: dict[str, dict[str, Any]]) -> str:
    rows = []
    for name, settings in {"ease, default": {}, "slit, default": {}, **chosen}.items():
        begun = perf_counter()
        scores = _scores(graph, _model(graph, name.partition(",")[0], settings))
        told = ", ".join(f"`{key}` {value}" for key, value in settings.items())
        cells = " | ".join(f"{scores[metric]:.4f}" for metric in METRICS)
        rows.append(f"| {name} | {told} | {cells} | {perf_counter() - begun:.0f} |")
    head = f"| model | settings | {' | '.join(METRICS)} | fit and rank, s |"
    return "\n".join([_facts(graph), "", head, "|---|---|---|---|---|", *rows])


def _facts(graph: TemporalGraph) -> str:
    lists = len(protocol_for(graph, ALL_BUT_TEST).target_rows(graph, "test"))
    return (
        f"{lists:,} lists, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} CPU cores, "
        f"{torch.get_num_threads()} thread, torch {versions()['torch']}, graph {graph.manifest.hash[:12]}."
    )


if __name__ == "__main__":
    main()
