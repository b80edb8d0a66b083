"""Appending files to a graph: its codes stay, the result is that of a build from all files."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from builders.assemble.assembly import assemble
from builders.assemble.directory import staged
from builders.build import MAX_BAD
from builders.engine.backend import DUCKDB
from builders.engine.connect import connect
from builders.ingest.inputs import InputFiles, ingest, load_inputs
from builders.ingest.log import open_log
from builders.mapping.pseudonyms import Key
from builders.sources.database import is_database
from builders.sources.remote import is_remote
from builders.sources.source import expand_paths, sha256_of
from builders.text.vector_files import VectorsOption
from builders.text.vectors import StoredVectors, VectorOptions
from graphrec.errors import GraphError
from graphrec.graph.manifest import GraphManifest, read_manifest
from graphrec.progress import NoProgress, Progress


def append_to_graph(
    graph: str | Path,
    files: Sequence[str | Path],
    *,
    items: str | Path | None = None,
    users: str | Path | None = None,
    locations: str | Path | None = None,
    vectors: Sequence[VectorsOption] = (),
    max_bad: float = MAX_BAD,
    engine: str = DUCKDB,
    progress: Progress | None = None,
) -> GraphManifest:
    """Add files to a graph directory; except for codes, the result equals a build from all files.

    Existing codes stay, new ones follow. Events are inserted at their time. The mapping, the cells and the text model
    are those of the build. A file that is in the graph already adds nothing.

    Parameters
    ----------
    graph
        The directory; it is replaced atomically at the end.
    files, items, users, locations, vectors, max_bad, engine, progress
        As in `builders.build.build_graph`; tables extend those of the build.

    Returns
    -------
    The new manifest of the graph.

    Raises
    ------
    GraphError
        If there is no graph, or one without log parts; InputError if a file cannot be used.
    """
    start = time.perf_counter()
    root, progress = Path(graph), progress or NoProgress()
    manifest = read_manifest(root)
    new = _new_files(files, root, manifest)
    paths = {"item": items, "user": users, "location": locations}
    tables = {kind: (Path(path), None) for kind, path in paths.items() if path and _new_files([path], root, manifest)}
    if not new and not tables and not vectors:
        return manifest
    with tempfile.TemporaryDirectory(prefix="graphrec-") as scratch, staged(root) as folder:
        copy_parts(root / "log", folder / "log")
        inputs = load_inputs(root, folder / "log")
        backend = connect(Path(scratch), engine, inputs.row_hash)
        names = [source.name for source in manifest.sources]
        log = open_log(backend, new, None, inputs.mapping, progress, names) if new else None
        inputs = ingest(backend, folder, inputs, InputFiles(log, tables, max_bad), progress)
        options = VectorOptions(vectors, stored=_stored_vectors(root, manifest), key=inputs.mapping.privacy.key())
        return assemble(backend, folder, inputs, progress, start, options)


def _new_files(files: Sequence[str | Path], root: Path, manifest: GraphManifest) -> list[str | Path]:
    """Files that are not in the graph, by their hash; databases and remote files are always new."""
    remote = [file for file in map(str, files) if is_database(file) or is_remote(file)]
    local = [file for file in files if str(file) not in remote]
    known = {source.sha256 for source in manifest.sources}
    hide: Callable[[str], str] = str
    if manifest.pseudonyms:
        key = Key.from_environment()
        key.check(manifest, str(root))
        hide = key.hide
    paths = expand_paths(local) if local else []
    return [*remote, *(path for path in paths if not path.is_file() or hide(sha256_of(path)) not in known)]


def rebuild(log: Path, old: Path, out: Path) -> GraphManifest:
    """Build the graph ``out`` from the parts in its folder ``log``, with the codes and vectors of the graph ``old``."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="graphrec-") as scratch:
        options = VectorOptions(stored=_stored_vectors(old, read_manifest(old)))
        return assemble(connect(Path(scratch)), out, load_inputs(old, log), NoProgress(), start, options)


def copy_parts(log: Path, target: Path) -> None:
    """Copy log parts, by hard links where possible: a part is never changed."""
    if not log.is_dir():
        raise GraphError(f"{log.parent}: a graph with log parts expected, but it has none; build it again")
    target.mkdir()
    for part in sorted(log.iterdir()):
        try:
            os.link(part, target / part.name)
        except OSError:
            shutil.copy2(part, target / part.name)


def _stored_vectors(root: Path, manifest: GraphManifest) -> StoredVectors:
    text = manifest.text.to_dict() if manifest.text else None
    model = {key: value for key, value in text.items() if key != "templates"} if text else None
    return StoredVectors(root, model, manifest.vectors)
