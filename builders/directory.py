"""Writing a graph directory so that it is whole or not there, and the hash of what is in it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphrec.errors import GraphError, InputError


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
    """A folder beside ``target`` that takes its place when all has gone well, and is gone when not."""
    target = target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        new = folder / "new"
        new.mkdir()
        yield new
        if target.exists():
            target.rename(folder / "old")
        new.rename(target)
    finally:
        if (folder / "old").exists() and not target.exists():
            (folder / "old").rename(target)
        shutil.rmtree(folder, ignore_errors=True)


def check_tables(events: pa.Table, nodes: dict[str, pa.Table], relations: dict[str, pa.Table]) -> None:
    """Raise GraphError for tables that contradict each other: such a graph is never put in place."""
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
    found = pc.min_max(codes).as_py()
    if len(codes) and not lowest <= found["min"] <= found["max"] < count:
        raise GraphError(f"graph: {what} must lie in {lowest}..{count - 1}, got {found['min']}..{found['max']}")


def content_hash(tables: dict[str, pa.Table]) -> str:
    """Sha256 over names, columns and values of tables: the same for the same data, however it is stored."""
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
