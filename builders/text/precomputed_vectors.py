"""Precomputed vectors of nodes, such as those of images or sounds: beside text vectors or in their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.text.vector_files import Mode, PrecomputedVectors, VectorsOption, rows_per_chunk
from graphrec.errors import ConfigError, InputError

ROUNDING = 2**-10
"""Largest deviation from length 1 of a unit vector that was rounded to float16."""


def parse_vectors_option(text: str) -> VectorsOption:
    """Parse ``item=covers.parquet`` or ``item=covers.parquet:instead``; ConfigError for anything else."""
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
    node_ids: pa.Array, text_vectors: np.ndarray | None, precomputed: PrecomputedVectors, out: Path | None = None
) -> tuple[np.ndarray, dict[str, Any]]:
    """The vectors of all nodes of a type, from text vectors and precomputed ones.

    Each of the two is scaled to length 1, so that neither outweighs the other by its magnitude. A node without a
    vector has zeros.

    Parameters
    ----------
    node_ids
        Ids of the nodes in the order of their codes.
    text_vectors
        Text vectors [nodes, d_text], or None; not used in mode ``instead``.
    out
        A safetensors file to write the vectors to, memory-mapped; None: in memory.

    Returns
    -------
    Array [nodes, d] float16, text first (memory-mapped with ``out``), and its entry in the manifest.

    Raises
    ------
    InputError
        If a vector has a value that is not finite, or another length, or none is of a node in the graph.
    """
    text = text_vectors if precomputed.option.mode == "beside" else None
    width = 0 if text is None else text.shape[1]
    shape = (len(node_ids), width + precomputed.dimension)
    vectors = np.zeros(shape, np.float16) if out is None else _safetensors(out, shape)
    if text is not None:
        for begin in range(0, len(text), rows_per_chunk(width)):
            part = slice(begin, begin + rows_per_chunk(width))
            vectors[part, :width] = _unit(np.asarray(text[part], np.float32))
    rows = pc.index_in(node_ids, precomputed.ids, skip_nulls=True).fill_null(-1).to_numpy(zero_copy_only=False)
    _fill(vectors[:, width:], rows, precomputed)
    return vectors, _describe(node_ids, rows, precomputed)


def _fill(vectors: np.ndarray, rows: np.ndarray, precomputed: PrecomputedVectors) -> None:
    """Write the vector of row ``rows[v]`` of the file to node v; -1: no vector."""
    nodes = np.argsort(rows, kind="stable")  # in the order of the file
    begin = 0
    for chunk in precomputed.chunks():
        first, last = np.searchsorted(rows, [begin, begin + len(chunk)], sorter=nodes)
        in_chunk = nodes[first:last]
        values = np.asarray(chunk[rows[in_chunk] - begin], np.float64)
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            row = int(rows[in_chunk][bad][0]) + 1
            raise InputError(
                f"{precomputed.option.path}: numbers expected, got NaN or infinity in the vector of row {row}"
            )
        vectors[in_chunk] = _unit(values)
        begin += len(chunk)


def _describe(node_ids: pa.Array, rows: np.ndarray, precomputed: PrecomputedVectors) -> dict[str, Any]:
    option, matched = precomputed.option, int((rows >= 0).sum())
    if not matched and len(node_ids):
        example = precomputed.ids.drop_null().slice(0, 1).to_pylist()
        raise InputError(
            f"{option.path}: none of its {len(precomputed.ids):,} ids is a node of type {option.kind!r}; the graph has "
            f"ids such as {node_ids[0].as_py()!r}, the file {example}"
        )
    unknown = len(precomputed.ids) - int(pc.sum(pc.is_in(precomputed.ids, node_ids, skip_nulls=True)).as_py() or 0)
    return {
        "file": option.path.name,
        "sha256": precomputed.sha256,
        "dimension": precomputed.dimension,
        "mode": option.mode,
        "found": matched,
        "unknown": unknown,
    }


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1; zeros stay zeros.

    A row of length 1 up to rounding to float16 is unchanged, so that scaling twice has no effect.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    scaled = vectors / np.where(largest > 0, largest, 1)  # before squaring, to avoid overflow
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        is_unit = np.abs(largest * length - 1) < ROUNDING
    return np.where(is_unit, vectors, scaled / np.where(length > 0, length, 1))


def _safetensors(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """A new safetensors file with a float16 tensor ``vectors`` of zeros, memory-mapped for writing.

    The format is the length of a JSON header, the header, and the memory of the tensor
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
        return np.zeros(shape, np.float16)  # an empty file cannot be mapped
    return np.memmap(path, "<f2", "r+", offset=8 + len(header), shape=shape)
