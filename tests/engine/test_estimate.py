"""Estimates grow with the work, and files are judged by their beginnings; what they are worth: benchmarks/build.md."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.engine.connect import connect
from builders.engine.estimate import Estimate, FileSize, estimate, estimate_build, file_size, machine_slowdown, threads
from builders.sources.source import Layout, detect_source

AMOUNTS = st.builds(
    FileSize,
    rows=st.integers(0, 10**9),
    bytes=st.integers(0, 10**12),
    format=st.sampled_from(["csv", "jsonl", "parquet"]),
    packed=st.booleans(),
)


@given(AMOUNTS, AMOUNTS, st.floats(0.1, 10), st.integers(1, 64))
def test_more_files_take_longer(one: FileSize, other: FileSize, machine_slowdown: float, threads: int) -> None:
    alone, both = estimate([one], 9, machine_slowdown, threads), estimate([one, other], 9, machine_slowdown, threads)
    assert both.seconds >= alone.seconds
    assert both.peak_bytes >= alone.peak_bytes


@given(AMOUNTS, st.floats(0.1, 10), st.integers(1, 64))
def test_the_work_is_linear_in_the_rows(one: FileSize, machine_slowdown: float, threads: int) -> None:
    nothing, once, thrice = (estimate([one] * count, 9, machine_slowdown, threads) for count in (0, 1, 3))
    assert thrice.seconds - nothing.seconds == pytest.approx(3 * (once.seconds - nothing.seconds), rel=1e-6, abs=1e-6)
    assert thrice.peak_bytes - nothing.peak_bytes == pytest.approx(3 * (once.peak_bytes - nothing.peak_bytes), abs=3)


@given(AMOUNTS, st.floats(0.1, 10), st.integers(1, 64))
def test_a_slower_machine_takes_longer_and_more_threads_never_do(
    one: FileSize, machine_slowdown: float, threads: int
) -> None:
    here = estimate([one], 9, machine_slowdown, threads)
    assert estimate([one], 9, 2 * machine_slowdown, threads).seconds == pytest.approx(2 * here.seconds)
    more = estimate([one], 9, machine_slowdown, 2 * threads)
    assert here.seconds / 2 < more.seconds < here.seconds
    assert more.peak_bytes == here.peak_bytes


@given(AMOUNTS)
def test_a_column_more_takes_longer(one: FileSize) -> None:
    narrow, wide = estimate([one], 3, 1.0, 2), estimate([one], 9, 1.0, 2)
    assert (narrow.seconds < wide.seconds) == (one.rows > 0)
    assert (narrow.peak_bytes < wide.peak_bytes) == (one.rows > 0)


def test_rows_of_text_are_judged_by_the_first_lines(tmp_path: Path) -> None:
    line = "u1,i1,2024-01-01T00:00:00Z\n"
    log = tmp_path / "log.csv"
    log.write_text("user,item,time\n" + line * 99_999)
    found = file_size(detect_source(log, Layout(), tmp_path))
    assert found.rows == pytest.approx(100_000, rel=0.001)
    assert found == FileSize(found.rows, log.stat().st_size, "csv")


def test_packed_bytes_are_judged_as_they_unpack(tmp_path: Path) -> None:
    rows = [
        f'{{"user": "u{n * n % 977}", "item": "i{n * n % 1009}", "time": {1_700_000_000 + n}}}\n' for n in range(99_999)
    ]
    log = tmp_path / "log.jsonl.gz"
    log.write_bytes(gzip.compress("".join(rows).encode()))
    found = file_size(detect_source(log, Layout(), tmp_path))
    assert (found.format, found.packed) == ("jsonl", True)
    unpacked = replace(found, packed=False)
    assert estimate([unpacked], 3, 1.0, 2).seconds < estimate([found], 3, 1.0, 2).seconds
    assert found.bytes == pytest.approx(sum(map(len, rows)), rel=0.2)
    assert found.rows == pytest.approx(len(rows), rel=0.2)


def test_parquet_says_how_much_it_holds(tmp_path: Path) -> None:
    log = tmp_path / "log.parquet"
    pq.write_table(pa.table({"user": ["u"] * 5_000, "item": ["i"] * 5_000, "time": range(5_000)}), log)
    found = file_size(detect_source(log, Layout(), tmp_path))
    assert (found.rows, found.format) == (5_000, "parquet")
    assert found.bytes > 8_000  # the times alone, as they are encoded


def test_a_build_is_estimated_on_this_machine(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,item,time\nu1,i1,2024-01-01\n")
    engine = connect(tmp_path)
    assert machine_slowdown(engine) > 0
    assert threads(engine) >= 1
    assert 0 < estimate_build(engine, [detect_source(log, Layout(), tmp_path)], 3).seconds < 600


@pytest.mark.parametrize(
    ("seconds", "count", "said"),
    [
        (0.2, 300 << 20, "about 0.2 s and 300.0 MiB of memory"),
        (89.0, 1 << 30, "about 1 min 29 s and 1.0 GiB of memory"),
        (150.0, 3 << 29, "about 2 min 30 s and 1.5 GiB of memory"),
        (7_200.0, 1 << 20, "about 2 h 00 min and 1.0 MiB of memory"),
    ],
)
def test_an_estimate_is_said_in_words(seconds: float, count: int, said: str) -> None:
    assert str(Estimate(seconds, count)) == said
