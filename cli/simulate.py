"""``graphrec simulate``: a city with planted truth."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.console import RichProgress, command, console, facts, next_step, print_json


def simulate_command(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write into: new, empty, or simulated before.")],
    users: Annotated[int, typer.Option(help="People in the city.")] = 400,
    days: Annotated[int, typer.Option(help="Days that the log covers.")] = 60,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Simulate a city with planted truth: events, items, users, locations as CSV, and truth.json.

    Example: graphrec simulate city --users 400 --days 60
    """
    from builders.simulation.simulated_log import simulate_city

    with RichProgress() as progress:
        summary = simulate_city(out, users, days=days, seed=seed, progress=progress)
    if as_json:
        print_json(asdict(summary))
        return
    causes = ", ".join(f"{count:,} {cause}" for cause, count in summary.causes.items())
    values = {**summary.counts, "time": f"{summary.first} to {summary.last}", "causes": causes}
    console.print(facts(f"city {out}", values))
    tables = [word for name in ("items", "users", "locations") for word in (f"--{name}", out / f"{name}.csv")]
    next_step(command("build", out / "events.csv", *tables, "--text-model", "minilm", "--out", out / "graph"))
