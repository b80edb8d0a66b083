"""Assembly of a graph directory from log parts, shared by building, appending and forgetting."""

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
from builders.assemble.event_codes import (
    NODE_TYPES,
    EncodedEvents,
    KnownCodes,
    encode,
    quarantine_duplicates,
    session_codes,
)
from builders.assemble.filters import filter_events
from builders.assemble.manifest import describe
from builders.assemble.near import near
from builders.assemble.nodes import at_relation, check_ids_known, node_table, with_first_seen
from builders.assemble.places import LocatedEvents, locate_events
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
from builders.text.vectors import DEFAULT, VectorOptions, write_vectors
from graphrec.environment import process_memory
from graphrec.graph.manifest import GraphManifest
from graphrec.progress import Progress

ENDPOINTS = {"at": ["item", "location"], "near": ["location", "location"]}
"""Source and target type of the relations of every graph."""
STEPS = ("repeated rows", "filters", "places", "numbers", "nodes", "relations")
"""Steps of an assembly before the encoding of text."""
DICTIONARY_COLUMNS = ["utc_offset", "kind", "weight", "split"]
"""Columns of events with few distinct values: Parquet writes each value once."""
DELTA_COLUMNS = dict.fromkeys(("user", "item", "location", "time", "session"), "DELTA_BINARY_PACKED")
"""Columns of events that Parquet writes as differences: 2.5 times as fast as by default, and two thirds of the size."""


def assemble(
    engine: Engine,
    folder: Path,
    inputs: BuildInputs,
    progress: Progress,
    start: float,
    options: VectorOptions = DEFAULT,
) -> GraphManifest:
    """Write a graph directory from the log parts in ``folder``; its manifest.

    ``start`` is ``time.perf_counter()`` at the beginning of the ingestion.
    """
    with engine_errors(inputs.name):
        tables = build_tables(engine, inputs, progress)
    check_tables(tables.events, tables.nodes, tables.relations)
    text, vectors = write_vectors(folder / "vectors", tables.nodes, inputs.text_model, progress, options)
    values = describe(inputs, tables, text, vectors)
    _write(folder, tables)
    cost = {"wall_seconds": time.perf_counter() - start, "peak_memory": process_memory()}
    manifest = GraphManifest.model_validate(values | cost)
    write_manifest(folder, manifest)
    return manifest


def build_tables(engine: Engine, inputs: BuildInputs, progress: Progress) -> Tables:
    """All tables of a graph from its log parts, without text vectors."""
    steps = iter(STEPS)
    progress.start("building the graph", len(STEPS))

    def step_done() -> None:
        progress.advance(note=next(steps))

    mapping = inputs.mapping
    listed = {kind: listed_nodes(engine, kind, inputs.parts[kind]) for kind in inputs.written}
    rejected = [rows for _, rows in listed.values()]
    tables = {kind: table for kind, (table, _) in listed.items()}
    events, duplicates = quarantine_duplicates(engine, read_log(engine, inputs.events), inputs.events)
    step_done()
    events, filtered = filter_events(engine, events, mapping)
    step_done()
    located = locate_events(engine, events, mapping, tables.get("item"), tables.get("location"))
    located, suppressed = _without_rare_locations(engine, located, mapping.privacy.places)
    step_done()
    first = {kind: table.filter(table["first"]) for kind, table in tables.items()}
    if located.listed is not None:
        first["location"] = located.listed
    encoded = encode(engine, located.events, KnownCodes(inputs.old, first, located.points, _constants(mapping)))
    for kind, table in ({} if inputs.old else tables).items():  # an append was checked by its build
        source, column = inputs.parts[kind][-1].source, inputs.written[kind].id
        check_ids_known(engine, kind, encoded.vocabularies[kind], table, source, column)
    step_done()
    nodes = _nodes(engine, encoded, located, first)
    step_done()
    columns, key, split = _events(encoded.columns, inputs)
    if mapping.timeless:
        nodes = {kind: with_first_seen(table, kind, columns) for kind, table in nodes.items()}
    relations = _relations(columns, nodes, engine.to_pyarrow(located.items) if located.items is not None else None)
    declared = _declared(engine, inputs, nodes)
    step_done()
    progress.finish()
    return Tables(
        events=columns,
        key=key,
        nodes={**nodes, **declared.nodes},
        relations={**relations, **declared.relations},
        endpoints={**ENDPOINTS, **declared.endpoints},
        quarantine=pa.concat_tables([inputs.quarantine, duplicates, *rejected, declared.unknown]),
        filtered=filtered,
        split=split,
        kinds=encoded.kinds,
        location_method=located.method,
        resolution=located.resolution,
        suppressed=suppressed,
    )


def _relations(events: pa.Table, nodes: dict[str, pa.Table], item_locations: pa.Table | None) -> dict[str, pa.Table]:
    """The relations of every graph; ``item_locations`` are those that a table of items gives."""
    lat, lon = (np.asarray(nodes["location"][name].to_numpy(), np.float64) for name in ("lat", "lon"))
    return {
        "at": at_relation(events, nodes["item"], nodes["location"], item_locations),
        "near": near(lat, lon, nodes["location"]["first_seen"].to_numpy()),
    }


def _declared(engine: Engine, inputs: BuildInputs, nodes: dict[str, pa.Table]) -> DeclaredEdges:
    """Edges and nodes of the relations that the mapping declares."""
    mappings, parts = inputs.mapping.relations, inputs.parts
    rows = {
        name: relation_rows(engine, name, mapping, parts[f"relation-{name}"], parts.get(f"links-{name}", ()))
        for name, mapping in mappings.items()
    }
    old = {kind: pa.array(ids, pa.string()) for kind, ids in inputs.old.items() if kind not in (*NODE_TYPES, "kind")}
    return edges(rows, mappings, nodes, old)


def _without_rare_locations(engine: Engine, located: LocatedEvents, min_users: int | None) -> tuple[LocatedEvents, int]:
    """The events without those at locations of too few users, and the number of these."""
    if min_users is None:
        return located, 0
    events = located.with_locations()
    place = events.location if located.method != "none" else events.item
    events, suppressed = suppress_rare_locations(engine, events.mutate(place=place), min_users)
    return replace(located, events=engine.materialise("crowded", events), points=None), suppressed


def _constants(mapping: ColumnMapping) -> dict[str, str | None]:
    """Columns of events with the same value everywhere, and this value."""
    constants: dict[str, str | None] = {} if mapping.kind else {"kind": mapping.kind_constant or DEFAULT_KIND}
    return constants if mapping.session or mapping.session_gap else {**constants, "session": None}


def _nodes(
    engine: Engine, encoded: EncodedEvents, located: LocatedEvents, listed: Mapping[str, Any]
) -> dict[str, pa.Table]:
    """Node tables; text and label of a log are the item's, coordinates of a location those of its first event."""
    from_log = {"item": (located.events.select("key", "lat", "lon", "text", "label"), "first")}
    if located.centres is not None:
        from_log["location"] = (located.centres, "id")
    elif located.method == "log":
        from_log["location"] = (located.events.select("key", "lat", "lon"), "first")
    return {
        kind: node_table(engine, encoded.vocabularies[kind], listed.get(kind), *from_log.get(kind, (None, "first")))
        for kind in NODE_TYPES
    }


def _events(columns: pa.Table, inputs: BuildInputs) -> tuple[pa.Table, np.ndarray, dict[str, Any]]:
    """Columns of events.parquet, the keys of the events, and the split as the manifest describes it.

    In a log without times, events of train happen at second 0, of val at 1, of test at 2.
    """
    key = columns["key"].to_numpy()
    time = key_to_time(key)
    by_file, before = split_method(inputs.mapping) == "files", np.cumsum([0, *(part.rows for part in inputs.events)])
    split, description = split_events(
        inputs.mapping,
        time=time,
        user=columns["user"].to_numpy(),
        file=np.searchsorted(before, key_to_row(key), side="left") - 1 if by_file else np.empty(0, np.int64),
        column=columns["split"].to_numpy(),
        row=key_to_row(key),
        names=[part.source for part in inputs.events],
    )
    if inputs.mapping.timeless:
        order = np.argsort(split, kind="stable")
        columns, key, split = columns.take(order), key[order], split[order]
        time = split.astype(np.int64)
    session = session_codes(columns["user"].to_numpy(), columns["session"].to_numpy(), split)
    codes = {name: columns[name] for name in ("user", "item", "location")}
    types = {"utc_offset": pa.int16(), "kind": pa.int8(), "weight": pa.float32()}
    values = {name: columns[name].cast(dtype) for name, dtype in types.items()}
    groups = {"split": pa.array(split, pa.int8()), "session": pa.array(session, pa.int32())}
    return pa.table({**codes, "time": time, **values, **groups}), key, description


def _write(folder: Path, tables: Tables) -> None:
    pq.write_table(
        tables.events, folder / "events.parquet", use_dictionary=DICTIONARY_COLUMNS, column_encoding=DELTA_COLUMNS
    )
    for name, group in (("nodes", tables.nodes), ("relations", tables.relations)):
        (folder / name).mkdir()
        for kind, table in group.items():
            pq.write_table(table, folder / name / f"{kind}.parquet")
    if len(tables.quarantine):
        pq.write_table(tables.quarantine, folder / "quarantine.parquet")
