"""Files of precomputed vectors: a NumPy matrix with a file of ids, or a Parquet table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from builders.mapping.column_names import SYNONYMS
from builders.sources.source import sha256_of
from graphrec.errors import InputError
from graphrec.suggestion import normalize

Mode = Literal["beside", "instead"]
MAX_CHUNK_BYTES = 1 << 26
"""Memory of the chunks in which a matrix is read."""
PARQUET, NPY = b"PAR1", b"\x93NUMPY"


@dataclass(frozen=True)
class VectorsOption:
    """The option ``--vectors item=covers.parquet:instead``."""

    kind: str
    """Type of the nodes."""
    path: Path
    """The file."""
    mode: Mode = "beside"
    """Whether these vectors extend text vectors (``beside``) or replace them (``instead``)."""


@dataclass(frozen=True)
class PrecomputedVectors:
    """A file of vectors, read in chunks."""

    option: VectorsOption
    """Node type, path and mode."""
    ids: pa.Array
    """Ids of the nodes, [rows] strings; null for a row without a node."""
    dimension: int
    """Dimension of the vectors."""
    sha256: str
    """Hash of the file."""
    chunks: Callable[[], Iterator[np.ndarray]] = field(repr=False)
    """The vectors in the order of the ids, in chunks [*, dimension]; a row of zeros where one is missing."""


def read_precomputed_vectors(option: VectorsOption, row_ids: pa.Array | None = None) -> PrecomputedVectors:
    """Open a file of vectors; the vectors themselves are read by ``chunks``.

    A Parquet file has a column of ids and either one column of lists or one column of numbers per dimension. The ids
    of a matrix in ``x.npy`` are in ``x.ids.txt`` (one per line) or ``x.ids.npy``.

    Parameters
    ----------
    row_ids
        Ids of the rows of the table of nodes (``--items``, ...), null for an unusable row: the ids of a file without
        ids, row by row.

    Raises
    ------
    InputError
        If the file is missing or damaged, or has no ids.
    """
    path = option.path
    if not path.is_file():
        raise InputError(f"{path}: a file of vectors expected, but there is none")
    with path.open("rb") as file:
        magic = file.read(6)
    if magic == NPY:
        return _read_npy(option, row_ids)
    if magic[:4] == PARQUET:
        return _read_parquet(option, row_ids)
    raise InputError(f"{path}: a Parquet file or a NumPy matrix (.npy) of vectors expected")


def rows_per_chunk(dimension: int) -> int:
    """Number of vectors in a chunk."""
    return max(1, MAX_CHUNK_BYTES // (8 * max(dimension, 1)))


def _read_npy(option: VectorsOption, row_ids: pa.Array | None) -> PrecomputedVectors:
    matrix = _load(option.path)
    if matrix.ndim != 2 or not matrix.shape[1] or matrix.dtype.kind not in "fiu":
        raise InputError(
            f"{option.path}: a matrix of numbers expected, one row a node, got shape {matrix.shape} of {matrix.dtype}"
        )
    ids = _read_ids(option.path)
    if ids is None:
        ids = row_ids
    _check_count(option, ids, len(matrix))
    count, dimension = matrix.shape
    step = rows_per_chunk(dimension)

    def chunks() -> Iterator[np.ndarray]:
        for begin in range(0, count, step):
            # mapped anew: pages that were read stay in memory until unmapped
            yield _load(option.path)[begin : begin + step]

    return PrecomputedVectors(option, ids, dimension, sha256_of(option.path), chunks)


def _load(path: Path) -> np.ndarray:
    try:
        loaded: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: the NumPy file cannot be read ({reason}); write it with numpy.save") from error
    return loaded


def _read_ids(path: Path) -> pa.Array | None:
    text, matrix = path.with_suffix(".ids.txt"), path.with_suffix(".ids.npy")
    if text.is_file():
        try:
            lines = text.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise InputError(f"{text}: ids in UTF-8 expected, one a line ({error})") from error
        return pa.array(lines, pa.string())
    return pa.array(_load(matrix).astype(str), pa.string()) if matrix.is_file() else None


def _check_count(option: VectorsOption, ids: pa.Array | None, rows: int) -> None:
    if ids is None:
        raise InputError(
            f"{option.path}: ids of the vectors expected; put them into "
            f"{option.path.with_suffix('.ids.txt').name}, one per line, or give the table of nodes with the same rows"
        )
    if len(ids) != rows:
        raise InputError(f"{option.path}: {len(ids):,} vectors expected, one for each id, got {rows:,}")


def _read_parquet(option: VectorsOption, row_ids: pa.Array | None) -> PrecomputedVectors:
    try:
        file = pq.ParquetFile(option.path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{option.path}: the Parquet file is damaged ({str(error).splitlines()[0]})") from error
    schema = file.schema_arrow
    columns = _vector_columns(option, schema)
    column = _id_column(option, schema, columns)
    ids = row_ids if column is None else file.read([column])[column].combine_chunks().cast(pa.string())
    _check_count(option, ids, file.metadata.num_rows)
    dimension = len(columns) if len(columns) > 1 else _list_size(option, file, columns[0])

    def chunks() -> Iterator[np.ndarray]:
        row = 0
        for batch in file.iter_batches(rows_per_chunk(dimension), columns=columns):
            yield _matrix(option, batch, dimension, row)
            row += len(batch)

    return PrecomputedVectors(option, ids, dimension, sha256_of(option.path), chunks)


def _is_list(dtype: pa.DataType) -> bool:
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    is_numeric = (pa.types.is_floating, pa.types.is_integer)
    return any(kind(dtype) for kind in kinds) and any(kind(dtype.value_type) for kind in is_numeric)


def _vector_columns(option: VectorsOption, schema: pa.Schema) -> list[str]:
    """The one column of lists, or else the columns of floating-point numbers."""
    lists = [column.name for column in schema if _is_list(column.type)]
    numbers = [column.name for column in schema if pa.types.is_floating(column.type)]
    if len(lists) > 1 or not (lists or len(numbers) > 1):
        raise InputError(
            f"{option.path}: one column of lists of numbers expected, or a column of floating-point numbers for each "
            f"dimension; it has {', '.join(f'{column.name} ({column.type})' for column in schema)}"
        )
    return lists or numbers


def _id_column(option: VectorsOption, schema: pa.Schema, vector_columns: Sequence[str]) -> str | None:
    """The column of ids: the one with such a name, or the only other column."""
    free = [
        column.name for column in schema if column.name not in vector_columns and not pa.types.is_nested(column.type)
    ]
    names = [f"{option.kind}id", option.kind, "id", *map(normalize, SYNONYMS.get(option.kind, ()))]
    by_name = {normalize(name): name for name in reversed(free)}
    named = next((by_name[name] for name in names if name in by_name), None)
    if named is None and len(free) > 1:
        raise InputError(f"{option.path}: a column of ids called '{option.kind}_id' expected, it has {', '.join(free)}")
    return named or next(iter(free), None)


def _list_size(option: VectorsOption, file: pq.ParquetFile, column: str) -> int:
    """Length of the first vector."""
    dtype = file.schema_arrow.field(column).type
    if pa.types.is_fixed_size_list(dtype):
        return int(dtype.list_size)
    for batch in file.iter_batches(1024, columns=[column]):
        sizes = pc.list_value_length(batch[column]).drop_null()
        if len(sizes) and sizes[0].as_py():
            return int(sizes[0].as_py())
    raise InputError(f"{option.path}: column {column!r} holds no vector")


def _matrix(option: VectorsOption, batch: pa.RecordBatch, dimension: int, before: int) -> np.ndarray:
    """A batch as [rows, dimension]; zeros for a row without a vector."""
    if batch.num_columns > 1:
        return np.stack([column.cast(pa.float64()).to_numpy(zero_copy_only=False) for column in batch.columns], axis=1)
    lists = batch.column(0)
    wrong = pc.not_equal(pc.list_value_length(lists), dimension).fill_null(fill_value=False)
    if pc.any(wrong).as_py():
        row = pc.index(wrong, True).as_py()
        raise InputError(
            f"{option.path}: vectors of one length expected, got {dimension} numbers at first and "
            f"{len(lists[row])} in row {before + row + 1}"
        )
    valid = lists.is_valid().to_numpy(zero_copy_only=False)
    matrix = np.zeros((len(lists), dimension), np.float64)
    flat = lists.drop_null().flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)
    matrix[valid] = flat.reshape(-1, dimension)
    return matrix
