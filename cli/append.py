"""``graphrec append``: add files to a graph directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.console import RichProgress
from cli.graphs import show_graph


def append_command(
    graph: Annotated[Path, typer.Argument(metavar="GRAPH", help="The graph directory to extend.")],
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE...]", help="Log files, globs, addresses or a database.")
    ] = None,
    items: options.Items = None,
    users: options.Users = None,
    locations: options.Locations = None,
    vectors: options.Vectors = None,
    max_bad: options.MaxBad = "1%",
    engine: options.EngineName = "duckdb",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Add events, users, items and locations to a graph, with the result of a build from all files.

    Codes of nodes stay, so runs on the graph remain valid; existing text vectors are kept; a file that is in the graph
    already adds nothing. Killed at any moment, it leaves the graph unchanged.

    Example: graphrec append city/graph tomorrow.csv
    """
    from builders.append import append_to_graph
    from builders.text.precomputed_vectors import parse_vectors_option

    with RichProgress() as progress:
        manifest = append_to_graph(
            graph,
            files or (),
            items=items,
            users=users,
            locations=locations,
            vectors=[parse_vectors_option(option) for option in vectors or ()],
            max_bad=options.parse_share(max_bad),
            engine=engine,
            progress=progress,
        )
    show_graph(graph, manifest, as_json=as_json)
