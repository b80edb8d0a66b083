"""Comparison of a model with its baselines: a table and a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from graphrec.evaluation.result import EvaluationResult, Lead, Slice
from graphrec.formatting import format_percent, humanize_key, metric_label, pluralize, split_label

NEXT_ITEM_METRICS = ("acc@1", "acc@5", "acc@10", "recall@10", "ndcg@10", "mrr")
"""Metrics of the next-item task that a table shows, in this order."""
TOP_N_METRICS = ("recall@10", "ndcg@10", "recall@20", "ndcg@20", "mrr")
"""Metrics of the top-n task that a table shows, in this order."""

Values = Mapping[str, float]
Intervals = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Cell:
    """One number of the table."""

    value: float
    part: float
    """Length of its bar, relative to the largest value of the column."""
    best: bool
    """Whether no compared value is larger."""
    error: float | None = None
    """Standard error, where known."""
    rival: float | None = None
    """Value of the best baseline, if the table has no row for it."""
    interval: tuple[float, float] | None = None
    """Ends of the interval (95%), where known."""
    lead: Lead | None = None
    """Difference to the best baseline, if known."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    model: bool
    """Whether it is the model, not a baseline."""
    cells: tuple[Cell, ...]


def metric_names(measured: Iterable[Mapping[str, Any]]) -> list[str]:
    """Metrics of a table: those of the task that occur, without a Recall@10 that equals Acc@10."""
    rows = list(measured)
    lists = any("hit_rate@10" in row for row in rows) and not any("acc@10" in row for row in rows)
    names = [name for name in (TOP_N_METRICS if lists else NEXT_ITEM_METRICS) if any(name in row for row in rows)]
    same = all(row.get("recall@10") == row.get("acc@10") for row in rows)
    return [name for name in names if name != "recall@10" or not same]


def compare(evaluation: EvaluationResult) -> tuple[list[str], list[Row]]:
    """Column names, and a row for the model and each baseline, by descending value of the last column."""
    measured = [evaluation.metrics, *evaluation.baselines.values()]
    names = metric_names(measured)
    largest = {name: max(_known(values, name) for values in measured) for name in names}
    cells = _cells(evaluation.metrics, largest, evaluation.intervals, evaluation.errors)
    rows = [Row(evaluation.model, model=True, cells=cells)]
    for name, values in evaluation.baselines.items():
        cells = _cells(values, largest, evaluation.baseline_intervals.get(name, {}), {})
        rows.append(Row(humanize_key(name), model=False, cells=cells))
    return names, sorted(rows, key=lambda row: -row.cells[-1].part if row.cells else 0.0)


def _cells(values: Values, largest: Values, intervals: Intervals, errors: Values) -> tuple[Cell, ...]:
    cells = []
    for name, top in largest.items():
        value, known = values.get(name, math.nan), _known(values, name)
        part = max(known, 0.0) / top if top > 0 else 0.0
        cells.append(Cell(value, part, known == top > 0, errors.get(name), interval=intervals.get(name)))
    return tuple(cells)


def compare_slices(evaluation: EvaluationResult) -> tuple[list[str], list[tuple[str, Slice, list[Cell]]]]:
    """Column names, and for each slice its name, itself and the cells of the model with the best baseline."""
    slices = evaluation.slices
    names = metric_names(part.metrics for part in slices.values())
    largest = {name: max(_known(part.metrics, name) for part in slices.values()) for name in names}
    return names, [(humanize_key(title), part, _slice_cells(part, largest)) for title, part in slices.items()]


def _slice_cells(part: Slice, largest: Mapping[str, float]) -> list[Cell]:
    rivals = [_rivals(part).get(name, ("", None))[1] for name in largest]
    return [
        replace(cell, rival=rival, best=rival is not None and cell.value >= rival, lead=part.leads.get(name))
        for name, cell, rival in zip(largest, _cells(part.metrics, largest, part.intervals, {}), rivals, strict=True)
    ]


def _known(values: Mapping[str, float], name: str) -> float:
    value = values.get(name, math.nan)
    return -math.inf if math.isnan(value) else value


def verdict(evaluation: EvaluationResult) -> str:
    """Summary in sentences: accuracy of the model, and every case in which a baseline is better."""
    if not evaluation.n or not evaluation.metrics:
        return f"No {split_label(evaluation.split)} question could be asked."
    slices = (_slice_lost(name, part) for name, part in evaluation.slices.items())
    return " ".join(filter(None, (_rightness(evaluation), _standing(evaluation), lead_in_words(evaluation), *slices)))


def _rightness(evaluation: EvaluationResult) -> str:
    first, ten = (evaluation.metrics.get(name, math.nan) for name in ("acc@1", "acc@10"))
    asked = pluralize(evaluation.n, f"{split_label(evaluation.split)} question")
    if math.isnan(first) or math.isnan(ten):
        return f"{asked} were asked."
    first_ten = f"came first in {format_percent(first)} and among the first ten in {format_percent(ten)}"
    return f"Of {asked}, the right item {first_ten}."


def _standing(evaluation: EvaluationResult) -> str:
    rivals = _rivals(evaluation)
    lost = [name for name, (_, value) in rivals.items() if value > evaluation.metrics[name]]
    if lost:
        return f"A baseline does better: {', '.join(_against(evaluation, name) for name in lost)}."
    if not rivals:
        return ""
    nearest = "" if evaluation.leads else f"; the nearest is {_against(evaluation, list(rivals)[-1])}"
    return f"No baseline does better on any measure shown{nearest}."


def lead_in_words(part: Slice) -> str:
    """Difference to the best baseline by the last metric, with its interval; empty if unknown."""
    known = [name for name in metric_names([part.metrics]) if name in part.leads]
    if not known:
        return ""
    lead, name = part.leads[known[-1]], metric_label(known[-1])
    best = f"the best baseline, {humanize_key(lead.baseline)}"
    if not lead.significant:
        between = f"[{lead.low:+.3f}, {lead.high:+.3f}]"
        return f"On {name} it cannot be told apart from {best}: {lead.difference:+.3f} {between}."
    way, ends = ("better", (lead.low, lead.high)) if lead.difference > 0 else ("worse", (-lead.high, -lead.low))
    return f"On {name} it is {way} than {best}, by {abs(lead.difference):.3f} [{ends[0]:.3f}, {ends[1]:.3f}]."


def _slice_lost(title: str, part: Slice) -> str:
    """Sentence about a slice in which a baseline is better by the last metric; empty otherwise."""
    lost = [name for name, (_, value) in _rivals(part).items() if value > part.metrics[name]]
    if not lost:
        return ""
    unsure = lost[-1] in part.leads and not part.leads[lost[-1]].significant
    where = f"In the slice “{humanize_key(title)}” ({part.n:,} questions)"
    return f"{where} a baseline does better{', within chance' if unsure else ''}: {_against(part, lost[-1])}."


def _rivals(part: Slice) -> dict[str, tuple[str, float]]:
    """Best baseline and its value, by metric of the model."""
    rivals = {}
    for name in metric_names([part.metrics]):
        values = {rival: _known(found, name) for rival, found in part.baselines.items()}
        if values and not math.isnan(part.metrics[name]) and math.isfinite(max(values.values())):
            best = max(values, key=lambda rival: values[rival])
            rivals[name] = (best, values[best])
    return rivals


def _against(part: Slice, name: str) -> str:
    rival, value = _rivals(part)[name]
    return f"{humanize_key(rival)} on {metric_label(name)} ({value:.3f} against {part.metrics[name]:.3f})"
