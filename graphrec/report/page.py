"""The report of a run: one HTML page that needs nothing else, and what is written on it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from pydantic import Field

from graphrec import formatting as words
from graphrec.evaluation.comparison import compare, compare_slices, metric_names, verdict
from graphrec.evaluation.query_map import MIN_USERS
from graphrec.evaluation.result import EvaluationResult, read_results
from graphrec.evidence.shares import SHARE_LABELS
from graphrec.files import atomic_write
from graphrec.graph.manifest import GraphManifest, read_manifest
from graphrec.pictures.palette import SHARES, SHARES_ON_DARK
from graphrec.recommendation import RecommendationList
from graphrec.report.chart import Bar, interval_chart, line_chart, period_chart
from graphrec.report.health import DataHealth, Record
from graphrec.report.map_chart import centre, question_maps
from graphrec.runs.config import RunConfig
from graphrec.runs.manifest import RunManifest


class Finding(Record):
    """What the build found odd about a log; its examples stay in the graph, since they may name people."""

    reason: str
    count: int = 0
    remedy: str = ""


class GraphFacts(Record):
    """What the report says of the graph; the keys of its manifest."""

    counts: dict[str, int] = Field(default_factory=dict)
    """Events, nodes by type, and the events of each split."""
    time_span: tuple[int, int] | None = None
    """First and last event, UTC seconds; None for a log without times."""
    text_model: str | None = None
    """Name of the text encoder; None: no text."""
    hash: str = ""
    """Hash of the data."""
    quarantined: dict[str, int] = Field(default_factory=dict)
    """Rows that could not be used, by reason."""
    filtered: dict[str, int] = Field(default_factory=dict)
    """Usable rows that were left out on demand, by reason."""
    sources: tuple[str, ...] = ()
    """Names of the log files."""
    rows: int | None = None
    """Rows read of the log, the unusable ones included."""
    findings: tuple[Finding, ...] = ()
    """What the build found odd about the log."""
    notes: tuple[str, ...] = ()
    """What the build noted."""
    wall_seconds: float | None = None
    """What the build, or the append that came last, took."""
    peak_memory: int | None = None
    """Largest memory of its process, bytes."""


class RunFacts(Record):
    """What the report says of the training."""

    command: str = ""
    """The command line that made the run."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings by their dotted names."""
    seed: int | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    wall_seconds: float | None = None
    """Training time."""
    peak_memory: int | None = None
    """Largest memory of its process, bytes."""
    device: str = ""
    epochs: int | None = None
    best_epoch: int | None = None
    """The epoch whose weights were kept, from 1."""
    parameters: int | None = None
    questions: int | None = None
    """Questions that an epoch learned from."""
    model_bytes: int | None = None
    """Size of the weights on disk."""


class ReportContent(Record):
    """Everything that a report shows; any part may be missing."""

    title: str
    created: str = ""
    """When, ISO time."""
    graph: GraphFacts = GraphFacts()
    run: RunFacts = RunFacts()
    curves: tuple[dict[str, float], ...] = ()
    """One record an epoch: ``epoch``, ``train_loss`` and validation metrics by name."""
    evaluations: tuple[EvaluationResult, ...] = ()
    """The first one is summed up at the head of the page."""
    users: tuple[RecommendationList, ...] = ()
    notes: tuple[str, ...] = ()
    health: DataHealth = DataHealth()
    """What the graph holds, and since when."""

    @property
    def explained(self) -> bool:
        """Whether any item says what its score is made of."""
        return any(item.shares for user in self.users for item in user.items)


def run_content(
    run: Path,
    evaluations: Mapping[str, EvaluationResult] | None = None,
    users: Sequence[RecommendationList] = (),
    *,
    graph: GraphManifest | None = None,
    health: DataHealth | None = None,
    title: str = "",
    created: str = "",
    command: str = "",
    notes: Sequence[str] = (),
) -> ReportContent:
    """Gather the report of a run directory.

    Parameters
    ----------
    run : a finished run.
    evaluations : results by split; None takes those of the run's ``metrics.json``.
    users : recommendations to be shown.
    graph : manifest of the graph; None looks it up where the run was trained.
    health : what ``graphrec.report.health.data_health`` counts; None leaves it out.

    Raises RunError or GraphError when the run or its graph is incomplete.
    """
    manifest = RunManifest.read(run)
    graph = graph or read_manifest(run / manifest.graph)
    if evaluations is None:
        evaluations = read_results(run)
    return ReportContent(
        title=title or f"Run {run.resolve().name}",
        created=created or "",
        graph=_graph_facts(graph),
        run=_run_facts(run, manifest, command),
        health=health or DataHealth(),
        curves=tuple(manifest.history),
        evaluations=tuple(evaluations[split] for split in sorted(evaluations)),
        users=tuple(users),
        notes=tuple(notes),
    )


def _graph_facts(manifest: GraphManifest) -> GraphFacts:
    log = [source for source in manifest.sources if source.role == "events"]
    rows = [source.rows for source in log if source.rows is not None]
    own = {
        "time_span": None if manifest.timeless else manifest.time_span,
        "text_model": manifest.text.model if manifest.text else None,
        "sources": tuple(source.name for source in manifest.sources),
        "rows": sum(rows) if log and len(rows) == len(log) else None,
    }
    return GraphFacts.model_validate(manifest.to_dict() | own)


def _run_facts(run: Path, manifest: RunManifest, command: str) -> RunFacts:
    config, weights = RunConfig.stored(run / "config.yaml"), run / "model.safetensors"
    by_steps = any("train_loss" in epoch for epoch in manifest.history)
    size = manifest.training_rows if by_steps else None
    own = {
        "command": command,
        "settings": _dotted(config.model_dump(exclude_defaults=True)),
        "epochs": len(manifest.history),
        "questions": None if size is None else min(size, config.training.samples_per_epoch),
        "model_bytes": weights.stat().st_size if weights.is_file() else None,
    }
    return RunFacts.model_validate(manifest.to_dict() | own)


def _dotted(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _dotted(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


def render_report(content: ReportContent) -> str:
    """The report as one HTML page: no script, no font, no picture from elsewhere; everything given is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= dict(inspect.getmembers(words, inspect.isfunction))
    page = environment.get_template("report.html.j2").render(
        content=content,
        shares=list(SHARES),
        labels=SHARE_LABELS,
        shown={name for user in content.users for item in user.items for name in item.shares},
        shares_light=SHARES.values(),
        shares_dark=SHARES_ON_DARK.values(),
        compare=compare,
        compare_slices=compare_slices,
        verdict=verdict,
        metric_names=metric_names,
        charts=_charts(content),
        interval_charts=_interval_charts,
        question_maps=question_maps,
        centre=centre,
        least_users=MIN_USERS,
        periods=_periods(content.health),
        costs=_costs(content),
    )
    return page.lstrip()


def _charts(content: ReportContent) -> list[tuple[str, str]]:
    """Titles and learning curves: the training loss, and the validation metrics."""
    epochs = [int(record["epoch"]) for record in content.curves]
    drawn: list[tuple[str, str]] = []
    for title, names in (("Training loss", ["train_loss"]), ("Validation", metric_names(content.curves))):
        lines = {
            words.metric_label(name.removeprefix("train_")): [record.get(name, math.nan) for record in content.curves]
            for name in names
            if any(name in record for record in content.curves)
        }
        if epochs and lines:
            drawn.append((title, line_chart(title, epochs, lines, content.run.best_epoch)))
    return drawn


def _interval_charts(evaluation: EvaluationResult) -> list[tuple[str, str]]:
    """Titles and bars of the first and the last measure of the table, the model and the baselines beside each other."""
    names, rows = compare(evaluation)
    drawn: list[tuple[str, str]] = []
    for column in sorted({0, len(names) - 1}) if names else []:
        bars = [Bar(row.name, row.cells[column].value, row.cells[column].interval, row.model) for row in rows]
        title = words.metric_label(names[column])
        drawn.append((title, interval_chart(title, bars)))
    return drawn


def _periods(health: DataHealth) -> tuple[list[str], str] | None:
    """The days at which the periods begin, and the events in each as bars; None without time."""
    if not health.starts:
        return None
    days = [words.format_date(start, "%b") for start in health.starts]
    parts = {words.split_label(split): counts for split, counts in health.events.items()}
    most = max(map(sum, zip(*health.events.values(), strict=True)))
    description = f"Events a {health.period}, {len(days)} from {days[0]} to {days[-1]}, at most {most:,} in one"
    return days, period_chart(description, days, parts)


def _costs(content: ReportContent) -> list[tuple[str, list[tuple[str, str]]]]:
    """What the graph and the run took, by what took it: names and values of what is known."""
    run, graph = content.run, content.graph
    epochs, seconds = run.epochs or 0, run.wall_seconds or 0.0
    costs = {
        "Building the graph": [
            ("In all", _known(words.format_duration, graph.wall_seconds)),
            ("Memory at most", _known(words.format_bytes, graph.peak_memory)),
        ],
        "Training": [
            ("In all, validation included", _known(words.format_duration, seconds or None)),
            ("An epoch", words.format_duration(seconds / epochs) if seconds and epochs else ""),
            ("Questions a second", _rate((run.questions or 0) * epochs, seconds)),
            ("Memory at most", _known(words.format_bytes, run.peak_memory)),
            ("Device", run.device),
        ],
        "Model": [
            ("Parameters", _known(words.format_count, run.parameters)),
            ("Size on disk", _known(words.format_bytes, run.model_bytes)),
        ],
    }
    for one in content.evaluations:
        costs[f"Evaluation on {words.split_label(one.split)}"] = _evaluation_costs(one)
    known = {title: [(name, value) for name, value in pairs if value] for title, pairs in costs.items()}
    return [(title, pairs) for title, pairs in known.items() if pairs]


def _evaluation_costs(evaluation: EvaluationResult) -> list[tuple[str, str]]:
    model = evaluation.seconds.get("model")
    others = sum(evaluation.seconds.values()) - (model or 0.0)
    return [
        ("The model", _known(words.format_duration, model)),
        ("Its questions a second", _rate(evaluation.n, model or 0.0)),
        ("All baselines, fitting included", words.format_duration(others) if others > 0 else ""),
        ("Memory at most", _known(words.format_bytes, evaluation.peak_memory)),
    ]


def _known(form: Callable[[Any], str], value: int | float | None) -> str:
    return "" if value is None else form(value)


def _rate(count: int, seconds: int | float) -> str:
    return words.format_count(round(count / seconds)) if count and seconds > 0 else ""


def write_report(content: ReportContent, out: Path) -> None:
    """Write the report beside ``out`` and rename it into place."""
    with atomic_write(out) as temporary:
        temporary.write_text(render_report(content), encoding="utf-8")
