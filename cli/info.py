"""``graphrec info``: contents of a graph or run directory."""

from __future__ import annotations

from collections.abc import Mapping
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.console import command, console, epochs_table, facts, metrics_table, next_step, print_json, table
from cli.graphs import graph_facts
from graphrec.formatting import format_bytes, format_count, format_duration

if TYPE_CHECKING:
    from graphrec.graph.manifest import GraphManifest
    from graphrec.reidentification import Risk

RISKS = {"before": "risk before", "after": "risk"}
"""Labels of the re-identification risks."""


def info_command(
    path: Annotated[Path, typer.Argument(metavar="GRAPH_OR_RUN", help="A graph or run directory.")],
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Show the contents of a graph or run directory: counts, times, settings, metrics, versions.

    Example: graphrec info city/graph
    """
    from graphrec.errors import InputError

    if not (path / "manifest.json").is_file() and not (path / "config.yaml").is_file():
        raise InputError(
            f"{path}: a graph or run directory expected; 'graphrec build' makes the one, 'graphrec train' the other"
        )
    if (path / "config.yaml").is_file():
        _info_of_run(path, as_json=as_json)
    else:
        _info_of_graph(path, as_json=as_json)


def _info_of_graph(path: Path, *, as_json: bool) -> None:
    from graphrec.graph.manifest import read_manifest

    manifest = read_manifest(path)
    risks = _risks(path, manifest)
    if as_json:
        risk = {"risk": {when: risk.to_json() for when, risk in risks.items()}} if risks else {}
        print_json({"path": str(path), "type": "graph", **manifest.to_dict(), **risk})
        return
    console.print(
        facts(
            f"graph {path}",
            {
                **graph_facts(manifest),
                "kinds": ", ".join(manifest.kinds),
                "relations": ", ".join(f"{name} ({' -> '.join(ends)})" for name, ends in manifest.relations.items()),
                "preset": manifest.preset or "none",
                "mapping": _flat(manifest.mapping),
                "protocol": _flat(manifest.protocol) or "default",
                "quarantined": _flat(manifest.quarantined) or "none",
                "privacy": _flat({k: v for k, v in (manifest.privacy or {}).items() if k != "risk"}) or "none",
                **{name: str(risks[when]) for when, name in RISKS.items() if when in risks},
                "hash": manifest.hash,
                "created": manifest.created,
                **_cost(manifest),
            },
        )
    )
    sources = [(source.name, source.rows, format_bytes(source.bytes)) for source in manifest.sources]
    console.print("", table("sources", ("file", "rows", "size"), sources))
    next_step(command("train", path, "--out", path.parent / "run"))


def _cost(manifest: GraphManifest) -> dict[str, str]:
    """Duration and peak memory of the build; a graph of an earlier release does not have them."""
    if manifest.wall_seconds is None or manifest.peak_memory is None:
        return {}
    return {"took": f"{format_duration(manifest.wall_seconds)}, peak memory {format_bytes(manifest.peak_memory)}"}


def _risks(path: Path, manifest: GraphManifest) -> dict[str, Risk]:
    """Re-identification risk of the original log, if the manifest has it, and of the graph."""
    from graphrec.reidentification import Risk, risk_of

    risks = {when: Risk.of(counts) for when, counts in manifest.risk.items()}
    if "after" not in risks and (path / "events.parquet").is_file():
        risks["after"] = risk_of(path)
    return risks


def _flat(values: object) -> str:
    """A mapping on one line, ``name value, name value``, without null values."""
    if isinstance(values, Mapping):
        return ", ".join(f"{name} {_flat(value)}" for name, value in values.items() if value is not None)
    return ", ".join(map(_flat, values)) if isinstance(values, list | tuple) else str(values)


def _info_of_run(path: Path, *, as_json: bool) -> None:
    from graphrec.evaluation.result import read_results
    from graphrec.runs.config import RunConfig
    from graphrec.runs.manifest import RunManifest

    settings = RunConfig.stored(path / "config.yaml").model_dump(mode="json")
    run, results = RunManifest.read(path), read_results(path)
    if as_json:
        metrics = {split: result.to_dict() for split, result in results.items()}
        print_json({"path": str(path), "type": "run", **run.to_dict(), "settings": settings, "metrics": metrics})
        return
    console.print(
        facts(
            f"run {path}",
            {
                "graph": f"{normpath(path / run.graph)}, hash {run.graph_hash[:12]}",
                "seed": run.seed,
                "device": f"{run.device}, {run.threads} threads, precision {run.precision}",
                "time": f"{format_duration(run.wall_seconds or 0)}, peak memory {format_bytes(run.peak_memory or 0)}",
                "parameters": run.parameters,
                "trained on": f"{format_count(run.training_rows or 0)} events",
                "epochs": f"{len(run.history)}, the best is {run.best_epoch}",
                "protocol": _flat(run.protocol),
                **{name: _flat(values) for name, values in settings.items() if name != "seed"},
                "versions": _flat(run.versions),
            },
        )
    )
    if run.history:
        console.print("", epochs_table("epochs", run.history))
    for split, result in results.items():
        title = f"metrics on {split}"
        console.print("", metrics_table(result.metrics, result.baselines, name=result.model, title=title))
    next_step(command("recommend", path, "--all") if results else command("evaluate", path, "--split", "test"))
