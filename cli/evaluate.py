"""``graphrec evaluate``: a run against the baselines on held-out events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import options
from cli.console import (
    RichProgress,
    attention_table,
    command,
    console,
    evidence_table,
    metrics_table,
    next_step,
    print_json,
    segments_table,
)
from graphrec.formatting import format_count


def evaluate_command(
    run: options.RunFolder,
    split: Annotated[Literal["val", "test"], typer.Option(help="Held-out events; read test once.")] = "val",
    query_time: Annotated[
        Literal["last-event", "request"] | None,
        typer.Option(help="Query at the user's last event or at the request's own time."),
    ] = None,
    history: Annotated[
        Literal["streaming", "frozen"] | None,
        typer.Option(help="Visible history: all earlier events, or those before the split and of the own session."),
    ] = None,
    novel: Annotated[bool, typer.Option("--novel", help="Evaluate first visits, among unvisited items.")] = False,
    evidence: Annotated[
        bool,
        typer.Option("--evidence", help="Measure the faithfulness of the evidence, and the attention."),
    ] = False,
    user: Annotated[
        list[str] | None, typer.Option("--user", "-u", metavar="ID", help="Show this user in the report. Repeatable.")
    ] = None,
    graph: options.MovedGraph = None,
    device: options.Device = "auto",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON; - is stdout.")
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Rank held-out events with the model and with every baseline; refresh the run's report.

    Example: graphrec evaluate city/run --split test --json result.json
    """
    from graphrec.evaluation.evaluation import evaluate
    from graphrec.files import write_json
    from graphrec.report.publishing import publish
    from graphrec.runs.run import Run

    overrides = {"query_time": query_time, "history": history, "novel": novel or None}
    with RichProgress() as progress:
        opened = Run.open(run, graph, device=device)
        chosen = {name: value for name, value in overrides.items() if value is not None}
        result = evaluate(opened, split, overrides=chosen, evidence=evidence, progress=progress)
    publish(run, opened, users=user or ())
    if json_file is not None and str(json_file) == "-":
        print_json(result.to_dict())
        return
    if json_file is not None:
        write_json(json_file, result.to_dict())
    model, title = result.model, f"{split}, {format_count(result.n)} {result.protocol['judge']}"
    console.print(metrics_table(result.metrics, result.baselines, name=model, title=title))
    parts = {name: part for name, part in result.slices.items() if part.n < result.n}
    for name, part in parts.items():
        title = f"{name} items, {format_count(part.n)} events"
        console.print("", metrics_table(part.metrics, part.baselines, name=model, title=title))
    if result.faithfulness is not None and result.attention is not None:
        console.print("", evidence_table(result.faithfulness))
        console.print("", attention_table(result.attention), "", segments_table(result.attention))
    console.print(f"\n[dim]{', '.join(f'{name} {value}' for name, value in result.protocol.items())}[/]")
    if split == "test" and result.reads > 1:
        console.print(f"[yellow]this test split has now been read {result.reads} times by this run[/]")
    all_users = command("recommend", run, "--all", "-k", 10, "--out", "recommendations.parquet")
    next_step(f"open {run / 'report.html'}, or: {all_users}")
