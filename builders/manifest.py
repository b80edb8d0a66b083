"""What a graph directory says of itself: manifest.json, see docs/graph-directory.md."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from builders.catalogue import Catalogue
from builders.directory import content_hash
from builders.log import Log
from builders.quarantine import counts_by_reason
from builders.sources import Source
from graphrec.directory import FORMAT
from graphrec.events import SPLITS
from graphrec.protocol import Protocol

if TYPE_CHECKING:
    from builders.graph import Tables

LIBRARIES = ("graphrec", "torch", "ibis-framework", "duckdb", "pyarrow", "h3", "numpy", "scipy")
"""The packages whose versions a graph remembers."""


def describe(
    log: Log, catalogues: dict[str, Catalogue], tables: Tables, preset: str | None, text: dict[str, Any] | None
) -> dict[str, Any]:
    """The manifest of a graph that is about to be written."""
    protocol = log.preset.protocol if log.preset else Protocol()
    h3 = tables.location_method == "h3"
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "node_types": list(tables.nodes),
        "relations": {"at": ["item", "location"], "near": ["location", "location"]},
        "counts": _counts(tables),
        "time_span": [tables.events["time"][0].as_py(), tables.events["time"][-1].as_py()],
        "kinds": tables.kinds,
        "sources": _sources(log, catalogues),
        "mapping": log.mapping.settings(),
        "preset": preset,
        "split": tables.split,
        "protocol": protocol.model_dump(),
        "locations": {"method": tables.location_method, "resolution": log.mapping.h3_resolution if h3 else None},
        "text": {**text, "templates": _templates(log, catalogues)} if text else None,
        "quarantined": counts_by_reason(tables.quarantine),
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


def _sources(log: Log, catalogues: dict[str, Catalogue]) -> list[dict[str, Any]]:
    def entry(source: Source, rows: int, role: str) -> dict[str, Any]:
        return {"name": source.name, "bytes": source.bytes, "sha256": source.sha256, "rows": rows, "role": role}

    logs = [entry(rows.source, rows.total, "events") for rows in log.files]
    return logs + [entry(table.source, table.count, kind) for kind, table in catalogues.items()]


def _templates(log: Log, catalogues: dict[str, Catalogue]) -> dict[str, str]:
    found = {kind: table.mapping.text for kind, table in catalogues.items() if table.mapping.text}
    own = log.mapping.item_text or (f"{{{log.mapping.text}}}" if log.mapping.text else None)
    return {**({"item": own} if own else {}), **found}
