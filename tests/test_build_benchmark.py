"""The same log built by graphrec, by hand in SQL and by hand in Polars: three programs, every value the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from builders.build import build_graph

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
build_check, build_log, build_polars, build_sql = (
    pytest.importorskip(f"build_{name}") for name in ("check", "log", "polars", "sql")
)


def built(folder: Path, rows: int) -> dict[str, Path]:
    """A log with one bad row in fifty and one repeated in fifty, built in all three ways."""
    log = folder / "log.csv"
    build_log.write_log(log, rows, seed=7, broken=0.02, repeated=0.02)
    build_graph([log], folder / "graphrec", mapping=build_log.MAPPING, text_model="none", max_bad=0.1)
    build_sql.build(log, folder / "sql")
    build_polars.build(log, folder / "polars")
    return {name: folder / name for name in ("graphrec", "sql", "polars")}


def work(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    build_check.print_work(str(folder))
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_three_programs_write_the_same_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {name: work(folder, capsys) for name, folder in built(tmp_path, 20_000).items()}
    assert found["graphrec"] == found["sql"] == found["polars"]
    assert len(found["sql"]["set aside"]) == 16  # every way in which a row of this log can be bad
    assert 0.03 < sum(found["sql"]["set aside"].values()) / 20_000 < 0.05


@pytest.mark.slow
def test_the_rows_of_a_part_are_those_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Long enough that the engine's threads could write their pieces in another order."""
    folders = built(tmp_path, 600_000)
    found = {name: work(folder, capsys) for name, folder in folders.items()}
    assert found["graphrec"] == found["sql"] == found["polars"]
    lines = (tmp_path / "log.csv").read_text().splitlines()[1:]
    aside = pq.read_table(folders["graphrec"] / "quarantine.parquet")
    for row, reason, value in zip(*(aside[name].to_pylist() for name in ("row", "reason", "value")), strict=True):
        line = lines[row - 1]
        assert reason != "missing user" or line.startswith(",")
        assert reason != "duplicate row" or line == lines[int(value.split()[-1]) - 1]


def test_the_same_seed_makes_the_same_log(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one.csv", "same.csv", "other.csv")]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        build_log.write_log(path, 1_000, seed)
    one, same, other = (path.read_bytes() for path in paths)
    assert one == same != other
    assert one.count(b"\n") == 1_001
