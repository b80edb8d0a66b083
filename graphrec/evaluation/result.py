"""Results of an evaluation: metrics of the model and of every baseline, with intervals, by slice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from graphrec.errors import RunError, translate_errors
from graphrec.evaluation.query_map import QueryMap
from graphrec.files import read_json
from graphrec.records import Record, Tabular, html_table

FIRST_KEYS = ("n", "split", "model", "protocol")
"""Keys with which the JSON of a result begins."""


class Lead(Record):
    """Difference between the model and the best baseline, paired by query."""

    baseline: str
    """The best baseline by this metric."""
    difference: float
    """The model's mean less the baseline's."""
    low: float
    """Lower end of its interval (95%)."""
    high: float
    """Upper end."""

    @property
    def significant(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


class Slice(Record):
    """Metrics of the queries that have something in common."""

    n: int = 0
    """Number of queries."""
    users: int | None = None
    """Number of their users."""
    metrics: dict[str, float] = {}
    """Means of the model."""
    baselines: dict[str, dict[str, float]] = {}
    """Means of each baseline."""
    intervals: dict[str, tuple[float, float]] = {}
    """Intervals (95%, bootstrap over users) of the model's means."""
    baseline_intervals: dict[str, dict[str, tuple[float, float]]] = {}
    """Intervals of each baseline."""
    leads: dict[str, Lead] = {}
    """By metric, the difference to the best baseline."""


class EvaluationResult(Slice, Tabular):
    """The evaluation of a run on a split, as ``graphrec evaluate --json`` prints it and ``metrics.json`` keeps it."""

    split: str = "test"
    """``val`` or ``test``."""
    model: str = "stgat"
    """Name of the model."""
    protocol: dict[str, Any] = {}
    """Fields of the evaluation protocol, by their keys on disk."""
    errors: dict[str, float] = {}
    """Standard errors over queries of the model's means."""
    slices: dict[str, Slice] = {}
    """Metrics of the queries for ``returning`` and for ``new`` items."""
    map: QueryMap | None = None
    """Accuracy by place; None where no cell has enough users."""
    seconds: dict[str, float] = {}
    """Time that each ranker took, fitting included; the model is ``model``."""
    peak_memory: int | None = None
    """Peak memory of the evaluation, bytes."""
    seed: int | None = None
    """The run's seed."""
    graph_hash: str = ""
    """Hash of the graph's data."""
    versions: dict[str, str] = {}
    """Versions of Python and of packages."""
    at: str = ""
    """Time of the evaluation, ISO 8601."""
    faithfulness: dict[str, Any] | None = None
    """Fields of `graphrec.evidence.Faithfulness`; None where it was not measured."""
    attention: list[dict[str, Any]] | None = None
    """Rows of `graphrec.evidence.AttentionProfile`; None where it was not measured."""
    reads: int = 1
    """How often this run has been evaluated on the split."""

    def to_dict(self) -> dict[str, Any]:
        """The result as ``graphrec evaluate --json`` prints it."""
        values = super().to_dict()
        return {name: values.pop(name) for name in FIRST_KEYS if name in values} | values

    def rows(self) -> list[dict[str, Any]]:
        """One row for each ranker on all queries and on each slice: slice, ranker, n and its metrics."""
        return [
            {"slice": name, "ranker": ranker, "n": part.n, **metrics}
            for name, part in {"all": self, **self.slices}.items()
            for ranker, metrics in {self.model: part.metrics, **part.baselines}.items()
        ]

    def __repr__(self) -> str:
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items() if name in ("acc@10", "mrr"))
        return f"EvaluationResult({self.model} on {self.split}, n={self.n}, {metrics})"

    def _repr_html_(self) -> str:
        names = list(self.metrics)
        rankers = {self.model: self.metrics, **self.baselines}
        rows = [(ranker, *(metrics.get(name, float("nan")) for name in names)) for ranker, metrics in rankers.items()]
        return html_table(f"{self.split}, {self.n} queries", ("", *names), rows)


def read_results(run: Path) -> dict[str, EvaluationResult]:
    """The results of a run directory by split; RunError where its metrics.json is broken."""
    path = run / "metrics.json"
    stored = read_json(path) if path.is_file() else {}
    expected, remedy = f"{path}: results by split expected", "; evaluate the run again"
    with translate_errors(TypeError, ValidationError, to=RunError, expected=expected, remedy=remedy):
        return {split: EvaluationResult.model_validate({"split": split, **values}) for split, values in stored.items()}
