"""More rows onto a graph that is there: the numbers it has given stay, the result is that of a build from all files."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
from builders.text.vectors import Asked, Vectors
from graphrec.errors import GraphError
from graphrec.graph.manifest import read_manifest
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
) -> dict[str, Any]:
    """Add files to a graph directory: it is as if it had been built from all files at once, but for codes.

    Codes that were given stay, new ones follow. Events that happened earlier than others land at their time. The
    mapping, the cells and the text model are those of the build. A file that the graph has already adds nothing.

    Parameters
    ----------
    graph
        The directory; it is replaced at one stroke, once the new one is whole.
    files, items, users, locations, vectors, max_bad, engine, progress
        As in `builders.build.build_graph`; tables add to those of the build.

    Returns
    -------
    The manifest of the graph as it is then.

    Raises
    ------
    GraphError
        If there is no graph, or one without log parts; InputError if a file cannot be used.
    """
    began = time.perf_counter()
    root, progress = Path(graph), progress or NoProgress()
    manifest = read_manifest(root)
    new = _unknown(files, root, manifest)
    tables = {"item": items, "user": users, "location": locations}
    given = {kind: (Path(path), None) for kind, path in tables.items() if path and _unknown([path], root, manifest)}
    if not new and not given and not vectors:
        return manifest
    with tempfile.TemporaryDirectory(prefix="graphrec-") as scratch, staged(root) as folder:
        copy_parts(root / "log", folder / "log")
        origin = load_inputs(root, folder / "log")
        running = connect(Path(scratch), engine, origin.row_hash)
        taken = [source["name"] for source in manifest["sources"]]
        log = open_log(running, new, None, origin.mapping, progress, taken) if new else None
        origin = ingest(running, folder, origin, InputFiles(log, given, max_bad), progress)
        asked = Asked(vectors, old=_vectors(root, manifest), key=origin.mapping.privacy.key())
        return assemble(running, folder, origin, progress, began, asked)


def _unknown(files: Sequence[str | Path], root: Path, manifest: Mapping[str, Any]) -> list[str | Path]:
    """The files that the graph does not have; what is in a database or elsewhere is only known once it is read."""
    elsewhere = [given for given in map(str, files) if is_database(given) or is_remote(given)]
    here = [given for given in files if str(given) not in elsewhere]
    known = {source["sha256"] for source in manifest["sources"]}
    hide: Callable[[str], str] = str
    if (manifest.get("privacy") or {}).get("pseudonyms"):
        key = Key.from_environment()
        key.check(manifest, str(root))
        hide = key.hide
    paths = expand_paths(here) if here else []
    return [*elsewhere, *(path for path in paths if not path.is_file() or hide(sha256_of(path)) not in known)]


def rebuild(log: Path, old: Path, out: Path) -> dict[str, Any]:
    """Make the graph ``out`` of the parts in its folder ``log``, with the codes and vectors of the graph ``old``."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="graphrec-") as scratch:
        engine, manifest = connect(Path(scratch)), read_manifest(old)
        return assemble(engine, out, load_inputs(old, log), NoProgress(), began, Asked(old=_vectors(old, manifest)))


def copy_parts(log: Path, target: Path) -> None:
    """Copy log parts without doubling them on disk, where the file system can: a part is never changed."""
    if not log.is_dir():
        raise GraphError(f"{log.parent}: a graph with log parts expected, got an earlier release's; build it again")
    target.mkdir()
    for part in sorted(log.iterdir()):
        try:
            os.link(part, target / part.name)
        except OSError:
            shutil.copy2(part, target / part.name)


def _vectors(root: Path, manifest: Mapping[str, Any]) -> Vectors:
    text = manifest["text"]
    about = {key: value for key, value in text.items() if key != "templates"} if text else None
    return Vectors(root, about, manifest["vectors"])
