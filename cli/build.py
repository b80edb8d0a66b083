"""``graphrec build``: from log files to a graph directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.completion import text_model_names
from cli.console import RichProgress
from cli.graphs import show_graph


def build_command(
    files: options.LogFiles,
    out: Annotated[Path, typer.Option("--out", "-o", help="The graph directory to write.")],
    items: options.Items = None,
    users: options.Users = None,
    locations: options.Locations = None,
    preset: options.Preset = None,
    mapping: options.MappingFile = None,
    query: options.Query = None,
    text_model: Annotated[
        str,
        typer.Option(
            help="Text encoder: minilm, a Hugging Face name, a folder, or none.", autocompletion=text_model_names
        ),
    ] = "minilm",
    processes: Annotated[int, typer.Option(min=1, help="Number of processes that encode text.")] = 1,
    vectors: options.Vectors = None,
    privacy: Annotated[
        str | None, typer.Option(help="Anonymization: pseudonyms,coordinates=8,time=1h,places=5.")
    ] = None,
    max_bad: options.MaxBad = "1%",
    engine: options.EngineName = "duckdb",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Build a graph directory from logs: CSV, TSV, JSON lines or Parquet, compressed or not, or a database.

    Roles of columns are guessed from their names and contents; a mapping declares the others.

    Example: graphrec build city/events.csv --items city/items.csv --out city/graph
    """
    from builders.build import build_graph
    from builders.mapping.column_mapping import ColumnMapping
    from builders.mapping.privacy import Privacy
    from builders.text.precomputed_vectors import parse_vectors_option

    roles = ColumnMapping.load(mapping) if mapping else ColumnMapping()
    overrides = {"query": query, "privacy": Privacy.parse(privacy) if privacy else None}
    roles = roles.model_copy(update={key: value for key, value in overrides.items() if value is not None})
    with RichProgress() as progress:
        manifest = build_graph(
            files,
            out,
            items=items,
            users=users,
            locations=locations,
            preset=preset,
            mapping=roles,
            text_model=text_model,
            vectors=[parse_vectors_option(option) for option in vectors or ()],
            max_bad=options.parse_share(max_bad),
            processes=processes,
            engine=engine,
            progress=progress,
        )
    show_graph(out, manifest, as_json=as_json)
