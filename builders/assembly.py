"""From log parts to a graph directory: what building, appending and forgetting have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from builders.catalogue import TableMapping, listed_nodes
from builders.directory import check_tables
from builders.engine import Engine, engine_errors
from builders.events import NODE_TYPES, Encoded, Numbered, encode, places, read_log, session_codes
from builders.events import set_aside_duplicates, times
from builders.filters import filter_events
from builders.manifest import describe
from builders.mapping import Mapping
from builders.nodes import at_relation, node_table, refuse_foreign
from builders.parts import Part
from builders.places import Placed, near, place_events
from builders.split import split_events
from builders.vectors import write_vectors
from graphrec.progress import Progress

STEPS = ("repeated rows", "filters", "places", "numbers", "nodes", "relations")
"""What an assembly does before it encodes text."""


@dataclass(frozen=True)
class Origin:
    """What a graph is made of."""

    name: str
    """The log in an error message."""
    mapping: Mapping
    """Which column plays which role; where nothing is left to guess."""
    preset: str | None
    """The preset that was named."""
    protocol: Dictionary[str, Any]
    """How the log wants to be evaluated."""
    sources: Sequence[Dictionary[str, Any]]
    """What the manifest says of the files."""
    parts: Sequence[Part]
    """The checked events."""
    tables: Dictionary[str, Sequence[Part]]
    """The checked tables of nodes, by type."""
    written: Dictionary[str, TableMapping]
    """How those tables are written."""
    quarantine: pa.Table
    """Rows that could not be used."""
    old: Dictionary[str, Sequence[str]] = field(default_factory=dict)
    """Ids that have numbers already, see `builders.events.Numbered`."""


@dataclass(frozen=True)
class Tables:
    """Everything of a graph but its text vectors and its manifest."""

    events: pa.Table
    """Columns of events.parquet."""
    nodes: dict[str, pa.Table]
    """Columns of nodes/<type>.parquet, by type."""
    relations: dict[str, pa.Table]
    """Columns of relations/<name>.parquet, by name."""
    quarantine: pa.Table
    """Rows that could not be used."""
    filtered: dict[str, int]
    """Usable rows that the filters left out, by reason."""
    split: dict[str, Any]
    """What the manifest says of the split."""
    kinds: list[str]
    """Names of the kinds of event by code."""
    location_method: str
    """``log``, ``h3`` or ``none``."""
    resolution: int | None
    """Of the H3 cells."""


def assemble(engine: Engine, folder: Path, origin: Origin, text_model: str, progress: Progress) -> dict[str, Any]:
    """Make a graph directory of the log parts in ``folder``; the manifest that was written."""
    with engine_errors(origin.name):
        tables = _tables(engine, origin, progress)
    check_tables(tables.events, tables.nodes, tables.relations)
    text = write_vectors(folder / "vectors", tables.nodes, text_model, progress)
    manifest = describe(origin, tables, text)
    _write(folder, tables, manifest)
    return manifest


def _tables(engine: Engine, origin: Origin, progress: Progress) -> Tables:
    steps = iter(STEPS)
    progress.start("building the graph", len(STEPS))

    def done() -> None:
        progress.advance(note=next(steps))

    listed, twice = _listed(engine, origin)
    events, again = set_aside_duplicates(engine, read_log(engine, origin.parts), origin.parts)
    done()
    events, filtered = filter_events(engine, events, origin.mapping)
    done()
    placed = place_events(engine, events, origin.mapping, listed.get("item"), listed.get("location"))
    done()
    first = {kind: table.filter(table["first"]) for kind, table in listed.items()}
    if placed.listed is not None:
        first["location"] = placed.listed
    encoded = encode(engine, placed.events, Numbered(origin.old, first))
    for kind, parts in origin.tables.items():
        codes, column = encoded.vocabularies[kind], origin.written[kind].id
        refuse_foreign(engine, kind, codes, listed[kind], parts[-1].source, column)
    done()
    nodes = _nodes(engine, encoded, placed, first)
    done()
    columns, split = _events(encoded.columns, origin)
    lat, lon = (np.asarray(nodes["location"][name].to_numpy(), np.float64) for name in ("lat", "lon"))
    told = engine.to_pyarrow(placed.items) if placed.items is not None else None
    relations = {
        "at": at_relation(columns, nodes["item"], nodes["location"], told),
        "near": near(lat, lon, nodes["location"]["first_seen"].to_numpy()),
    }
    done()
    progress.finish()
    quarantine = pa.concat_tables([origin.quarantine, again, *twice])
    return Tables(
        columns, nodes, relations, quarantine, filtered, split, encoded.kinds, placed.method, placed.resolution
    )


def _listed(engine: Engine, origin: Origin) -> tuple[dict[str, Any], list[pa.Table]]:
    """What tables say of nodes, by type, and the rows of them that are set aside."""
    found = {kind: listed_nodes(engine, kind, parts) for kind, parts in origin.tables.items()}
    return {kind: table for kind, (table, _) in found.items()}, [bad for _, bad in found.values()]


def _nodes(engine: Engine, encoded: Encoded, placed: Placed, listed: Dictionary[str, Any]) -> dict[str, pa.Table]:
    """Node tables; the text is the item's, what the first event says of a place is the location's."""
    own = {"item": placed.events.select("key", "lat", "lon", "text", "label")}
    if placed.method == "log":
        own["location"] = placed.events.select("key", "lat", "lon")
    if placed.centres is not None:
        own["location"] = placed.centres
    key = {"location": "id"} if placed.centres is not None else {}
    return {
        kind: node_table(engine, encoded.vocabularies[kind], listed.get(kind), own.get(kind), key.get(kind, "first"))
        for kind in NODE_TYPES
    }


def _events(columns: pa.Table, origin: Origin) -> tuple[pa.Table, dict[str, Any]]:
    """Columns of events.parquet and what the manifest says of the split."""
    key = columns["key"].to_numpy()
    time = times(key)
    before = np.cumsum([0, *(part.rows for part in origin.parts)])
    split, about = split_events(
        origin.mapping,
        time=time,
        user=columns["user"].to_numpy(),
        file=np.searchsorted(before, places(key), side="left") - 1,
        column=columns["split"].to_numpy(),
        names=[part.source for part in origin.parts],
    )
    session = session_codes(columns["user"].to_numpy(), columns["session"].to_numpy(), split)
    given = {name: columns[name] for name in ("user", "item", "location")}
    typed = {"utc_offset": pa.int16(), "kind": pa.int8(), "weight": pa.float32()}
    rest = {name: columns[name].cast(dtype) for name, dtype in typed.items()}
    ends = {"split": pa.array(split, pa.int8()), "session": pa.array(session, pa.int32())}
    return pa.table({**given, "time": time, **rest, **ends}), about


def _write(folder: Path, tables: Tables, manifest: Dictionary[str, Any]) -> None:
    (folder / "nodes").mkdir()
    (folder / "relations").mkdir()
    pq.write_table(tables.events, folder / "events.parquet")
    for kind, table in tables.nodes.items():
        pq.write_table(table, folder / "nodes" / f"{kind}.parquet")
    for name, table in tables.relations.items():
        pq.write_table(table, folder / "relations" / f"{name}.parquet")
    if len(tables.quarantine):
        pq.write_table(tables.quarantine, folder / "quarantine.parquet")
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")
