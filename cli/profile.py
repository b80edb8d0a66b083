"""``graphrec profile``: a user in words, as of a time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli import options
from cli.console import console, print_json
from cli.recommend import read_time


def profile_command(
    path: Annotated[Path, typer.Argument(metavar="GRAPH_OR_RUN", help="A graph directory, or a run of one.")],
    user: Annotated[str, typer.Option("--user", "-u", metavar="ID", help="The user, as written in the log.")],
    at: options.Time = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Say in words what the log knows of a user as of a time: themes, hours, places, changes, what is next.

    Example: graphrec profile city/graph --user u0001 --at 2024-04-01
    """
    from graphrec.graph.temporal_graph import TemporalGraph
    from graphrec.graph.time_bounds import TIME_MAX
    from graphrec.interest.profile import user_profile
    from graphrec.runs.run import Run

    is_run = (path / "config.yaml").is_file()
    graph = Run.open(path, None, device="cpu").graph if is_run else TemporalGraph.open(path)
    answer = user_profile(graph, user, until=TIME_MAX if at is None else read_time(at))
    if as_json:
        print_json(answer.to_dict())
        return
    for sentence in answer.sentences:
        console.print(f"[dim]{sentence.topic:>10}[/]  {escape(sentence.description)}", soft_wrap=True)
