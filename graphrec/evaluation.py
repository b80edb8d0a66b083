"""Judging a run on the events of a split: the model, the baselines and the slices, under one named protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from graphrec.baselines import Baseline, all_baselines
from graphrec.environment import versions
from graphrec.errors import GraphError
from graphrec.graph import TemporalGraph
from graphrec.metrics import expected_rank, query_metrics, standard_error, summarise
from graphrec.progress import Progress, Silent
from graphrec.protocol import Protocol, returning
from graphrec.query import Queries
from graphrec.ranking import Ranker, mask
from graphrec.run import Run, read_json, write_json
from graphrec.visits import Visits

CELLS = 4_000_000
"""Scores of a baseline held at once: a batch of questions times the catalogue."""


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
    judges = judges_of(run.graph, run.ranker, protocol)
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
    graph: TemporalGraph, ranker: Ranker, protocol: Protocol
) -> dict[str, Callable[[Int64[Tensor, " n"]], Float64[Tensor, " n"]]]:
    """Functions from rows of events to the expected ranks of their items: the model's, then each baseline's."""
    candidates = protocol.candidate_mask(graph)

    def of_model(rows: Int64[Tensor, " n"]) -> Float64[Tensor, " n"]:
        target = graph.log.item[rows].long()
        return ranker.expected_ranks(protocol.queries(graph, rows), target, candidates, protocol.novel)

    def of_baseline(baseline: Baseline) -> Callable[[Int64[Tensor, " n"]], Float64[Tensor, " n"]]:
        return lambda rows: baseline_ranks(
            graph, baseline, protocol.queries(graph, rows), graph.log.item[rows].long(), candidates, protocol.novel
        )

    return {"model": of_model, **{baseline.name: of_baseline(baseline) for baseline in all_baselines(graph)}}


def baseline_ranks(
    graph: TemporalGraph,
    baseline: Baseline,
    queries: Queries,
    target: Int64[Tensor, " n"],
    candidates: Tensor | None,
    novel: bool,
) -> Float64[Tensor, " n"]:
    """Expected ranks that a baseline gives, among the same candidates as a model's."""
    items = len(graph.nodes["item"])
    size = max(1, CELLS // max(items, 1))
    first_seen = graph.nodes["item"].first_seen
    ranks = []
    for start in range(0, len(queries), size):
        batch = queries.rows(slice(start, start + size))
        known = first_seen < batch.time.clamp(max=graph.horizon)[:, None]
        scores = baseline.scores(batch).masked_fill(~known, -torch.inf)
        seen = Visits.before(graph, batch) if novel else None
        scores = mask(scores, slice(0, items), candidates, seen)
        ranks.append(expected_rank(scores, target[start : start + size]))
    return torch.cat(ranks) if ranks else torch.zeros(0, dtype=torch.float64)


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
