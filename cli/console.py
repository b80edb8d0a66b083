"""What the commands print with: results on stdout, everything else on stderr."""

from __future__ import annotations

import io
import json
import math
import shlex
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.progress import TimeRemainingColumn as TimeLeftColumn
from rich.table import Table
from rich.text import Text

from graphrec.formatting import format_count, pluralize
from graphrec.hyperparameters import DeprecatedSetting

console = Console(highlight=False)
"""Results, on stdout."""
notes = Console(stderr=True, highlight=False)
"""Progress and hints, on stderr: never in the way of a pipe."""
errors = Console(stderr=True, highlight=False)
"""Errors, on stderr, also under ``--quiet``."""


def be_quiet(*, quiet: bool = True) -> None:
    """Show results and errors only, or all there is."""
    notes.quiet = quiet


def survive_any_encoding() -> None:
    """Let a terminal or pipe that lacks a letter show ``?`` in its place; by default Python would stop."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def show_deprecations() -> None:
    """Print a former name of a setting as one line on stderr, in place of Python's two with file and line."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, DeprecatedSetting):
            notes.print(f"[dim]note:[/] {escape(str(message))}", soft_wrap=True)
        else:
            usual(message, category, *where, **more)

    warnings.showwarning = show


class RichProgress:
    """Shows work as a bar with the time taken and left; off a terminal, as one line when it is done.

    Use it as a context manager, so that an error leaves no half-drawn bar:
    ``with RichProgress() as progress: build(..., progress=progress)``.
    """

    def __init__(self, target: Console = notes) -> None:
        self._target = target
        self._bars: Bars | None = None

    def __enter__(self) -> RichProgress:
        return self

    def __exit__(self, *error: object) -> None:
        self.finish()

    def start(self, title: str, total: int | None = None) -> None:
        """Begin a piece of work of ``total`` steps, None if unknown; one that was not finished ends."""
        self.finish()
        if self._target.quiet:
            return
        moving = self._target.is_terminal and not self._target.is_dumb_terminal
        self._bars = Bars(*_columns(moving=moving, total=total), console=self._target)
        self._bars.add_task(escape(title), total=total, note="")
        self._bars.start()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count ``steps`` as done; a ``note`` replaces the text beside the bar."""
        if self._bars is not None:
            task = self._bars.tasks[0]
            self._bars.update(task.id, advance=steps, note=escape(note) or task.fields["note"])

    def finish(self) -> None:
        """End the piece of work; without one, do nothing."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def message(self, text: str) -> None:
        """Print a line between two pieces of work."""
        self.finish()
        self._target.print(escape(text))


def _columns(*, moving: bool, total: int | None) -> list[ProgressColumn]:
    title, note = TextColumn("{task.description}"), TextColumn("[dim]{task.fields[note]}")
    counted: list[ProgressColumn] = [MofNCompleteColumn()] if total is not None else []
    if not moving:
        return [title, *counted, TimeElapsedColumn(), note]
    left: list[ProgressColumn] = [TimeLeftColumn()] if total is not None else []
    return [title, BarColumn(bar_width=20), *counted, TimeElapsedColumn(), *left, note]


def print_json(data: Any) -> None:
    """Write ``data`` as JSON, and nothing else, to stdout; a number that is not finite becomes null."""
    sys.stdout.write(json.dumps(_finite(data), indent=2) + "\n")


def _finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def print_error(text: str) -> None:
    """One line on stderr that begins with ``error:``, whatever the width of the terminal."""
    errors.print(f"[bold red]error:[/] {escape(' '.join(text.split()))}", soft_wrap=True)


def next_step(text: str) -> None:
    """Hint at what to do next, to a person at a terminal; a command in it stays on one line."""
    if notes.is_terminal:
        notes.print(f"[dim]next:[/] {escape(text)}", soft_wrap=True)


def command(*words: object) -> str:
    """A command of graphrec as it is typed: ``graphrec train 'my city/graph' --out run``."""
    return shlex.join(["graphrec", *map(str, words)])


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]], digits: int = 4) -> Group:
    """A plain table; a column of numbers is right-aligned, with so many digits if all are shares, and - for None."""
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in header]
    result = _ruled()
    for name, values in zip(header, columns, strict=True):
        numbers = [value for value in values if value is not None]
        numeric = bool(numbers) and all(isinstance(value, int | float) for value in numbers)
        result.add_column(escape(name), justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
        if numeric and all(isinstance(value, float) and abs(value) <= 1 for value in numbers):
            values[:] = [None if value is None else f"{value:.{digits}f}" for value in values]
    for row in zip(*columns, strict=True):
        result.add_row(*map(_cell, row))
    return _titled(title, result)


def epochs_table(title: str, history: Sequence[Mapping[str, Any]]) -> Group:
    """Training loss and validation metrics of each epoch."""
    from graphrec.evaluation.comparison import metric_names

    names = [*(name for name in ("epoch", "train_loss") if name in history[0]), *metric_names(history)]
    rows = [[record.get(name, math.nan) for name in names] for record in history]
    return table(title, [name.removeprefix("train_") for name in names], rows)


def print_indented(lead: str, text: str) -> None:
    """A line that begins with ``lead``; on a terminal that is too narrow, what follows stands below the text."""
    if not console.is_terminal:
        console.print(f"{lead}  {text}", soft_wrap=True, markup=False)
        return
    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_column(no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(escape(lead), escape(text))
    console.print(line)


def facts(title: str, values: Mapping[str, object]) -> Group:
    """Names and values, one a line."""
    result = Table(box=None, show_header=False, pad_edge=False)
    result.add_column(style="dim", no_wrap=True)
    result.add_column(overflow="fold")
    for name, value in values.items():
        result.add_row(escape(name), _cell(value))
    return _titled(title, result)


def metrics_table(
    model: Mapping[str, float],
    baselines: Mapping[str, Mapping[str, float]],
    name: str = "stgat",
    title: str = "",
) -> Group:
    """The model's metrics above those of the baselines, the best of each column in bold."""
    from graphrec.evaluation.comparison import metric_names

    rows = {name: model, **baselines}
    shown = metric_names([model])
    best = {metric: max(_or_lowest(row.get(metric)) for row in rows.values()) for metric in shown}
    result = _ruled()
    result.add_column("")
    for metric in shown:
        result.add_column(escape(metric), justify="right")
    for label, row in rows.items():
        result.add_row(escape(label), *(_score(row.get(metric), best[metric]) for metric in shown))
    return _titled(title, result)


def evidence_table(faithfulness: Mapping[str, Any]) -> Group:
    """Scores of the best items without their evidence (deletion) and with it alone (insertion)."""
    if not faithfulness["questions"]:
        return _titled("no question's best item has events behind it: there is no evidence to take out", _ruled())
    labels = {
        "deletion": "taken out: the evidence",
        "deletion_at_random": "taken out: as many at random",
        "insertion": "put in: the evidence",
        "insertion_at_random": "put in: as many at random",
    }
    error = "" if faithfulness["gap_error"] is None else f" ± {faithfulness['gap_error']:.3f}"
    questions = pluralize(faithfulness["questions"], "question")
    title = (
        f"part of the best item's score, {questions}, {faithfulness['events']:.1f} events each\n"
        f"the score falls {faithfulness['gap']:.3f}{error} farther without evidence than at random"
    )
    header = ("events", *(f"{step:.0%}" for step in faithfulness["steps"]))
    return table(title, header, [(label, *faithfulness[name]) for name, label in labels.items()], digits=3)


def attention_table(shares: Sequence[Mapping[str, Any]]) -> Group:
    """Attention by aspect and value, with what was available."""
    rows, previous = [], None
    for share in (share for share in shares if share["segment"] == "all"):
        interval = None if share["low"] is None else f"{share['low']:.3f}..{share['high']:.3f}"
        aspect = "" if share["aspect"] == previous else share["aspect"]
        rows.append((aspect, share["value"], share["share"], interval, share["available"], share["lift"]))
        previous = share["aspect"]
    header = ("aspect", "value", "share", "95% interval", "available", "lift")
    return table("where the attention goes; lift is share over available", header, rows, digits=3)


def segments_table(shares: Sequence[Mapping[str, Any]]) -> Group:
    """Shares of the relations in the score, by segment of the questions."""
    by_segment: dict[str, dict[str, Mapping[str, Any]]] = {}
    for share in (share for share in shares if share["aspect"] == "relation"):
        by_segment.setdefault(share["segment"], {})[share["value"]] = share
    names = list(dict.fromkeys(name for parts in by_segment.values() for name in parts))
    header = ("segment", "questions", *(name.replace(" ", "\n") for name in names))  # headings in several lines
    rows = [
        (
            segment,
            max(part["questions"] for part in parts.values()),
            *(parts[name]["share"] if name in parts else None for name in names),
        )
        for segment, parts in by_segment.items()
    ]
    return table("the same by segment, shares of relations", header, rows, digits=3)


def _ruled() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)


def _titled(title: str, body: Table) -> Group:
    """The title on a line of its own, as long as it is; rich would wrap it to the width of the table."""
    return Group(Text(title, style="bold"), body) if title else Group(body)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return format_count(value)
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


def _or_lowest(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else -math.inf


def _score(value: float | None, best: float) -> str:
    if _or_lowest(value) == -math.inf:
        return "-"
    return f"[bold]{value:.4f}[/]" if value == best else f"{value:.4f}"
