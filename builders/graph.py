"""From log files to a graph directory."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from builders.assembly import Origin, assemble
from builders.catalogue import Catalogue, TableMapping, read_catalogue, table_mapping
from builders.directory import refuse_to_overwrite, staged
from builders.engine import Engine, connect
from builders.log import Checked, Log, check_log, open_log
from builders.manifest import source_entries
from builders.mapping import Mapping
from builders.parts import part_path
from builders.quarantine import refuse_too_many
from graphrec.errors import MappingError
from graphrec.progress import Progress, Silent
from graphrec.protocol import Protocol

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
    mapping: Mapping | Dictionary[str, Any] | None = None,
    text_model: str = "minilm",
    max_bad: float = MAX_BAD,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Build a graph directory from log files; see docs/graph-directory.md for what is in it.

    Parameters
    ----------
    files
        CSV, TSV, JSON lines or Parquet files, packed or not, as paths or globs; with a preset also a folder.
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
    max_bad
        The share of rows that may be unusable; with more, nothing is built.
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
        engine = connect(Path(scratch))
        (folder / "log").mkdir()
        log = open_log(engine, files, preset, mapping, progress)
        catalogues = _read_catalogues(engine, log, {"item": items, "user": users, "location": locations}, folder)
        checked = check_log(engine, log, "item" in catalogues, folder, progress)
        refuse_too_many(checked.quarantine, checked.total, max_bad, log.name)
        return assemble(engine, folder, _origin(log, catalogues, checked, preset), text_model, progress)


def _origin(log: Log, catalogues: dict[str, Catalogue], checked: Checked, preset: str | None) -> Origin:
    return Origin(
        name=log.name,
        mapping=log.mapping,
        preset=preset,
        protocol=(log.preset.protocol if log.preset else Protocol()).model_dump(),
        sources=source_entries(checked.sources, catalogues),
        parts=checked.parts,
        tables={kind: [catalogue.sifted.part] for kind, catalogue in catalogues.items()},
        written={kind: catalogue.mapping for kind, catalogue in catalogues.items()},
        quarantine=pa.concat_tables([checked.quarantine, *(table.sifted.quarantine for table in catalogues.values())]),
    )


def _read_catalogues(
    engine: Engine, log: Log, given: Dictionary[str, str | Path | None], folder: Path
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
        kind: read_catalogue(
            engine, kind, path, table_mapping(kind, log.mapping, preset), log.mapping, part_path(folder, kind, 0)
        )
        for kind, (path, preset) in chosen.items()
    }
