"""The report of a run: one HTML page that needs nothing else, and what is written on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator

from graphrec import words
from graphrec.chart import line_chart
from graphrec.comparison import Evaluation, compare, compare_slices, metric_names, verdict
from graphrec.config import RunConfig
from graphrec.directory import read_manifest
from graphrec.evidence import SHARES as NAMES_OF_RELATIONS
from graphrec.palette import SHARES, SHARES_ON_DARK
from graphrec.run import aside, read_json


class Record(BaseModel):
    """Plain data that a report is fed with; what it does not show is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class GraphFacts(Record):
    """What the report says of the graph; the keys of its manifest."""

    counts: dict[str, int] = {}
    """Events, nodes by type, and the events of each split."""
    time_span: tuple[int, int] | None = None
    """First and last event, UTC seconds."""
    text_model: str | None = None
    """Name of the text encoder; None: no text."""
    hash: str = ""
    """Hash of the data."""
    quarantined: dict[str, int] = {}
    """Rows that could not be used, by reason."""
    sources: tuple[str, ...] = ()
    """Names of the log files."""


class RunFacts(Record):
    """What the report says of the training."""

    command: str = ""
    """The command line that made the run."""
    settings: dict[str, Any] = {}
    """Settings by their dotted names."""
    seed: int | None = None
    versions: dict[str, str] = {}
    wall_seconds: float | None = None
    """Training time."""
    peak_memory_mb: float | None = None
    device: str = ""
    epochs: int | None = None
    best_epoch: int | None = None
    """The epoch whose weights were kept, from 1."""
    parameters: int | None = None


class Evidence(Record):
    """One reason for an item."""

    words: str
    """The reason as a sentence."""
    relation: str = ""
    """The part of the score that it belongs to: a name of ``SHARES``, or mine, then, here, semantic."""
    share: float | None = None
    """How much of the score it carries."""

    @field_validator("relation")
    @classmethod
    def _full_name(cls, relation: str) -> str:
        return NAMES_OF_RELATIONS.get(relation, relation)


class Item(Record):
    """One recommended item."""

    item: str
    label: str | None = None
    score: float
    shares: dict[str, float] = {}
    """Parts of the score by the names of ``graphrec.palette.SHARES`` (or mine, then, here, semantic)."""
    evidence: tuple[Evidence, ...] = ()

    @field_validator("shares")
    @classmethod
    def _full_names(cls, shares: dict[str, float]) -> dict[str, float]:
        named = {NAMES_OF_RELATIONS.get(name, name): value for name, value in shares.items()}
        return {name: named[name] for name in SHARES if name in named}

    @field_validator("evidence", mode="before")
    @classmethod
    def _sentences(cls, evidence: Sequence[Any]) -> list[Any]:
        return [{"words": reason} if isinstance(reason, str) else reason for reason in evidence]


class Answer(Record):
    """What one user was recommended, as ``graphrec recommend --json`` gives it."""

    user: str
    asked_at: str | None = None
    """ISO time of the question."""
    place: str | None = None
    history: str = Field("", validation_alias=AliasChoices("history", "history_summary"))
    """The user's past in words."""
    items: tuple[Item, ...] = ()
    """The list, best first."""


class ReportContent(Record):
    """Everything that a report shows; any part may be missing."""

    title: str
    created: str = ""
    """When, ISO time."""
    graph: GraphFacts = GraphFacts()
    run: RunFacts = RunFacts()
    curves: tuple[dict[str, float], ...] = ()
    """One record an epoch: ``epoch``, ``train_loss`` and validation metrics by name."""
    evaluations: tuple[Evaluation, ...] = ()
    """The first one is summed up at the head of the page."""
    users: tuple[Answer, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def explained(self) -> bool:
        """Whether any item says what its score is made of."""
        return any(item.shares for user in self.users for item in user.items)


def run_content(
    run: Path,
    evaluations: Mapping[str, Mapping[str, Any]] | None = None,
    users: Sequence[Mapping[str, Any]] = (),
    *,
    graph: Mapping[str, Any] | None = None,
    title: str = "",
    created: str = "",
    command: str = "",
    notes: Sequence[str] = (),
) -> ReportContent:
    """Gather the report of a run directory.

    Parameters
    ----------
    run : a finished run.
    evaluations : what ``graphrec evaluate --json`` gives, by split; None takes all that the run remembers.
    users : what ``graphrec recommend --json`` gives, with ``history`` in words if there are any.
    graph : manifest of the graph; None looks it up where the run was trained.

    Raises RunError or GraphError when the run or its graph is incomplete.
    """
    manifest = read_json(run / "manifest.json")
    graph = graph or read_manifest(run / manifest["graph"])
    if evaluations is None:
        evaluations = read_json(run / "metrics.json") if (run / "metrics.json").is_file() else {}
    settings = RunConfig.load(run / "config.yaml").model_dump(exclude_defaults=True)
    return ReportContent(
        title=title or f"Run {run.resolve().name}",
        created=created or manifest.get("created", ""),
        graph=GraphFacts(
            **{name: graph[name] for name in ("counts", "time_span", "hash", "quarantined") if name in graph},
            text_model=(graph.get("text") or {}).get("model"),
            sources=tuple(source["name"] for source in graph.get("sources", ())),
        ),
        run=RunFacts(
            **{name: manifest[name] for name in RunFacts.model_fields if name in manifest},
            command=command,
            settings=_dotted(settings),
            epochs=len(manifest["history"]),
            peak_memory_mb=manifest["peak_memory"] / 2**20,
        ),
        curves=tuple(manifest["history"]),
        evaluations=tuple(Evaluation(**{"split": split, **evaluations[split]}) for split in sorted(evaluations)),
        users=tuple(Answer(**user) for user in users),
        notes=tuple(notes),
    )


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
    environment.filters |= {
        "count": words.count,
        "number": words.number,
        "percent": words.percent,
        "duration": words.duration,
        "day": words.day,
        "moment": words.moment,
        "measure": words.measure,
        "plain": words.plain,
        "split_name": words.split_name,
    }
    page = environment.get_template("report.html.j2").render(
        content=content,
        shares=list(SHARES),
        shown={name for user in content.users for item in user.items for name in item.shares},
        shares_light=SHARES.values(),
        shares_dark=SHARES_ON_DARK.values(),
        compare=compare,
        compare_slices=compare_slices,
        verdict=verdict,
        metric_names=metric_names,
        charts=_charts(content),
    )
    return page.lstrip()


def _charts(content: ReportContent) -> list[tuple[str, str]]:
    """Titles and learning curves: the training loss, and the validation metrics."""
    epochs = [int(record["epoch"]) for record in content.curves]
    drawn: list[tuple[str, str]] = []
    for title, names in (("Training loss", ["train_loss"]), ("Validation", metric_names(content.curves))):
        lines = {
            words.measure(name.removeprefix("train_")): [record.get(name, math.nan) for record in content.curves]
            for name in names
            if any(name in record for record in content.curves)
        }
        if epochs and lines:
            drawn.append((title, line_chart(title, epochs, lines, content.run.best_epoch)))
    return drawn


def write_report(content: ReportContent, out: Path) -> None:
    """Write the report beside ``out`` and rename it into place."""
    with aside(out) as temporary:
        temporary.write_text(render_report(content), encoding="utf-8")
