"""Writing a graph directory so that it is whole or not there, and the hash of what is in it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from graphrec.errors import InputError


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
