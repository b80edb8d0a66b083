"""Atomic replacement of a graph directory, consistency checks, and the hash of its content."""

from __future__ import annotations

import ctypes
import fcntl
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphrec.errors import GraphError, InputError
from graphrec.graph.manifest import GraphManifest


def refuse_to_overwrite(target: Path) -> None:
    """Raise InputError if ``target`` is something other than a graph directory or an empty folder."""
    if target.is_dir():
        if any(target.iterdir()) and not (target / "manifest.json").is_file():
            raise InputError(
                f"{target}: a new folder or a graph to replace expected, but it holds other files; give another --out"
            )
    elif target.exists():
        raise InputError(f"{target}: a folder expected for the graph, but there is a file; give another --out")


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder beside ``target`` that atomically replaces it on success, and is deleted on an error.

    Folders of killed processes are deleted. Raises InputError while another process is writing.
    """
    target = target.absolute()
    created = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear(target)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    lock = _locked(folder)
    try:
        new = folder / "new"
        new.mkdir()
        yield new
        _put_in_place(new, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)
        if not target.exists():
            for folder in created:
                with suppress(OSError):  # not empty: used by others
                    folder.rmdir()


def _clear(target: Path) -> None:
    for folder in target.parent.glob(f".{glob.escape(target.name)}.????????"):
        lock = _locked(folder) if folder.is_dir() else None
        if lock is None:
            raise InputError(f"{target}: another build or append is writing it; wait until that is done")
        if (folder / "new.old").is_dir() and not target.exists():
            (folder / "new.old").rename(target)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked(folder: Path) -> int | None:
    """A lock on a folder until it is closed or this process ends; None if another process has it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _put_in_place(new: Path, target: Path) -> None:
    """Rename ``new`` to ``target``, exchanging the two if ``target`` exists, so that it always exists."""
    if not target.exists():
        new.rename(target)
    elif not _exchange(new, target):  # no exchange on this file system: for a moment there is no graph
        target.rename(new.with_name("new.old"))
        new.rename(target)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders atomically, if the system can (Linux: renameat2 with RENAME_EXCHANGE); whether it did."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return rename is not None and rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def write_manifest(folder: Path, manifest: GraphManifest) -> None:
    """Write manifest.json into a graph directory that is not in place yet."""
    text = json.dumps(manifest.to_dict(), indent=2, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def check_tables(events: pa.Table, nodes: dict[str, pa.Table], relations: dict[str, pa.Table]) -> None:
    """Raise GraphError for inconsistent tables: such a graph is never put in place."""
    time = events["time"].to_numpy()
    if len(time) and (np.diff(time) < 0).any():
        raise GraphError("graph: events in the order of time expected")
    for kind, lowest in (("user", 0), ("item", 0), ("location", -1)):
        _check_codes(f"{kind} codes of the events", events[kind], lowest, len(nodes[kind]))
    for name, table in relations.items():
        for end in ("source", "target"):
            if pc.any(pc.is_null(table[end])).as_py():
                raise GraphError(f"graph: relation {name!r} has an edge without a {end}")


def _check_codes(what: str, codes: pa.ChunkedArray, lowest: int, count: int) -> None:
    bounds = pc.min_max(codes).as_py()
    if len(codes) and not lowest <= bounds["min"] <= bounds["max"] < count:
        raise GraphError(f"graph: {what} must lie in {lowest}..{count - 1}, got {bounds['min']}..{bounds['max']}")


def content_hash(tables: dict[str, pa.Table]) -> str:
    """SHA-256 over names, columns and values of tables, independent of their storage."""
    digest = hashlib.sha256()
    for name, table in tables.items():
        for column in table.column_names:
            digest.update(f"{name}.{column}:{table[column].type}:{len(table)}".encode())
            for part in _parts(table[column].combine_chunks()):
                digest.update(part)
    return digest.hexdigest()


def _parts(column: pa.Array) -> list[bytes]:
    null = column.is_null().to_numpy(zero_copy_only=False).tobytes()
    if pa.types.is_string(column.type):
        filled = column.fill_null("")
        lengths = pc.binary_length(filled).to_numpy(zero_copy_only=False).tobytes()
        return [null, lengths, "".join(filled.to_pylist()).encode()]
    return [null, column.fill_null(0).to_numpy(zero_copy_only=False).tobytes()]
