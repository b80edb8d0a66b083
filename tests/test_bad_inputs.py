"""Bad input of every kind: one line says what is wrong, no graph is left behind, an old one stays whole.

A case is the files that are given, the options beside them, and words that the line must hold.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import shutil
import sqlite3
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from builders.build import build_graph
from builders.inspection import inspect_log
from builders.mapping.column_mapping import ColumnMapping
from builders.mapping_draft import draft

Run = Callable[..., Any]
HEADER = "user,item,time\n"
WITH_PLACE = "user,item,time,lat,lon\n"
PROGRESS = ("looking at the files", "reading and checking", "building the graph", "reading ")
"""How the lines on stderr begin that are no error."""


def rows(count: int = 40, ending: str = "") -> str:
    """Good rows of users, items and times, each with an ``ending``."""
    return "".join(f"u{i % 7},i{i % 5},2024-01-{i % 28 + 1:02} 10:{i:02}{ending}\n" for i in range(count))


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def parquet_twice() -> bytes:
    """A Parquet file with two columns of one name."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 4, names=["user", "user", "item", "time"]), buffer)
    return buffer.getvalue()


def archive(kind: str) -> bytes:
    """A zip or tar archive with a log in it."""
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("log.csv", GOOD)
    else:
        with tarfile.open(fileobj=buffer, mode="w") as file:
            entry = tarfile.TarInfo("log.csv")
            entry.size = len(GOOD)
            file.addfile(entry, io.BytesIO(GOOD.encode()))
    return buffer.getvalue()


def saved(write: Callable[[io.BytesIO], Any]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def zstd(text: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(text.encode())
    return sink.getvalue().to_pybytes()


def json_lines(count: int = 40, **fields: Any) -> str:
    return "".join(
        json.dumps({"user": f"u{i % 7}", "item": f"i{i % 5}", "time": 1_704_067_200 + 60 * i, **fields}) + "\n"
        for i in range(count)
    )


GOOD = HEADER + rows()
COLUMNS = {"user": ["u1", "u2"], "item": ["i1", "i2"], "time": ["2024-01-01", "2024-01-02"]}
PACKED = gzip.compress(GOOD.encode())
PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")
HTML = "<!DOCTYPE html>\n<html>\n<head><title>404 Not Found</title></head>\n<body>Not Found</body>\n</html>\n"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
PROSE = "It was the best of times, it was the worst of times,\nit was the age of wisdom\n"
COMMAS = "user;item;time;lat;lon\n" + rows(9, ";40,7;-73,9").replace(",i", ";i").replace(",2024", ";2024")


MANY_KINDS = "user,item,time,kind\n" + "".join(f"u,i,2024-01-01,k{i}\n" for i in range(300))
OTHER_SPLIT = "user,item,time,split\n" + rows(9, ",A")
TWO = {"log.csv": GOOD, "b.csv": "who,what,when\n" + rows()}
STRANGERS = "relations: {friends: {file: table.csv, source: user, target: user, source_id: item, target_id: name}}"
NONE = pa.array([], pa.string())


def database() -> bytes:
    """A SQLite file with the table ``log``."""
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE log (user, item, time)")
        connection.execute("INSERT INTO log VALUES ('u1', 'i1', '2024-01-01')")
        return connection.serialize()


SHOP: dict[str, str | bytes] = {"shop.db": database()}


@dataclass(frozen=True)
class Bad:
    """One kind of bad input."""

    words: str
    """What the line on stderr must hold."""
    files: dict[str, str | bytes] = field(default_factory=lambda: {"log.csv": GOOD})
    """What lies in the folder, by name."""
    mapping: str | None = None
    """The mapping's YAML; None: none is given."""
    given: tuple[str, ...] = ("log.csv",)
    """The files that are named."""
    options: tuple[str, ...] = ()
    """Further options."""
    code: int = 1
    """The exit code."""


def log(content: str | bytes, words: str, mapping: str | None = None, *options: str) -> Bad:
    """A log that cannot be used."""
    return Bad(words, {"log.csv": content}, mapping, options=options)


def mapped(mapping: str, words: str, content: str = GOOD) -> Bad:
    """A mapping that cannot be used."""
    return log(content, words, mapping)


def beside(name: str, content: str | bytes, words: str, mapping: str | None = None, *options: str) -> Bad:
    """A table beside the log that cannot be used."""
    return Bad(words, {"log.csv": GOOD, "table.csv": content}, mapping, options=(f"--{name}", "table.csv", *options))


CASES: dict[str, Bad] = {
    # files that are not there, or no files
    "no such file": Bad("there is no such file", given=("nothing.csv",)),
    "no such pattern": Bad("no file matches", given=("*.tsv",)),
    "one of two is not there": Bad("other.csv: there is no such file", given=("log.csv", "other.csv")),
    "folder": Bad("a file expected, got a folder", {"logs/log.csv": GOOD}, given=("logs",)),
    "device": Bad("a file expected, got a pipe or device", given=("/dev/null",)),
    # nothing in them
    "empty": log("", "the file is empty"),
    "empty gzip": log(gzip.compress(b""), "the file is empty"),
    "blank lines": log("\n\n  \n", "blank lines only"),
    "byte order mark only": log(b"\xef\xbb\xbf", "blank lines only"),
    "header only": log(HEADER, "a header but no row"),
    "Parquet without rows": log(parquet(user=NONE, item=NONE, time=NONE), "a header but no row"),
    "Parquet without columns": log(parquet(), "log.csv: "),
    # packed or damaged
    "gzip cut off": log(gzip.compress(os.urandom(3000).hex().encode())[:-500], "the gzip file is damaged or cut off"),
    "gzip with a wrong byte": log(PACKED[:40] + b"!!" + PACKED[42:], "the gzip file is damaged or cut off"),
    "gzip in gzip": log(gzip.compress(PACKED), "packed twice"),
    "first bytes of gzip": log(PACKED[:2], "the gzip file is damaged or cut off"),
    "zstd cut off": log(zstd(GOOD)[:-20], "the zstd file is damaged or cut off"),
    "first bytes of zstd": log(zstd(GOOD)[:4], "the zstd file is damaged or cut off"),
    "Parquet column named twice": log(parquet_twice(), "'user' is there twice"),
    "Parquet cut off": log(parquet(**COLUMNS)[:-30], "the Parquet file is damaged"),
    "Parquet with wrong bytes": log(parquet(**COLUMNS)[:10] + b"\xff" * 60 + parquet(**COLUMNS)[70:], "log.csv: "),
    "first bytes of Parquet": log(b"PAR1", "the Parquet file is damaged"),
    "zip": log(archive("zip"), "unzip log.csv"),
    "tar": log(archive("tar"), "tar -xf"),
    "tar in gzip": log(gzip.compress(archive("tar")), "tar -xf"),
    "bzip2": log(bz2.compress(GOOD.encode()), "bunzip2"),
    "xz": log(lzma.compress(GOOD.encode()), "unxz"),
    # something else
    "zeros": log(bytes(5000), "binary data"),
    "picture": log(PNG, "binary data"),
    "NumPy": log(saved(lambda file: np.save(file, np.arange(9))), "binary data"),
    "pickle": log(pickle.dumps({"user": [1]}), "binary data"),
    "feather": log(saved(lambda file: pyarrow.feather.write_feather(pa.table(COLUMNS), file)), "binary data"),
    "web page": log(HTML, "a web page"),
    "XML": log("<?xml version='1.0'?>\n<log/>\n", "XML"),
    "pointer to a large file": log(POINTER, "git lfs pull"),
    "prose": log(PROSE, "no column looks like the user"),
    "one word": log("hello", "no column looks like the user"),
    # characters
    "UTF-16 without its mark": log(GOOD.encode("utf-16-le"), "binary data"),
    "zero byte in a row": log(GOOD.replace("u3", "u\0"), "binary data"),
    "unknown encoding": mapped("encoding: klingon", "encoding 'klingon' is unknown"),
    "encoding of bytes": mapped("encoding: hex", "encoding 'hex' is unknown"),
    "not the encoding that is named": log(GOOD.replace("u3", "é"), "is not ascii", "encoding: ascii"),
    "Latin-1 called UTF-8": log(GOOD.replace("u3", "é").encode("latin-1"), "byte 0xe9 in line 5", "encoding: utf-8"),
    "neither UTF-8 nor Latin-1": log(GOOD.replace("u3", "“").encode("cp1252"), "name the file's encoding"),
    # lines
    "quote that is not closed": log(HEADER + rows(9) + 'u1,"i1,2024-01-01\n' + rows(2000), "is never closed"),
    "column named twice": log("user,item,item,time\nu,i,j,2024-01-01\n", "'item' is there twice"),
    "ragged rows": log(HEADER + rows(10, ",more") + rows(10), "wrong number of fields (10)"),
    "long line": log(GOOD + "u1," + "i" * 3_000_000 + ",2024-01-01\n", "too long for the quarantine"),
    "all rows bad": log(HEADER + ",,\n" * 9, "9 of 9 rows cannot be used"),
    "all rows bad and allowed": log(HEADER + ",,\n" * 9, "9 of 9 rows cannot be used", None, "--max-bad", "100%"),
    "more than 1% bad": log(GOOD + "u1,i1,soon\n", "such as time='soon' in row 41 of log.csv"),
    "more bad than allowed": log(GOOD + "u,i,?\n" * 5, "more than 10.0%", None, "--max-bad", "10%"),
    # columns
    "no user": log(GOOD.replace("user", "weather"), "no column looks like the user"),
    "no time": log("user,item\nu1,i1\n", "no column looks like the time"),
    "one column": log("user\nu1\nu2\n", "no column looks like the item"),
    "mapped column that is not there": mapped("user: usr", "no column 'usr', did you mean 'user'"),
    "two files with different columns": Bad("no column", TWO, given=("log.csv", "b.csv")),
    "one column for two roles": mapped("user: user\nitem: user", "user and item: two columns expected"),
    "latitude alone": mapped("lat: user", "both or neither expected"),
    "too few names": mapped("columns: [a, b]\nuser: a", "2 column names are given for 3 fields"),
    "names twice": mapped("columns: [a, a, b]", "'a' is there twice"),
    "lists that are none": log("u1\nu2\n", "a file of lists expected", "lists: true\ntimeless: true"),
    # times
    "times that are words": log(GOOD.replace("2024-", "y"), "unparsable time"),
    "times in two formats": log(GOOD + rows().replace("2024-01-", "1/1/2024 "), "unparsable time"),
    "times in the future": log(GOOD.replace("2024-", "2190-"), "time in the future"),
    "times that are 0": log(HEADER + "u1,i1,0\n" * 9, "1 January 1970"),
    "times in another format": mapped("time_format: '%d/%m/%Y'", "unparsable time"),
    "unknown time format": mapped("time_format: rfc3339", "time_format: auto, iso,"),
    "odd pattern of times": mapped("time_format: '%Q'", "%Q"),
    # places
    "latitude off the globe": log(WITH_PLACE + rows(9, ",99,200"), "latitude out of range"),
    "latitude and longitude swapped": log(WITH_PLACE + rows(9, ",-122,40"), "seem to be swapped"),
    "null island": log(WITH_PLACE + rows(9, ",0,0"), "latitude and longitude are 0"),
    "half a coordinate": log(WITH_PLACE + rows(9, ",40,"), "half a coordinate", "lat: lat\nlon: lon"),
    "coordinates with commas": log(COMMAS, "latitude is not a number", "lat: lat\nlon: lon"),
    "resolution of cells": mapped("h3_resolution: 99", "h3_resolution"),
    # JSON
    "JSON array": log(json.dumps([{"user": 1}] * 3), "JSON lines expected"),
    "JSON over several lines": log(json.dumps([{"user": 1}] * 3, indent=1), "JSON lines expected"),
    "JSON numbers": log("1\n2\n3\n", "no column looks like the item"),
    "JSON cut off": log('{"user": "u1", "item', "JSON lines expected"),
    "JSON that is too deep": log('{"user":' * 5000 + "1" + "}" * 5000, "JSON lines expected"),
    "JSON objects as ids": log(json_lines(user={"id": 1}), "user is a list or an object (40)"),
    "JSON lists as ids": log(json_lines(item=[1, 2]), "item is a list or an object (40)"),
    "other lines among JSON": log(json_lines() + "oops\n" * 9, "not a JSON object (9)"),
    "Parquet lists as ids": log(parquet(**{**COLUMNS, "user": [["a"], ["b"]]}), "holds lists or objects"),
    # mappings
    "YAML that is none": mapped("user: [", "not YAML"),
    "YAML with a tab": mapped("user:\tuser\n\titem: x", "not YAML"),
    "YAML with a date that is none": mapped("dates: [2024-13-45, 2024-14-45]", "not YAML"),
    "YAML that runs code": mapped("user: !!python/object/apply:os.getcwd []", "not YAML"),
    "YAML list": mapped("- user", "a flat YAML"),
    "YAML that is empty": mapped("", "a flat YAML"),
    "YAML that is not there": Bad("YAML expected", options=("--mapping", "nothing.yaml")),
    "packed YAML": Bad("YAML expected", {"log.csv": GOOD, "m.gz": PACKED}, options=("--mapping", "m.gz")),
    "unknown key": mapped("usr: user", "unknown key 'usr', did you mean 'user'"),
    "key that is a number": mapped("1: user", "unknown key 1"),
    "list in place of a column": mapped("user: [user]", "user: "),
    "word in place of a number": mapped("utc_offset_constant: Berlin", "utc_offset_constant"),
    "long delimiter": mapped("delimiter: ', , , '", "one to four characters"),
    "delimiter that ends a line": mapped('delimiter: "\\n"', "one to four characters"),
    "delimiter that is not there": mapped("delimiter: '|'", "it has user,item,time"),
    "quote of two characters": mapped("quote: ab", "one character"),
    "quote that is the delimiter": mapped("quote: ','", "QUOTE must not appear"),
    "template without a column": mapped("item_text: tea", "a template with a column in braces"),
    "template of another column": mapped("item_text: '{name}'", "no column 'name'"),
    "timeless with times": mapped("timeless: true\ntime: time", "a log without times expected"),
    # presets
    "unknown preset": Bad("did you mean 'movielens'", options=("--preset", "movielens2")),
    "preset of other files": Bad("expected, got log.csv", options=("--preset", "foursquare-tsmc")),
    "preset of an empty folder": Bad("an empty folder", {"a/": ""}, given=("a",), options=("--preset", "movielens")),
    # tables
    "items of another log": beside("items", "item,name\nx1,Tea\nx2,Bar\n", "not one item of the log is in column"),
    "items without ids": beside("items", "name,weight\nTea,1\n", "no column looks like the item's id"),
    "items without rows": beside("items", "item,name\n", "a header but no row"),
    "items that are empty": beside("items", "", "the file is empty"),
    "items that are a picture": beside("items", PNG, "binary data"),
    "items that are not there": Bad("there is no such file", options=("--items", "nothing.csv")),
    "items in a folder": Bad("got a folder", {"log.csv": GOOD, "items/a.csv": "item\n"}, options=("--items", "items")),
    "id column that is not there": beside("items", "sku,name\ni1,Tea\n", "no column 'id'", "item_id: id"),
    "label column that is not there": beside("items", "item,name\ni1,Tea\n", "no column 'title'", "item_label: title"),
    "users of another log": beside("users", "user,name\nx1,Anna\n", "not one user of the log is in column"),
    "places that the log does not name": beside("locations", "id,name\nl1,Park\n", "needs a column of the log"),
    "ties that are not there": mapped("relations: {friends: {file: ties.csv}}", "there is no file ties.csv"),
    "ties of nobody": beside("items", "item,name\ni1,Tea\n", "no row of table.csv", STRANGERS),
    # splits
    "split column of other words": log(OTHER_SPLIT, "split is not known", "split: split"),
    "split column that is missing": mapped("split_by: column", "a 'split' column expected"),
    "split by files that do not say": mapped("split_by: files", "names with train, val and test"),
    "split by something else": mapped("split_by: moon", "split_by"),
    "split dates reversed": mapped("split_dates: [2024-01-20, 2024-01-10]", "split_dates"),
    "split dates before the log": mapped("split_dates: [2020-01-20, 2020-01-21]", "split_dates"),
    "split dates that are words": mapped("split_dates: [soon, later]", "a date such as"),
    "one split date": mapped("split_dates: [2024-01-20]", "split_dates"),
    "split shares": mapped("split_fractions: [0.8, 0.1, 0.3]", "add up to 1"),
    "split shares that are no numbers": mapped("split_fractions: [.nan, 0.5, 0.5]", "add up to 1"),
    # filters
    "kinds of another log": mapped("kinds: {buy: 1}", "its kinds are 'event'"),
    "kinds without weights": mapped("kinds: {event: .nan}", "kinds with what their weights are multiplied by"),
    "no kinds": mapped("kinds: {}", "kinds with what their weights are multiplied by"),
    "weight that is too large": mapped("kinds: {event: 1.0e+300}", "kinds with what their weights are multiplied by"),
    "dates reversed": mapped("dates: [2024-02-01, 2024-01-01]", "dates: a first moment before the end"),
    "dates of another year": mapped("dates: [2020-01-01, 2020-02-01]", "outside the dates (40)"),
    "box off the globe": mapped("box: [40, -73, 99, 10]", "box: [south, west, north, east]"),
    "box without coordinates": mapped("box: [40, -74, 41, -73]", "no coordinates (40)"),
    "core too high": mapped("user_core: 50", "user with too few events (40)"),
    "core below one": mapped("user_core: 0", "user_core"),
    "sessions that nothing makes": mapped("least_session: 2", "needs sessions"),
    "many kinds": log(MANY_KINDS, "at most 127 different kinds", "kind: kind"),
    # other sources
    "query of a file": mapped("query: SELECT 1", "a database such as"),
    "database without the table": Bad("visits", SHOP, given=("shop.db",), options=("--query", "visits")),
    "database, but no statement": Bad("shop.db", SHOP, given=("shop.db",), options=("--query", "DROP TABLE log")),
    "address of no scheme": Bad("warehouse", given=("warehouse://logs/a.csv",)),
    # the graph directory
    "out is a file": Bad("there is a file", {"log.csv": GOOD, "graph": "mine"}),
    "out holds other files": Bad("holds other files", {"log.csv": GOOD, "graph/mine.txt": "mine"}),
    "out in a file": Bad("log.csv", options=("--out", "log.csv/graph")),
    "out in a new folder": Bad("there is no such file", given=("nothing.csv",), options=("--out", "new/graph")),
    # the command line
    "text model that is not there": beside("items", "item,name\ni1,Te\n", "no/model", None, "--text-model", "no/model"),
    "share that is none": Bad("a share such as 1%", options=("--max-bad", "many")),
    "share above all": Bad("a share such as 1%", options=("--max-bad", "200%")),
    "privacy that is none": Bad("unknown option 'hide'", options=("--privacy", "hide")),
    "vectors that are not there": Bad("nothing.npy", options=("--vectors", "item=nothing.npy")),
    "vectors of nothing": Bad("--vectors", options=("--vectors", "item")),
    "unknown option": Bad("No such option", options=("--turbo",), code=2),
    "no file": Bad("Missing argument", given=(), code=2),
}  # fmt: skip


def lay(case: Bad, folder: Path) -> list[str]:
    """Write the files of a case; the arguments that name them."""
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    if case.mapping is not None:
        (folder / "mapping.yaml").write_text(case.mapping)
    mapping = ["--mapping", "mapping.yaml"] if case.mapping is not None else []
    return [*case.given, *mapping, *case.options]


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder, with what the files hold."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def said(err: str) -> list[str]:
    """The lines on stderr that tell no progress."""
    return [line for line in err.splitlines() if not line.startswith(PROGRESS)]


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_line_and_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphrec: Run
) -> None:
    case = CASES[name]
    monkeypatch.chdir(tmp_path)
    arguments = lay(case, tmp_path)
    before = tree(tmp_path)
    ended = graphrec("build", "--text-model", "none", "--out", "graph", *arguments)
    assert (ended.code, ended.out) == (case.code, ""), ended
    lines = said(ended.err)
    if case.code == 1:
        assert len(lines) == 1, ended.err
        assert lines[0].startswith("error: ")
    assert case.words in " ".join(lines)
    assert "Traceback" not in ended.err
    assert tree(tmp_path) == before


STAGES = [
    "no such file", "gzip cut off", "unknown key", "more than 1% bad", "items of another log", "core too high",
    "many kinds", "split dates before the log", "text model that is not there",
]  # fmt: skip
"""Cases in which a build ends at different steps."""


@pytest.mark.parametrize("name", STAGES)
def test_the_old_graph_stays_whole(
    name: str, city_graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphrec: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = lay(CASES[name], tmp_path)
    shutil.copytree(city_graph, tmp_path / "graph")
    before = tree(tmp_path)
    assert graphrec("build", "--text-model", "none", "--out", "graph", *arguments).code == 1
    assert tree(tmp_path) == before


LOOKED_AT = [
    "empty", "Parquet with wrong bytes", "zip", "prose", "neither UTF-8 nor Latin-1", "header only", "one word",
    "quote that is not closed", "column named twice", "ragged rows", "long line", "all rows bad", "more than 1% bad",
    "no user", "mapped column that is not there", "times that are words", "null island", "coordinates with commas",
    "JSON numbers", "JSON objects as ids", "other lines among JSON", "Parquet lists as ids", "ties of nobody",
    "delimiter that is not there", "split by files that do not say", "split dates before the log", "core too high",
    "many kinds", "items of another log",
]  # fmt: skip
"""Cases of every kind of trouble that a look at the log can meet."""


@pytest.mark.parametrize("name", LOOKED_AT)
def test_a_look_at_bad_input_is_no_traceback(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphrec: Run
) -> None:
    case = CASES[name]
    monkeypatch.chdir(tmp_path)
    arguments = lay(case, tmp_path)
    before = tree(tmp_path)
    ended = graphrec("inspect", "--json", *arguments)
    assert ended.code in (0, 1)
    assert "Traceback" not in ended.err
    assert tree(tmp_path) == before
    if ended.code:
        assert case.words in ended.refusal
    else:
        found = json.loads(ended.out)
        assert found["missing_roles"] or case.words in found["refusal"]


REASONS = {
    ",i1,2024-01-01,40,-73,1,60,train": "missing user",
    "u1,NULL,2024-01-01,40,-73,1,60,train": "missing item",
    "u1,i1,,40,-73,1,60,train": "missing time",
    "u1,i1,soon,40,-73,1,60,train": "unparsable time",
    "u1,i1,1492-10-12,40,-73,1,60,train": "time out of range",
    "u1,i1,2190-01-01,40,-73,1,60,train": "time in the future",
    "u1,i1,1970-01-01,40,-73,1,60,train": "time is 1 January 1970, most likely a missing one",
    "u1,i1,2024-01-01,north,-73,1,60,train": "latitude is not a number",
    "u1,i1,2024-01-01,40,west,1,60,train": "longitude is not a number",
    "u1,i1,2024-01-01,91,-173,1,60,train": "latitude out of range",
    "u1,i1,2024-01-01,40,-181,1,60,train": "longitude out of range",
    "u1,i1,2024-01-01,-173,40,1,60,train": "latitude and longitude seem to be swapped",
    "u1,i1,2024-01-01,0,0.0,1,60,train": "latitude and longitude are 0, most likely missing",
    "u1,i1,2024-01-01,40,,1,60,train": "half a coordinate",
    "u1,i1,2024-01-01,40,-73,many,60,train": "weight is not a number",
    "u1,i1,2024-01-01,40,-73,1e40,60,train": "weight out of range",
    "u1,i1,2024-01-01,40,-73,1,CET,train": "UTC offset is not a number",
    "u1,i1,2024-01-01,40,-73,1,3600,train": "UTC offset out of range",
    "u1,i1,2024-01-01,40,-73,1,60,holdout": "split is not known",
    "u1,i1,2024-01-01,40,-73": "wrong number of fields",
    "u1,i1,2024-01-01,40,-73,1,60,train,more": "wrong number of fields",
    "u0,i0,2024-01-01 10:00,40,-73,1,60,train": "duplicate row",
}
"""Rows of a log and why they are set aside."""


def test_every_bad_row_is_set_aside_for_its_reason(tmp_path: Path) -> None:
    whole = "user,item,time,lat,lon,weight,utc_offset,split\n" + rows(40, ",40,-73,1,60,train")
    (tmp_path / "log.csv").write_text(whole + "\n".join(REASONS) + "\n")
    roles = {name: name for name in whole.splitlines()[0].split(",")}
    manifest = build_graph([tmp_path / "log.csv"], tmp_path / "graph", mapping=roles, max_bad=0.5, text_model="none")
    assert manifest.counts["events"] == 40
    assert manifest.quarantined == Counter(REASONS.values())
    bad = pq.read_table(tmp_path / "graph" / "quarantine.parquet").to_pylist()
    assert {row["row"]: row["reason"] for row in bad} == dict(enumerate(REASONS.values(), start=41))


def test_a_share_of_bad_rows_can_be_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphrec: Run) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.csv").write_text(GOOD + "u1,i1,soon\n")
    ended = graphrec("build", "log.csv", "--out", "graph", "--text-model", "none", "--max-bad", "3%", "--json")
    assert (ended.code, json.loads(ended.out)["quarantined"]) == (0, {"unparsable time": 1})


@pytest.mark.parametrize(
    "name", ["log[1].csv", "l*g.csv", "log?.jsonl", "lög 'x' \"y\".csv", "{log}.csv.gz", "--log.csv"]
)
def test_a_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    content = json_lines().encode() if "json" in name else GOOD.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    (tmp_path / "log1.csv").write_text("another log\n")
    manifest = build_graph([tmp_path / name], tmp_path / "graph", text_model="none")
    assert (manifest.counts["events"], manifest.sources[0].name) == (40, name)


ODD: dict[str, str | bytes] = {
    **{
        f"key {key!r}": json_lines(2, **{key: 1}) for key in ("", "a.b[0]*", "a\\b", 'a"b', "a\nb", "a\0b", "$", "line")
    },
    "key cut in half": json_lines(2) + '{"user": 1, "item": 2, "time": 0, "\\ud800": 1}\n',
    "roles with odd names": "".join(
        json.dumps({'us"er': user, "it\\em": "i1", "time": 1_704_067_200}) + "\n" for user in ("u1", "u2")
    ),
    "empty names": "user,,item,,time\nu1,1,i1,2,2024-01-01\nu2,1,i1,2,2024-01-02\n",
    "delimiter at the end": "user,item,time,\nu1,i1,2024-01-01,\nu2,i2,2024-01-02,\n",
    "returns only": GOOD[: 15 + 48].replace("\n", "\r"),
    "other ends of lines in a text": "user,item,time\nu\u20281,i1,2024-01-01\nu\x0b2,i\x85,2024-01-02\n",
    "names that differ by case": parquet(user=["a", "b"], User=["a", "b"], item=["i", "j"], time=COLUMNS["time"]),
    "a column without a name": parquet(**{"": ["a", "b"], **COLUMNS}),
    "encoded strings": parquet(**{**COLUMNS, "user": pa.array(["a", "b"]).dictionary_encode()}),
}
"""Logs that are odd, but have two rows that can be used."""


@pytest.mark.parametrize("name", ODD)
def test_an_odd_log_is_read(name: str, tmp_path: Path) -> None:
    content = ODD[name]
    (tmp_path / "log").write_bytes(content.encode() if isinstance(content, str) else content)
    found = inspect_log([tmp_path / "log"])
    assert found.events == 2
    (tmp_path / "m.yaml").write_text(draft(found), encoding="utf-8")
    assert ColumnMapping.load(tmp_path / "m.yaml") == found.mapping


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphrec: Run) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.csv").write_text(GOOD)
    (tmp_path / "log.csv").chmod(0)
    assert "ermission" in graphrec("build", "log.csv", "--out", "graph").refusal
