"""What a log looks like, before anything is built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders.inspection import inspect_log
from graphrec.errors import GraphrecError

LOG = "who;user_id;item_id;when;note\n" + "".join(f"x;u{i};i{i % 3};2024-01-0{i} 10:00;\n" for i in range(1, 9))


def test_a_log_is_described(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(LOG + "x;;i1;2024-01-09 10:00;\nx;u1;i1;never;\nx;u1;i2;never again;\n")
    found = inspect_log([path])
    assert (found.files[0].format, found.files[0].delimiter, found.files[0].encoding) == ("csv", ";", "utf-8")
    assert found.mapping.roles() == {"user": "user_id", "item": "item_id", "time": "when"}
    assert (found.rows, found.events, found.users, found.items) == (11, 8, 8, 3)
    assert found.time_span == (1704103200, 1704708000)
    assert found.time_format == "iso"
    assert [(trouble.reason, trouble.count, trouble.row, trouble.value) for trouble in found.trouble] == [
        ("unparsable time", 2, 10, "never"),
        ("missing user", 1, 9, None),
    ]
    assert [(column.name, column.holds, column.role) for column in found.columns] == [
        ("who", "text", None),
        ("user_id", "text", "user"),
        ("item_id", "text", "item"),
        ("when", "time", "time"),
        ("note", "empty", None),
    ]
    assert found.columns[2].examples == ("i1", "i2", "i0")


def test_it_can_be_written_as_json(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    found = json.loads(json.dumps(inspect_log([tmp_path / "log.csv"]).to_json()))
    assert found["mapping"] == {"user": "user_id", "item": "item_id", "time": "when"}
    assert found["files"][0]["rows"] == 8


def test_a_role_that_cannot_be_guessed_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("person,thing,at\na,b,c\n")
    found = inspect_log([tmp_path / "log.csv"])
    assert found.missing_roles == ("user", "item", "time")
    assert (found.rows, found.events) == (1, None)
    found = inspect_log([tmp_path / "log.csv"], mapping={"user": "person", "item": "thing", "time": "at"})
    assert (found.events, found.time_span) == (0, None)  # a log of bad rows only can still be looked at


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(bytes(100))
    with pytest.raises(GraphrecError, match="binary data"):
        inspect_log([tmp_path / "log.csv"])
    with pytest.raises(GraphrecError, match="no file matches"):
        inspect_log([f"{tmp_path}/*.parquet"])
