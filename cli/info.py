"""``graphrec info``: what a graph or run directory holds."""

from __future__ import annotations

from collections.abc import Mapping
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.console import command, console, epochs_table, facts, metrics_table, next_step, print_json, table
from cli.graphs import graph_facts
from graphrec.formatting import format_bytes, format_count, format_duration

if TYPE_CHECKING:
    from graphrec.reidentification import Risk


def info_command(
    path: Annotated[Path, typer.Argument(metavar="GRAPH_OR_RUN", help="A graph or run directory.")],
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Say what a graph or run directory holds: counts, times, settings, metrics, versions.

    Example: graphrec info city/graph
    """
    from graphrec.errors import GraphrecError, InputError

    if not (path / "manifest.json").is_file() and not (path / "config.yaml").is_file():
        raise InputError(
            f"{path}: a graph or run directory expected; 'graphrec build' makes the one, 'graphrec train' the other"
        )
    is_run = (path / "config.yaml").is_file()
    manifest = _read_run(path) if is_run else _read_graph(path)
    if as_json:
        risks = {} if is_run else {when: risk.to_json() for when, risk in _risks(path, manifest).items()}
        added = {"risk": risks} if risks else {}
        print_json({"path": str(path), "type": "run" if is_run else "graph", **manifest, **added})
        return
    try:
        (_show_run if is_run else _show_graph)(path, manifest)
    except KeyError as missing:
        raise GraphrecError(
            f"{path / 'manifest.json'}: {missing} expected, but it is not there; make it again"
        ) from missing


def _read_graph(path: Path) -> dict[str, Any]:
    from graphrec.graph.manifest import read_manifest

    return read_manifest(path)


def _read_run(path: Path) -> dict[str, Any]:
    from graphrec.files import read_json
    from graphrec.runs.config import RunConfig

    settings = RunConfig.stored(path / "config.yaml").model_dump(mode="json")
    metrics = read_json(path / "metrics.json") if (path / "metrics.json").is_file() else {}  # written by evaluate
    return {**read_json(path / "manifest.json"), "settings": settings, "metrics": metrics}


def _show_graph(path: Path, manifest: Mapping[str, Any]) -> None:
    console.print(
        facts(
            f"graph {path}",
            {
                **graph_facts(manifest),
                "kinds": ", ".join(map(str, manifest.get("kinds", []))),
                "relations": ", ".join(f"{name} ({' -> '.join(ends)})" for name, ends in manifest["relations"].items()),
                "preset": manifest.get("preset") or "none",
                "mapping": _flat(manifest.get("mapping")),
                "protocol": _flat(manifest.get("protocol")) or "default",
                "quarantined": _flat(manifest.get("quarantined")) or "none",
                "privacy": _flat({k: v for k, v in (manifest.get("privacy") or {}).items() if k != "risk"}) or "none",
                **_risk_facts(path, manifest),
                "hash": manifest.get("hash"),
                "created": manifest.get("created"),
                **_cost(manifest),
            },
        )
    )
    sources = [
        (source["name"], source["rows"], format_bytes(source["bytes"])) for source in manifest.get("sources", [])
    ]
    console.print("", table("sources", ("file", "rows", "size"), sources))
    next_step(command("train", path, "--out", path.parent / "run"))


def _cost(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Time and memory of the build; not in the manifest of an older graph."""
    if "wall_seconds" not in manifest:
        return {}
    return {"took": f"{format_duration(manifest['wall_seconds'])}, peak memory {format_bytes(manifest['peak_memory'])}"}


def _risks(path: Path, manifest: Mapping[str, Any]) -> dict[str, Risk]:
    """The risk of the log as it came, where the manifest knows it, and that of the graph."""
    from graphrec.reidentification import Risk, risk_of

    found = {when: Risk.of(counts) for when, counts in ((manifest.get("privacy") or {}).get("risk") or {}).items()}
    if "after" not in found and (path / "events.parquet").is_file():
        found["after"] = risk_of(path)
    return found


def _risk_facts(path: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    names = {"before": "risk before", "after": "risk"}
    risks = _risks(path, manifest)
    return {names[when]: str(risks[when]) for when in names if when in risks}


def _flat(values: object) -> str:
    """A mapping in one line, ``name value, name value``; without the values that are null."""
    if isinstance(values, Mapping):
        return ", ".join(f"{name} {_flat(value)}" for name, value in values.items() if value is not None)
    return ", ".join(map(_flat, values)) if isinstance(values, list | tuple) else str(values)


def _show_run(path: Path, run: Mapping[str, Any]) -> None:
    console.print(
        facts(
            f"run {path}",
            {
                "graph": f"{normpath(path / run['graph'])}, hash {run['graph_hash'][:12]}",
                "seed": run["seed"],
                "device": f"{run['device']}, {run['threads']} threads, precision {run['precision']}",
                "time": f"{format_duration(run['wall_seconds'])}, peak memory {format_bytes(run['peak_memory'])}",
                "parameters": run["parameters"],
                "trained on": f"{format_count(run['training_rows'])} events",
                "epochs": f"{len(run['history'])}, the best is {run['best_epoch']}",
                "protocol": _flat(run["protocol"]),
                **{name: _flat(values) for name, values in run["settings"].items() if name != "seed"},
                "versions": _flat(run["versions"]),
            },
        )
    )
    if run["history"]:
        console.print("", epochs_table("epochs", run["history"]))
    for split, found in run["metrics"].items():
        console.print(
            "",
            metrics_table(
                found["metrics"], found["baselines"], name=found.get("model", "stgat"), title=f"metrics on {split}"
            ),
        )
    next_step(command("recommend", path, "--all") if run["metrics"] else command("evaluate", path, "--split", "test"))
