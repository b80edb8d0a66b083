"""``graphrec inspect``: what a log looks like before it is built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.console import RichProgress, command, console, facts, next_step, print_json, table
from cli.graphs import show_data_issues
from graphrec.formatting import format_bytes, format_count, format_utc

MAX_LENGTH = 60
"""Characters of a value that are shown."""

if TYPE_CHECKING:
    from builders.inspection import File, Inspection


def inspect_command(
    files: options.LogFiles,
    items: options.Items = None,
    users: options.Users = None,
    locations: options.Locations = None,
    preset: options.Preset = None,
    mapping: options.MappingFile = None,
    query: options.Query = None,
    max_bad: options.MaxBad = "1%",
    save_mapping: Annotated[
        Path | None, typer.Option(metavar="M.yaml", help="Write the mapping that was found, to edit and use.")
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what a log looks like: format, columns and their guessed roles, counts, time span, trouble, oddities.

    Nothing is written but the mapping, if you ask for it, for you to edit.

    Example: graphrec inspect city/events.csv --save-mapping city/mapping.yaml
    """
    from builders.inspection import inspect_log
    from builders.mapping.column_mapping import ColumnMapping
    from builders.mapping_draft import save_draft

    roles = ColumnMapping.load(mapping) if mapping else ColumnMapping()
    roles = roles.model_copy(update={"query": query} if query is not None else {})
    with RichProgress() as progress:
        found = inspect_log(
            files,
            preset,
            mapping=roles,
            progress=progress,
            items=items,
            users=users,
            locations=locations,
            max_bad=options.parse_share(max_bad),
        )
    if save_mapping is not None:
        save_draft(found, save_mapping)
    if as_json:
        print_json(found.to_json())
        return
    _show(found)
    beside = {"items": items, "users": users, "locations": locations, "preset": preset, "query": query}
    given = {**beside, "mapping": save_mapping or mapping, "max-bad": None if max_bad == "1%" else max_bad}
    if found.missing_roles:
        where = save_mapping or "a mapping: a YAML file, see docs/mapping.md"
        next_step(f"say which column is the {found.missing_roles[0]} in {where}")
    elif found.refusal is None:
        next_step(command("build", *_arguments(files, given), "--out", "graph"))


def _arguments(files: list[str], options: Mapping[str, object]) -> list[str]:
    """What was given, to be given again; addresses may hold passwords."""
    words = ["ADDRESS" if "://" in file else file for file in files]
    return [*words, *(f"--{name}={value}" for name, value in options.items() if value is not None)]


def _show(found: Inspection) -> None:
    rows = [
        (file.name, _format(file), file.encoding or "", file.rows, format_bytes(file.bytes)) for file in found.files
    ]
    console.print(table("files", ("file", "format", "encoding", "rows", "size"), rows))
    columns = [
        (c.name, c.role or ("in the text" if c.used else ""), c.holds, _printable(", ".join(c.examples)))
        for c in found.columns
    ]
    console.print("", table("columns", ("column", "role", "holds", "such as"), columns))
    if found.missing_roles:
        return
    console.print("", facts("log", _summary(found)))
    if found.row_issues:
        trouble = [
            (t.reason, t.count, f"{_short(t.value)} in row {t.row} of {t.file}", t.remedy) for t in found.row_issues
        ]
        header = ("reason", "rows", "such as", "what to do")
        console.print("", table("rows that cannot be used", header, trouble))
    show_data_issues([issue.to_json() for issue in found.data_issues])
    if found.refusal is not None:
        console.print("", facts("a build would stop", {"error": found.refusal}))


def _short(value: str | None) -> str:
    return "nothing" if value is None else repr(value) if len(value) <= MAX_LENGTH else f"{value[:MAX_LENGTH]!r}..."


def _printable(text: str) -> str:
    """A text without line ends and whatever else moves the cursor."""
    return "".join(character if character.isprintable() else " " for character in text)[:MAX_LENGTH]


def _format(file: File) -> str:
    delimiter = [f"'{file.delimiter}'".replace("\t", "tab")] if file.delimiter else []
    header = [] if file.header else ["no header"]
    packed = [] if file.compression == "none" else [file.compression]
    return ", ".join([" ".join([file.format, *delimiter]), *header, *packed])


def _summary(found: Inspection) -> dict[str, object]:
    first, last = found.time_span or (0, 0)
    parts = ", ".join(f"{format_count(count)} {name}" for name, count in found.split.items())
    facts: dict[str, object] = {
        "events": found.events or 0,
        "users": found.users,
        "items": found.items,
        "locations": found.locations,
        "kinds": ", ".join(found.kinds),
        "split": parts,
        "time": f"{format_utc(first)} to {format_utc(last)}" if found.time_span else "no usable row",
        "time format": found.time_format,
        "time zone": found.time_zone,
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}
