"""``graphrec inspect``: format, columns and data issues of a log before a build."""

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
"""Characters shown of a value."""

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
        Path | None, typer.Option(metavar="M.yaml", help="Write the detected mapping, to edit and use.")
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Show a log's format, columns with guessed roles, counts, time span, unusable rows and data issues.

    Nothing is written but the mapping of --save-mapping, to be edited.

    Example: graphrec inspect city/events.csv --save-mapping city/mapping.yaml
    """
    from builders.inspection import inspect_log
    from builders.mapping.column_mapping import ColumnMapping
    from builders.mapping_draft import save_draft

    roles = ColumnMapping.load(mapping) if mapping else ColumnMapping()
    roles = roles.model_copy(update={"query": query} if query is not None else {})
    with RichProgress() as progress:
        inspection = inspect_log(
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
        save_draft(inspection, save_mapping)
    if as_json:
        print_json(inspection.to_json())
        return
    _show(inspection)
    tables = {"items": items, "users": users, "locations": locations, "preset": preset, "query": query}
    arguments = {**tables, "mapping": save_mapping or mapping, "max-bad": None if max_bad == "1%" else max_bad}
    if inspection.missing_roles:
        where = save_mapping or "a mapping: a YAML file, see docs/mapping.md"
        next_step(f"say which column is the {inspection.missing_roles[0]} in {where}")
    elif inspection.refusal is None:
        next_step(command("build", *_arguments(files, arguments), "--out", "graph"))


def _arguments(files: list[str], options: Mapping[str, object]) -> list[str]:
    """Arguments to repeat in the hint; addresses may contain passwords."""
    words = ["ADDRESS" if "://" in file else file for file in files]
    return [*words, *(f"--{name}={value}" for name, value in options.items() if value is not None)]


def _show(inspection: Inspection) -> None:
    rows = [
        (file.name, _format(file), file.encoding or "", file.rows, format_bytes(file.bytes))
        for file in inspection.files
    ]
    console.print(table("files", ("file", "format", "encoding", "rows", "size"), rows))
    columns = [
        (c.name, c.role or ("in the text" if c.used else ""), c.holds, _printable(", ".join(c.examples)))
        for c in inspection.columns
    ]
    console.print("", table("columns", ("column", "role", "holds", "such as"), columns))
    if inspection.missing_roles:
        return
    console.print("", facts("log", _summary(inspection)))
    if inspection.row_issues:
        trouble = [
            (t.reason, t.count, f"{_short(t.value)} in row {t.row} of {t.file}", t.remedy)
            for t in inspection.row_issues
        ]
        header = ("reason", "rows", "such as", "what to do")
        console.print("", table("rows that cannot be used", header, trouble))
    show_data_issues([issue.to_json() for issue in inspection.data_issues])
    if inspection.refusal is not None:
        console.print("", facts("a build would stop", {"error": inspection.refusal}))


def _short(value: str | None) -> str:
    return "nothing" if value is None else repr(value) if len(value) <= MAX_LENGTH else f"{value[:MAX_LENGTH]!r}..."


def _printable(text: str) -> str:
    """A text without line breaks and control characters."""
    return "".join(character if character.isprintable() else " " for character in text)[:MAX_LENGTH]


def _format(file: File) -> str:
    delimiter = [f"'{file.delimiter}'".replace("\t", "tab")] if file.delimiter else []
    header = [] if file.header else ["no header"]
    packed = [] if file.compression == "none" else [file.compression]
    return ", ".join([" ".join([file.format, *delimiter]), *header, *packed])


def _summary(inspection: Inspection) -> dict[str, object]:
    first, last = inspection.time_span or (0, 0)
    parts = ", ".join(f"{format_count(count)} {name}" for name, count in inspection.split.items())
    facts: dict[str, object] = {
        "events": inspection.events or 0,
        "users": inspection.users,
        "items": inspection.items,
        "locations": inspection.locations,
        "kinds": ", ".join(inspection.kinds),
        "split": parts,
        "time": f"{format_utc(first)} to {format_utc(last)}" if inspection.time_span else "no usable row",
        "time format": inspection.time_format,
        "time zone": inspection.time_zone,
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}
