"""The simulated city: what was planted can be measured in what was written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from builders.simulation.simulated_log import Summary, simulate_city
from graphrec.errors import ConfigError

TABLES = ("events", "items", "users", "locations")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A city of 200 people over 60 days: its tables, its truth, and events joined with both."""
    folder = tmp_path_factory.mktemp("simulated") / "city"
    summary = simulate_city(folder, users=200, days=60, seed=3)
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in TABLES}
    truth = json.loads((folder / "truth.json").read_text())
    return {"folder": folder, "summary": summary, "truth": truth, **tables, "visits": _visits(tables, truth)}


def _visits(tables: dict[str, pd.DataFrame], truth: dict[str, Any]) -> pd.DataFrame:
    items = tables["items"].rename(columns={"latitude": "venue_lat", "longitude": "venue_lon"})
    visits = tables["events"].merge(items, on="item_id", how="left")
    visits["cause"] = [truth["causes"][int(digit)] for digit in truth["cause"]]
    visits["utc"] = pd.to_datetime(visits.time)
    visits["local"] = visits.utc.dt.tz_localize(None) + pd.to_timedelta(visits.utc_offset, unit="min")
    visits["style"] = [truth["items"][item]["style"] for item in visits.item_id]
    return visits


def _kilometres(lat: pd.Series, lon: pd.Series, other_lat: pd.Series, other_lon: pd.Series) -> pd.Series:
    north = (lat - other_lat) * 110.574
    east = (lon - other_lon) * 111.320 * np.cos(np.radians(40.4))
    return pd.Series(np.hypot(north, east))


def _digest(folder: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(folder.iterdir()))).hexdigest()


def test_tables_have_the_columns_and_ids_that_the_events_use(city: dict[str, Any]) -> None:
    events = city["events"]
    assert list(events) == [
        "user_id",
        "item_id",
        "location_id",
        "latitude",
        "longitude",
        "time",
        "utc_offset",
        "kind",
    ]
    assert list(city["items"]) == ["item_id", "title", "category", "description", "latitude", "longitude"]
    assert list(city["users"]) == ["user_id", "profile"]
    assert list(city["locations"]) == ["location_id", "name", "latitude", "longitude"]
    for column, table in (("item_id", "items"), ("user_id", "users"), ("location_id", "locations")):
        assert city[table][column].is_unique
        assert set(events[column]) <= set(city[table][column])
    assert events.time.is_monotonic_increasing
    assert set(events.kind) == {"visit", "order"}


def test_summary_counts_what_was_written(city: dict[str, Any]) -> None:
    summary: Summary = city["summary"]
    assert summary.counts == {name: len(city[name]) for name in TABLES}
    assert sum(summary.causes.values()) == summary.counts["events"]
    assert (summary.first, summary.last) == (city["events"].time.min(), city["events"].time.max())
    assert 1.0 < summary.counts["events"] / (200 * 60) < 2.0


def test_local_time_follows_the_summer_time_of_the_city(city: dict[str, Any]) -> None:
    visits = city["visits"]
    summer = visits.local >= pd.Timestamp("2024-03-31")
    assert (visits.utc_offset == np.where(summer, 120, 60)).all()
    assert visits.local.dt.hour.between(6, 23).all()


def test_a_user_is_in_one_place_at_a_time(city: dict[str, Any]) -> None:
    gaps = city["visits"].groupby("user_id").utc.diff().dropna()
    assert gaps.min() >= pd.Timedelta(minutes=10)


def test_texts_are_many_and_profiles_are_missing_for_some(city: dict[str, Any]) -> None:
    items, profiles = city["items"], city["users"].profile
    assert items.title.nunique() > 0.95 * len(items)
    assert items.description.nunique() == len(items)
    assert 0.1 < profiles.isna().mean() < 0.35


def test_routine_the_usual_venue_of_an_hour_of_the_week_comes_back(city: dict[str, Any]) -> None:
    visits = city["visits"]
    visits = visits.assign(weekday=visits.local.dt.day_of_week, part=visits.local.dt.hour // 3)
    first = visits.groupby(["user_id", "weekday", "part"]).item_id.transform("first")
    later = visits.groupby(["user_id", "weekday", "part"]).cumcount() > 0
    came_back = (visits.item_id == first)[later]
    elsewhere = visits.item_id.sample(frac=1, random_state=0).to_numpy()
    assert came_back.mean() > 0.15
    assert came_back.mean() > 20 * (elsewhere == first)[later].mean()


def test_taste_liked_categories_and_manners_are_visited_more(city: dict[str, Any]) -> None:
    visits = city["visits"]
    chosen = visits[visits.cause == "taste"]
    people = city["truth"]["users"]
    before = [_before(people[row.user_id], row.local) for row in chosen.itertuples()]
    liked = [row.category in lifestyle["likes"] for row, lifestyle in zip(chosen.itertuples(), before, strict=True)]
    manner = [row.style == lifestyle["style"] for row, lifestyle in zip(chosen.itertuples(), before, strict=True)]
    assert np.mean(liked) > 3 * 3 / 24
    assert np.mean(manner) > 2 * 1 / 5


def _before(person: dict[str, Any], when: pd.Timestamp) -> dict[str, Any]:
    change = person["changes"]
    return change if change and when >= pd.Timestamp(change["day"]) else person


def test_the_manner_is_told_by_the_description_alone(city: dict[str, Any]) -> None:
    items = city["items"]
    styles = pd.Series({item: planted["style"] for item, planted in city["truth"]["items"].items()})
    quiet = items.description.str.contains("quiet|calm|Peaceful|hushed")
    assert (quiet.to_numpy() == (styles[items.item_id] == "quiet").to_numpy()).all()
    shares = pd.crosstab(items.category, styles[items.item_id].to_numpy(), normalize="index")
    assert shares.to_numpy().max() < 0.7


def test_sequence_a_category_calls_for_another(city: dict[str, Any]) -> None:
    visits = city["visits"].sort_values(["user_id", "utc"], kind="stable")
    following = visits.category.shift(-1)
    soon = (visits.user_id.shift(-1) == visits.user_id) & (visits.utc.shift(-1) - visits.utc < pd.Timedelta(hours=2))
    for before, after, probability in city["truth"]["follows"]:
        observed = (following == after)[(visits.category == before)] & soon[visits.category == before]
        base = (visits.category == after).mean()
        assert observed.mean() > 0.7 * probability > 3 * base


def test_place_the_next_venue_is_near_the_last(city: dict[str, Any]) -> None:
    visits = city["visits"].sort_values(["user_id", "utc"], kind="stable").reset_index(drop=True)
    last = visits.groupby("user_id")[["venue_lat", "venue_lon"]].shift()
    same_day = visits.groupby("user_id").utc.diff() < pd.Timedelta(hours=4)
    near = _kilometres(visits.venue_lat, visits.venue_lon, last.venue_lat, last.venue_lon)
    other = visits[["venue_lat", "venue_lon"]].sample(frac=1, random_state=0).reset_index(drop=True)
    far = _kilometres(visits.venue_lat, visits.venue_lon, other.venue_lat, other.venue_lon)
    chosen = same_day & visits.cause.isin(["taste", "sequence"])
    assert near[chosen].median() < 0.5 * far.median()


def test_drift_those_who_move_go_out_near_their_new_home(city: dict[str, Any]) -> None:
    homes = city["locations"].set_index("name")
    movers = {
        user: person["changes"]
        for user, person in city["truth"]["users"].items()
        if person["changes"] and person["changes"]["what"] == "home"
    }
    assert 5 <= len(movers) <= 30
    visits = city["visits"]
    evening = visits[visits.user_id.isin(list(movers)) & (visits.local.dt.hour >= 18) & (visits.cause != "noise")]
    home = homes.loc[[movers[user]["home"] for user in evening.user_id]].reset_index(drop=True)
    distance = _kilometres(
        evening.venue_lat.reset_index(drop=True),
        evening.venue_lon.reset_index(drop=True),
        home.latitude,
        home.longitude,
    )
    after = (evening.local >= pd.to_datetime([movers[user]["day"] for user in evening.user_id])).to_numpy()
    assert distance[after].median() < 0.6 * distance[~after].median()


def test_drift_a_new_taste_shows_in_what_is_chosen(city: dict[str, Any]) -> None:
    people = city["truth"]["users"]
    changed = {user for user, person in people.items() if person["changes"] and person["changes"]["what"] == "taste"}
    visits = city["visits"]
    chosen = visits[visits.user_id.isin(changed) & visits.cause.isin(["taste", "routine"])]
    new = np.array([row.category in people[row.user_id]["changes"]["likes"] for row in chosen.itertuples()])
    after = chosen.local >= pd.to_datetime([people[user]["changes"]["day"] for user in chosen.user_id]).to_numpy()
    assert new[after].mean() > 1.5 * new[~after].mean()


def test_noise_goes_anywhere(city: dict[str, Any]) -> None:
    visits = city["visits"]
    noise = visits[visits.cause == "noise"]
    liked = [row.category in city["truth"]["users"][row.user_id]["likes"] for row in noise.itertuples()]
    assert 0.03 < len(noise) / len(visits) < 0.08
    assert np.mean(liked) == pytest.approx(3 / 24, abs=0.05)


def test_cold_start_nothing_happens_before_it_is_there(city: dict[str, Any]) -> None:
    visits, truth = city["visits"], city["truth"]
    for column, planted, key in (("item_id", truth["items"], "opens"), ("user_id", truth["users"], "joins")):
        start = pd.Series({name: pd.Timestamp(node[key]) for name, node in planted.items()})
        late = start[start > start.min()]
        seen = visits[visits[column].isin(late.index)]
        assert 0.01 < len(late) / len(start) < 0.15
        assert len(seen) > 20
        assert (seen.local.to_numpy() >= late[seen[column]].to_numpy()).all()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate_city(tmp_path / name, users=30, days=5, seed=seed)
    assert _digest(tmp_path / "a") == _digest(tmp_path / "b") != _digest(tmp_path / "c")


def test_simulating_again_replaces_the_files_and_leaves_the_others(tmp_path: Path) -> None:
    simulate_city(tmp_path / "city", users=30, days=5, seed=1)
    (tmp_path / "city" / "graph").mkdir()
    simulate_city(tmp_path / "city", users=20, days=4, seed=2)
    assert len(pd.read_csv(tmp_path / "city" / "users.csv")) == 20
    assert (tmp_path / "city" / "graph").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["city"]


@pytest.mark.parametrize("size", [{"users": 1, "days": 1}, {"users": 2, "days": 2}, {"users": 3, "days": 400}])
def test_the_smallest_cities(tmp_path: Path, size: dict[str, int]) -> None:
    summary = simulate_city(tmp_path / "city", **size)
    assert summary.counts["users"] == size["users"]
    assert len((tmp_path / "city" / "events.csv").read_text().splitlines()) == summary.counts["events"] + 1


@pytest.mark.parametrize(("name", "value"), [("users", 0), ("days", 0), ("seed", -1)])
def test_a_number_out_of_range_is_refused_in_one_line(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"^simulate: {name} of at least .* got {value}$"):
        simulate_city(tmp_path / "city", **{name: value})
    assert not (tmp_path / "city").exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds something else"):
        simulate_city(tmp_path, users=5, days=2)
    with pytest.raises(ConfigError, match="is a file"):
        simulate_city(tmp_path / "notes.txt", users=5, days=2)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
