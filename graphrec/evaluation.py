"""Judging a run on the events of a split: the model, the baselines and the slices, under one named protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from graphrec.baselines import all_baselines
from graphrec.environment import versions
from graphrec.errors import GraphError, RunError
from graphrec.faithfulness import Faithfulness, measure_faithfulness
from graphrec.judging import judge
from graphrec.metrics import means, standard_error
from graphrec.progress import Progress, Silent
from graphrec.protocol import Protocol, returning
from graphrec.ranking import Ranker
from graphrec.run import Run, read_json, write_json
from graphrec.score_ranker import ScoreRanker
from graphrec.validation import learned_from

EVIDENCE_QUESTIONS = 1_000
"""Questions at most whose evidence is taken out: each is answered twenty times more."""


def evaluate(
    run: Run,
    split: str = "val",
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    evidence: bool = False,
) -> dict[str, Any]:
    """Rank every judged event of a split, with the model and with every baseline.

    Parameters
    ----------
    run
        The run to judge.
    split
        ``val`` or ``test``.
    overrides
        Fields of the protocol to ask otherwise, such as ``{"history": "frozen"}``.
    evidence
        Measure as well whether the evidence shown is what moves the scores (``graphrec.faithfulness``).

    Returns
    -------
    ``{"n", "protocol", "metrics", "errors", "baselines", "slices", ...}``, the same that ``metrics.json`` of the run
    keeps under the split. ``errors`` are standard errors over questions. Every reading of a test split is counted.
    """
    if evidence and not run.explains:
        raise RunError(f"{run.path}: {run.config.model.name} shows no evidence to measure; stgat does")
    if split == "val" and not run.config.training.held_out:
        raise RunError(f"{run.path}: its training learned from the val events (held_out: false); judge test")
    protocol = run.protocol.model_copy(update=dict(overrides or {}))
    rows = protocol.target_rows(run.graph, split)
    if not len(rows):
        raise GraphError(f"{run.path}: no event of split {split!r} is judged under {protocol.model_dump()}")
    judges = judges_of(run, protocol)
    listener = progress or Silent()
    listener.start(f"evaluating {split}", len(judges))
    measured = {}
    for name, measure in judges.items():
        measured[name] = measure(rows)
        listener.advance(1, name)
    listener.finish()
    result = {
        "n": len(rows),
        "split": split,
        "model": run.config.model.name,
        "protocol": protocol.model_dump(),
        **_summary(measured, None if protocol.judge == "users" else returning(run.graph, rows)),
        "seed": run.config.seed,
        "graph_hash": run.graph.manifest["hash"],
        "versions": versions(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if evidence:
        result["faithfulness"] = asdict(_faithfulness(run, protocol, rows, listener))
    _record(run, split, result)
    return result


def _faithfulness(run: Run, protocol: Protocol, rows: Int64[Tensor, " n"], progress: Progress) -> Faithfulness:
    """Of the questions, or of so many of them, drawn by the run's seed."""
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(run.config.seed))[:EVIDENCE_QUESTIONS]
    asked = protocol.queries(run.graph, rows[drawn.sort().values.to(rows.device)])
    return measure_faithfulness(cast(Ranker, run.ranker), asked, run.config.seed, progress)


def judges_of(
    run: Run, protocol: Protocol
) -> dict[str, Callable[[Int64[Tensor, " n"]], dict[str, Float64[Tensor, " n"]]]]:
    """Functions from rows of events to what their questions earn: the model, then each baseline.

    Baselines that fit weights do so on the events that the model learned from.
    """
    learned = learned_from(run.graph, run.config.training)
    others = [baseline for baseline in all_baselines(learned) if baseline.name != run.config.model.name]
    rankers = {"model": run.ranker, **{baseline.name: ScoreRanker(run.graph, baseline) for baseline in others}}
    return {name: partial(judge, run.graph, ranker, protocol) for name, ranker in rankers.items()}


def _summary(measured: Mapping[str, Mapping[str, Tensor]], old: Tensor | None) -> dict[str, Any]:
    """Means over all questions and, where ``old`` tells which ask for a returning item, over those and the others."""
    model = measured["model"]
    slices = {} if old is None else {"returning": old, "new": ~old}
    return {
        "metrics": means(model),
        "errors": {name: standard_error(values) for name, values in model.items() if len(values) > 1},
        "baselines": _baselines(measured),
        "slices": {
            name: {"n": int(chosen.sum()), "metrics": _means(model, chosen), "baselines": _baselines(measured, chosen)}
            for name, chosen in slices.items()
            if bool(chosen.any())
        },
    }


def _baselines(
    measured: Mapping[str, Mapping[str, Tensor]], chosen: Tensor | slice = slice(None)
) -> dict[str, dict[str, float]]:
    return {name: _means(values, chosen) for name, values in measured.items() if name != "model"}


def _means(values: Mapping[str, Tensor], chosen: Tensor | slice) -> dict[str, float]:
    return means({name: value[chosen] for name, value in values.items()})


def _record(run: Run, split: str, result: dict[str, Any]) -> None:
    """Keep the result in the run's metrics.json; count how often the split has been read."""
    path = run.path / "metrics.json"
    metrics = read_json(path) if path.is_file() else {}
    result["reads"] = int(metrics.get(split, {}).get("reads", 0)) + 1
    metrics[split] = result
    write_json(path, metrics)


def headline(metrics: Mapping[str, float], names: Sequence[str] = ("acc@1", "acc@5", "acc@10", "mrr")) -> str:
    """A few metrics in one line."""
    return ", ".join(f"{name} {metrics[name]:.4f}" for name in names if name in metrics)
