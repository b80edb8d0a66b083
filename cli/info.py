"""``graphrec info``: what a graph or run directory holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import console, duration, facts, metrics_table, moment, next_step, number, print_json, size, table

WRITERS = {"wall_time": duration, "seconds": duration, "wall_seconds": duration, "peak_memory": size}
"""How some values of a manifest are written for people."""


def info(
    path: Annotated[Path, typer.Argument(metavar="GRAPH_OR_RUN", help="A graph or run directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """Say what a graph or run directory holds: counts, times, settings, metrics, versions.

    Example: graphrec info city/graph
    """
    is_run = (path / "config.yaml").is_file()
    manifest = read_run(path) if is_run else _read_graph(path)
    if as_json:
        print_json({"path": str(path), "type": "run" if is_run else "graph", **manifest})
    elif is_run:
        _show_run(path, manifest)
    else:
        _show_graph(path, manifest)


def _read_graph(path: Path) -> dict[str, Any]:
    from graphrec.graph import read_manifest

    return read_manifest(path)


def read_run(path: Path) -> dict[str, Any]:
    """Manifest, configuration and metrics of a run directory; RunError where a file is missing or broken."""
    import yaml

    from graphrec.errors import RunError

    found: dict[str, Any] = {}
    for name, parse in (("manifest.json", json.loads), ("config.yaml", yaml.safe_load), ("metrics.json", json.loads)):
        try:
            found[name.partition(".")[0]] = parse((path / name).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            if name != "metrics.json":  # a run that is still training has none
                raise RunError(f"{path}: a run directory with {name} expected; train it again") from error
        except (ValueError, yaml.YAMLError) as error:
            raise RunError(f"{path / name}: not readable ({error}); train the run again") from error
    return found


def _show_graph(path: Path, manifest: Mapping[str, Any]) -> None:
    counts, split, text = manifest["counts"], manifest.get("split") or {}, manifest.get("text") or {}
    first, last = manifest["time_span"]
    console.print(
        facts(
            f"graph {path}",
            {
                "events": counts["events"],
                **{f"{kind}s": counts[kind] for kind in manifest["node_types"] if kind in counts},
                "time": f"{moment(first)} to {moment(last)}",
                "split": _split(counts, split),
                "kinds": ", ".join(map(str, manifest.get("kinds", []))),
                "relations": ", ".join(f"{name} ({' -> '.join(ends)})" for name, ends in manifest["relations"].items()),
                "locations": _flat(manifest.get("locations")),
                "text": f"{text['model']}, {text['dimension']} dimensions" if text else "none",
                "preset": manifest.get("preset") or "none",
                "mapping": _flat(manifest.get("mapping")),
                "protocol": _flat(manifest.get("protocol")),
                "quarantined": _flat(manifest.get("quarantined")) or "none",
                "hash": manifest.get("hash"),
                "created": manifest.get("created"),
            },
        )
    )
    sources = [(source["name"], source["rows"], size(source["bytes"])) for source in manifest.get("sources", [])]
    console.print("", table("sources", ("file", "rows", "size"), sources))
    next_step(f"graphrec train {path} --out {path.parent / 'run'}")


def _split(counts: Mapping[str, int], split: Mapping[str, Any]) -> str:
    parts = ", ".join(f"{number(counts[name])} {name}" for name in ("train", "val", "test") if name in counts)
    times = [
        f"{name} from {moment(split[key])}" for name, key in (("val", "t_val"), ("test", "t_test")) if split.get(key)
    ]
    return "; ".join([f"{parts} (by {split.get('method', 'time')})", *times])


def _flat(values: object) -> str:
    """A mapping in one line, ``name value, name value``; without the values that are null."""
    if isinstance(values, Mapping):
        return ", ".join(f"{name} {_flat(value)}" for name, value in values.items() if value is not None)
    return ", ".join(map(_flat, values)) if isinstance(values, list | tuple) else str(values)


def _show_run(path: Path, run: Mapping[str, Any]) -> None:
    values = {
        name.replace("_", " "): WRITERS[name](value) if name in WRITERS else _flat(value)
        for name, value in run["manifest"].items()
        if value is not None
    }
    console.print(facts(f"run {path}", values))
    console.print("", facts("settings", {name: _flat(value) for name, value in (run["config"] or {}).items()}))
    metrics = run.get("metrics") or {}
    for split, found in ({"": metrics} if "metrics" in metrics else metrics).items():
        if isinstance(found, Mapping) and "metrics" in found:
            console.print("", metrics_table(found["metrics"], found.get("baselines", {}), title=f"metrics {split}"))
    next_step(f"graphrec evaluate {path} --split test")
