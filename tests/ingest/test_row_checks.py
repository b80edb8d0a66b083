"""Rows that cannot be used, times as people write them, texts from columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.assemble.event_codes import quarantine_duplicates
from builders.engine.connect import connect
from builders.ingest.log import ingest_log, open_log
from builders.ingest.parts import read_log
from builders.ingest.quarantine import check_bad_share, counts_by_reason
from builders.mapping.templates import render
from builders.mapping.timestamps import detect_format, to_seconds
from graphrec.errors import InputError
from graphrec.progress import NoProgress

MOMENT = datetime(2012, 4, 3, 18, 0, 9, tzinfo=UTC)
WRITTEN = {
    "iso": [
        "2012-04-03 18:00:09",
        "2012-04-03T18:00:09Z",
        "2012-04-03 20:00:09+02:00",
        "2012-04-03T18:00:09.9+00:00",
        "2012/04/03 18:00:09",
    ],
    "epoch_s": ["1333476009", "1333476009.0"],
    "epoch_ms": ["1333476009000", "1333476009999"],
    "epoch_us": ["1333476009000000"],
    "%a %b %d %H:%M:%S %z %Y": ["Tue Apr 03 18:00:09 +0000 2012"],
    "%d.%m.%Y %H:%M:%S": ["03.04.2012 18:00:09"],
}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return connect(tmp_path_factory.mktemp("engine"))


def seconds(connection: Any, texts: list[str], time_format: str) -> list[int | None]:
    values = ibis.memtable(pa.table({"text": pa.array(texts, pa.string())}))
    found: list[int | None] = connection.to_pyarrow(to_seconds(values.text, time_format)).to_pylist()
    return found


@pytest.mark.parametrize("time_format", WRITTEN)
def test_times_are_recognised_and_read_as_utc_seconds(time_format: str, connection: Any) -> None:
    assert detect_format(connection, WRITTEN[time_format]) == time_format
    assert seconds(connection, WRITTEN[time_format], time_format) == [int(MOMENT.timestamp())] * len(
        WRITTEN[time_format]
    )


@pytest.mark.parametrize(("texts", "found"), [(["20120403"], "%Y%m%d"), (["apple", "5 o'clock"], None), ([], None)])
def test_dates_without_dashes_are_no_epochs_and_words_no_times(
    texts: list[str], found: str | None, connection: Any
) -> None:
    assert detect_format(connection, texts) == found


@pytest.mark.parametrize("time_format", WRITTEN)
def test_what_is_no_time_is_null(time_format: str, connection: Any) -> None:
    assert seconds(connection, ["yesterday", "", "99999999999999999999"], time_format) == [None] * 3


@settings(max_examples=25, deadline=None)
@given(moment=st.integers(-2_000_000_000, 7_000_000_000))
def test_iso_and_epoch_agree(moment: int, connection: Any) -> None:
    written = datetime.fromtimestamp(moment, UTC).isoformat()
    assert seconds(connection, [written], "iso") == seconds(connection, [str(moment)], "epoch_s") == [moment]


@dataclass(frozen=True)
class Looked:
    events: pa.Table
    quarantine: pa.Table
    total: int


def check(tmp_path: Path, lines: list[str], header: str = "user,item,time,lat,lon,weight") -> Looked:
    path = tmp_path / "log.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    engine = connect(tmp_path)
    (tmp_path / "log").mkdir()
    log = open_log(engine, [path], None, None, NoProgress())
    [rows] = ingest_log(engine, log, has_items=False, folder=tmp_path, progress=NoProgress())
    events, again = quarantine_duplicates(engine, read_log(engine, [rows.part]), [rows.part])
    return Looked(engine.to_pyarrow(events), pa.concat_tables([rows.quarantine, again]), rows.total)


GOOD = [f"u{i},i{i},2024-01-0{i},40.7,-73.9,1" for i in range(1, 10)]
BAD = {
    ",i1,2024-01-01,40,-73,1": ("user", "missing user", None),
    "u1,NULL,2024-01-01,40,-73,1": ("item", "missing item", None),
    "u1,i1,,40,-73,1": ("time", "missing time", None),
    "u1,i1,soon,40,-73,1": ("time", "unparsable time", "soon"),
    "u1,i1,1492-10-12,40,-73,1": ("time", "time out of range", "1492-10-12"),
    "u1,i1,2024-01-01,north,-73,1": ("lat", "latitude is not a number", "north"),
    "u1,i1,2024-01-01,91,-173,1": ("lat", "latitude out of range", "91"),
    "u1,i1,2024-01-01,-173,40,1": ("lat", "latitude and longitude seem to be swapped", "-173, 40"),
    "u1,i1,2024-01-01,0,0.0,1": ("lat", "latitude and longitude are 0, most likely missing", "0, 0.0"),
    "u1,i1,1970-01-01 00:00:07,40,-73,1": (
        "time",
        "time is 1 January 1970, most likely a missing one",
        "1970-01-01 00:00:07",
    ),
    "u1,i1,2190-01-01,40,-73,1": ("time", "time in the future", "2190-01-01"),
    "u1,i1,2024-01-01,40,-181,1": ("lon", "longitude out of range", "-181"),
    "u1,i1,2024-01-01,40,,1": ("lon", "half a coordinate", "40"),
    "u1,i1,2024-01-01,inf,-73,1": ("lat", "latitude out of range", "inf"),
    "u1,i1,2024-01-01,40,-73,many": ("weight", "weight is not a number", "many"),
    "u1,i1,2024-01-01": (None, "wrong number of fields", "u1,i1,2024-01-01"),
    "u1,i1,2024-01-01,40,-73,1,2": (None, "wrong number of fields", "u1,i1,2024-01-01,40,-73,1,2"),
    GOOD[1]: (None, "duplicate row", "same as row 2"),
}


@pytest.mark.parametrize("line", BAD)
def test_a_bad_row_is_set_aside_with_its_reason(line: str, tmp_path: Path) -> None:
    column, reason, value = BAD[line]
    checked = check(tmp_path, [*GOOD[:4], line, *GOOD[4:]])
    expected = {"file": "log.csv", "row": 5, "column": column, "reason": reason, "value": value}
    assert checked.quarantine.to_pylist() == [expected]
    assert len(checked.events) == len(GOOD)
    assert checked.total == len(GOOD) + 1


def test_no_row_is_lost(tmp_path: Path) -> None:
    checked = check(tmp_path, [*GOOD, *BAD])
    assert len(checked.quarantine) == len(BAD)
    assert sum(counts_by_reason(checked.quarantine).values()) == len(BAD)
    assert len(checked.events) == checked.total - len(BAD) == len(GOOD)


def test_coordinates_may_be_missing_together(tmp_path: Path) -> None:
    assert len(check(tmp_path, [*GOOD, "u1,i1,2024-02-01,,,1"]).quarantine) == 0


def test_a_log_of_mostly_bad_rows_is_refused_with_an_example(tmp_path: Path) -> None:
    checked = check(tmp_path, [*GOOD[:2], *(f"u{i},i,2024-01-01,40,{i}00,1" for i in range(3, 7)), ",,,,,"])
    words = r"5 of 7 rows cannot be used, more than 50.0%; mostly: longitude out of range \(4\), such as lon='300'"
    with pytest.raises(InputError, match=words) as caught:
        check_bad_share(checked.quarantine, checked.total, 0.5, "log.csv")
    assert "\n" not in str(caught.value)


def test_a_log_given_twice_is_not_refused(tmp_path: Path) -> None:
    checked = check(tmp_path, GOOD * 3)
    check_bad_share(checked.quarantine, checked.total, 0.5, "log.csv")
    assert counts_by_reason(checked.quarantine) == {"duplicate row": 2 * len(GOOD)}


@pytest.mark.parametrize(
    ("template", "row", "text"),
    [
        ("{title}. {genre}.", ("Heat", "Crime|Drama"), "Heat. Crime, Drama."),
        ("{title}. {genre}.", (None, "Crime"), "Crime."),
        ("{title}: {genre}", ("Heat", " "), "Heat:"),
        ("{title}. {genre}.", ("A story.", "Drama."), "A story. Drama."),
        ("A film, {title}", (None, None), None),
        ("{title}. {genre?}", ("Heat", "1"), "Heat. genre"),
        ("{title}. {genre?}", ("Heat", "0"), "Heat."),
    ],
)
def test_templates_leave_out_what_is_missing(
    template: str, row: tuple[str | None, str | None], text: str | None, connection: Any
) -> None:
    table = ibis.memtable(
        pa.table({name: pa.array([cell], pa.string()) for name, cell in zip(("title", "genre"), row, strict=True)})
    )
    rendered = render(template, {"title": table.title, "genre": table.genre})
    assert connection.to_pyarrow(rendered).to_pylist() == [text]
