"""Deleting a user's rows from log parts, and the nodes that the other rows refer to."""

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
from builders.mapping.id_columns import part_id_columns, user_columns
from graphrec.graph.manifest import GraphManifest

DELETED = -1
"""Value of the column ``failed`` of a part in a deleted row."""


@dataclass
class DeletedRows:
    """Rows deleted from log parts."""

    count: int = 0
    """Number of rows."""
    ids: dict[str, set[str]] = field(default_factory=dict)
    """Ids in these rows, by node type."""
    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    """Row numbers, from 1, by file name of the part."""


def delete_rows(log: Path, out: Path, user: str, names: Sequence[str], manifest: GraphManifest) -> DeletedRows:
    """Copy log parts with a user's rows blanked; the row numbers of the other rows stay the same.

    Parameters
    ----------
    log, out
        Folder of the parts, and folder of the copies, which is created.
    user
        The user's id in the parts.
    names
        Every id of the user, ``user`` included: a rejected row whose value contains one is blanked too.
    manifest
        Of the graph.
    """
    out.mkdir(parents=True)
    deleted = DeletedRows()
    for path in sorted(log.iterdir()):
        types = part_id_columns(path, manifest)
        if path.suffix == ".parquet" and _has_user(path, user, names, types):
            _rewrite(path, out / path.name, user, names, types, deleted)
        else:
            shutil.copy2(path, out / path.name)
    return deleted


def contains_user(log: Path, user: str, names: Sequence[str], manifest: GraphManifest) -> bool:
    """Whether a log part has a row to delete."""
    return any(_has_user(path, user, names, part_id_columns(path, manifest)) for path in sorted(log.glob("*.parquet")))


def _has_user(path: Path, user: str, names: Sequence[str], types: Mapping[str, str]) -> bool:
    with pq.ParquetFile(path) as file:
        columns = [column for column in file.schema_arrow.names if column in {*user_columns(types), "value"}]
        batches = file.iter_batches(columns=columns) if columns else ()
        return any(_user_mask(batch, user, names, types).any() for batch in batches)


def _user_mask(batch: pa.RecordBatch, user: str, names: Sequence[str], types: Mapping[str, str]) -> np.ndarray:
    """Rows of the user, and rejected rows whose value contains one of the names; [rows] bool."""
    columns = [batch[column] for column in user_columns(types) if column in batch.schema.names]
    masks = [pc.equal(column, user).fill_null(fill_value=False).to_numpy(zero_copy_only=False) for column in columns]
    if "value" in batch.schema.names:
        masks += [contains_id(batch["value"], name) for name in names]
    return np.asarray(np.any([np.zeros(len(batch), bool), *masks], axis=0))


def contains_id(values: pa.Array | pa.ChunkedArray, name: str) -> np.ndarray:
    """Texts that contain an id as a whole word, [n] bool; False for null."""
    pattern, mask = IdPattern.of(name), np.zeros(len(values), bool)
    hits = np.flatnonzero(pc.match_substring(values, name).fill_null(fill_value=False).to_numpy(zero_copy_only=False))
    texts = values.take(pa.array(hits)).to_pylist()
    mask[hits] = [pattern.count(text.encode("utf-8", "surrogatepass")) > 0 for text in texts]
    return mask


def _rewrite(
    path: Path, target: Path, user: str, names: Sequence[str], types: Mapping[str, str], deleted: DeletedRows
) -> None:
    masks = []
    with pq.ParquetFile(path) as file:
        schema = pa.schema([column.with_nullable(nullable=True) for column in file.schema_arrow])
        with pq.ParquetWriter(target, schema) as writer:
            for batch in file.iter_batches():
                masks.append(_user_mask(batch, user, names, types))
                users = batch.filter(pa.array(masks[-1]))
                for column in types.keys() & {*schema.names}:
                    ids = deleted.ids.setdefault(types[column], set())
                    ids.update(pc.unique(users[column].drop_null()).to_pylist())
                rows = pa.Table.from_batches([batch]).cast(schema)
                values = {"failed": DELETED, "before": batch["before"][0].as_py()}
                writer.write_table(blank_rows(rows, masks[-1], values))
    deleted.numbers[path.name] = 1 + np.flatnonzero(np.concatenate(masks))
    deleted.count += len(deleted.numbers[path.name])


def blank_rows(table: pa.Table, mask: np.ndarray, values: Mapping[str, Any]) -> pa.Table:
    """A table with null in the rows of a mask, or the given value of the column."""
    rows = pa.array(mask)
    columns = [pc.if_else(rows, pa.scalar(values.get(f.name), f.type), table[f.name]) for f in table.schema]
    return pa.table(columns, schema=table.schema)


def referenced_ids(log: Path, ids: Mapping[str, set[str]], manifest: GraphManifest) -> dict[str, set[str]]:
    """Those of some ids, by node type, that a usable row of the log parts refers to."""
    referenced: dict[str, set[str]] = {kind: set() for kind in ids}
    for path in sorted(log.glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            types = {c: kind for c, kind in part_id_columns(path, manifest).items() if c in file.schema_arrow.names}
            wanted = {c: pa.array(sorted(ids[kind]), pa.string()) for c, kind in types.items() if ids.get(kind)}
            for batch in file.iter_batches(columns=[*wanted, "failed"]) if wanted else ():
                usable = batch.filter(pc.is_null(batch["failed"]))
                for column, candidates in wanted.items():
                    hits = usable[column].filter(pc.is_in(usable[column], candidates))
                    referenced[types[column]].update(pc.unique(hits).to_pylist())
    return referenced
