"""``graphrec build``: from log files to a graph directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.command import Quiet
from cli.completion import preset_names, text_model_names
from cli.console import RichProgress, command, console, facts, next_step, print_json, table
from graphrec.formatting import format_count, format_utc, plural

MaxBad = Annotated[
    str, typer.Option("--max-bad", metavar="SHARE", help="Share of rows that may be unusable, such as 1% or 0.01.")
]
"""The option that building and appending share."""
EngineName = Annotated[
    str, typer.Option("--engine", help="What runs it: duckdb, or a Spark master: local[4], spark://host:7077, yarn.")
]
"""Another."""


def build_command(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Log files, globs, addresses or a database; with a preset, a folder."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The graph directory to write.")],
    items: Annotated[Path | None, typer.Option(help="Table of items: text, labels, coordinates.")] = None,
    users: Annotated[Path | None, typer.Option(help="Table of users.")] = None,
    locations: Annotated[Path | None, typer.Option(help="Table of locations.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="A log known by name, such as nyc-getnext or movielens.", autocompletion=preset_names),
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="YAML with the columns' roles; see docs/mapping.md.")] = None,
    query: Annotated[str | None, typer.Option(help="Table or SELECT statement, where the log is a database.")] = None,
    text_model: Annotated[
        str,
        typer.Option(
            help="What reads the text: minilm, a Hugging Face name, a folder, or none.", autocompletion=text_model_names
        ),
    ] = "minilm",
    processes: Annotated[int, typer.Option(min=1, help="Processes that encode text beside each other.")] = 1,
    vectors: Annotated[
        list[str] | None, typer.Option(metavar="TYPE=FILE", help="Vectors of nodes beside text, or FILE:instead of it.")
    ] = None,
    privacy: Annotated[
        str | None, typer.Option(help="What to hide of people: pseudonyms,coordinates=8,time=1h,places=5.")
    ] = None,
    max_bad: MaxBad = "1%",
    engine: EngineName = "duckdb",
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON in place of tables.")] = False,
    quiet: Quiet = False,
) -> None:
    """Build a graph directory from logs: CSV, TSV, JSON lines or Parquet, packed or not, or a database.

    Columns are found by their names and contents; a mapping says what cannot be guessed.

    Example: graphrec build city/events.csv --items city/items.csv --out city/graph
    """
    from builders.build import build_graph
    from builders.mapping.column_mapping import ColumnMapping
    from builders.mapping.privacy import Privacy
    from builders.text.precomputed_vectors import parse_vectors_option

    roles = ColumnMapping.load(mapping) if mapping else ColumnMapping()
    given = {"query": query, "privacy": Privacy.parse(privacy) if privacy else None}
    roles = roles.model_copy(update={key: value for key, value in given.items() if value is not None})
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
            max_bad=share(max_bad),
            processes=processes,
            engine=engine,
            progress=progress,
        )
    if as_json:
        print_json(manifest)
    else:
        show_graph(out, manifest)


def share(text: str) -> float:
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


def show_graph(out: Path, manifest: Mapping[str, Any]) -> None:
    """Print what a graph was made of and what is in it."""
    console.print(table("mapping", ("key", "column or value"), _mapping(manifest)))
    sources = [(source["name"], source["role"], source["rows"]) for source in manifest["sources"]]
    console.print("", table("sources", ("file", "of", "rows"), sources))
    console.print("", facts(f"graph {out}", _summary(manifest)))
    quarantined = list(manifest["quarantined"].items())
    if quarantined:
        console.print("", table(f"set aside in {out / 'quarantine.parquet'}", ("reason", "rows"), quarantined))
    if manifest["edition"]:
        console.print(f"\nthis is {manifest['edition']}, with the counts that it is known to have")
    for note in manifest["notes"]:
        console.print(f"\n{note}", markup=False)
    if manifest["filtered"]:
        console.print("", table("left out by filters", ("reason", "rows"), list(manifest["filtered"].items())))
    show_data_issues(manifest["findings"])
    next_step(command("train", out, "--out", out.parent / "run"))


def show_data_issues(issues: Sequence[Mapping[str, Any]]) -> None:
    """Print data issues, each with a line of advice."""
    if issues:
        console.print("\n[bold]worth a look[/]")
    for issue in issues:
        examples = "; ".join(map(_example, issue["examples"]))
        such = f", such as {examples}" if examples else ""
        console.print(f"{issue['reason']}: {format_count(issue['count'])}{such}", highlight=False, markup=False)
        console.print(f"  {issue['remedy']}", style="dim", highlight=False, markup=False)


def _example(example: Mapping[str, Any]) -> str:
    where = f" (row {example['row']} of {example['file']})" if example["row"] else ""
    return f"{example['value']!r}{where}"


def _mapping(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    templates = (manifest["text"] or {}).get("templates", {})
    texts = {f"{kind}_text": template for kind, template in templates.items()}
    return [(key, str(value)) for key, value in {**manifest["mapping"], **texts}.items()]


def _summary(manifest: Mapping[str, Any]) -> dict[str, object]:
    counts, (first, last), text = manifest["counts"], manifest["time_span"], manifest["text"]
    parts = ", ".join(f"{format_count(counts[name])} {name}" for name in ("train", "val", "test"))
    return {
        "events": counts["events"],
        **{plural(kind): counts[kind] for kind in manifest["node_types"]},
        "time": "none" if manifest["mapping"].get("timeless") else f"{format_utc(first)} to {format_utc(last)}",
        "split": f"{parts} (by {manifest['split']['method']})",
        "locations": {"h3": "H3 cells", "log": "the log's own", "none": "none"}[manifest["locations"]["method"]],
        "text": f"{text['model']}, {text['dimension']} dimensions" if text else "none",
    }
