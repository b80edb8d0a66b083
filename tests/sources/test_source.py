"""Files as they lie on disk: formats, delimiters, encodings, and what is refused with one clear line."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibis import _

from builders.engine.connect import connect
from builders.engine.rows import row_numbers, scan
from builders.ingest.quarantine import check_rows
from builders.ingest.row_checks import Check
from builders.mapping.column_mapping import ColumnMapping
from builders.sources.character_encoding import detect_encoding
from builders.sources.item_lists import write_pairs
from builders.sources.python_literals import as_json
from builders.sources.source import Layout, Source, detect_source, expand_paths
from graphrec.errors import GraphrecError, InputError

ROWS = [("anna", "café", "2024-01-01"), ("ben", "bar", "2024-01-02"), ("cleo", "a, b", "2024-01-03")]


@dataclass(frozen=True)
class Read:
    """A file as the engine read it."""

    source: Source
    values: list[tuple[str | None, ...]]
    rows: list[int]
    bad: dict[int, str]


def read(path: Path, tmp_path: Path, **layout: object) -> Read:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    engine, source = connect(scratch), detect_source(path, Layout.model_validate(layout), scratch)
    rows = scan(engine, source, "raw")
    names = [f"c{place}" for place in range(len(source.columns))]
    never = Check("never", None, ibis.literal(value=False), ibis.literal(""))
    checked = check_rows(engine, "all", rows, rows.table, {name: _[name] for name in names}, [never], scratch / "part")
    table = pq.read_table(checked.part.path)
    place = np.flatnonzero(table["failed"].is_null().to_numpy()) + 1
    good = table.filter(table["failed"].is_null())
    values = list(zip(*(good[name].to_pylist() for name in names), strict=True))
    bad = dict(zip(checked.quarantine["row"].to_pylist(), checked.quarantine["value"].to_pylist(), strict=True))
    return Read(source, values, row_numbers(place, checked.part.rejected).tolist(), bad)


def delimited(delimiter: str) -> str:
    lines = [("user", "item", "time"), *ROWS]
    return "".join(delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in line) + "\n" for line in lines)


def zstd(content: bytes) -> bytes:
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(content)
    return bytes(packed.getvalue().to_pybytes())


PACKERS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd}


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(PACKERS.get(path.suffix, bytes)(content))
    return path


JSON_LINES = "".join(f'{{"user": "{u}", "item": "{i}", "time": "{t}"}}\n' for u, i, t in ROWS)
TEXTS = {
    "comma": (delimited(",").encode(), "csv", "utf-8"),
    "tab": (delimited("\t").encode(), "csv", "utf-8"),
    "semicolon": (delimited(";").encode(), "csv", "utf-8"),
    "bar": (delimited("|").encode(), "csv", "utf-8"),
    "colons": (delimited("::").encode(), "csv", "utf-8"),
    "windows": (delimited(",").replace("\n", "\r\n").encode(), "csv", "utf-8"),
    "mark": (delimited(",").encode("utf-8-sig"), "csv", "utf-8"),
    "latin": (delimited(",").encode("latin-1"), "csv", "latin-1"),
    "utf16": (delimited(",").encode("utf-16"), "csv", "utf-16"),
    "json": (JSON_LINES.encode(), "jsonl", "utf-8"),
}


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("name", TEXTS)
def test_text_is_read_as_it_was_written(name: str, packed: str, tmp_path: Path) -> None:
    content, form, encoding = TEXTS[name]
    rows = read(write(tmp_path / f"log{packed}", content), tmp_path)
    assert rows.values == ROWS
    assert (rows.source.format, rows.source.encoding) == (form, encoding)
    assert rows.source.columns == ("user", "item", "time")


@pytest.mark.parametrize("packed", PACKERS)
def test_parquet_is_read_as_text(packed: str, tmp_path: Path) -> None:
    plain = tmp_path / "log.parquet"
    pq.write_table(pa.table({"user": [1, None], "item": ["a", "b"], "time": [1.5, 2.0]}), plain)
    path = write(tmp_path / "log.parquet.gz", plain.read_bytes()) if packed else plain
    assert read(path, tmp_path).values == [("1", "a", "1.5"), (None, "b", "2.0")]


def test_a_first_line_of_values_is_no_header(tmp_path: Path) -> None:
    path = write(tmp_path / "u.data", b"196\t242\t3\t881250949\n186\t302\t3\t891717742\n")
    rows = read(path, tmp_path)
    assert not rows.source.header
    assert rows.source.columns == ("column1", "column2", "column3", "column4")
    assert len(rows.values) == 2


def test_broken_lines_keep_the_numbers_of_the_others(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", b"a,b\n1,x\n2\n3,y\n4,z,more\n5,w\n")
    rows = read(path, tmp_path)
    assert list(zip(rows.rows, rows.values, strict=True)) == [(1, ("1", "x")), (3, ("3", "y")), (5, ("5", "w"))]
    assert rows.bad == {2: "2", 4: "4,z,more"}


def test_a_quote_that_is_never_closed_loses_no_row_in_silence(tmp_path: Path) -> None:
    lines = [f"{i},x" for i in range(3_000)]
    lines[1_000] = '"1000,x'
    path = write(tmp_path / "log.csv", ("a,b\n" + "\n".join(lines) + "\n").encode())
    with pytest.raises(GraphrecError, match=r"a quote in row 1001 is never closed.*quote: "):
        read(path, tmp_path)
    rows = read(path, tmp_path, quote="")
    assert rows.values[1_000] == ('"1000', "x")
    assert len(rows.values) == 3_000


def test_a_line_with_an_open_quote_at_the_end_is_set_aside(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "log.csv", b'a,b\n1,x\n2,"y\n'), tmp_path)
    assert rows.values == [("1", "x")]
    assert rows.bad == {2: '2,"y'}


def test_json_lines_that_are_no_objects_are_set_aside(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", b'{"user": 1, "item": "a"}\nnot json\n\n[1]\n{"user": 2, "more key": true}\n')
    rows = read(path, tmp_path)
    assert rows.source.columns == ("user", "item", "more key")
    assert rows.values == [("1", "a", None), ("2", None, "true")]
    assert rows.bad == {2: "not json", 4: "[1]"}


LITERALS = (
    "{u'user': u'caf\\xe9 \\u2615', u'hours': 0.5, u'early': False, u'tags': [u'a', u\"it's\"], u'note': None}\n"
    "{u'user': u'x'  # cut off\n"
    "\n"
    "{'user': '\\d', 'hours': 2}\r\n"
    "{'user': __import__('os').getcwd()}\n"
    "{'user': b'bytes'}\n"
    "{'user': 1e999}\n"
    '{"user": "js\\/on", "hours": 3}'
)


@pytest.mark.parametrize("packed", PACKERS)
def test_python_literals_are_read_as_json_and_never_run(packed: str, tmp_path: Path) -> None:
    rows = read(write(tmp_path / f"steam_reviews.json{packed}", LITERALS.encode()), tmp_path)
    assert rows.source.columns == ("user", "hours", "early", "tags", "note")
    assert rows.values == [
        ("café ☕", "0.5", "false", '["a","it\'s"]', None),
        ("\\d", "2", None, None, None),
        ("js/on", "3", None, None, None),
    ]
    assert list(rows.bad) == [2, 5, 6, 7]
    assert rows.bad[5] == "{'user': __import__('os').getcwd()}"


@pytest.mark.parametrize("line", ["-" * 99_999 + "1", "1+" * 99_999 + "1", "[" * 99_999, "not " * 99_999 + "1"])
def test_literals_that_overtax_python_stay_as_they_are(line: str) -> None:
    assert as_json(f"{{'user': {line}}}") == f"{{'user': {line}}}"


def test_json_with_one_odd_line_is_left_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", b'{"user": 1}\n{\'user\': 2}\n{"user": 3}\n')
    rows = read(path, tmp_path)
    assert rows.source.readable == path
    assert (rows.values, rows.bad) == ([("1",), ("3",)], {2: "{'user': 2}"})


@pytest.mark.parametrize("packed", PACKERS)
def test_lists_are_read_as_pairs(packed: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"train.txt{packed}", b"0 5 6 \n\n1\n2 5\t7\r\n  3  8")
    rows = read(path, tmp_path, lists=True)
    assert rows.source.columns == ("user", "item")
    assert rows.values == [("0", "5"), ("0", "6"), ("2", "5"), ("2", "7"), ("3", "8")]


def test_lists_may_have_a_delimiter_and_names(tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", b"u 1,a,b\nu 2,c\n")
    rows = read(path, tmp_path, lists=True, delimiter=",", columns=("who", "what"))
    assert rows.values == [("u 1", "a"), ("u 1", "b"), ("u 2", "c")]
    with pytest.raises(GraphrecError, match="no line with two ids"):
        read(path, tmp_path, lists=True, delimiter=";")
    with pytest.raises(GraphrecError, match=r"names of two columns.*got columns: who"):
        read(path, tmp_path, lists=True, columns=("who",))


@given(
    st.lists(st.lists(st.integers(0, 99), max_size=30), min_size=1, max_size=30),
    st.integers(1, 50),
    st.sampled_from(["\n", "\r\n"]),
)
def test_lists_are_read_whole_wherever_the_pieces_are_cut(lists: list[list[int]], size: int, end: str) -> None:
    with tempfile.TemporaryDirectory() as folder, patch("builders.sources.compression.CHUNK", size):
        path = Path(folder) / "train.txt"
        path.write_bytes(end.join(" ".join(map(str, ids)) for ids in lists).encode())
        expected = [(str(ids[0]), str(item)) for ids in lists for item in ids[1:]]
        assert write_pairs(path, "none", None, ("user", "item"), path.with_suffix(".pairs")) == len(expected)
        table = pq.read_table(path.with_suffix(".pairs"))
        assert list(zip(table["user"].to_pylist(), table["item"].to_pylist(), strict=True)) == expected


def test_the_types_of_recboles_fields_are_no_part_of_their_names(tmp_path: Path) -> None:
    path = write(tmp_path / "ml.inter", b"user_id:token\titem_id:token\trating:float\tgenre:token_seq\n1\t2\t3\ta b\n")
    rows = read(path, tmp_path)
    assert rows.source.columns == ("user_id", "item_id", "rating", "genre")
    assert rows.values == [("1", "2", "3", "a b")]
    other = write(tmp_path / "other.tsv", b"user_id:token\tname\n1\t2\n")
    assert read(other, tmp_path).source.columns == ("user_id:token", "name")  # not the whole header


def test_a_field_may_be_longer_than_python_reads(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "log.csv", b"user,text\n1," + b"x" * 200_000 + b"\n"), tmp_path)
    assert rows.source.columns == ("user", "text")
    assert rows.values == [("1", "x" * 200_000)]


@pytest.mark.parametrize(
    "key", [{"delimiter": ""}, {"delimiter": "\n"}, {"quote": "ab"}, {"quote": "\n"}, {"quote": "«"}]
)
def test_delimiters_and_quotes_that_cannot_be_are_refused(key: dict[str, str]) -> None:
    with pytest.raises(GraphrecError, match=r"mapping: (delimiter|quote): one .*character"):
        ColumnMapping.of(key)


def test_columns_may_differ_by_case_only(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "log.csv", b"id,ID,row\n1,2,3\n"), tmp_path)
    assert rows.values == [("1", "2", "3")]


def test_globs_and_paths_are_taken_in_order_and_once(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).touch()
    assert [path.name for path in expand_paths([tmp_path / "b.csv", f"{tmp_path}/*.csv"])] == ["b.csv", "a.csv"]


def tarred(content: bytes) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("log.csv")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


BROKEN = {
    "empty.csv": (b"", "the file is empty"),
    "empty.csv.gz": (b"", "the file is empty"),
    "blank.csv": (b"\n \n", "blank lines only"),
    "header.csv": (b"user,item,time\n", "a header but no row"),
    "binary.csv": (bytes(range(256)) * 8, "binary data"),
    "elf.csv.gz": (b"\x7fELF\x02\x01\x01" + bytes(200), "binary data"),
    "cp1252.csv": ("user,item\nanna,“quoted”\n".encode("cp1252"), "byte 0x93 in line 2 is not UTF-8"),
    "array.json": (b'[{"user": 1}]', "JSON lines expected"),
    "broken.parquet": (b"PAR1 and no more", "the Parquet file is damaged"),
    "damaged.zst.csv": (b"\x28\xb5\x2f\xfd0000", "zstd file is damaged or cut off"),
    "damaged.gz.csv": (gzip.compress(b"user,item\n")[:-9] + b"012345678", "gzip file is damaged or cut off"),
    "log.zip": (
        b"PK\x03\x04" + bytes(30),
        "zip archives are not read; unpack it first, for example with 'unzip log.zip'",
    ),
    "log.bz2": (bz2.compress(b"user,item"), "bzip2 files are not read.*bunzip2"),
    "log.xz": (lzma.compress(b"user,item"), "xz files are not read.*unxz"),
    "log.tar": (tarred(b"user,item\n1,2\n"), "tar archives are not read.*'tar -xf log.tar'"),
    "log.tar.gz": (tarred(b"user,item\n1,2\n"), "tar archives are not read"),
    "twice.csv": (b"user,item,user\n1,2,3\n", "'user' is there twice"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, words = BROKEN[name]
    header = {"header": True} if name == "twice.csv" else {}
    with pytest.raises(GraphrecError, match=words) as caught:
        read(write(tmp_path / name, content), tmp_path, **header)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_a_cut_off_file_is_refused(packed: str, tmp_path: Path) -> None:
    content = PACKERS[packed](("user,item\n" + "".join(f"anna,bar{i}\n" for i in range(50_000))).encode())
    path = tmp_path / f"log.csv{packed}"
    path.write_bytes(content[:-20])
    with pytest.raises(GraphrecError, match="damaged or cut off"):
        detect_source(path, Layout(), tmp_path)


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_packed_files_put_together_are_one(packed: str, tmp_path: Path) -> None:
    path = tmp_path / f"log.csv{packed}"
    path.write_bytes(PACKERS[packed](b"user,item\n1,a\n") + PACKERS[packed](b"2,b\n"))
    assert read(path, tmp_path).values == [("1", "a"), ("2", "b")]


@pytest.mark.parametrize("packed", PACKERS)
def test_the_hash_is_that_of_the_file_as_it_lies_there(packed: str, tmp_path: Path) -> None:
    for place, content in enumerate((delimited(",").encode(), delimited(",").encode("utf-16"), b"a,b\n\xe9,1\nc,d\n")):
        path = write(tmp_path / f"{place}{packed}", content)
        with patch("builders.sources.compression.CHUNK", 5):  # what the file is, is clear long before its end
            assert detect_source(path, Layout(), tmp_path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.integers(1, 7), st.booleans())
def test_utf8_is_found_wherever_the_pieces_are_cut(text: str, size: int, broken: bool) -> None:
    content = text.encode() + b"\xff" * broken
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "log", content)
        try:
            found = detect_encoding(path, "none", None, pieces)
        except InputError:  # Latin-1 has no such characters
            found = "other"
    assert (found == "utf-8") is not broken


def test_an_encoding_that_was_named_wrongly_says_where(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,item\nanna,bar\nben,café\n".encode("latin-1"))
    with pytest.raises(GraphrecError, match=r"byte 0xe9 in line 3 is not UTF-8.*encoding: latin-1"):
        read(path, tmp_path, encoding="utf-8")
    for name in ("klingon", "hex", "undefined", "", "unicode_escape", "IDNA"):
        with pytest.raises(GraphrecError, match=f"encoding '{name}' is unknown"):
            read(path, tmp_path, encoding=name)
    with pytest.raises(GraphrecError, match="byte 0xe9 in line 3 is not ascii"):
        read(path, tmp_path, encoding="ascii")


@pytest.mark.parametrize(("given", "words"), [("*.csv", "no file matches"), ("log.csv", "there is no such file")])
def test_files_that_are_not_there_are_refused(given: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(GraphrecError, match=words):
        expand_paths([tmp_path / given])


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphrecError, match="a file expected, got a folder"):
        detect_source(tmp_path, Layout(), tmp_path)
