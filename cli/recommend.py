"""``graphrec recommend``: ranked items for users, with their evidence."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from cli import options
from cli.console import RichProgress, console, next_step, print_indented, print_json, table
from graphrec.errors import InputError
from graphrec.formatting import format_count

if TYPE_CHECKING:
    from graphrec.recommendation import RecommendationList

MIN_SHARE = 0.0005
"""Smallest share that is printed: it is rounded to three decimals."""


def recommend_command(
    run: options.RunFolder,
    user: Annotated[list[str] | None, typer.Option("--user", "-u", metavar="ID", help="A user. Repeatable.")] = None,
    users: Annotated[Path | None, typer.Option(help="A file with one user id a line.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every user of the graph.")] = False,
    at: options.Time = None,
    near: Annotated[
        str | None, typer.Option(metavar="LAT,LON", help="Position of the user; default: the last event.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of items per user.")] = 10,
    novel: Annotated[
        bool | None,
        typer.Option(
            "--novel/--repeats",
            help="Only unvisited items, or visited ones too. Default: as in the evaluation protocol.",
        ),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show shares and events behind each item.")] = False,
    what_if: Annotated[
        bool, typer.Option("--what-if", help="Show the visits without which each item would fall farthest.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE.parquet", help="Write the lists to a file.")] = None,
    graph: options.MovedGraph = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Rank the next items of users, as of a time and at a position, with explanations.

    Example: graphrec recommend city/run --user u0001 --at 2026-03-01T18:00 --near 40.75,-73.99 -k 5 --explain
    """
    import pyarrow.parquet as pq

    from graphrec.files import atomic_write
    from graphrec.recommendation import recommend
    from graphrec.runs.run import Run

    if out is not None and out.suffix not in ("", ".parquet"):
        raise InputError(
            f"--out {out}: the lists are written as Parquet; give a name such as {out.with_suffix('.parquet')}"
        )
    with RichProgress() as progress:
        opened = Run.open(run, graph, device=device)
        asked = _users(user, users, everyone=everyone, known=opened.graph.nodes["user"].ids.to_pylist())
        if (explain or what_if) and not opened.is_explainable:
            asked_for, name = "--explain" if explain else "--what-if", opened.config.model.name
            raise InputError(f"{asked_for}: only stgat can take its scores apart, and {run} is a run of {name}")
        place = _place(near) if near else None
        lists = recommend(
            opened,
            asked,
            at=read_time(at) if at else None,
            near=place,
            k=k,
            novel=novel,
            reasons=explain or as_json,
            what_if=what_if,
            progress=progress,
        )
    if out is not None:
        with atomic_write(out) as temporary:
            pq.write_table(rows := lists.to_arrow(), temporary)
        console.print(f"wrote {format_count(len(rows))} rows to {out}", soft_wrap=True)
    if as_json:
        print_json([one.to_dict() for one in lists])
    elif out is None:
        for one in lists:
            _show(one, explain=explain)
        if opened.is_explainable and not explain:
            next_step("add --explain for the reasons behind each item")
        elif opened.is_explainable and not what_if:
            next_step("add --what-if for the visits without which each item would fall farthest")


def _users(named: list[str] | None, file: Path | None, *, everyone: bool, known: list[str]) -> list[str]:
    if everyone:
        return known
    listed = list(named or [])
    if file is not None:
        listed += _lines(file)
    if not listed:
        raise InputError("no user asked for; give --user ID, --users FILE or --all")
    return listed


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"--users {file}: UTF-8 text expected, one user id a line ({error})") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_time(text: str) -> int:
    """UTC seconds of an ISO time or of epoch seconds."""
    if re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--at {text}: an ISO time such as 2026-03-01T18:00 or epoch seconds expected") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _place(text: str) -> tuple[float, float]:
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--near {text}: latitude,longitude in degrees expected, such as 40.75,-73.99") from error
    return latitude, longitude


def _show(recommended: RecommendationList, *, explain: bool) -> None:
    title = recommended.user
    if recommended.asked_at:
        title += f" as of {recommended.asked_at.replace('T', ' ')[:16]} UTC"
    if not recommended.known:
        title += " (never seen: answered from time and place)"
    rows = [(rank, item.label, item.item, item.score) for rank, item in enumerate(recommended.items, 1)]
    console.print("", table(title, ("", "item", "id", "score"), rows))
    for rank, item in enumerate(recommended.items, 1):
        if item.what_if:
            print_indented(f"   {rank}", item.what_if.description)
    place = f", {escape(recommended.place)}" if recommended.place else ""
    console.print(f"[dim]{escape(recommended.history)}{place}[/]")
    for rank, item in enumerate(recommended.items if explain else (), 1):
        shares = ", ".join(f"{name} {share:.3f}" for name, share in item.shares.items() if share >= MIN_SHARE)
        console.print(f"\n[bold]{rank}. {escape(item.label)}[/] {item.score:.3f} = {escape(shares)}")
        for part in item.evidence:
            if part.share >= MIN_SHARE:
                print_indented(f"   {part.share:.3f}", part.description)
