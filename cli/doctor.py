"""``graphrec doctor``: check the installation."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import typer
from rich.markup import escape

from cli import options
from cli.console import command, console, next_step, print_json

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor_command(
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Check packages, extras, device, memory and text models, with advice on what is missing.

    Exits with 1 if a requirement of the core fails.

    Example: graphrec doctor
    """
    from graphrec.diagnosis import checks

    results = checks()
    counts = Counter[str](check.state for check in results)
    if as_json:
        print_json([asdict(check) for check in results])
    else:
        for check in results:
            state = f"[{STYLES[check.state]}]{check.state:<4}[/]"
            console.print(f"{state}  {check.name:<16} {escape(check.found)}", soft_wrap=True)
            if check.remedy:
                console.print(f"      -> {escape(check.remedy)}", soft_wrap=True)
        console.print(", ".join(f"{counts[state]} {state}" for state in STYLES))
    if counts["fail"]:
        raise typer.Exit(1)
    if not as_json:
        next_step(command("simulate", "city"))
