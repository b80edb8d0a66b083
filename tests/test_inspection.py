"""What a log looks like, before anything is built, and the mapping that comes of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from builders.build import build_graph
from builders.inspection import Column, File, Inspection, inspect_log
from builders.mapping.column_mapping import ROLES, ColumnMapping
from builders.mapping_draft import draft
from graphrec.errors import GraphrecError

LOG = "who;user_id;item_id;when;note\n" + "".join(f"x;u{i};i{i % 3};2024-01-0{i} 10:00;\n" for i in range(1, 9))
BAD = "x;;i1;2024-01-09 10:00;\nx;u1;i1;never;\nx;u1;i2;never again;\n"
Run = Callable[..., Any]


def write(folder: Path, text: str, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_log_is_described(tmp_path: Path) -> None:
    found = inspect_log([write(tmp_path, LOG + BAD)], max_bad=0.5)
    assert (found.files[0].format, found.files[0].delimiter, found.files[0].encoding) == ("csv", ";", "utf-8")
    assert found.mapping.roles() == {"user": "user_id", "item": "item_id", "time": "when"}
    assert (found.rows, found.events, found.users, found.items, found.locations) == (11, 8, 8, 3, 0)
    assert (found.kinds, found.split) == (("event",), {"train": 6, "val": 1, "test": 1})
    assert found.time_span == (1704103200, 1704708000)
    assert (found.time_format, found.time_zone) == ("iso", "taken as UTC, for none is written")
    assert [(trouble.reason, trouble.count, trouble.row, trouble.value) for trouble in found.row_issues] == [
        ("unparsable time", 2, 10, "never"),
        ("missing user", 1, 9, None),
    ]
    assert "time_format" in found.row_issues[0].remedy
    assert [(column.name, column.holds, column.role) for column in found.columns] == [
        ("who", "text", None),
        ("user_id", "text", "user"),
        ("item_id", "text", "item"),
        ("when", "time", "time"),
        ("note", "empty", None),
    ]
    assert found.columns[2].examples == ("i1", "i2", "i0")
    assert [(finding.reason, finding.count) for finding in found.data_issues] == [("columns that are not used", 2)]
    assert found.refusal is None


def test_where_a_build_would_stop_is_told_in_its_words(tmp_path: Path) -> None:
    path = write(tmp_path, LOG + BAD)
    for options in (
        {},
        {"mapping": {"user_core": 5}, "max_bad": 0.5},
        {"items": write(tmp_path, "id,name\nx,Tea\n", "i.csv")},
    ):
        found = inspect_log([path], **options)
        with pytest.raises(GraphrecError) as caught:
            build_graph([path], tmp_path / "graph", text_model="none", **options)
        assert found.refusal == str(caught.value)
        assert (found.events, found.time_format) == (8, "iso")


def test_tables_and_filters_count_as_in_a_build(tmp_path: Path) -> None:
    items = write(tmp_path, "id,title\ni1,Tea\nnew,Bar\n", "items.csv")
    path, options = write(tmp_path, LOG), {"items": items, "mapping": {"dates": ["2024-01-01", "2024-01-07"]}}
    found = inspect_log([path], **options)
    manifest = build_graph([path], tmp_path / "graph", text_model="none", **options)
    counts = manifest.counts
    assert (
        (found.users, found.items, found.locations) == (counts["user"], counts["item"], counts["location"]) == (6, 4, 0)
    )
    assert found.filtered == manifest.filtered == {"outside the dates": 2}
    assert found.events == 8


def test_it_can_be_written_as_json(tmp_path: Path) -> None:
    found = json.loads(json.dumps(inspect_log([write(tmp_path, LOG)]).to_json()))
    assert found["mapping"] == {"user": "user_id", "item": "item_id", "time": "when"}
    assert (found["files"][0]["rows"], found["files"][0]["delimiter"], found["time_zone"][:12]) == (
        8,
        ";",
        "taken as UTC",
    )
    assert found["findings"][0]["examples"][0] == {"value": "who", "file": "log.csv", "row": None}


def test_a_role_that_cannot_be_guessed_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "person,thing,at\na,b,c\n")
    found = inspect_log([path])
    assert found.missing_roles == ("user", "item", "time")
    assert (found.rows, found.events) == (1, None)
    found = inspect_log([path], mapping={"user": "person", "item": "thing", "time": "at"})
    assert (found.events, found.time_span) == (0, None)  # a log of bad rows only can still be looked at
    assert "1 of 1 rows cannot be used" in str(found.refusal)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(bytes(100))
    with pytest.raises(GraphrecError, match="binary data"):
        inspect_log([tmp_path / "log.csv"])
    with pytest.raises(GraphrecError, match="no file matches"):
        inspect_log([f"{tmp_path}/*.parquet"])


def test_the_mapping_that_was_found_can_be_edited(tmp_path: Path) -> None:
    found = inspect_log([write(tmp_path, LOG)])
    text = draft(found)
    assert ColumnMapping.load(write(tmp_path, text, "m.yaml")) == found.mapping
    assert "user: user_id  # User id." in text
    assert "# ROLE: who  # text, such as x" in text
    assert "time_format: auto  # Found: iso. Zone: taken as UTC, for none is written." in text
    assert "# delimiter: ;  # Separator of the fields" in text
    edited = text.replace("# ROLE: note", "session: note").replace("# delimiter", "delimiter")
    edited = ColumnMapping.load(write(tmp_path, edited, "m.yaml"))
    assert edited == found.mapping.model_copy(update={"session": "note", "delimiter": ";"})


def test_a_mapping_without_a_role_can_be_completed(tmp_path: Path) -> None:
    text = draft(inspect_log([write(tmp_path, "person,thing,at\na,b,c\n")]))
    assert ColumnMapping.load(write(tmp_path, text, "m.yaml")) == ColumnMapping()
    text = text.replace("# user: COLUMN", "user: person").replace("# item: COLUMN", "item: thing")
    assert ColumnMapping.load(write(tmp_path, text, "m.yaml")).roles() == {"user": "person", "item": "thing"}


NAMES = st.text(min_size=1, max_size=8).filter(lambda name: name.isprintable() or "\n" in name)


@given(
    st.lists(NAMES, min_size=3, max_size=3, unique=True),
    NAMES,
    st.sampled_from([{}, {"split_dates": ["2024-01-01", "2024-02-01"]}, {"kinds": {"a: b": 2.0}, "delimiter": "|"}]),
    st.sampled_from(
        [{}, {"query": "SELECT 1 # no\nFROM x"}, {"relations": {"ties": {"file": "a #b.csv"}}}, {"quote": ""}]
    ),
)
def test_any_mapping_is_read_as_it_was_written(names: list[str], other: str, more: Any, rest: Any) -> None:
    mapping = ColumnMapping.of(
        {**dict(zip(("user", "item", "time"), names, strict=True)), "text": other, **more, **rest}
    )
    columns = tuple(Column(name, "text", (other, name), None, used=False) for name in (*names, other))
    file = File(other, "csv", "none", "utf-8", other[:1], header=True, rows=1, bytes=1)
    text = draft(Inspection((file,), columns, mapping, 1, time_format=other, time_zone=other))
    assert ColumnMapping.of(yaml.safe_load(text)) == mapping
    uncommented = "\n".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ROLE: "))
    assert uncommented.count("ROLE: ") >= len(columns)


def test_every_role_has_a_meaning() -> None:
    assert all(ColumnMapping.model_fields[role].description for role in ROLES)


def test_the_command_shows_and_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphrec: Run) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # hints are for a person at a terminal
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress((LOG + BAD).encode()))
    ended = graphrec("inspect", "log.csv.gz", "--save-mapping", "m.yaml")
    assert ended.code == 0
    for words in (
        "csv ';', gzip",
        "user_id",
        "taken as UTC",
        "unparsable time",
        "columns that are not",
        "a build would stop",
    ):
        assert words in ended.out
    assert ColumnMapping.load(tmp_path / "m.yaml").user == "user_id"
    ended = graphrec("inspect", "log.csv.gz", "--mapping", "m.yaml", "--max-bad", "30%")
    assert "a build would stop" not in ended.out
    assert "graphrec build log.csv.gz --mapping=m.yaml --max-bad=30% --out graph" in ended.err
    assert graphrec("inspect", "log.csv.gz", "--save-mapping", "m.yaml").code == 0  # it holds the same
    (tmp_path / "m.yaml").write_text("user: who")
    assert "delete it, or name another" in graphrec("inspect", "log.csv.gz", "--save-mapping", "m.yaml").refusal
