"""``graphrec inspect``: what a log looks like before it is built."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import RichProgress, console, facts, moment, next_step, print_json, size, table

if TYPE_CHECKING:
    from builders.inspection import Inspection


def inspect(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Log files or globs; with a preset, a folder.")],
    preset: Annotated[str | None, typer.Option(help="A log known by name, such as nyc-getnext or movielens.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="YAML with the columns' roles; see docs/mapping.md.")] = None,
    save_mapping: Annotated[
        Path | None, typer.Option(metavar="M.yaml", help="Write the mapping that was found, to edit and use.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """Show what a log looks like: format, columns and their guessed roles, counts, time span, trouble.

    Example: graphrec inspect city/events.csv
    """
    from builders.inspection import inspect_log
    from builders.mapping import Mapping

    with RichProgress() as progress:
        found = inspect_log(files, preset, Mapping.load(mapping) if mapping else None, progress)
    if save_mapping is not None:
        found.mapping.save(save_mapping)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found, files)


def _show(found: Inspection, files: list[str]) -> None:
    rows = [(f.name, _format(f.format, f.compression), f.encoding or "", f.rows, size(f.bytes)) for f in found.files]
    console.print(table("files", ("file", "format", "encoding", "rows", "size"), rows))
    columns = [(c.name, c.role or "", c.holds, ", ".join(c.examples)) for c in found.columns]
    console.print("", table("columns", ("column", "role", "holds", "such as"), columns))
    if found.missing_roles:
        missing = found.missing_roles[0]
        next_step(f"say which column is the {missing} in a mapping: a YAML file with a line '{missing}: COLUMN'")
        return
    console.print("", facts("log", _summary(found)))
    if found.trouble:
        trouble = [(t.reason, t.count, f"{t.value!r} in row {t.row} of {t.file}") for t in found.trouble]
        console.print("", table("rows that cannot be used", ("reason", "rows", "such as"), trouble))
    next_step(f"graphrec build {' '.join(files)} --out graph")


def _format(name: str, compression: str) -> str:
    return name if compression == "none" else f"{name}, {compression}"


def _summary(found: Inspection) -> dict[str, object]:
    first, last = found.time_span or (0, 0)
    return {
        "events": found.events or 0,
        "users": found.users or 0,
        "items": found.items or 0,
        "time": f"{moment(first)} to {moment(last)}" if found.time_span else "no usable row",
        "time format": found.time_format or "",
    }
