"""From log files to a graph directory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from builders.catalogue import Catalogue, TableMapping, read_catalogue, table_mapping
from builders.directory import refuse_to_overwrite, staged
from builders.engine import connect, engine_errors
from builders.events import NODE_TYPES, Encoded, encode, session_codes
from builders.log import Log, check_log, open_log
from builders.manifest import describe
from builders.mapping import Mapping
from builders.nodes import at_relation, node_table, refuse_foreign
from builders.places import Placed, near, place_events
from builders.quarantine import refuse_if_most_are_bad
from builders.split import split_events
from builders.vectors import write_vectors
from graphrec.errors import MappingError
from graphrec.graph import TemporalGraph
from graphrec.progress import Progress, Silent


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
    split: dict[str, Any]
    """What the manifest says of the split."""
    kinds: list[str]
    """Names of the kinds of event by code."""
    location_method: str
    """``log``, ``h3`` or ``none``."""


def build_graph(
    files: Sequence[str | Path],
    out: str | Path,
    *,
    items: str | Path | None = None,
    users: str | Path | None = None,
    locations: str | Path | None = None,
    preset: str | None = None,
    mapping: Mapping | Dictionary[str, Any] | None = None,
    text_model: str = "minilm",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Build a graph directory from log files; see docs/graph-directory.md for what is in it.

    Parameters
    ----------
    files
        CSV, TSV, JSON lines or Parquet files, gzipped or not, as paths or globs; with a preset also a folder.
    out
        The directory to write. A graph that is there already is replaced once the new one is whole.
    items, users, locations
        Tables that say more of the nodes: text, a label, coordinates.
    preset
        Name of a known log; see builders/presets.yaml.
    mapping
        Which column plays which role; what it leaves open is guessed.
    text_model
        What turns text into vectors: ``minilm``, a Hugging Face name, a folder, or ``none``.
    progress
        Hears how far the work is.

    Returns
    -------
    The manifest that was written.

    Raises
    ------
    InputError
        If the log, a table or ``out`` cannot be used; MappingError if columns do not fit their roles.
    """
    progress, target = progress or Silent(), Path(out)
    refuse_to_overwrite(target)
    with tempfile.TemporaryDirectory(prefix="graphrec-") as scratch, staged(target) as folder:
        connection = connect(Path(scratch))
        log = open_log(connection, files, preset, mapping, Path(scratch), progress)
        given = {"item": items, "user": users, "location": locations}
        catalogues = _read_catalogues(connection, log, given, Path(scratch))
        tables = _tables(connection, log, catalogues, progress)
        text = write_vectors(folder / "vectors", tables.nodes, text_model, progress)
        manifest = describe(log, catalogues, tables, preset, text)
        _write(folder, tables, manifest)
        TemporalGraph.open(folder)  # a graph that contradicts itself is never put in place
    return manifest


def _read_catalogues(
    connection: Any, log: Log, given: Dictionary[str, str | Path | None], scratch: Path
) -> dict[str, Catalogue]:
    chosen: dict[str, tuple[Path, TableMapping | None]] = {}
    if log.items is not None:
        chosen["item"] = log.items
    for kind, path in given.items():
        if path is not None:
            beside = log.items is not None and kind == "item" and Path(path).name == log.items[0].name
            chosen[kind] = Path(path), log.items[1] if beside and log.items else None
    if "location" in chosen and log.mapping.location is None:
        raise MappingError(
            f"{chosen['location'][0]}: a table of locations needs a column of the log with their ids; "
            f"map it, such as 'location: {log.files[0].source.columns[0]}'"
        )
    return {
        kind: read_catalogue(connection, kind, path, table_mapping(kind, log.mapping, preset), log.mapping, scratch)
        for kind, (path, preset) in chosen.items()
    }


def _tables(connection: Any, log: Log, catalogues: dict[str, Catalogue], progress: Progress) -> Tables:
    checked = check_log(connection, log, "item" in catalogues, progress)
    refuse_if_most_are_bad(checked.quarantine, checked.total, log.name)
    with engine_errors(log.name):
        placed = place_events(
            connection, checked.events, log.mapping, catalogues.get("item"), catalogues.get("location")
        )
        encoded = encode(connection, placed.events)
        nodes = _nodes(encoded, placed, catalogues)
        told = placed.items.to_pyarrow() if placed.items is not None else None
    columns = encoded.columns
    split, about = split_events(
        log.mapping,
        time=columns["time"].to_numpy(),
        user=columns["user"].to_numpy(),
        file=columns["file"].to_numpy(),
        column=columns["split"].to_numpy(),
        names=[rows.source.name for rows in log.files],
    )
    lat, lon = (np.asarray(nodes["location"][name].to_numpy(), np.float64) for name in ("lat", "lon"))
    relations = {
        "at": at_relation(columns, nodes["item"], nodes["location"], told),
        "near": near(lat, lon, nodes["location"]["first_seen"].to_numpy()),
    }
    quarantine = pa.concat_tables([checked.quarantine, *(catalogue.quarantine for catalogue in catalogues.values())])
    return Tables(_events(columns, split), nodes, relations, quarantine, about, encoded.kinds, placed.method)


def _events(columns: pa.Table, split: np.ndarray) -> pa.Table:
    session = session_codes(columns["visit"].to_numpy(), split)
    types = {"user": pa.int32(), "item": pa.int32(), "location": pa.int32(), "time": pa.int64(),
             "utc_offset": pa.int16(), "kind": pa.int8(), "weight": pa.float32()}  # fmt: skip
    events = {name: columns[name].cast(dtype) for name, dtype in types.items()}
    return pa.table({**events, "split": pa.array(split, pa.int8()), "session": pa.array(session, pa.int32())})


def _nodes(encoded: Encoded, placed: Placed, catalogues: dict[str, Catalogue]) -> dict[str, pa.Table]:
    nodes = {}
    for kind in NODE_TYPES:
        vocabulary = _own(kind, encoded.vocabularies[kind])
        catalogue = catalogues.get(kind)
        listed = placed.listed if kind == "location" else catalogue.table if catalogue else None
        nodes[kind] = node_table(vocabulary, listed)
        if catalogue is not None:
            refuse_foreign(kind, nodes[kind], catalogue, int(vocabulary.count().to_pyarrow().as_py()))
    return nodes


def _own(kind: str, vocabulary: Any) -> Any:
    """What the first event says of a node of its own kind: the text is the item's, the place the location's."""
    nowhere, nothing = (ibis.literal(None, type=dtype) for dtype in ("float64", "string"))
    if kind == "item":
        return vocabulary
    if kind == "location":
        return vocabulary.mutate(lat=vocabulary.place_lat, lon=vocabulary.place_lon, text=nothing, label=nothing)
    return vocabulary.mutate(lat=nowhere, lon=nowhere, text=nothing, label=nothing)


def _write(folder: Path, tables: Tables, manifest: dict[str, Any]) -> None:
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
