"""What a graph directory says of itself: manifest.json, see docs/graph-directory.md."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import numpy as np
import pyarrow.compute as pc

from builders.assemble.data_quality import findings
from builders.assemble.directory import content_hash
from builders.assemble.tables import Tables
from builders.ingest.inputs import BuildInputs
from builders.ingest.quarantine import counts_by_reason
from builders.mapping.editions import check_counts, recognise
from graphrec.graph.manifest import FORMAT
from graphrec.graph.splits import SPLITS
from graphrec.reidentification import risk_of_events

LIBRARIES = ("graphrec", "torch", "ibis-framework", "duckdb", "pyarrow", "h3", "numpy", "scipy")
"""The packages whose versions a graph remembers."""


def describe(
    origin: BuildInputs, tables: Tables, text: dict[str, Any] | None, vectors: dict[str, Any]
) -> dict[str, Any]:
    """The manifest of a graph that is about to be written."""
    mapping = origin.mapping
    if tables.resolution is not None:
        mapping = mapping.model_copy(update={"h3_resolution": tables.resolution})
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "node_types": list(tables.nodes),
        "relations": tables.ends,
        "counts": _counts(tables),
        "time_span": [tables.events["time"][0].as_py(), tables.events["time"][-1].as_py()],
        "kinds": tables.kinds,
        "sources": list(origin.sources),
        "mapping": mapping.settings(),
        "tables": {
            kind: given.model_dump(mode="json", exclude_defaults=True) for kind, given in origin.written.items()
        },
        "preset": origin.preset,
        **_edition(origin, tables),
        "split": tables.split,
        "protocol": dict(origin.protocol),
        "locations": {"method": tables.location_method, "resolution": tables.resolution},
        "text_model": origin.text_model,
        "row_hash": origin.row_hash,
        "text": {**text, "templates": _templates(origin)} if text else None,
        "vectors": vectors,
        "privacy": _privacy(origin, tables),
        "quarantined": counts_by_reason(tables.quarantine),
        "filtered": tables.filtered,
        "findings": [finding.to_json() for finding in findings(origin, tables)],
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


def _edition(origin: BuildInputs, tables: Tables) -> dict[str, Any]:
    """Which edition of a known log was read, and what to say where it is none that is known."""
    if origin.preset is None:
        return {"edition": None, "notes": []}
    counts = _read_counts(origin, tables)
    logs = [part.source for part in origin.events]
    edition = recognise(origin.preset, counts, logs)
    return {"edition": edition.name if edition else None, "notes": check_counts(origin.preset, counts, logs)}


def _read_counts(origin: BuildInputs, tables: Tables) -> dict[str, int]:
    """Counts of what was read, for `builders.mapping.editions`; users and items only where no filter left any out."""
    rows: dict[str, int] = {}
    for source in origin.sources:
        rows[source["role"]] = rows.get(source["role"], 0) + source["rows"]
    left_out = sum(tables.filtered.values()) + tables.rare
    counts = {"rows": rows["events"], "events": len(tables.events) + left_out}
    if not left_out:
        counts |= {f"{kind}s": len(pc.unique(tables.events[kind])) for kind in ("user", "item")}
    return {**counts, **({"listed": rows["item"]} if "item" in rows else {})}


def _privacy(origin: BuildInputs, tables: Tables) -> dict[str, Any] | None:
    """What is hidden of people, and the risk before and after; None where nothing is."""
    privacy = origin.mapping.privacy
    if not privacy:
        return None
    columns = {name: tables.events[name].to_numpy() for name in ("user", "item", "location", "time", "utc_offset")}
    return privacy.describe(tables.rare, origin.risk, risk_of_events(**columns))


def _templates(origin: BuildInputs) -> dict[str, str]:
    found = {kind: table.text for kind, table in origin.written.items() if table.text}
    own = origin.mapping.item_text or (f"{{{origin.mapping.text}}}" if origin.mapping.text else None)
    return {**({"item": own} if own else {}), **found}
