"""``graphrec build``: from log files to a graph directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import RichProgress, console, facts, moment, next_step, number, print_json, table


def build(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Log files or globs; with a preset, a folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The graph directory to write.")],
    items: Annotated[Path | None, typer.Option(help="Table of items: text, labels, coordinates.")] = None,
    users: Annotated[Path | None, typer.Option(help="Table of users.")] = None,
    locations: Annotated[Path | None, typer.Option(help="Table of locations.")] = None,
    preset: Annotated[str | None, typer.Option(help="A log known by name, such as nyc-getnext or movielens.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="YAML with the columns' roles; see docs/mapping.md.")] = None,
    text_model: Annotated[
        str, typer.Option(help="What reads the text: minilm, a Hugging Face name, a folder, or none.")
    ] = "minilm",
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON in place of tables.")] = False,
) -> None:
    """Build a graph directory from log files: CSV, TSV, JSON lines or Parquet, gzipped or not.

    Columns are found by their names and contents; a mapping says what cannot be guessed.

    Example: graphrec build city/events.csv --items city/items.csv --out city/graph
    """
    from builders.graph import build_graph
    from builders.mapping import Mapping as Roles

    with RichProgress() as progress:
        manifest = build_graph(
            files,
            out,
            items=items,
            users=users,
            locations=locations,
            preset=preset,
            mapping=Roles.load(mapping) if mapping else None,
            text_model=text_model,
            progress=progress,
        )
    if as_json:
        print_json(manifest)
    else:
        _show(out, manifest)


def _show(out: Path, manifest: Mapping[str, Any]) -> None:
    console.print(table("mapping", ("key", "column or value"), _mapping(manifest)))
    sources = [(source["name"], source["role"], source["rows"]) for source in manifest["sources"]]
    console.print("", table("sources", ("file", "of", "rows"), sources))
    console.print("", facts(f"graph {out}", _summary(manifest)))
    quarantined = list(manifest["quarantined"].items())
    if quarantined:
        console.print("", table(f"set aside in {out / 'quarantine.parquet'}", ("reason", "rows"), quarantined))
    next_step(f"graphrec train {out} --out {out.parent / 'run'}")


def _mapping(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    templates = (manifest["text"] or {}).get("templates", {})
    texts = {f"{kind}_text": template for kind, template in templates.items()}
    return [(key, str(value)) for key, value in {**manifest["mapping"], **texts}.items()]


def _summary(manifest: Mapping[str, Any]) -> dict[str, object]:
    counts, (first, last), text = manifest["counts"], manifest["time_span"], manifest["text"]
    parts = ", ".join(f"{number(counts[name])} {name}" for name in ("train", "val", "test"))
    return {
        "events": counts["events"],
        **{f"{kind}s": counts[kind] for kind in manifest["node_types"]},
        "time": f"{moment(first)} to {moment(last)}",
        "split": f"{parts} (by {manifest['split']['method']})",
        "locations": {"h3": "H3 cells", "log": "the log's own", "none": "none"}[manifest["locations"]["method"]],
        "text": f"{text['model']}, {text['dimension']} dimensions" if text else "none",
    }
