"""From log parts to a graph directory: what building, appending and forgetting have in common."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from builders.assemble.directory import check_tables, write_manifest
from builders.assemble.edges import DeclaredEdges, edges
from builders.assemble.event_codes import NODE_TYPES, Encoded, Numbered, encode, session_codes, set_aside_duplicates
from builders.assemble.filters import filter_events
from builders.assemble.manifest import describe
from builders.assemble.near import near
from builders.assemble.nodes import at_relation, node_table, refuse_foreign, seen_from
from builders.assemble.places import Placed, place_events
from builders.assemble.split import split_events, split_method
from builders.assemble.tables import Tables
from builders.engine.backend import Engine, engine_errors
from builders.ingest.anonymization import suppress_rare_locations
from builders.ingest.inputs import BuildInputs
from builders.ingest.node_tables import listed_nodes
from builders.ingest.parts import key_to_row, key_to_time, read_log
from builders.ingest.relations import relation_rows
from builders.ingest.row_checks import DEFAULT_KIND
from builders.mapping.column_mapping import ColumnMapping
from builders.text.vectors import NOTHING, Asked, write_vectors
from graphrec.environment import process_memory
from graphrec.progress import Progress

ENDS = {"at": ["item", "location"], "near": ["location", "location"]}
"""Types of the nodes that the relations of every graph lead from and to."""
STEPS = ("repeated rows", "filters", "places", "numbers", "nodes", "relations")
"""What an assembly does before it encodes text."""

FEW_VALUES = ["utc_offset", "kind", "weight", "split"]
"""Columns of events that say the same over and over: Parquet writes each value once."""
RISING = dict.fromkeys(("user", "item", "location", "time", "session"), "DELTA_BINARY_PACKED")
"""Columns of events that Parquet writes as differences: 2.5 times as fast as by default, and two thirds of the size."""


def assemble(
    engine: Engine, folder: Path, origin: BuildInputs, progress: Progress, began: float, asked: Asked = NOTHING
) -> dict[str, Any]:
    """Make a graph directory of the log parts in ``folder``; the manifest that was written.

    ``began`` is ``time.perf_counter()`` when reading the log began.
    """
    with engine_errors(origin.name):
        found = tables(engine, origin, progress)
    check_tables(found.events, found.nodes, found.relations)
    text, given = write_vectors(folder / "vectors", found.nodes, origin.text_model, progress, asked)
    manifest = describe(origin, found, text, given)
    _write(folder, found)
    manifest |= {"wall_seconds": time.perf_counter() - began, "peak_memory": process_memory()}
    write_manifest(folder, manifest)
    return manifest


def tables(engine: Engine, origin: BuildInputs, progress: Progress) -> Tables:
    """Everything of a graph but its text vectors, from the log parts of its origin."""
    steps = iter(STEPS)
    progress.start("building the graph", len(STEPS))

    def done() -> None:
        progress.advance(note=next(steps))

    listed, twice = _listed(engine, origin)
    events, again = set_aside_duplicates(engine, read_log(engine, origin.events), origin.events)
    done()
    events, filtered = filter_events(engine, events, origin.mapping)
    done()
    placed = place_events(engine, events, origin.mapping, listed.get("item"), listed.get("location"))
    placed, rare = _without_rare_places(engine, placed, origin.mapping.privacy.places)
    done()
    first = {kind: table.filter(table["first"]) for kind, table in listed.items()}
    if placed.listed is not None:
        first["location"] = placed.listed
    numbered = Numbered(origin.old, first, placed.points, _constants(origin.mapping))
    encoded = encode(engine, placed.events, numbered)
    _refuse_foreign_tables(engine, origin, encoded, listed)
    done()
    nodes = _nodes(engine, encoded, placed, first)
    done()
    columns, key, split = _events(encoded.columns, origin)
    if origin.mapping.timeless:
        nodes = {kind: seen_from(table, kind, columns) for kind, table in nodes.items()}
    relations = _relations(columns, nodes, engine.to_pyarrow(placed.items) if placed.items is not None else None)
    declared = _declared(engine, origin, nodes)
    done()
    progress.finish()
    return Tables(
        events=columns,
        key=key,
        nodes={**nodes, **declared.nodes},
        relations={**relations, **declared.relations},
        ends={**ENDS, **declared.ends},
        quarantine=pa.concat_tables([origin.quarantine, again, *twice, declared.unknown]),
        filtered=filtered,
        split=split,
        kinds=encoded.kinds,
        location_method=placed.method,
        resolution=placed.resolution,
        rare=rare,
    )


def _refuse_foreign_tables(engine: Engine, origin: BuildInputs, encoded: Encoded, listed: dict[str, Any]) -> None:
    """Raise InputError for a table of nodes that knows none of the log's; an append has been checked before."""
    for kind, table in ({} if origin.old else listed).items():
        source, column = origin.parts[kind][-1].source, origin.written[kind].id
        refuse_foreign(engine, kind, encoded.vocabularies[kind], table, source, column)


def _relations(events: pa.Table, nodes: dict[str, pa.Table], told: pa.Table | None) -> dict[str, pa.Table]:
    """The relations of every graph; ``told`` is what tables say of where items are."""
    lat, lon = (np.asarray(nodes["location"][name].to_numpy(), np.float64) for name in ("lat", "lon"))
    return {
        "at": at_relation(events, nodes["item"], nodes["location"], told),
        "near": near(lat, lon, nodes["location"]["first_seen"].to_numpy()),
    }


def _declared(engine: Engine, origin: BuildInputs, nodes: dict[str, pa.Table]) -> DeclaredEdges:
    """What the relations that the mapping declares add."""
    given = origin.mapping.relations
    rows = {
        name: relation_rows(
            engine, name, mapping, origin.parts[f"relation-{name}"], origin.parts.get(f"links-{name}", ())
        )
        for name, mapping in given.items()
    }
    own = {kind: pa.array(ids, pa.string()) for kind, ids in origin.old.items() if kind not in (*NODE_TYPES, "kind")}
    return edges(rows, given, nodes, own)


def _without_rare_places(engine: Engine, placed: Placed, least: int | None) -> tuple[Placed, int]:
    """The events without those at places of too few users, and how many these are."""
    if least is None:
        return placed, 0
    located = placed.located()
    place = located.location if placed.method != "none" else located.item
    events, rare = suppress_rare_locations(engine, located.mutate(place=place), least)
    return replace(placed, events=engine.materialise("crowded", events), points=None), rare


def _constants(mapping: ColumnMapping) -> dict[str, str | None]:
    """The columns of events that say the same of each of them."""
    constants: dict[str, str | None] = {} if mapping.kind else {"kind": mapping.kind_constant or DEFAULT_KIND}
    return constants if mapping.session or mapping.session_gap else {**constants, "session": None}


def _listed(engine: Engine, origin: BuildInputs) -> tuple[dict[str, Any], list[pa.Table]]:
    """What tables say of nodes, by type, and the rows of them that are set aside."""
    found = {kind: listed_nodes(engine, kind, origin.parts[kind]) for kind in origin.written}
    return {kind: table for kind, (table, _) in found.items()}, [bad for _, bad in found.values()]


def _nodes(engine: Engine, encoded: Encoded, placed: Placed, listed: Mapping[str, Any]) -> dict[str, pa.Table]:
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


def _events(columns: pa.Table, origin: BuildInputs) -> tuple[pa.Table, np.ndarray, dict[str, Any]]:
    """Columns of events.parquet, the keys of the events, and what the manifest says of the split.

    In a log without times, an event of train happens at second 0, one of val at 1, one of test at 2.
    """
    key = columns["key"].to_numpy()
    time = key_to_time(key)
    split, about = split_events(
        origin.mapping,
        time=time,
        user=columns["user"].to_numpy(),
        file=_files(key, origin) if split_method(origin.mapping) == "files" else np.empty(0, np.int64),
        column=columns["split"].to_numpy(),
        place=key_to_row(key),
        names=[part.source for part in origin.events],
    )
    if origin.mapping.timeless:
        order = np.argsort(split, kind="stable")
        columns, key, split = columns.take(order), key[order], split[order]
        time = split.astype(np.int64)
    session = session_codes(columns["user"].to_numpy(), columns["session"].to_numpy(), split)
    given = {name: columns[name] for name in ("user", "item", "location")}
    typed = {"utc_offset": pa.int16(), "kind": pa.int8(), "weight": pa.float32()}
    rest = {name: columns[name].cast(dtype) for name, dtype in typed.items()}
    ends = {"split": pa.array(split, pa.int8()), "session": pa.array(session, pa.int32())}
    return pa.table({**given, "time": time, **rest, **ends}), key, about


def _files(key: np.ndarray, origin: BuildInputs) -> np.ndarray:
    """The place of each event's file among the files of the log, [n]."""
    before = np.cumsum([0, *(part.rows for part in origin.events)])
    return np.searchsorted(before, key_to_row(key), side="left") - 1


def _write(folder: Path, tables: Tables) -> None:
    (folder / "nodes").mkdir()
    (folder / "relations").mkdir()
    pq.write_table(tables.events, folder / "events.parquet", use_dictionary=FEW_VALUES, column_encoding=RISING)
    for kind, table in tables.nodes.items():
        pq.write_table(table, folder / "nodes" / f"{kind}.parquet")
    for name, table in tables.relations.items():
        pq.write_table(table, folder / "relations" / f"{name}.parquet")
    if len(tables.quarantine):
        pq.write_table(tables.quarantine, folder / "quarantine.parquet")
