"""Roles of columns: given, guessed, and refused with the columns there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.mapping.column_mapping import ColumnMapping, guess_mapping
from graphrec.errors import MappingError
from graphrec.suggestion import did_you_mean

IDS = ["4fc7f3df", "50c85b8d"]
EPOCHS = ["1333909229", "1333988452"]
GUESSES = {
    "movielens": (
        {"userId": ["1", "2"], "movieId": ["31", "5"], "rating": ["2.5", "3"], "timestamp": EPOCHS},
        {"user": "userId", "item": "movieId", "weight": "rating", "time": "timestamp"},
    ),
    "check-ins": (
        {
            "user_id": ["1"], "POI_id": IDS, "POI_catname": ["Bar"], "latitude": ["40.7"], "longitude": ["-73.9"],
            "timezone": ["-240"], "UTC_time": ["2012-04-14 01:11:20+00:00"], "trajectory_id": ["1_0"],
        },
        {
            "user": "user_id", "item": "POI_id", "text": "POI_catname", "lat": "latitude", "lon": "longitude",
            "utc_offset": "timezone", "time": "UTC_time", "session": "trajectory_id",
        },
    ),
    "shop": (
        {"Customer ID": ["c1"], "Product": ["p1"], "Date": ["2024-01-31"], "Event Type": ["buy"], "Split": ["train"]},
        {"user": "Customer ID", "item": "Product", "time": "Date", "kind": "Event Type", "split": "Split"},
    ),
    "contents gainsay names": (
        {
            "user": ["a"], "item": ["b"], "time": EPOCHS, "timezone": ["America/New_York"], "lat": ["north"],
            "lon": ["3.1"], "split": ["left", "right"], "text": ["12", "13"],
        },
        {"user": "user", "item": "item", "time": "time"},
    ),
    "a time by its contents": (
        {"user": ["a"], "item": ["b"], "moment": ["2024-01-31T18:00:00Z"]},
        {"user": "user", "item": "item", "time": "moment"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GUESSES)
def test_roles_are_guessed(name: str) -> None:
    sample, roles = GUESSES[name]
    assert guess_mapping(sample).roles() == roles


def test_without_names_contents_decide() -> None:
    sample = {
        "column1": ["470"], "column2": ["49bbd6c0"], "column3": ["40.719810"], "column4": ["-74.002581"],
        "column5": ["Tue Apr 03 18:00:09 +0000 2012"],
    }  # fmt: skip
    roles = {"user": "column1", "item": "column2", "lat": "column3", "lon": "column4", "time": "column5"}
    assert guess_mapping(sample, named=False).roles() == roles


def test_a_mapping_is_saved_and_loaded(tmp_path: Path) -> None:
    mapping = ColumnMapping.of({"user": "who", "item": "what", "time": "when", "h3_resolution": 7, "delimiter": "\t"})
    mapping.save(tmp_path / "m.yaml")
    assert ColumnMapping.load(tmp_path / "m.yaml") == mapping
    assert list(mapping.settings())[:3] == ["user", "item", "time"]


def test_dates_may_be_written_as_yaml_writes_them(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("split_dates: [2024-05-01, 2024-06-01]\n")
    assert ColumnMapping.load(tmp_path / "m.yaml").split_dates == ("2024-05-01", "2024-06-01")


REFUSED = {
    "itm: sku": "unknown key 'itm', did you mean 'item'",
    "user: [a, b]": "user: Input should be a valid string",
    "h3_resolution: 99": "h3_resolution: .*15.*got 99",
    "time_format: seconds": "time_format: auto, iso, .* expected, got 'seconds'",
    "split_fractions: [1, 1, 1]": "three shares that add up to 1",
    "lat: latitude": "both or neither",
    "- user": "a flat YAML such as",
    "user: 'open": "not YAML",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_wrong_mapping_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(text + "\n")
    with pytest.raises(MappingError, match=REFUSED[text]) as caught:
        ColumnMapping.load(tmp_path / "m.yaml")
    assert "m.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_column_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(MappingError, match=r"no column 'userid', did you mean 'user_id'.*it has user_id, item_id, ts"):
        ColumnMapping.of({"user": "userid"}).check_columns(["user_id", "item_id", "ts"], "log.csv")


def test_a_required_role_without_a_column_is_refused() -> None:
    with pytest.raises(MappingError, match=r"no column looks like the time; it has a, b; name it"):
        ColumnMapping.of({"user": "a", "item": "b"}).check_columns(["a", "b"], "log.csv")


def test_who_maps_columns_means_those_columns() -> None:
    guess = ColumnMapping.of({"user": "u", "item": "i", "time": "t", "weight": "w", "session": "s"})
    assert ColumnMapping.of({"item": "s"}).filled(guess).roles() == {"user": "u", "item": "s", "time": "t"}
    assert ColumnMapping.of({"h3_resolution": 7}).filled(guess).roles() == guess.roles()


def test_nothing_is_near_a_foreign_name() -> None:
    assert did_you_mean("zzz", ["user_id", "item_id"]) == ""
