"""Judging a run on the events of a split: the model, the baselines and the slices, under one named protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from jaxtyping import Float64, Int64
from torch import Tensor

from graphrec.baselines import all_baselines
from graphrec.environment import versions
from graphrec.errors import GraphError
from graphrec.graph import TemporalGraph
from graphrec.metrics import query_metrics, standard_error, summarise
from graphrec.progress import Progress, Silent
from graphrec.protocol import Protocol, returning
from graphrec.ranking import Ranker
from graphrec.run import Run, read_json, write_json
from graphrec.score_ranker import ScoreRanker


def evaluate(
    run: Run, split: str = "val", overrides: Mapping[str, Any] | None = None, progress: Progress | None = None
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

    Returns
    -------
    ``{"n", "protocol", "metrics", "errors", "baselines", "slices", ...}``, the same that ``metrics.json`` of the run
    keeps under the split. ``errors`` are standard errors over questions. Every reading of a test split is counted.
    """
    protocol = run.protocol.model_copy(update=dict(overrides or {}))
    rows = protocol.target_rows(run.graph, split)
    if not len(rows):
        raise GraphError(f"{run.path}: no event of split {split!r} is judged under {protocol.model_dump()}")
    judges = judges_of(run.graph, run.ranker, protocol, run.config.model.name)
    listener = progress or Silent()
    listener.start(f"evaluating {split}", len(judges))
    ranks = {}
    for name, judge in judges.items():
        ranks[name] = judge(rows)
        listener.advance(1, name)
    listener.finish()
    result = {
        "n": len(rows),
        "split": split,
        "model": run.config.model.name,
        "protocol": protocol.model_dump(),
        **_summary(ranks, returning(run.graph, rows)),
        "seed": run.config.seed,
        "graph_hash": run.graph.manifest["hash"],
        "versions": versions(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    _record(run, split, result)
    return result


def judges_of(
    graph: TemporalGraph, ranker: Ranker | ScoreRanker, protocol: Protocol, name: str = "stgat"
) -> dict[str, Callable[[Int64[Tensor, " n"]], Float64[Tensor, " n"]]]:
    """Functions from rows of events to the expected ranks of their items: the model's, then each baseline's."""
    candidates = protocol.candidate_mask(graph)
    others = [baseline for baseline in all_baselines(graph) if baseline.name != name]
    rankers = {"model": ranker, **{baseline.name: ScoreRanker(graph, baseline) for baseline in others}}

    def judge(ranker: Ranker | ScoreRanker, rows: Int64[Tensor, " n"]) -> Float64[Tensor, " n"]:
        target = graph.log.item[rows].long()
        return ranker.expected_ranks(protocol.queries(graph, rows), target, candidates, protocol.novel)

    return {name: partial(judge, ranker) for name, ranker in rankers.items()}


def _summary(ranks: Mapping[str, Tensor], old: Tensor) -> dict[str, Any]:
    model = ranks["model"]
    slices = {"returning": old, "new": ~old}
    return {
        "metrics": summarise(model),
        "errors": {name: standard_error(values) for name, values in query_metrics(model).items() if len(values) > 1},
        "baselines": {name: summarise(found) for name, found in ranks.items() if name != "model"},
        "slices": {
            name: {
                "n": int(chosen.sum()),
                "metrics": summarise(model[chosen]),
                "baselines": {other: summarise(found[chosen]) for other, found in ranks.items() if other != "model"},
            }
            for name, chosen in slices.items()
            if bool(chosen.any())
        },
    }


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
