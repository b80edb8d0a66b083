"""``graphrec recommend``: ranked items for users, with their evidence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.command import Quiet
from cli.completion import device_names
from cli.console import RichProgress, console, next_step, print_indented, print_json, table
from graphrec.errors import InputError
from graphrec.formatting import format_count


def recommend_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, made by 'graphrec train'.")],
    user: Annotated[list[str] | None, typer.Option("--user", "-u", metavar="ID", help="A user. Repeatable.")] = None,
    users: Annotated[Path | None, typer.Option(help="A file with one user id a line.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every user of the graph.")] = False,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="As of when: ISO time (UTC unless it says) or epoch seconds.")
    ] = None,
    near: Annotated[str | None, typer.Option(metavar="LAT,LON", help="From where; else from the last event.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Items a user.")] = 10,
    novel: Annotated[
        bool | None,
        typer.Option(
            "--novel/--repeats",
            help="Only what the user has not visited, or that as well. Neither: as the run is judged.",
        ),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show shares and events behind each item.")] = False,
    what_if: Annotated[
        bool, typer.Option("--what-if", help="Show without which visits each item would fall farthest.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE.parquet", help="Write the lists to a file.")] = None,
    graph: Annotated[Path | None, typer.Option(help="Where the run's graph is now, if it has moved.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", autocompletion=device_names)] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a user, with evidence.")] = False,
    quiet: Quiet = False,
) -> None:
    """Rank what comes next for users, as of a time and from a place, and say why.

    Example: graphrec recommend city/run --user u0001 --at 2026-03-01T18:00 --near 40.75,-73.99 -k 5 --explain
    """
    from graphrec.recommendation import recommend
    from graphrec.runs.run import Run

    if out is not None and out.suffix not in ("", ".parquet"):
        raise InputError(
            f"--out {out}: the lists are written as Parquet; give a name such as {out.with_suffix('.parquet')}"
        )
    with RichProgress() as progress:
        opened = Run.open(run, graph, device)
        asked = _users(user, users, everyone, opened.graph.nodes["user"].ids.to_pylist())
        if (explain or what_if) and not opened.is_explainable:
            asked_for, name = "--explain" if explain else "--what-if", opened.config.model.name
            raise InputError(f"{asked_for}: only stgat can take its scores apart, and {run} is a run of {name}")
        place = _place(near) if near else None
        moment, reasons = read_time(at) if at else None, explain or as_json
        answers = recommend(opened, asked, moment, place, k, novel, reasons, progress, what_if)
    if out is not None:
        _write(out, answers)
        console.print(f"wrote {format_count(sum(len(one['items']) for one in answers))} rows to {out}", soft_wrap=True)
    if as_json:
        print_json(answers)
    elif out is None:
        for one in answers:
            _show(one, explain)
        if opened.is_explainable and not explain:
            next_step("add --explain for the reasons behind each item")
        elif opened.is_explainable and not what_if:
            next_step("add --what-if for the visits without which each item would fall farthest")


def _users(named: list[str] | None, file: Path | None, everyone: bool, known: list[str]) -> list[str]:
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


def _show(answer: Mapping[str, Any], explain: bool) -> None:
    asked = answer["asked_at"]
    title = f"{answer['user']} as of {asked.replace('T', ' ')[:16]} UTC" if asked else str(answer["user"])
    if not answer["known"]:
        title += " (never seen: answered from time and place)"
    rows = [(place, item["label"], item["item"], item["score"]) for place, item in enumerate(answer["items"], 1)]
    console.print("", table(title, ("", "item", "id", "score"), rows))
    for place, item in enumerate(answer["items"], 1):
        if item.get("what_if"):
            print_indented(f"   {place}", item["what_if"]["words"])
    console.print(f"[dim]{escape(answer['history'])}{', ' + escape(answer['place']) if answer['place'] else ''}[/]")
    for place, item in enumerate(answer["items"] if explain else (), 1):
        shares = ", ".join(f"{name} {share:.3f}" for name, share in item["shares"].items() if share >= 0.0005)
        console.print(f"\n[bold]{place}. {escape(item['label'])}[/] {item['score']:.3f} = {escape(shares)}")
        for part in item["evidence"]:
            if part["share"] >= 0.0005:
                print_indented(f"   {part['share']:.3f}", part["words"])


def _write(path: Path, answers: list[dict[str, Any]]) -> None:
    """One row a recommended item: user, asked_at, rank, item, label, score and, if there are any, shares and words."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from graphrec.files import atomic_write

    rows = [
        {"user": one["user"], "asked_at": one["asked_at"], "rank": rank, **_row(item)}
        for one in answers
        for rank, item in enumerate(one["items"], 1)
    ]
    with atomic_write(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary)


def _row(item: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: item[name] for name in ("item", "label", "score")}
    if "shares" in item:
        row |= item["shares"]
        row["evidence"] = [part["words"] for part in item["evidence"]]
    if "what_if" in item:
        row["what_if"] = item["what_if"] and item["what_if"]["words"]
    return row
