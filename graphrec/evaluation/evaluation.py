"""Evaluation of a run on the events of a split: the model, the baselines and the slices, under one protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any, cast

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from graphrec.environment import versions
from graphrec.errors import GraphError, RunError
from graphrec.evaluation.comparison import metric_names
from graphrec.evaluation.h3_cells import map_queries
from graphrec.evaluation.per_query import per_query_metrics
from graphrec.evaluation.result import EvaluationResult
from graphrec.evidence.attention_profile import profile_attention
from graphrec.evidence.faithfulness import Faithfulness, measure_faithfulness
from graphrec.files import read_json, write_json
from graphrec.metrics import interval, means, resampled_means, standard_error
from graphrec.models.baselines import all_baselines
from graphrec.models.ranking import StgatRanker
from graphrec.models.score_ranker import ScoreRanker
from graphrec.progress import NoProgress, Progress
from graphrec.queries.protocol import EvaluationProtocol, is_repeat
from graphrec.runs.manifest import peak_memory
from graphrec.runs.run import Run
from graphrec.runs.training_split import training_view

EVIDENCE_QUESTIONS = 1_000
"""Questions at most whose evidence is taken out: each is answered twenty times more."""


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
        raise RunError(f"{run.path}: {run.config.model.name} shows no evidence to measure; stgat does")
    if split == "val" and run.config.training.train_on_val:
        raise RunError(f"{run.path}: its training learned from the val events (train_on_val: true); judge test")
    protocol = run.protocol.model_copy(update=dict(overrides or {}))
    rows = protocol.target_rows(run.graph, split)
    if not len(rows):
        raise GraphError(f"{run.path}: no event of split {split!r} is judged under {protocol.model_dump()}")
    judges = metric_functions(run, protocol)
    listener = progress or NoProgress()
    listener.start(f"evaluating {split}", len(judges))
    measured, seconds = {}, {}
    for name, measure in judges.items():
        begun = perf_counter()
        measured[name] = measure(rows)
        seconds[name] = round(perf_counter() - begun, 3)
        listener.advance(1, name)
    listener.finish()
    lists, users = protocol.task == "top-n", run.graph.log.user[rows].long()
    mapped = None if lists else map_queries(run.graph, rows, measured["model"]["acc@10"])
    result = {
        "n": len(rows),
        "split": split,
        "model": run.config.model.name,
        "protocol": protocol.model_dump(),
        **_summary(measured, users, None if lists else is_repeat(run.graph, rows)),
        "map": mapped and mapped.model_dump(),
        "seconds": seconds,
        "peak_memory": peak_memory(rows.device),
        "seed": run.config.seed,
        "graph_hash": run.graph.manifest["hash"],
        "versions": versions(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if evidence:
        result["faithfulness"] = asdict(_faithfulness(run, protocol, rows, listener))
        result["attention"] = profile_attention(run, split, EVIDENCE_QUESTIONS, None, listener, protocol).rows()
    return _store(run, split, result)


def _faithfulness(
    run: Run, protocol: EvaluationProtocol, rows: Int64[Tensor, " n"], progress: Progress
) -> Faithfulness:
    """Of the questions, or of so many of them, drawn by the run's seed."""
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(run.config.seed))[:EVIDENCE_QUESTIONS]
    asked = protocol.queries(run.graph, rows[drawn.sort().values.to(rows.device)])
    return measure_faithfulness(cast(StgatRanker, run.ranker), asked, run.config.seed, progress)


def metric_functions(
    run: Run, protocol: EvaluationProtocol
) -> dict[str, Callable[[Int64[Tensor, " n"]], dict[str, Float64[Tensor, " n"]]]]:
    """Functions from rows of events to what their questions earn: the model, then each baseline.

    Baselines that fit weights do so on the events that the model learned from.
    """
    learned = training_view(run.graph, run.config.training)
    others = [baseline for baseline in all_baselines(learned) if baseline.name != run.config.model.name]
    rankers = {"model": run.ranker, **{baseline.name: ScoreRanker(run.graph, baseline) for baseline in others}}
    return {name: partial(per_query_metrics, run.graph, ranker, protocol) for name, ranker in rankers.items()}


def _summary(
    measured: Mapping[str, Mapping[str, Tensor]], users: Int64[Tensor, " n"], repeat: Tensor | None
) -> dict[str, Any]:
    """Means over all questions and, given which are repeats, over repeats and first interactions."""
    slices = {} if repeat is None else {"returning": repeat, "new": ~repeat}
    return {
        **_part(measured, users),
        "errors": {name: standard_error(values) for name, values in measured["model"].items() if len(values) > 1},
        "slices": {
            name: {"n": int(chosen.sum()), **_part(_rows(measured, chosen), users[chosen])}
            for name, chosen in slices.items()
            if bool(chosen.any())
        },
    }


def _rows(measured: Mapping[str, Mapping[str, Tensor]], chosen: Tensor) -> dict[str, dict[str, Tensor]]:
    return {ranker: {name: value[chosen] for name, value in values.items()} for ranker, values in measured.items()}


def _part(measured: Mapping[str, Mapping[str, Tensor]], users: Int64[Tensor, " n"]) -> dict[str, Any]:
    """Means of the model and of every baseline, and how sure they are where there are two users."""
    found = {ranker: means(values) for ranker, values in measured.items()}
    asking = len(torch.unique(users))
    sure = _certainty(measured, found, users) if asking > 1 else {}
    return {"users": asking, "metrics": found.pop("model"), "baselines": found, **sure}


def _certainty(
    measured: Mapping[str, Mapping[str, Tensor]], found: Mapping[str, Mapping[str, float]], users: Int64[Tensor, " n"]
) -> dict[str, Any]:
    """Bootstrap intervals (95%) of the measures that are shown, and of the model's lead over the best baseline.

    Users are drawn whole, the same ones for every ranker, so that the lead is a paired difference.
    """
    names, rankers = metric_names([found["model"]]), list(measured)
    columns = torch.stack([measured[ranker][name] for ranker in rankers for name in names], 1)  # [n, rankers x names]
    drawn = resampled_means(columns.double(), users).view(-1, len(rankers), len(names))
    intervals = {
        ranker: {name: interval(drawn[:, row, column]) for column, name in enumerate(names)}
        for row, ranker in enumerate(rankers)
    }
    leads = {}
    for column, name in enumerate(names):
        if len(rankers) > 1:
            best = max(rankers[1:], key=lambda ranker: found[ranker][name])
            low, high = interval(drawn[:, 0, column] - drawn[:, rankers.index(best), column])
            over = found["model"][name] - found[best][name]
            leads[name] = {"baseline": best, "difference": over, "low": low, "high": high}
    return {"intervals": intervals.pop("model"), "baseline_intervals": intervals, "leads": leads}


def _store(run: Run, split: str, values: Mapping[str, Any]) -> EvaluationResult:
    """Write the result into the run's metrics.json, with the number of evaluations on the split."""
    path = run.path / "metrics.json"
    stored = read_json(path) if path.is_file() else {}
    reads = int(stored.get(split, {}).get("reads", 0)) + 1
    result = EvaluationResult.model_validate({**values, "reads": reads})
    write_json(path, stored | {split: result.to_dict()})
    return result
