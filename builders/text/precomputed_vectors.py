"""Vectors that were made elsewhere, of images, sounds or by any model: beside text vectors or in their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.text.vector_files import GivenVectors, Mode, VectorsOption, rows_at_once
from graphrec.errors import ConfigError, InputError

ROUNDING = 2**-10
"""A vector of length 1 is no further from it when its numbers have been rounded to float16."""


def parse_vectors_option(text: str) -> VectorsOption:
    """Read ``item=covers.parquet`` or ``item=covers.parquet:instead``; ConfigError for anything else."""
    kind, equals, rest = text.partition("=")
    path, _, mode = rest.rpartition(":")
    if mode not in get_args(Mode):
        path, mode = rest, "beside"
    if not (kind.strip() and equals and path):
        raise ConfigError(
            f"--vectors: a type of node and a file expected, such as item=covers.parquet or "
            f"item=covers.parquet:instead, got {text!r}"
        )
    return VectorsOption(kind.strip(), Path(path).expanduser(), mode)  # type: ignore[arg-type]


def combine(
    node_ids: pa.Array, text_vectors: np.ndarray | None, given: GivenVectors, out: Path | None = None
) -> tuple[np.ndarray, dict[str, Any]]:
    """The vectors of all nodes of a type, from what was given and from text.

    Every vector is scaled to length 1 on its own: its direction counts, and no part outweighs another for being
    written in larger numbers. A node without a vector has zeros in its place.

    Parameters
    ----------
    node_ids
        Ids of the nodes in the order of their codes.
    text_vectors
        Text vectors [nodes, d_text], or None; left out where the given ones stand instead.
    out
        A safetensors file to write the vectors to, so that they are never in memory whole; None: in memory.

    Returns
    -------
    Array [nodes, d] float16, text first (memory-mapped with ``out``), and what the manifest says of it.

    Raises
    ------
    InputError
        If a vector holds something that is no number, is of another length, or none is of a node in the graph.
    """
    text = text_vectors if given.option.mode == "beside" else None
    width = 0 if text is None else text.shape[1]
    shape = (len(node_ids), width + given.dimension)
    vectors = np.zeros(shape, np.float16) if out is None else _safetensors(out, shape)
    if text is not None:
        for begin in range(0, len(text), rows_at_once(width)):
            part = slice(begin, begin + rows_at_once(width))
            vectors[part, :width] = _unit(np.asarray(text[part], np.float32))
    rows = pc.index_in(node_ids, given.ids, skip_nulls=True).fill_null(-1).to_numpy(zero_copy_only=False)
    _place(vectors[:, width:], rows, given)
    return vectors, _about(node_ids, rows, given)


def _place(vectors: np.ndarray, rows: np.ndarray, given: GivenVectors) -> None:
    """Write the vector in row ``rows[v]`` of the file to node v; -1 for none."""
    nodes = np.argsort(rows, kind="stable")  # in the order of the file
    begin = 0
    for chunk in given.chunks():
        first, last = np.searchsorted(rows, [begin, begin + len(chunk)], sorter=nodes)
        here = nodes[first:last]
        found = np.asarray(chunk[rows[here] - begin], np.float64)
        bad = ~np.isfinite(found).all(axis=1)
        if bad.any():
            row = int(rows[here][bad][0]) + 1
            raise InputError(f"{given.option.path}: numbers expected, got NaN or infinity in the vector of row {row}")
        vectors[here] = _unit(found)
        begin += len(chunk)


def _about(node_ids: pa.Array, rows: np.ndarray, given: GivenVectors) -> dict[str, Any]:
    option, found = given.option, int((rows >= 0).sum())
    if not found and len(node_ids):
        example = given.ids.drop_null().slice(0, 1).to_pylist()
        raise InputError(
            f"{option.path}: not one of its {len(given.ids):,} ids is a node of type {option.kind!r}; the graph has "
            f"ids such as {node_ids[0].as_py()!r}, the file {example}"
        )
    unknown = len(given.ids) - int(pc.sum(pc.is_in(given.ids, node_ids, skip_nulls=True)).as_py() or 0)
    return {
        "file": option.path.name,
        "sha256": given.sha256,
        "dimension": given.dimension,
        "mode": option.mode,
        "found": found,
        "unknown": unknown,
    }


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1; zeros stay zeros.

    A row that is of length 1 but for rounding to float16 stays as it is: what is scaled again does not change.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    scaled = vectors / np.where(largest > 0, largest, 1)  # first, so that no square leaves the range of floats
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        is_unit = np.abs(largest * length - 1) < ROUNDING
    return np.where(is_unit, vectors, scaled / np.where(length > 0, length, 1))


def _safetensors(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """A new safetensors file with a float16 tensor ``vectors`` of zeros, memory-mapped to be written.

    The format is the length of a JSON header, the header, and the tensor as it lies in memory
    (https://huggingface.co/docs/safetensors/index#format).
    """
    size = 2 * shape[0] * shape[1]
    about = {"vectors": {"dtype": "F16", "shape": list(shape), "data_offsets": [0, size]}}
    header = json.dumps(about).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    if not size:
        return np.zeros(shape, np.float16)  # nothing cannot be mapped
    return np.memmap(path, "<f2", "r+", offset=8 + len(header), shape=shape)
