"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.completion import device_names, preset_names
from cli.console import be_quiet

LogFiles = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="Log files, globs, addresses or a database; with a preset, a folder."),
]
Items = Annotated[Path | None, typer.Option(help="Table of items: text, labels, coordinates.")]
Users = Annotated[Path | None, typer.Option(help="Table of users.")]
Locations = Annotated[Path | None, typer.Option(help="Table of locations.")]
Preset = Annotated[
    str | None,
    typer.Option(help="Name of a known log, such as nyc-getnext or movielens.", autocompletion=preset_names),
]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", help="YAML with the roles of the columns; see docs/mapping.md.")
]
Query = Annotated[str | None, typer.Option(help="Table or SELECT statement of a log in a database.")]
Vectors = Annotated[
    list[str] | None,
    typer.Option(metavar="TYPE=FILE", help="Precomputed vectors beside text vectors, or FILE:instead of them."),
]
MaxBad = Annotated[
    str, typer.Option("--max-bad", metavar="SHARE", help="Share of rows that may be unusable, such as 1% or 0.01.")
]
EngineName = Annotated[
    str, typer.Option("--engine", help="duckdb, or a Spark master: local[4], spark://host:7077, yarn.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, made by 'graphrec train'.")]
MovedGraph = Annotated[Path | None, typer.Option("--graph", help="Path of the run's graph, if it has moved.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.", autocompletion=device_names)]
Time = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="As-of time: ISO (UTC by default) or epoch seconds.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")]


def _set_quiet(*, quiet: bool) -> None:
    if quiet:
        be_quiet()


Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Only results and errors.", callback=_set_quiet, expose_value=False),
]
"""Option of every command; it may also come before the command."""


def parse_share(text: str) -> float:
    """A share written as ``1%`` or ``0.01``; ConfigError for anything else."""
    from graphrec.errors import ConfigError

    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ConfigError(f"--max-bad: a share such as 1% or 0.01 expected, got {text!r}")
    return value
