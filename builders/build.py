"""From log files to a graph directory."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from builders.assemble.assembly import assemble
from builders.assemble.directory import refuse_to_overwrite, staged
from builders.engine.backend import DUCKDB, Engine
from builders.engine.connect import connect
from builders.engine.estimate import estimate_build
from builders.ingest.inputs import BuildInputs, InputFiles, ingest
from builders.ingest.log import Log, open_log
from builders.mapping.column_mapping import ColumnMapping
from builders.mapping.table_mapping import TableMapping
from builders.text.vector_files import VectorsOption
from builders.text.vectors import VectorOptions
from graphrec.graph.manifest import GraphManifest
from graphrec.progress import NoProgress, Progress

LARGE_BYTES = 50_000_000
"""Size of a log from which time and memory of the build are announced."""
MAX_BAD = 0.01
"""Default share of unusable rows above which nothing is built."""


def build_graph(
    files: Sequence[str | Path],
    out: str | Path,
    *,
    items: str | Path | None = None,
    users: str | Path | None = None,
    locations: str | Path | None = None,
    preset: str | None = None,
    mapping: ColumnMapping | Mapping[str, Any] | None = None,
    text_model: str = "minilm",
    vectors: Sequence[VectorsOption] = (),
    max_bad: float = MAX_BAD,
    processes: int = 1,
    engine: str = DUCKDB,
    progress: Progress | None = None,
) -> GraphManifest:
    """Build a graph directory from log files; see docs/graph-directory.md for what is in it.

    Parameters
    ----------
    files
        CSV, TSV, JSON lines or Parquet files, packed or not, as paths, globs or addresses, or a database; with a
        preset also a folder. See docs/sources.md.
    out
        The directory to write. An existing graph is replaced atomically at the end.
    items, users, locations
        Tables of nodes with text, labels and coordinates.
    preset
        Name of a known log; see builders/mapping/presets.yaml.
    mapping
        Roles of the columns; missing ones are guessed.
    text_model
        The text encoder: ``minilm``, a Hugging Face name, a folder, or ``none``.
    vectors
        Files of precomputed vectors, beside text vectors or instead of them; see docs/relations.md.
    max_bad
        Share of unusable rows above which nothing is built.
    processes
        Number of processes that encode texts.
    engine
        ``duckdb``, or a Spark master such as ``local[4]`` or ``spark://host:7077``; see docs/spark.md.
    progress
        Shows the progress.

    Returns
    -------
    The manifest of the graph.

    Raises
    ------
    InputError
        If the log, a table or ``out`` cannot be used; MappingError if columns do not fit their roles.
    """
    start = time.perf_counter()
    progress, target = progress or NoProgress(), Path(out)
    refuse_to_overwrite(target)
    with tempfile.TemporaryDirectory(prefix="graphrec-") as scratch, staged(target) as folder:
        backend = connect(Path(scratch), engine)
        (folder / "log").mkdir()
        log = open_log(backend, files, preset, mapping, progress)
        if engine == DUCKDB:
            _announce(backend, log, progress)
        tables = table_files(log, {"item": items, "user": users, "location": locations})
        inputs = BuildInputs(
            name=log.name,
            row_hash=backend.row_hash_name,
            mapping=log.mapping,
            preset=preset,
            protocol=log.preset.protocol if log.preset else {},
            text_model=text_model,
        )
        inputs = ingest(backend, folder, inputs, InputFiles(log, tables, max_bad), progress)
        row_ids = {kind: _row_ids(inputs, kind) for kind in {option.kind for option in vectors} & tables.keys()}
        options = VectorOptions(vectors, row_ids, processes=processes, key=log.mapping.privacy.key())
        return assemble(backend, folder, inputs, progress, start, options)


def _announce(engine: Engine, log: Log, progress: Progress) -> None:
    """Announce time and memory of a large build."""
    sources = [rows.source for rows in log.files]
    if sum(source.bytes for source in sources) >= LARGE_BYTES:
        progress.message(f"this will take {estimate_build(engine, sources, len(log.mapping.roles()))}")


def table_files(log: Log, paths: Mapping[str, str | Path | None]) -> dict[str, tuple[Path, TableMapping | None]]:
    """Files of the tables of nodes with their preset mapping: ``paths`` by type, then the tables of the preset."""
    files: dict[str, tuple[Path, TableMapping | None]] = dict(log.tables)
    for kind, path in paths.items():
        if path is not None:
            preset = log.tables.get(kind)
            files[kind] = Path(path), preset[1] if preset and preset[0].name == Path(path).name else None
    return files


def _row_ids(inputs: BuildInputs, kind: str) -> list[str | None]:
    """Ids of the rows of a table of nodes."""
    return list(pq.read_table(inputs.parts[kind][0].path, columns=["id"])["id"].to_pylist())
