"""Vectors from files: whose they are, scaled, beside text or in its place, and never whole in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from builders.text import vector_files
from builders.text.precomputed_vectors import combine, parse_vectors_option
from builders.text.vector_files import Mode, PrecomputedVectors, VectorsOption, read_precomputed_vectors
from graphrec.errors import ConfigError, InputError

IDS = ["a", "b", "c"]
MATRIX = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]], np.float32)
UNIT = [[0.6, 0.8], [0.0, 0.0], [0.0, -1.0]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all cases that hypothesis makes up, each of which writes its own files over the last one's."""
    return tmp_path_factory.mktemp("vectors")


def parquet(folder: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "covers.parquet", row_group_size=2)
    return folder / "covers.parquet"


def npy(folder: Path, matrix: np.ndarray, ids: list[str] | None = None) -> Path:
    np.save(folder / "covers.npy", matrix)
    if ids is not None:
        (folder / "covers.ids.txt").write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
    return folder / "covers.npy"


def opened(path: Path, mode: Mode = "beside", order: list[str | None] | None = None) -> PrecomputedVectors:
    return read_precomputed_vectors(
        VectorsOption("item", path, mode), None if order is None else pa.array(order, pa.string())
    )


def strings(ids: list[str]) -> pa.Array:
    return pa.array(ids, pa.string())


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("item=covers.parquet", VectorsOption("item", Path("covers.parquet"), "beside")),
        ("item=covers.parquet:instead", VectorsOption("item", Path("covers.parquet"), "instead")),
        ("user=a:b=c.npy:beside", VectorsOption("user", Path("a:b=c.npy"), "beside")),
        ("item=s3:x.npy", VectorsOption("item", Path("s3:x.npy"), "beside")),
    ],
)
def test_the_option_is_a_type_a_file_and_a_mode(text: str, option: VectorsOption) -> None:
    assert parse_vectors_option(text) == option


@pytest.mark.parametrize("text", ["covers.parquet", "=covers.parquet", "item=", "item=:instead", ""])
def test_another_option_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--vectors: a type of node and a file expected"):
        parse_vectors_option(text)


FILES: dict[str, Callable[[Path], Path]] = {
    "lists": lambda folder: parquet(folder, item_id=IDS, vector=MATRIX.tolist()),
    "large lists": lambda folder: parquet(folder, sku=IDS, v=pa.array(MATRIX.tolist(), pa.large_list(pa.float16()))),
    "fixed lists": lambda folder: parquet(folder, v=pa.FixedSizeListArray.from_arrays(MATRIX.ravel(), 2), x=IDS),
    "no list at all": lambda folder: parquet(folder, id=IDS, v=pa.array([[3.0, 4.0], None, [0.0, -2.0]])),
    "columns": lambda folder: parquet(folder, id=IDS, x0=MATRIX[:, 0], x1=MATRIX[:, 1]),
    "integers": lambda folder: parquet(folder, id=IDS, v=MATRIX.astype(np.int8).tolist()),
    "matrix": lambda folder: npy(folder, MATRIX.astype(np.float16), IDS),
    "matrix by columns": lambda folder: npy(folder, np.asfortranarray(MATRIX.astype(np.float64)), IDS),
}


@pytest.mark.parametrize("name", FILES)
def test_every_way_to_write_vectors_says_the_same(name: str, tmp_path: Path) -> None:
    vectors, about = combine(strings(["c", "new", "a", "b"]), None, opened(FILES[name](tmp_path)))
    assert vectors.dtype == np.float16
    np.testing.assert_allclose(vectors, [UNIT[2], [0, 0], UNIT[0], UNIT[1]], atol=1e-3)
    assert (about["dimension"], about["found"], about["unknown"], about["mode"]) == (2, 3, 0, "beside")


def test_ids_that_are_numbers_are_read_as_the_log_writes_them(tmp_path: Path) -> None:
    vectors, _ = combine(strings(["30", "7"]), None, opened(parquet(tmp_path, id=[7, 30, 8], v=MATRIX.tolist())))
    np.testing.assert_allclose(vectors, [UNIT[1], UNIT[0]], atol=1e-3)
    np.save(tmp_path / "covers.ids.npy", np.array([8, 7, 30]))
    vectors, _ = combine(strings(["30", "7"]), None, opened(npy(tmp_path, MATRIX)))
    np.testing.assert_allclose(vectors, [UNIT[2], UNIT[1]], atol=1e-3)


def test_a_matrix_without_ids_goes_with_the_rows_of_a_table(tmp_path: Path) -> None:
    path = npy(tmp_path, MATRIX)
    vectors, about = combine(strings(["b", "a"]), None, opened(path, order=["a", None, "b"]))
    np.testing.assert_allclose(vectors, [UNIT[2], UNIT[0]], atol=1e-3)
    assert (about["found"], about["unknown"]) == (2, 1)
    with pytest.raises(InputError, match=r"ids of the vectors expected; put them into covers\.ids\.txt"):
        opened(path)
    with pytest.raises(InputError, match="2 vectors expected, one for each id, got 3"):
        opened(path, order=["a", "b"])


def test_an_id_that_is_there_twice_takes_its_first_vector(tmp_path: Path) -> None:
    path = npy(tmp_path, np.array([[1.0, 0], [0, 1], [0, -1]]), ["a", "a", "nobody"])
    vectors, about = combine(strings(["a"]), None, opened(path))
    assert vectors.tolist() == [[1, 0]]
    assert (about["found"], about["unknown"]) == (1, 1)


def test_beside_text_each_part_has_length_one(tmp_path: Path) -> None:
    text = np.array([[0.0, 0.0, 2.0], [0.0, 0.0, 0.0]], np.float16)
    vectors, about = combine(strings(["a", "z"]), text, opened(npy(tmp_path, MATRIX, IDS)))
    np.testing.assert_allclose(vectors, [[0, 0, 1, 0.6, 0.8], [0, 0, 0, 0, 0]], atol=1e-3)
    assert about == {
        "file": "covers.npy", "sha256": about["sha256"], "dimension": 2, "mode": "beside", "found": 1, "unknown": 2
    }  # fmt: skip
    assert len(about["sha256"]) == 64


def test_instead_of_text_there_is_no_text(tmp_path: Path) -> None:
    vectors, _ = combine(strings(["a"]), np.ones((1, 3)), opened(npy(tmp_path, MATRIX, IDS), "instead"))
    np.testing.assert_allclose(vectors, [UNIT[0]], atol=1e-3)


@pytest.mark.parametrize("size", [1e-300, 1e-20, 1e30, 1e300])
def test_vectors_of_any_size_keep_their_direction(size: float, tmp_path: Path) -> None:
    vectors, _ = combine(strings(["a"]), None, opened(npy(tmp_path, np.array([[3.0, 4.0]]) * size, ["a"])))
    np.testing.assert_allclose(vectors, [UNIT[0]], atol=1e-3)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 50), st.sampled_from([0.01, 1.0, 50.0]))
def test_text_that_was_scaled_before_is_not_changed_again(folder: Path, seed: int, width: int, size: float) -> None:
    text = (np.random.default_rng(seed).normal(size=(3, width)) * size).astype(np.float16)
    covers = opened(npy(folder, MATRIX, IDS))
    once, _ = combine(strings(IDS), text, covers)
    twice, _ = combine(strings(IDS), once[:, :width], covers)
    np.testing.assert_array_equal(once, twice)


@settings(deadline=None, max_examples=30)
@given(st.data(), st.sampled_from(["npy", "parquet"]), st.booleans())
def test_chunks_and_a_file_give_what_memory_gives(
    folder: Path, data: st.DataObject, form: str, with_text: bool
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    count, rows = data.draw(st.integers(0, 12)), data.draw(st.integers(1, 12))
    nodes = strings([f"n{number}" for number in rng.permutation(12)[:count]])
    ids = [f"n{number}" for number in rng.integers(0, 12, rows)]
    matrix = rng.normal(size=(rows, 3))
    path = npy(folder, matrix, ids) if form == "npy" else parquet(folder, id=ids, v=matrix.tolist())
    text = rng.normal(size=(count, 2)).astype(np.float16) if with_text else None
    expected = np.zeros((count, 5 if with_text else 3), np.float16)
    for node, name in enumerate(nodes.to_pylist()):
        if text is not None:
            expected[node, :2] = text[node] / np.linalg.norm(text[node].astype(float))
        if name in ids:
            expected[node, -3:] = matrix[ids.index(name)] / np.linalg.norm(matrix[ids.index(name)])
    if count and not {*ids} & {*nodes.to_pylist()}:
        with pytest.raises(InputError, match=r"none of its \d+ ids is a node of type 'item'"):
            combine(nodes, text, opened(path))
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_files, "MAX_CHUNK_BYTES", 8 * 3 * data.draw(st.integers(1, 5)))
        vectors, _ = combine(nodes, text, opened(path), folder / "item.safetensors")
    np.testing.assert_allclose(vectors, expected, atol=2e-3)
    np.testing.assert_array_equal(load_file(folder / "item.safetensors")["vectors"], vectors)


def bad(folder: Path, value: float) -> Path:
    return npy(folder, np.array([[1.0, 1.0], [1.0, value]]), ["a", "b"])


REFUSED: list[tuple[Callable[[Path], Path], str]] = [
    (lambda folder: folder / "nothing.npy", "a file of vectors expected, but there is none"),
    (lambda folder: bad(folder, np.nan), r"numbers expected, got NaN or infinity in the vector of row 2"),
    (lambda folder: bad(folder, np.inf), r"NaN or infinity in the vector of row 2"),
    (lambda folder: parquet(folder, id=["a", "b", "c"], v=[[1.0], [2.0], [1.0, 2.0]]),
     "vectors of one length expected, got 1 numbers at first and 2 in row 3"),
    (lambda folder: parquet(folder, id=["a", "b"], v=[[1.0, 2.0], [1.0, None]]), "in the vector of row 2"),
    (lambda folder: parquet(folder, id=["a"], v=pa.array([None], pa.list_(pa.float32()))), "holds no vector"),
    (lambda folder: parquet(folder, id=["a"], v=[[1.0]], w=[[1.0]]), "one column of lists of numbers expected"),
    (lambda folder: parquet(folder, id=["a"], title=["b"]), r"it has id \(string\), title \(string\)"),
    (lambda folder: parquet(folder, code=["a"], title=["b"], v=[[1.0]]), "a column of ids called 'item_id' expected"),
    (lambda folder: npy(folder, np.zeros(3), ["a"]), r"a matrix of numbers expected, one row a node, got shape \(3,\)"),
    (lambda folder: npy(folder, np.array([["x"]]), ["a"]), "a matrix of numbers expected"),
    (lambda folder: npy(folder, MATRIX, ["a"]), "1 vectors expected, one for each id, got 3"),
    (lambda folder: npy(folder, np.array([[{}]], object), ["a"]), "the NumPy file cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_cannot_be_used_is_said_in_one_line(case: int, tmp_path: Path) -> None:
    write, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as refusal:
        combine(strings(["a", "b", "c"]), None, opened(write(tmp_path)))
    assert "\n" not in str(refusal.value)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([b"PAR1", b"\x93NUMPY", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', ", b""]), st.binary(max_size=60)
)
def test_bytes_that_are_no_file_of_vectors_are_refused(folder: Path, start: bytes, rest: bytes) -> None:
    (folder / "x.npy").write_bytes(start + rest)
    (folder / "x.ids.txt").write_text("a\n")
    with pytest.raises(InputError):
        combine(strings(["a"]), None, opened(folder / "x.npy"))
