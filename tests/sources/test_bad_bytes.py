"""No bytes, and no mapping, end in a traceback or leave half a graph: each is read, or refused in one line."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.build import build_graph
from builders.inspection import inspect_log
from builders.mapping.column_mapping import ColumnMapping
from graphrec.errors import GraphrecError
from tests.test_bad_inputs import COLUMNS, GOOD, HEADER, PACKED, WITH_PLACE, json_lines, parquet, rows, zstd

WHOLE = [
    GOOD.encode(),
    (WITH_PLACE.replace(",", "\t") + rows(12, ",40.5,-73.25").replace(",", "\t")).encode(),
    b"\xef\xbb\xbfuser;item;time;note\n" + 'ü1;"i;1";2024-01-02 10:00;"a ""b""\nc"\n'.encode() * 3,
    (HEADER + "é,i1,1704067200\n" * 3).encode("latin-1"),
    GOOD.encode("utf-16"),
    PACKED,
    zstd(GOOD),
    json_lines(9).encode(),
    json_lines(9, lat=40.5, lon=-73.25, kind=None, text="Tea\u00e9").encode(),
    b"{u'user': u'anna', 'item': 3, 'time': 1704067200}\n" * 3,
    gzip.compress(json_lines(9).encode()),
    parquet(**COLUMNS),
    parquet(user=[1, 2], item=[1.5, None], time=pa.array([0, 10**15], pa.timestamp("us")), note=[[1], None]),
    gzip.compress(parquet(**COLUMNS)),
    b"1 2 3 4\n2 3 1\n",
    b'item,title,lat,lon,location,since\ni1,"Tea, green",40.5,-73.25,l1,2024-01-01\ni2,Bar,,,l2,\ni1,"Tea",1,1,l2,\n',
]
"""Logs that can be read, each written in another way."""
GIVEN: list[dict[str, Any]] = [
    {},
    {"user": "user", "item": "item", "time": "time"},
    {"encoding": "cp1252"},
    {"delimiter": "::", "header": False},
    {"quote": ""},
    {"lists": True, "timeless": True},
    {"time_format": "%d/%m/%Y", "split_by": "user"},
    {"user": "column1", "item": "column2", "time": "column3", "header": False},
    {"lat": "lat", "lon": "lon", "session_gap": 1.0, "user_core": 2},
]
"""Mappings that they are read with, for better or worse."""


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A log that was cut, doubled, overwritten or spliced in some places."""
    content = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(content)))
        end = draw(st.integers(begin, min(len(content), begin + draw(st.sampled_from([1, 8, 200])))))
        how = draw(st.sampled_from(["cut", "drop", "double", "overwrite", "splice"]))
        put = draw(
            st.binary(max_size=8) | st.sampled_from([b'"', b"\n", b"\r", b",", b"\0", b"\xff", b"{", b"[]", b"\x1e"])
        )
        content = {
            "cut": content[:begin],
            "drop": content[:begin] + content[end:],
            "double": content[:end] + content[begin:],
            "overwrite": content[:begin] + put + content[begin + len(put) :],
            "splice": content[:begin] + put + content[begin:],
        }[how]
    return content


LINES = st.text(st.sampled_from("ab1290.,;|\t:\"'{}[]\\\r\n -+eE\0é“\u2028%NaT/"), max_size=200).map(str.encode)
LOGS = st.binary(max_size=400) | LINES | damaged() | LINES.map(lambda text: HEADER.encode() + text)


def refused(call: Callable[[], Any]) -> bool:
    """Whether a call is refused, which it may be in one line and in no other way."""
    try:
        call()
    except GraphrecError as error:
        if "\n" in str(error):
            raise AssertionError(f"one line expected: {error}") from error
        return True
    return False


def try_to_list(content: bytes) -> None:
    """Build a good log with a table of items: likewise."""
    with tempfile.TemporaryDirectory() as name:
        log, items, out = Path(name, "log"), Path(name, "items"), Path(name, "graph")
        log.write_text(GOOD)
        items.write_bytes(content)
        built = not refused(lambda: build_graph([log], out, items=items, text_model="none"))
        assert {path.name for path in Path(name).iterdir()} == {"log", "items", *(["graph"] if built else [])}


def try_to_read(content: bytes, mapping: dict[str, Any], max_bad: float) -> None:
    """Look at a log and build it: each goes well or ends in one line, and leaves a whole graph or none."""
    with tempfile.TemporaryDirectory() as name:
        log, out = Path(name, "log"), Path(name, "graph")
        log.write_bytes(content)
        refused(lambda: json.dumps(inspect_log([log], mapping=mapping).to_json()))
        if refused(lambda: build_graph([log], out, mapping=mapping, max_bad=max_bad, text_model="none")):
            assert [path.name for path in Path(name).iterdir()] == ["log"]
            return
        assert {path.name for path in Path(name).iterdir()} == {"log", "graph"}
        built = json.loads((out / "manifest.json").read_text())
        bad = sum(built["quarantined"].values()) + sum(built["filtered"].values())
        assert pq.read_metadata(out / "events.parquet").num_rows + bad == built["sources"][0]["rows"]


@settings(max_examples=20, deadline=None)
@given(LOGS, st.sampled_from(GIVEN), st.sampled_from([0.01, 1.0]))
def test_no_bytes_end_in_a_traceback(content: bytes, mapping: dict[str, Any], max_bad: float) -> None:
    try_to_read(content, mapping, max_bad)


@settings(max_examples=15, deadline=None)
@given(LOGS)
def test_no_table_of_items_ends_in_a_traceback(content: bytes) -> None:
    try_to_list(content)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=500, deadline=None)
@given(LOGS)
def test_no_more_tables_of_items_end_in_a_traceback(content: bytes) -> None:
    try_to_list(content)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=1500, deadline=None)
@given(LOGS, st.sampled_from(GIVEN), st.sampled_from([0.01, 1.0]))
def test_no_more_bytes_end_in_a_traceback(content: bytes, mapping: dict[str, Any], max_bad: float) -> None:
    try_to_read(content, mapping, max_bad)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.dates()
ANYTHING = VALUES | st.lists(VALUES, max_size=4) | st.dictionaries(st.text(max_size=3), VALUES, max_size=2)
KEYS = st.sampled_from([*ColumnMapping.model_fields]) | st.text(max_size=3)


@given(st.dictionaries(KEYS, ANYTHING))
def test_no_mapping_ends_in_a_traceback(values: dict[str, Any]) -> None:
    if not refused(lambda: ColumnMapping.of(values)):
        mapping = ColumnMapping.of(values)
        assert ColumnMapping.of(mapping.settings()) == mapping


@given(st.binary(max_size=300) | LINES)
def test_no_yaml_ends_in_a_traceback(content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        refused(lambda: ColumnMapping.load(file.name))
