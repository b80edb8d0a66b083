"""The manifest of a graph directory, manifest.json; see docs/graph-directory.md."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import numpy as np
import pyarrow.compute as pc

from builders.assemble.data_quality import data_issues
from builders.assemble.directory import content_hash
from builders.assemble.tables import Tables
from builders.ingest.inputs import BuildInputs
from builders.ingest.quarantine import counts_by_reason
from builders.mapping.editions import check_counts, recognise
from graphrec.graph.manifest import FORMAT
from graphrec.graph.splits import SPLITS
from graphrec.reidentification import risk_of_events

LIBRARIES = ("graphrec", "torch", "ibis-framework", "duckdb", "pyarrow", "h3", "numpy", "scipy")
"""Packages whose versions the manifest holds."""


def describe(
    inputs: BuildInputs, tables: Tables, text: dict[str, Any] | None, vectors: dict[str, Any]
) -> dict[str, Any]:
    """The manifest of a graph that is about to be written."""
    mapping = inputs.mapping
    if tables.resolution is not None:
        mapping = mapping.model_copy(update={"h3_resolution": tables.resolution})
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "node_types": list(tables.nodes),
        "relations": tables.endpoints,
        "counts": _counts(tables),
        "time_span": [tables.events["time"][0].as_py(), tables.events["time"][-1].as_py()],
        "kinds": tables.kinds,
        "sources": list(inputs.sources),
        "mapping": mapping.settings(),
        "tables": {
            kind: table.model_dump(mode="json", exclude_defaults=True) for kind, table in inputs.written.items()
        },
        "preset": inputs.preset,
        **_edition(inputs, tables),
        "split": tables.split,
        "protocol": dict(inputs.protocol),
        "locations": {"method": tables.location_method, "resolution": tables.resolution},
        "text_model": inputs.text_model,
        "row_hash": inputs.row_hash,
        "text": {**text, "templates": _templates(inputs)} if text else None,
        "vectors": vectors,
        "privacy": _privacy(inputs, tables),
        "quarantined": counts_by_reason(tables.quarantine),
        "filtered": tables.filtered,
        "findings": [issue.to_json() for issue in data_issues(inputs, tables)],
        "hash": content_hash({"events": tables.events, **tables.nodes}),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}},
    }


def _counts(tables: Tables) -> dict[str, int]:
    per_split = np.bincount(tables.events["split"].to_numpy(), minlength=len(SPLITS))
    return {
        "events": len(tables.events),
        **{kind: len(table) for kind, table in tables.nodes.items()},
        **{name: int(per_split[code]) for name, code in SPLITS.items()},
    }


def _edition(inputs: BuildInputs, tables: Tables) -> dict[str, Any]:
    """Name of the recognised edition of a known log, and notes on counts that differ from it."""
    if inputs.preset is None:
        return {"edition": None, "notes": []}
    counts = _read_counts(inputs, tables)
    logs = [part.source for part in inputs.events]
    edition = recognise(inputs.preset, counts, logs)
    return {"edition": edition.name if edition else None, "notes": check_counts(inputs.preset, counts, logs)}


def _read_counts(inputs: BuildInputs, tables: Tables) -> dict[str, int]:
    """Counts for `builders.mapping.editions`; users and items only where no event was filtered."""
    rows: dict[str, int] = {}
    for source in inputs.sources:
        rows[source["role"]] = rows.get(source["role"], 0) + source["rows"]
    dropped = sum(tables.filtered.values()) + tables.suppressed
    counts = {"rows": rows["events"], "events": len(tables.events) + dropped}
    if not dropped:
        counts |= {f"{kind}s": len(pc.unique(tables.events[kind])) for kind in ("user", "item")}
    return {**counts, **({"listed": rows["item"]} if "item" in rows else {})}


def _privacy(inputs: BuildInputs, tables: Tables) -> dict[str, Any] | None:
    """Privacy settings, and the re-identification risk before and after; None without any."""
    privacy = inputs.mapping.privacy
    if not privacy:
        return None
    columns = {name: tables.events[name].to_numpy() for name in ("user", "item", "location", "time", "utc_offset")}
    return privacy.describe(tables.suppressed, inputs.risk, risk_of_events(**columns))


def _templates(inputs: BuildInputs) -> dict[str, str]:
    mapping = inputs.mapping
    from_log = mapping.item_text or (f"{{{mapping.text}}}" if mapping.text else None)
    from_tables = {kind: table.text for kind, table in inputs.written.items() if table.text}
    return {**({"item": from_log} if from_log else {}), **from_tables}
