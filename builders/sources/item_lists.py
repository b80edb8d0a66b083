"""Item list files (LightGCN, NGCF): a user and then its items on each line, as a table of pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from builders.sources.compression import line_blocks

NAMES = ("user", "item")
"""Default names of the two columns."""
_pc: Any = pc  # its functions are made at run time, so that no checker knows them


def write_pairs(path: Path, compression: str, delimiter: str | None, names: tuple[str, ...], target: Path) -> int:
    """Write the pairs of an item list file to ``target`` as Parquet, in file order.

    Parameters
    ----------
    delimiter
        Separator of the ids of a line; None for blanks and tabs.
    names
        Names of the two text columns.

    Returns
    -------
    Number of pairs; a user without items has none.
    """
    schema = pa.schema([(name, pa.string()) for name in names])
    count = 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for block in line_blocks(path, compression):
            users, items = _pairs(block, delimiter)
            count += len(users)
            writer.write_table(pa.Table.from_arrays([users, items], schema=schema))
    return count


def _pairs(block: bytes, delimiter: str | None) -> tuple[pa.Array, pa.Array]:
    """Users and items of whole lines, [n] each: the first id of a line, repeated for each of the others."""
    lines = _pc.utf8_trim_whitespace(pa.array(block.split(b"\n"), pa.string()))
    lines = lines.filter(_pc.not_equal(lines, ""))
    lists = _pc.split_pattern(lines, delimiter) if delimiter else _pc.ascii_split_whitespace(lines)
    ids, starts = lists.flatten(), lists.offsets.to_numpy()[:-1]
    line, is_item = _pc.list_parent_indices(lists), np.ones(len(ids), np.bool_)
    is_item[starts] = False
    users = ids.take(pa.array(starts)).take(line.filter(pa.array(is_item)))
    return users, ids.filter(pa.array(is_item))
