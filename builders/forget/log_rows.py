"""Taking the rows of a user out of log parts, and finding out which nodes nobody names any more."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from builders.forget.id_search import IdPattern
from builders.mapping.id_columns import of_part, of_users

DELETED = -1
"""Stands in the column ``failed`` of a part for a row that was taken out."""
KEPT = ("failed", "before")
"""What a part still says of such a row: that it was there."""


@dataclass
class DeletedRows:
    """What was taken out of log parts."""

    rows: int = 0
    """Rows."""
    named: dict[str, set[str]] = field(default_factory=dict)
    """Ids in them, by type of node."""
    places: dict[str, np.ndarray] = field(default_factory=dict)
    """Their places in the parts, from 1, by the name of the part."""


def delete_rows(log: Path, out: Path, user: str, names: Sequence[str], manifest: Mapping[str, Any]) -> DeletedRows:
    """Copy log parts without the rows of a user: they keep their places and say nothing.

    Parameters
    ----------
    log, out
        Folder of the parts, and that of the new ones, which is made.
    user
        The id in the parts.
    names
        Other words that must not stand in the value of a row that could not be used, this one included.
    manifest
        Of the graph.
    """
    out.mkdir(parents=True)
    deleted = DeletedRows()
    for path in sorted(log.iterdir()):
        types = of_part(path, manifest)
        if path.suffix == ".parquet" and _names(path, user, names, types):
            _rewrite(path, out / path.name, user, names, types, deleted)
        else:
            shutil.copy2(path, out / path.name)
    return deleted


def contains_user(log: Path, user: str, names: Sequence[str], manifest: Mapping[str, Any]) -> bool:
    """Whether a log part has a row to take out."""
    return any(_names(path, user, names, of_part(path, manifest)) for path in sorted(log.glob("*.parquet")))


def _names(path: Path, user: str, names: Sequence[str], types: Mapping[str, str]) -> bool:
    with pq.ParquetFile(path) as file:
        columns = [column for column in file.schema_arrow.names if column in {*of_users(types), "value"}]
        batches = file.iter_batches(columns=columns) if columns else ()
        return any(pc.any(_mask(batch, user, names, types)).as_py() for batch in batches)


def _mask(batch: pa.RecordBatch, user: str, names: Sequence[str], types: Mapping[str, str]) -> pa.Array:
    """Which rows are the user's, or tell of the user why they could not be used."""
    mask = pa.repeat(False, len(batch))
    for column in of_users(types):
        if column in batch.schema.names:
            mask = pc.or_(mask, pc.fill_null(pc.equal(batch[column], user), False))
    if "value" in batch.schema.names:
        for name in names:
            mask = pc.or_(mask, contains_id(batch["value"], name))
    return mask


def contains_id(values: pa.Array | pa.ChunkedArray, name: str) -> pa.Array:
    """Which texts hold a name as a word; null does not."""
    word, mask = IdPattern.of(name), np.zeros(len(values), bool)
    hits = np.flatnonzero(pc.fill_null(pc.match_substring(values, name), False).to_numpy(zero_copy_only=False))
    texts = (text.encode("utf-8", "surrogatepass") for text in values.take(pa.array(hits)).to_pylist())
    mask[hits] = [word.count(text) > 0 for text in texts]
    return pa.array(mask)


def _rewrite(
    path: Path, target: Path, user: str, names: Sequence[str], types: Mapping[str, str], deleted: DeletedRows
) -> None:
    read, places = 0, []
    with pq.ParquetFile(path) as file:
        schema = pa.schema([column.with_nullable(True) for column in file.schema_arrow])
        with pq.ParquetWriter(target, schema) as writer:
            for batch in file.iter_batches():
                mask = _mask(batch, user, names, types)
                places.append(read + 1 + np.flatnonzero(mask.to_numpy(zero_copy_only=False)))
                _note(batch.filter(mask), types, deleted)
                writer.write_batch(_blank(batch, mask, schema))
                read += len(batch)
    deleted.places[path.name] = np.concatenate(places)
    deleted.rows += len(deleted.places[path.name])


def _note(rows: pa.RecordBatch, types: Mapping[str, str], deleted: DeletedRows) -> None:
    for column, kind in types.items():
        if column in rows.schema.names:
            deleted.named.setdefault(kind, set()).update(pc.unique(rows[column].drop_null()).to_pylist())


def _blank(batch: pa.RecordBatch, mask: pa.Array, schema: pa.Schema) -> pa.RecordBatch:
    nothing = {name: pa.scalar(None, schema.field(name).type) for name in schema.names}
    nothing["failed"] = pa.scalar(DELETED, schema.field("failed").type)
    columns = [
        batch[name] if name == "before" else pc.if_else(mask, nothing[name], batch[name]) for name in schema.names
    ]
    return pa.record_batch(columns, schema=schema)


def referenced_ids(log: Path, named: Mapping[str, set[str]], manifest: Mapping[str, Any]) -> dict[str, set[str]]:
    """Those of some ids, by type, that a usable row of the log parts names."""
    found: dict[str, set[str]] = {kind: set() for kind in named}
    for path in sorted(log.glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            types = {c: kind for c, kind in of_part(path, manifest).items() if c in file.schema_arrow.names}
            wanted = {c: pa.array(sorted(named[kind]), pa.string()) for c, kind in types.items() if named.get(kind)}
            for batch in file.iter_batches(columns=[*wanted, "failed"]) if wanted else ():
                usable = batch.filter(pc.is_null(batch["failed"]))
                for column, ids in wanted.items():
                    mine = usable[column].filter(pc.is_in(usable[column], ids))
                    found[types[column]].update(pc.unique(mine).to_pylist())
    return found
