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
from builders.text.vectors import Asked
from graphrec.progress import NoProgress, Progress

LARGE_BYTES = 50_000_000
"""A log of so many bytes is announced: how long it will take, and how much memory."""
MAX_BAD = 0.01
"""The share of a log's rows that may be unusable."""


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
) -> dict[str, Any]:
    """Build a graph directory from log files; see docs/graph-directory.md for what is in it.

    Parameters
    ----------
    files
        CSV, TSV, JSON lines or Parquet files, packed or not, as paths, globs or addresses, or a database; with a
        preset also a folder. See docs/sources.md.
    out
        The directory to write. A graph that is there already is replaced once the new one is whole.
    items, users, locations
        Tables that say more of the nodes: text, a label, coordinates.
    preset
        Name of a known log; see builders/mapping/presets.yaml.
    mapping
        Which column plays which role; what it leaves open is guessed.
    text_model
        What turns text into vectors: ``minilm``, a Hugging Face name, a folder, or ``none``.
    vectors
        Files of vectors, beside or instead of those of text; see docs/relations.md.
    max_bad
        The share of rows that may be unusable; with more, nothing is built.
    processes
        How many encode texts beside each other.
    engine
        ``duckdb``, or a Spark master such as ``local[4]`` or ``spark://host:7077``; see docs/spark.md.
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
    began = time.perf_counter()
    progress, target = progress or NoProgress(), Path(out)
    refuse_to_overwrite(target)
    with tempfile.TemporaryDirectory(prefix="graphrec-") as scratch, staged(target) as folder:
        running = connect(Path(scratch), engine)
        (folder / "log").mkdir()
        log = open_log(running, files, preset, mapping, progress)
        if engine == DUCKDB:
            _announce(running, log, progress)
        tables = chosen_tables(log, {"item": items, "user": users, "location": locations})
        origin = BuildInputs(
            name=log.name,
            row_hash=running.row_hash_name,
            mapping=log.mapping,
            preset=preset,
            protocol=log.preset.protocol if log.preset else {},
            text_model=text_model,
        )
        origin = ingest(running, folder, origin, InputFiles(log, tables, max_bad), progress)
        order = {kind: _order(origin, kind) for kind in {option.kind for option in vectors} & tables.keys()}
        asked = Asked(vectors, order, processes=processes, key=log.mapping.privacy.key())
        return assemble(running, folder, origin, progress, began, asked)


def _announce(engine: Engine, log: Log, progress: Progress) -> None:
    """Say how long a large log will take."""
    sources = [rows.source for rows in log.files]
    if sum(source.bytes for source in sources) >= LARGE_BYTES:
        progress.message(f"this will take {estimate_build(engine, sources, len(log.mapping.roles()))}")


def chosen_tables(log: Log, given: Mapping[str, str | Path | None]) -> dict[str, tuple[Path, TableMapping | None]]:
    """The tables of nodes: those that were given, then those that the preset found beside the log."""
    chosen: dict[str, tuple[Path, TableMapping | None]] = dict(log.tables)
    for kind, path in given.items():
        if path is not None:
            known = log.tables.get(kind)
            chosen[kind] = Path(path), known[1] if known and known[0].name == Path(path).name else None
    return chosen


def _order(origin: BuildInputs, kind: str) -> list[str | None]:
    """Ids of a table of nodes in its order."""
    ids: list[str | None] = pq.read_table(origin.parts[kind][0].path, columns=["id"])["id"].to_pylist()
    return ids
