"""``graphrec train``: train a model on a graph directory."""

from __future__ import annotations

from os import environ
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.completion import model_names, setting_names
from cli.console import RichProgress, command, console, epochs_table, facts, next_step, print_json
from graphrec.formatting import format_bytes, format_count, format_duration


def train_command(
    graph: Annotated[Path, typer.Argument(metavar="GRAPH", help="A graph directory, made by 'graphrec build'.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run directory to write.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="stgat (the default), sasrec, lightgcn, als, bpr, ease, item-knn, slit, or one of another package.",
            autocompletion=model_names,
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML of settings; a run's config.yaml is one.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="One setting, such as epochs=3. Repeatable.",
            autocompletion=setting_names,
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
    device: options.Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Train the graph attention network, or another model; Ctrl-C leaves a run that --resume continues.

    Example: graphrec train city/graph --out city/run --set epochs=4 --seed 1
    """
    from graphrec.report.publishing import publish
    from graphrec.runs.config import RunConfig
    from graphrec.training.trainer import train

    named = [f"model.name={model}"] if model else []
    has_settings = config is not None or named or settings or seed is not None
    chosen = RunConfig.load(config, [*named, *(settings or ())], seed=seed) if has_settings else None
    with RichProgress() as progress:
        manifest = train(graph, out, config=chosen, device=device, resume=resume, progress=progress)
    if environ.get("RANK", "0") != "0":  # of several processes the first one reports
        return
    publish(out)
    if as_json:
        print_json(manifest.to_dict())
        return
    console.print(epochs_table("validation", manifest.history))
    console.print(
        "",
        facts(
            f"run {out}",
            {
                "best epoch": manifest.best_epoch,
                "time": format_duration(manifest.wall_seconds or 0),
                "memory": format_bytes(manifest.peak_memory or 0),
                "device": manifest.device,
                "parameters": format_count(manifest.parameters or 0),
                "report": out / "report.html",
            },
        ),
    )
    next_step(command("evaluate", out))
