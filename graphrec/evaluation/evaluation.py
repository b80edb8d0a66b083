"""Evaluation of a run on the events of a split: the model, the baselines and the slices, under one protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, cast

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from graphrec.environment import versions
from graphrec.errors import GraphError, RunError
from graphrec.evaluation.comparison import metric_names
from graphrec.evaluation.h3_cells import map_queries
from graphrec.evaluation.per_query import per_query_metrics
from graphrec.evaluation.result import EvaluationResult
from graphrec.evidence import measure_faithfulness, profile_attention
from graphrec.files import read_json, write_json
from graphrec.metrics import interval, means, resampled_means, standard_error
from graphrec.models import ScoreRanker, StgatRanker
from graphrec.models.baselines import all_baselines
from graphrec.progress import NoProgress, Progress
from graphrec.queries.protocol import EvaluationProtocol, is_repeat, sample_rows
from graphrec.runs.manifest import peak_memory
from graphrec.runs.run import Run
from graphrec.runs.training_split import training_view

MAX_EVIDENCE_QUERIES = 1_000
"""Queries at most whose evidence is measured, which takes twenty more forward passes each."""
Metrics = dict[str, Tensor]
"""Values of each metric, [n] float64, one per query."""


def evaluate(
    run: Run,
    split: str = "val",
    *,
    overrides: Mapping[str, Any] | None = None,
    evidence: bool = False,
    progress: Progress | None = None,
) -> EvaluationResult:
    """Rank the evaluated events of a split, with the model and with every baseline.

    Parameters
    ----------
    run
        The run to evaluate.
    split
        ``val`` or ``test``.
    overrides
        Fields of the protocol with other values than the run's, such as ``{"history": "frozen"}``.
    evidence
        Measure as well the faithfulness of the evidence (``graphrec.evidence.faithfulness``) and the attention
        profile (``graphrec.evidence.attention_profile``).

    Returns
    -------
    The result, which ``metrics.json`` of the run keeps under the split with the number of evaluations on it.
    """
    if evidence and not run.is_explainable:
        raise RunError(f"{run.path}: model {run.config.model.name} has no evidence to measure; stgat has")
    if split == "val" and run.config.training.train_on_val:
        raise RunError(f"{run.path}: the val events were trained on (train_on_val: true); evaluate on test")
    protocol = run.protocol.with_changes(overrides or {})
    rows = protocol.target_rows(run.graph, split)
    if not len(rows):
        raise GraphError(f"{run.path}: split {split!r} has no event to evaluate under {protocol.model_dump()}")
    progress = progress or NoProgress()
    values, seconds = _measure(run, protocol, rows, split, progress)
    masks, mapped = {"all": torch.ones_like(rows, dtype=torch.bool)}, None
    if protocol.task == "next-item":
        repeat = is_repeat(run.graph, rows)
        masks |= {"returning": repeat, "new": ~repeat}
        mapped = map_queries(run.graph, rows, values["model"]["acc@10"])
    users = run.graph.log.user[rows].long()
    slices = {name: _statistics(values, users, mask) for name, mask in masks.items() if bool(mask.any())}
    result = {
        **slices.pop("all"),
        "split": split,
        "model": run.config.model.name,
        "protocol": protocol.model_dump(),
        "errors": {name: standard_error(metric) for name, metric in values["model"].items() if len(metric) > 1},
        "slices": slices,
        "map": mapped and mapped.model_dump(),
        "seconds": seconds,
        "peak_memory": peak_memory(rows.device),
        "seed": run.config.seed,
        "graph_hash": run.graph.manifest.hash,
        "versions": versions(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if evidence:
        queries = protocol.queries(run.graph, sample_rows(rows, MAX_EVIDENCE_QUERIES, run.config.seed))
        ranker = cast(StgatRanker, run.ranker)
        result["faithfulness"] = asdict(measure_faithfulness(ranker, queries, seed=run.config.seed, progress=progress))
        result["attention"] = profile_attention(
            run, split, questions=MAX_EVIDENCE_QUERIES, groups=None, progress=progress, protocol=protocol
        ).rows()
    return _store(run, split, result)


def _measure(
    run: Run, protocol: EvaluationProtocol, rows: Int64[Tensor, " n"], split: str, progress: Progress
) -> tuple[dict[str, Metrics], dict[str, float]]:
    """Per-query metrics of the model and of each baseline, and its wall time in seconds, fitting included.

    Baselines with weights are fitted to the events of the training.
    """
    graph = training_view(run.graph, run.config.training)
    others = [baseline for baseline in all_baselines(graph) if baseline.name != run.config.model.name]
    rankers = {"model": run.ranker, **{baseline.name: ScoreRanker(run.graph, baseline) for baseline in others}}
    metrics, seconds = {}, {}
    progress.start(f"evaluating {split}", len(rankers))
    for name, ranker in rankers.items():
        start = perf_counter()
        metrics[name] = per_query_metrics(run.graph, ranker, protocol, rows)
        seconds[name] = round(perf_counter() - start, 3)
        progress.advance(1, name)
    progress.finish()
    return metrics, seconds


def _statistics(values: Mapping[str, Metrics], users: Int64[Tensor, " n"], mask: Bool[Tensor, " n"]) -> dict[str, Any]:
    """Means of the model and of every baseline over some queries, with intervals if there are two users."""
    values = {ranker: {name: metric[mask] for name, metric in metrics.items()} for ranker, metrics in values.items()}
    mean = {ranker: means(metrics) for ranker, metrics in values.items()}
    count = len(torch.unique(users[mask]))
    intervals = _intervals(values, mean, users[mask]) if count > 1 else {}
    return {"n": int(mask.sum()), "users": count, "metrics": mean.pop("model"), "baselines": mean, **intervals}


def _intervals(
    values: Mapping[str, Metrics], mean: Mapping[str, Mapping[str, float]], users: Int64[Tensor, " n"]
) -> dict[str, Any]:
    """Bootstrap intervals (95%) of the table's metrics, and of the model's lead over the best baseline.

    Users are resampled with all their queries, the same ones for every ranker: the lead is a paired difference.
    """
    names, rankers = metric_names([mean["model"]]), list(values)
    columns = torch.stack([values[ranker][name] for ranker in rankers for name in names], 1)  # [n, rankers x names]
    drawn = resampled_means(columns.double(), users).view(-1, len(rankers), len(names))
    intervals = {
        ranker: {name: interval(drawn[:, row, column]) for column, name in enumerate(names)}
        for row, ranker in enumerate(rankers)
    }
    leads = {}
    for column, name in enumerate(names) if len(rankers) > 1 else ():
        best = max(rankers[1:], key=lambda ranker: mean[ranker][name])
        low, high = interval(drawn[:, 0, column] - drawn[:, rankers.index(best), column])
        difference = mean["model"][name] - mean[best][name]
        leads[name] = {"baseline": best, "difference": difference, "low": low, "high": high}
    return {"intervals": intervals.pop("model"), "baseline_intervals": intervals, "leads": leads}


def _store(run: Run, split: str, values: Mapping[str, Any]) -> EvaluationResult:
    """Write the result into the run's metrics.json, with the number of evaluations on the split."""
    path = run.path / "metrics.json"
    stored = read_json(path) if path.is_file() else {}
    reads = int(stored.get(split, {}).get("reads", 0)) + 1
    result = EvaluationResult.model_validate({**values, "reads": reads})
    write_json(path, stored | {split: result.to_dict()})
    return result
