"""``graphrec forget``: erase a user from a graph and its runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.console import command, console, facts, next_step, print_json, table
from graphrec.formatting import pluralize

if TYPE_CHECKING:
    from builders.forget.erasure import Erasure


def forget_command(
    graph: Annotated[Path, typer.Argument(metavar="GRAPH", help="A graph directory.")],
    user: Annotated[str, typer.Option(help="Id of the user in the log, also for a graph with pseudonyms.")],
    run: Annotated[
        list[Path] | None, typer.Option(help="A run on the graph to erase the user from. Repeatable.")
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Erase a user from a graph, from runs on it and from the cache, and prove it by a search for the id.

    It cannot be undone. Exit code 1 where the id is still found.

    Example: graphrec forget city/graph --user u0001 --run city/run
    """
    from builders.forget.erasure import forget_user
    from graphrec.errors import GraphrecError

    done = forget_user(graph, user, runs=run or ())
    if as_json:
        print_json({**asdict(done), "runs": list(map(str, done.runs)), "search": _search(done)})
    else:
        _show(graph, done)
    if done.search.found:
        first = done.search.matches[0]
        raise GraphrecError(
            f"{first.file}: the id is still found ({first.where}), in {pluralize(done.search.found, 'place')} in all; "
            "remove it from the sources of the graph, and build again"
        )


def _search(done: Erasure) -> dict[str, object]:
    search = asdict(done.search)
    traces = [{**match, "file": str(match["file"])} for match in search.pop("matches")]
    return {**search, "traces": traces, "found": done.search.found}


def _show(graph: Path, done: Erasure) -> None:
    rest = [pluralize(count, kind) for kind, count in done.nodes.items()]
    console.print(
        facts(
            f"forgotten in {graph}",
            {
                "rows of the log": done.rows,
                "nodes": ", ".join(rest) or "none",
                "quarantined values": done.quarantined,
                "vectors in the cache": done.texts,
                "runs": ", ".join(map(str, done.runs)) or "none",
                "proof": str(done.search),
            },
        )
    )
    if not done.search.matches:
        next_step(command("info", graph))
    else:
        rows = [(str(match.file), match.where, match.count) for match in done.search.matches]
        console.print("", table("still found", ("file", "where", "times"), rows))
