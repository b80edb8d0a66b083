"""What is odd about a log: planted, it is found with its place and a remedy that works; not planted, it is not."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.assemble.advice import ADVICE, advice
from builders.assemble.data_issue import DataIssue, Example
from builders.assemble.data_quality import MOJIBAKE
from builders.assemble.time_zone import declared_zone, night_centre, offset_error
from builders.ingest import quarantine
from builders.ingest.row_checks import Check
from builders.inspection import inspect_log
from builders.mapping.column_mapping import ColumnMapping
from builders.mapping.templates import unused_columns

HEADER = "user,item,time\n"
ROWS = "".join(f"u{i % 7},i{i % 5},2024-01-{i % 28 + 1:02} 10:{i:02}\n" for i in range(40))
NIGHT = np.array(
    [30, 12, 6, 4, 4, 5, 20, 60, 90, 100, 95, 100, 120, 115, 100, 95, 100, 110, 130, 140, 130, 110, 80, 50]
)
"""Events in each hour of a local day: people sleep."""
ALIKE = "that differ only by case or spaces"


def look(folder: Path, text: str = HEADER + ROWS, **options: Any) -> dict[str, DataIssue]:
    """The findings of a log by reason."""
    (folder / "log.csv").write_text(text, encoding="utf-8")
    found = inspect_log([folder / "log.csv"], **options)
    assert found.refusal is None
    return {finding.reason: finding for finding in found.data_issues}


def by_hours(events: np.ndarray, ending: str = "") -> str:
    """Rows with so many events in each hour of a UTC day."""
    begin = datetime(2024, 3, 4, tzinfo=UTC)
    hours = np.repeat(np.arange(24), events)
    times = [begin + timedelta(days=place % 7, hours=int(hour), seconds=place) for place, hour in enumerate(hours)]
    return "".join(f"u{i % 31},i{i % 11},{time:%Y-%m-%d %H:%M:%S}{ending}\n" for i, time in enumerate(times))


def test_nothing_is_odd_about_a_good_log(tmp_path: Path) -> None:
    assert look(tmp_path) == {}
    assert look(tmp_path, HEADER + by_hours(NIGHT)) == {}


def test_one_user_with_half_of_all_events(tmp_path: Path) -> None:
    bot = "".join(f"bot,i1,2024-01-02 11:{i:02}\n" for i in range(41))
    [found] = look(tmp_path, HEADER + ROWS + bot).values()
    assert (found.reason, found.count) == ("one user has at least half of all events", 41)
    assert found.examples == (Example("bot", "log.csv", 41),)
    assert look(tmp_path, HEADER + ROWS + bot[: -2 * len("bot,i1,2024-01-02 11:00\n")]) == {}  # 39 of 79


def test_items_without_text(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,name\ni0,Tea\nnew,\ni2,Bar\ni1,Inn\ni4,Zoo\n")
    found = look(tmp_path, items=items)["items without text"]
    assert found.count == 2
    assert found.examples == (Example("i3", "log.csv", 29), Example("new", "items.csv", 2))
    items.write_text("item,weight\n" + "".join(f"i{i},1\n" for i in range(5)))
    assert "items without text" not in look(tmp_path, items=items)  # when none has any, none misses it


GOOD = [
    "Café São João",
    "«Übermut» ½ Pfund",
    "日本の喫茶店",
    "Привет",
    "Ελλάδα",
    "Côte d’Ivoire",
    "£5 – 10° ÂGE",
    "Łódź",
]


@pytest.mark.parametrize("text", GOOD)
def test_utf_8_that_was_read_as_something_else(text: str) -> None:
    assert not pc.match_substring_regex(pa.array([text]), MOJIBAKE)[0].as_py()
    for wrong in ("latin-1", "cp1252"):
        assert pc.match_substring_regex(pa.array([text.encode().decode(wrong, "replace")]), MOJIBAKE)[0].as_py()


def test_text_in_another_encoding(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,name\ni0,CafÃ©\ni1,Café\ni2,Caf\ufffd\ni3,Inn\ni4,Zoo\n", encoding="utf-8")
    [found] = look(tmp_path, items=items).values()
    assert (found.reason, found.count) == ("text in another encoding", 4)  # labels and texts
    assert found.examples[:2] == (Example("CafÃ©", "log.csv", 1), Example("Caf\ufffd", "log.csv", 3))


def test_ids_that_differ_only_by_case_or_spaces(tmp_path: Path) -> None:
    more = 'U1,i1,2024-02-01\nu 1,i1,2024-02-01\n"u2 ",I1,2024-02-02\nu9,i 9,2024-02-03\n'
    found = look(tmp_path, HEADER + ROWS + more)
    assert {reason: finding.count for reason, finding in found.items()} == {
        f"user ids {ALIKE}": 2,
        f"item ids {ALIKE}": 1,
    }
    users, items = found[f"user ids {ALIKE}"].examples, found[f"item ids {ALIKE}"].examples
    assert users == (Example("u1 | U1 | u 1", "log.csv", 41), Example("u2 | u2 ", "log.csv", 43))
    assert items == (Example("i1 | I1", "log.csv", 43),)


def test_kinds_that_differ_only_by_case(tmp_path: Path) -> None:
    text = "user,item,time,kind\n" + ROWS.replace("\n", ",view\n") + "u1,i1,2024-02-01,View\n"
    [found] = look(tmp_path, text).values()
    assert (found.reason, found.count) == (f"kinds of event {ALIKE}", 1)
    assert found.examples == (Example("view | View", "log.csv", 41),)


@given(st.integers(0, 23), st.integers(1, 50))
def test_the_night_is_found_wherever_it_is(shift: int, times: int) -> None:
    apart = (shift + 12) % 24 - 12  # the clock shows so many hours more than the local time
    off = offset_error(np.roll(NIGHT * times, shift))
    assert off is None if abs(apart) < 4 else off is None or (off + apart) % 24 in (0, 1, 23)
    assert off is not None or abs(apart) < 6


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5000))
def test_no_night_is_found_in_noise(seed: int, events: int) -> None:
    assert night_centre(np.bincount(np.random.default_rng(seed).integers(0, 24, events), minlength=24)) is None


def test_shops_and_dates_have_no_wrong_zone() -> None:
    shop = np.zeros(24, int)
    shop[9:19] = 100
    assert offset_error(shop) is None
    assert night_centre(shop) == pytest.approx(2.0, abs=1)
    assert night_centre(np.eye(24, dtype=int)[0] * 10_000) is None  # all at midnight: dates


@pytest.mark.parametrize("shift", [-9, -6, 7, 10])
def test_a_zone_that_the_hours_contradict_and_one_that_fits(shift: int, tmp_path: Path) -> None:
    text = HEADER + by_hours(np.roll(NIGHT, shift))
    [found] = look(tmp_path, text).values()
    assert found.reason == "time zone that the hours of the day contradict"
    constant = re.search(r"utc_offset_constant: (-?\d+)", found.remedy)
    assert constant is not None
    assert abs(int(constant[1]) + 60 * shift) <= 60
    assert look(tmp_path, text, mapping={"utc_offset_constant": int(constant[1])}) == {}


def test_an_offset_that_was_added_twice(tmp_path: Path) -> None:
    text = HEADER.replace("\n", ",utc_offset\n") + by_hours(NIGHT, ",-480")
    [found] = look(tmp_path, text).values()
    assert found.examples == (Example("least happens from 17:00 to 22:00 local time"),)
    assert "local already: leave 'utc_offset' out" in found.remedy


@pytest.mark.parametrize(
    ("place", "offset", "said"),
    [
        ((40.7, -74.0), -300, None),
        ((35.7, 139.7), 540, None),
        ((1.9, -157.4), 840, None),  # Kiritimati is fourteen hours ahead of UTC
        ((-73.9, 40.7), -300, "exchange the columns"),
        ((40.7, 74.0), -300, "both are below zero"),
        ((40.7, -74.0), 300, "both are below zero"),
        ((40.7, -74.0), 0, "minutes from UTC to local time"),
    ],
)
def test_coordinates_that_the_time_zone_contradicts(
    place: tuple[float, float], offset: int, said: str | None, tmp_path: Path
) -> None:
    text = HEADER.replace("\n", ",lat,lon\n") + ROWS.replace("\n", f",{place[0]},{place[1]}\n")
    found = look(tmp_path, text, mapping={"utc_offset_constant": offset})
    if said is None:
        assert found == {}
    else:
        [finding] = found.values()
        assert (finding.reason, finding.count) == ("coordinates that the time zone contradicts", 40)
        assert said in finding.remedy
        assert (finding.examples[0].file, finding.examples[0].row) == ("log.csv", 1)
    assert look(tmp_path, text) == {}  # without an offset, nothing contradicts


def test_columns_that_nothing_is_mapped_to_are_told(tmp_path: Path) -> None:
    found = look(tmp_path, "user,device,item,time,note\n" + ROWS.replace(",i", ",phone,i").replace("\n", ",\n"))
    [finding] = found.values()
    assert (finding.reason, finding.count) == ("columns that are not used", 2)
    assert finding.examples == (Example("device", "log.csv"), Example("note", "log.csv"))


def test_what_a_template_uses_is_used() -> None:
    mapping = ColumnMapping.of(
        {"user": "u", "item_text": "{title}. {Comedy?}", "item_label": "name", "kind_constant": "buy"}
    )
    assert unused_columns(["u", "title", "Comedy", "name", "age"], mapping) == ["age"]


def test_days_and_months_that_could_be_the_other_way_round(tmp_path: Path) -> None:
    text = HEADER + "".join(f"u{i % 7},i{i % 5},{i % 12 + 1:02}/{i % 3 + 1:02}/2024 10:{i:02}\n" for i in range(40))
    found = look(tmp_path, text)["days and months that could be the other way round"]
    assert (found.count, found.remedy) == (40, "if they are, say so with 'time_format: %m/%d/%Y %H:%M'")
    assert look(tmp_path, text, mapping={"time_format": "%m/%d/%Y %H:%M"}) == {}
    assert look(tmp_path, text + "u1,i1,13/01/2024 10:00\n") == {}


def test_splits_that_are_empty(tmp_path: Path) -> None:
    found = look(tmp_path, "user,item,time,split\n" + ROWS.replace("\n", ",train\n"))
    assert [*found] == ["no val events", "no test events"]
    assert "val_from_train" in found["no val events"].remedy
    found = look(tmp_path, mapping={"split_fractions": (0.9, 0.0, 0.1)})
    assert [*found] == ["no val events"]


ZONES = {
    "2024-01-02 10:00": "taken as UTC", "2024-01-02": "taken as UTC", "2024-01-02T10:00:00Z": "written in each time",
    "2024-01-02 10:00:00.5+01": "written in each time", "2024-01-02 10:00 -05:30": "written in each time",
    "2024-01-02 10:00:00 Europe/Berlin": "written in each time", "10:00 UTC": "written in each time",
}  # fmt: skip


@pytest.mark.parametrize("text", ZONES)
def test_whether_times_tell_their_zone(text: str) -> None:
    assert declared_zone([text, text], "iso").startswith(ZONES[text])
    assert declared_zone(["2024-01-02 10:00", "2024-01-02 10:00Z"], "iso").startswith("written in some times")
    assert declared_zone(["1704189600"], "epoch_s").startswith("UTC")
    assert declared_zone(["02/Jan/2024:10:00:00 +0100"], "%d/%b/%Y:%H:%M:%S %z") == "written in each time"


def reasons_in_source() -> set[str]:
    """What stands in the first place of each ``Check(...)`` of the builders, {...} for what is filled in."""
    found = set()
    for path in Path(quarantine.__file__).parents[1].rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == Check.__name__:
                found.add(ast.unparse(node.args[0]))
    return found


FILLED = {
    "role": ["user", "item", "time", "location", "kind", "session"],
    "name": ["latitude", "longitude", "UTC offset", "weight"],
}
"""What is filled into the reasons of checks."""


def test_every_reason_has_a_remedy_and_every_remedy_a_reason() -> None:
    reasons = {quarantine.DUPLICATE, quarantine.BROKEN_LINE, "id is listed twice"}
    reasons |= {"missing source", "missing target", "missing relation"}  # of relations, by column
    for written in reasons_in_source() - {"BLANK", "reasons[key]"}:  # a blank line is no row
        text = ast.literal_eval(written.removeprefix("f"))
        field = re.search(r"\{(\w+)\}", text)
        reasons |= {text.replace(field[0], filled) for filled in FILLED[field[1]]} if field else {text}
    reasons -= {f"missing {role}" for role in ("location", "kind", "session")} | {"time is a list or an object"}
    assert reasons == {*ADVICE}
    assert all("\n" not in sentence and len(sentence) < 130 for sentence in ADVICE.values())
    assert advice("unknown brand")


def test_the_page_on_checks_has_every_reason() -> None:
    page = (Path(quarantine.__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
    assert [reason for reason in ADVICE if reason not in page] == []
