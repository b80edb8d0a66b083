"""Printing of a graph's manifest, shared by build, append, inspect and info."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.console import command, console, facts, next_step, print_json, table
from graphrec.formatting import format_count, format_utc, plural

if TYPE_CHECKING:
    from graphrec.graph.manifest import GraphManifest


def show_graph(out: Path, manifest: GraphManifest, *, as_json: bool) -> None:
    """Print the sources and the contents of a graph, unusable and filtered rows, and data issues; or its manifest."""
    if as_json:
        print_json(manifest.to_dict())
        return
    console.print(table("mapping", ("key", "column or value"), _mapping(manifest)))
    sources = [(source.name, source.role, source.rows) for source in manifest.sources]
    console.print("", table("sources", ("file", "of", "rows"), sources))
    console.print("", facts(f"graph {out}", graph_facts(manifest)))
    if manifest.quarantined:
        title = f"unusable rows in {out / 'quarantine.parquet'}"
        console.print("", table(title, ("reason", "rows"), manifest.quarantined.items()))
    if manifest.edition:
        console.print(f"\nrecognised edition: {manifest.edition}, by its counts")
    for note in manifest.notes:
        console.print(f"\n{note}", markup=False)
    if manifest.filtered:
        console.print("", table("dropped by filters", ("reason", "rows"), manifest.filtered.items()))
    show_data_issues(manifest.findings)
    next_step(command("train", out, "--out", out.parent / "run"))


def show_data_issues(issues: Sequence[Mapping[str, Any]]) -> None:
    """Print data issues, each with a line of advice."""
    if issues:
        console.print("\n[bold]data issues[/]")
    for issue in issues:
        examples = "; ".join(map(_example, issue["examples"]))
        such = f", such as {examples}" if examples else ""
        console.print(f"{issue['reason']}: {format_count(issue['count'])}{such}", highlight=False, markup=False)
        console.print(f"  {issue['remedy']}", style="dim", highlight=False, markup=False)


def _example(example: Mapping[str, Any]) -> str:
    where = f" (row {example['row']} of {example['file']})" if example["row"] else ""
    return f"{example['value']!r}{where}"


def _mapping(manifest: GraphManifest) -> list[tuple[str, str]]:
    templates = manifest.text.templates if manifest.text else {}
    texts = {f"{kind}_text": template for kind, template in templates.items()}
    return [(key, str(value)) for key, value in {**(manifest.mapping or {}), **texts}.items()]


def graph_facts(manifest: GraphManifest) -> dict[str, object]:
    """Counts, time span, split, locations and text model of a graph."""
    counts, text, split, locations = manifest.counts, manifest.text, manifest.split, manifest.locations
    time_span = None if manifest.timeless else manifest.time_span
    parts = ", ".join(f"{format_count(counts[name])} {name}" for name in ("train", "val", "test") if name in counts)
    starts = {name: None if manifest.timeless else split.get(f"t_{name}") for name in ("val", "test")}
    borders = [f"{name} from {format_utc(start)}" for name, start in starts.items() if start]
    methods = {"h3": f"H3 cells of resolution {locations.get('resolution')}", "log": "the log"}
    return {
        "events": counts.get("events", 0),
        **{plural(kind): counts[kind] for kind in manifest.node_types if kind in counts},
        "time": " to ".join(map(format_utc, time_span)) if time_span else "none",
        "split": "; ".join([f"{parts} (by {split.get('method', 'time')})", *borders]),
        "locations from": methods.get(locations.get("method", ""), "none"),
        "text": f"{text.model}, {text.dimension} dimensions" if text else "none",
    }
