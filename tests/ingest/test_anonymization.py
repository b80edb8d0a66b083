"""What is hidden of people: options, pseudonyms, the rows of log parts, and the risk that remains."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders.append import append_to_graph
from builders.build import build_graph
from builders.engine.backend import Engine
from builders.engine.connect import connect
from builders.ingest.anonymization import (
    REDACTED,
    anonymize_part,
    anonymous_filename,
    redact_values,
    risk_of_log,
    suppress_rare_locations,
)
from builders.ingest.quarantine import DUPLICATE, QUARANTINE
from builders.mapping.id_columns import ID_COLUMNS, relation_id_columns
from builders.mapping.privacy import Privacy
from builders.mapping.pseudonyms import VARIABLE, Key
from builders.mapping.relation_mapping import RelationMapping
from graphrec.errors import ConfigError, GraphError, InputError
from graphrec.graph.manifest import GraphManifest
from graphrec.reidentification import Risk, hours_of_week, reidentification_risk, risk_of

SECRET = "correct horse battery staple"
EVENT = {
    "user": "anna", "item": "cafe", "location": None, "time": 1_700_000_123, "lat": 40.4168, "lon": -3.7038,
    "utc_offset": 60, "kind": "visit", "weight": 1.0, "session": "anna-7", "split": None, "text": None,
    "label": None, "content": 7, "failed": None, "value": None, "before": 0,
}  # fmt: skip
ARROW: dict[str, Any] = {
    **dict.fromkeys(("user", "item", "location", "kind", "session", "text", "label", "value"), pa.string()),
    **dict.fromkeys(("time", "content", "before"), pa.int64()), **dict.fromkeys(("lat", "lon"), pa.float64()),
    "utc_offset": pa.int16(), "weight": pa.float32(), "split": pa.int8(), "failed": pa.int8(),
}  # fmt: skip
SCHEMA = pa.schema([(name, ARROW[name]) for name in EVENT])
LISTED = pa.schema([*((name, ARROW.get(name, pa.string())) for name in ("id", "label", "text", "lat", "lon")),
                    ("failed", pa.int8()), ("value", pa.string()), ("before", pa.int64())])  # fmt: skip
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> Key:
    monkeypatch.setenv(VARIABLE, SECRET)
    return Key(SECRET.encode())


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    (tmp_path / "scratch").mkdir()
    return connect(tmp_path / "scratch")


def hidden(engine: Engine, rows: list[dict[str, Any]], options: str, **role: Any) -> list[dict[str, Any]]:
    """The rows of a part, given as what differs from `EVENT`, after hiding."""
    raw, out = engine.workspace / "raw.parquet", engine.workspace / "hidden.parquet"
    table = pa.Table.from_pylist([{**EVENT, **row} for row in rows], SCHEMA)
    pq.write_table(table, raw)
    anonymize_part(engine, raw, out, Privacy.parse(options), **role)
    assert pq.read_schema(out).names == table.column_names
    found: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return found


def test_options_are_read_from_one_text() -> None:
    found = Privacy.parse(" pseudonyms, coordinates=8,time=1h,places=5")
    assert found == Privacy(pseudonyms=True, coordinates=8, time="1h", places=5)
    assert Privacy.model_validate(found.model_dump(mode="json")) == found
    assert Privacy.parse("time=2d").seconds == 172_800
    assert (bool(found), bool(Privacy())) == (True, False)
    assert (found.redacts_rows, Privacy.parse("places=2").redacts_rows) == (True, False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "got none"),
        ("pseudonym", "did you mean 'pseudonyms'?; there are pseudonyms, coordinates, time, places"),
        ("pseudonyms=yes", "no value expected, got 'pseudonyms=yes'"),
        ("coordinates", "a value expected, got 'coordinates'"),
        ("coordinates=", "a value expected"),
        ("coordinates=16", "coordinates=16"),
        ("time=7h", "a part of a day"),
        ("time=0h", "such as 15min, 1h or 1d"),
        ("time=٣h", "such as 15min, 1h or 1d"),
        ("time=3600", "such as 15min, 1h or 1d"),
        ("places=1", "places=1"),
        ("places=5,places=6", "once expected"),
        ("=3", "unknown option"),
    ],
)
def test_an_option_that_cannot_be_meant_is_explained(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Privacy.parse(text)
    assert told in str(refused.value)
    assert "such as pseudonyms,coordinates=8" in str(refused.value)


def test_a_pseudonym_is_half_an_hmac(key: Key) -> None:
    whole = hmac.new(SECRET.encode(), b"user\0anna", hashlib.sha256).hexdigest()
    assert key.name_and_salt("anna") == (whole[:32], whole[32:])
    assert key.pseudonym("anna") == whole[:32]
    assert Key(b"another key of enough bytes").pseudonym("anna") != key.pseudonym("anna")


def test_the_key_shows_nowhere(key: Key) -> None:
    assert SECRET not in repr(key) + str(key) + json.dumps(Privacy.parse("pseudonyms").describe())
    assert Privacy.parse("pseudonyms").describe()["key"] == key.fingerprint


@pytest.mark.parametrize("secret", [None, "", "fifteen bytes.."])
def test_a_key_that_is_no_secret_is_refused(secret: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    if secret is not None:
        monkeypatch.setenv(VARIABLE, secret)
    with pytest.raises(ConfigError, match=VARIABLE) as refused:
        Key.from_environment()
    assert not secret or secret not in str(refused.value)
    assert "openssl rand" in str(refused.value)


def test_a_graph_is_not_continued_with_another_key(key: Key) -> None:
    manifest = GraphManifest(privacy=Privacy.parse("pseudonyms").describe())
    key.check(manifest, "graph")
    with pytest.raises(ConfigError, match="set the key of the build"):
        Key(b"another key of enough bytes").check(manifest, "graph")


def test_the_manifest_says_what_was_hidden_and_what_it_did() -> None:
    before, after = Risk(10, 9, 10), Risk(10, 3, 5)
    told = Privacy.parse("coordinates=8,places=3").describe(4, before, after)
    risk = {"before": {"users": 10, "unique": 9, "few": 10}, "after": {"users": 10, "unique": 3, "few": 5}}
    assert told == {"coordinates": 8, "places": 3, "dropped": 4, "risk": risk}
    assert json.loads(json.dumps(told)) == told


def test_rows_keep_their_order_and_what_is_not_hidden(engine: Engine) -> None:
    rows = [{"user": f"u{n % 7}", "item": f"i{n}", "lat": 40 + n / 5000, "before": 3} for n in range(5000)]
    found = hidden(engine, rows, "pseudonyms,coordinates=7,time=1h")
    assert [row["item"] for row in found] == [f"i{n}" for n in range(5000)]
    assert {(row["kind"], row["weight"], row["before"]) for row in found} == {("visit", 1.0, 3)}


def test_users_and_what_is_theirs_go_by_pseudonyms(engine: Engine, key: Key) -> None:
    users = ["anna", "bo", "anna", "ç\u2028'; DROP TABLE x; --", ""]
    found = hidden(engine, [{"user": user} for user in users], "pseudonyms")
    assert [row["user"] for row in found] == [key.pseudonym(user) for user in users]
    first, other, again, *_ = found
    assert (first["session"], first["content"]) == (again["session"], again["content"])  # a repeat can still be seen
    assert first["session"] != other["session"]
    assert first["content"] != other["content"]


def test_what_a_row_said_cannot_be_tried_out_without_the_key(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = hidden(engine, [{}], "pseudonyms")
    monkeypatch.setenv(VARIABLE, "another key of enough bytes")
    (other,) = hidden(engine, [{}], "pseudonyms")
    assert all(one[name] != other[name] != EVENT[name] for name in ("user", "session", "content"))


def test_neither_key_nor_ids_reach_the_part_or_the_engine(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, key: Key
) -> None:
    told: list[str] = []
    compile_ = type(engine.backend).compile

    def listen(self: Any, expression: Any, *rest: Any, **options: Any) -> str:
        told.append(str(compile_(self, expression, *rest, **options)))
        return told[-1]

    monkeypatch.setattr(type(engine.backend), "compile", listen)
    hidden(engine, [{"user": "anna-karenina", "session": "anna-karenina-1"}], "pseudonyms")
    part = pq.read_table(engine.workspace / "hidden.parquet").to_pylist()
    assert told
    assert not [text for text in [*told, str(part)] if SECRET in text or "karenina" in text]
    left = [path for path in engine.workspace.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert left == []


def test_a_row_that_cannot_be_used_keeps_only_its_place(engine: Engine) -> None:
    bad = {"failed": 3, "value": "anna,cafe,soon", "time": None, "before": 9}
    kept, gone = hidden(engine, [{}, bad], "time=1h")
    assert kept["user"] == "anna"
    assert {name: value for name, value in gone.items() if value is not None} == {"failed": 3, "before": 9}


def test_coordinates_become_the_centre_of_their_cell(engine: Engine) -> None:
    places = [(40.4168, -3.7038), (40.41681, -3.70381), (90.0, 180.0), (0.0, 0.0), (-33.9, 151.2), (None, None)]
    found = hidden(engine, [{"lat": lat, "lon": lon} for lat, lon in places], "coordinates=8")
    for (lat, lon), row in zip(places, found, strict=True):
        centre = (None, None) if lat is None else h3.cell_to_latlng(h3.latlng_to_cell(lat, lon, 8))
        assert (row["lat"], row["lon"]) == centre


@QUICK
@given(
    times=st.lists(st.integers(-2_208_988_800, 7_258_118_399), min_size=1, max_size=20),
    step=st.sampled_from(["1min", "15min", "1h", "6h", "1d", "3d", "1w"]),
    offset=st.integers(-900, 900),
)
def test_times_are_rounded_down_in_their_order(engine: Engine, times: list[int], step: str, offset: int) -> None:
    found = hidden(engine, [{"time": time, "utc_offset": offset} for time in times], f"time={step}")
    seconds = Privacy(time=step).seconds
    assert seconds is not None
    for time, row in zip(times, found, strict=True):
        assert row["time"] <= time < row["time"] + seconds
        assert (row["time"] - 4 * 86_400) % seconds == 0  # whole steps from a Monday
        assert row["utc_offset"] == (offset if seconds < 86_400 else 0)
    coarse = [row["time"] for row in found]
    assert [coarse[n] for n in np.argsort(times)] == sorted(coarse)  # nothing is seen before what it came after


def test_users_of_a_table_lose_what_names_them(engine: Engine, key: Key) -> None:
    row = {"id": "anna", "label": "Anna K.", "text": "Anna K. of Moscow", "lat": 55.75, "lon": 37.6, "before": 0}
    raw, out = engine.workspace / "raw.parquet", engine.workspace / "out.parquet"
    pq.write_table(pa.Table.from_pylist([row], LISTED), raw)
    options = Privacy.parse("pseudonyms,coordinates=5")
    for keep, text in ((False, None), (True, row["text"])):
        anonymize_part(engine, raw, out, options, ID_COLUMNS["user"], keep_user_text=keep)
        (found,) = pq.read_table(out).to_pylist()
        assert (found["id"], found["label"], found["text"]) == (key.pseudonym("anna"), None, text)
        assert found["lat"] != row["lat"]
    anonymize_part(engine, raw, out, options, ID_COLUMNS["item"])
    (found,) = pq.read_table(out).to_pylist()
    assert (found["id"], found["label"], found["lat"] == row["lat"]) == ("anna", "Anna K.", False)


def test_ties_of_users_go_by_pseudonyms_and_coarse_times_too(engine: Engine, key: Key) -> None:
    rows = [{"source_id": "anna", "target_id": "bo", "relation": None, "valid_from": 90_061, "before": 0},
            {"source_id": "bo", "target_id": "anna", "relation": None, "valid_from": None, "before": 0}]  # fmt: skip
    texts = [(name, pa.string()) for name in ("source_id", "target_id", "relation", "value")]
    schema = pa.schema([*texts, ("valid_from", pa.int64()), ("failed", pa.int8()), ("before", pa.int64())])
    raw, out = engine.workspace / "raw.parquet", engine.workspace / "out.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema), raw)
    ties, triples = (RelationMapping(file="f", target=kind) for kind in ("user", "brand"))
    for mapping, second in ((ties, key.pseudonym("bo")), (triples, "bo")):
        anonymize_part(
            engine, raw, out, Privacy.parse("pseudonyms,time=1d,coordinates=5"), relation_id_columns(mapping)
        )
        first, other = pq.read_table(out).to_pylist()
        assert (first["source_id"], first["target_id"]) == (key.pseudonym("anna"), second)
        assert (first["valid_from"], other["valid_from"]) == (86_400, None)


VISITS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["x", "y", "z", None])), max_size=30)


@QUICK
@given(visits=VISITS, least=st.integers(2, 4))
def test_places_without_a_crowd_are_dropped_and_counted(
    engine: Engine, visits: list[tuple[str, str | None]], least: int
) -> None:
    crowd = {place: len({user for user, other in visits if other == place}) for _, place in visits}
    expected = [(user, place) for user, place in visits if place is None or crowd[place] >= least]
    rows = {"user": [user for user, _ in visits], "place": [place for _, place in visits]}
    table = engine.create_table("visits", pa.table({name: pa.array(rows[name], pa.string()) for name in rows}))
    if visits and not expected:
        with pytest.raises(InputError, match=f"places={least}"):
            suppress_rare_locations(engine, table, least)
        return
    kept, dropped = suppress_rare_locations(engine, table, least)
    found = [(row["user"], row["place"]) for row in engine.to_pyarrow(kept).to_pylist()]
    assert Counter(found) == Counter(expected)
    assert dropped == len(visits) - len(expected)


def test_the_quarantine_tells_no_values() -> None:
    reasons = ["missing time", DUPLICATE, "blank"]
    values = ["anna;cafe", "same as row 3", None]
    rows = pa.table([["log.csv"] * 3, [1, 2, 3], [None] * 3, reasons, values], schema=QUARANTINE)
    found = redact_values(rows)
    assert found["value"].to_pylist() == [REDACTED, "same as row 3", None]
    assert found.drop(["value"]) == rows.drop(["value"])
    assert found.schema == QUARANTINE


def test_file_names_are_anonymous_but_for_the_split_and_the_suffixes() -> None:
    names = [anonymous_filename(index, name) for index, name in enumerate(["anna.csv.gz", "bo_train.txt", "anna"])]
    assert names == ["file0.csv.gz", "file1-train.txt", "file2"]


def at(day: int, hour: int) -> int:
    """UTC seconds of an hour of the week that began on Monday, 6 November 2023."""
    return 1_699_228_800 + day * 86_400 + hour * 3600


def risk(events: list[tuple[int, int, int]], offset: int = 0) -> Risk:
    user, cell, time = np.array(events, np.int64).reshape(-1, 3).T
    return reidentification_risk(user, cell, time, np.full(len(user), offset, np.int16))


def test_hours_count_from_monday_on_the_users_own_clock() -> None:
    times, offsets = np.array([at(0, 0), at(6, 23), at(0, 0), -1]), np.array([0, 0, -60, 0], np.int16)
    assert hours_of_week(times, offsets).tolist() == [0, 167, 167, 3 * 24 - 1]  # 1969 ended on a Wednesday


def test_users_of_one_habit_hide_each_other() -> None:
    commuters = [(user, cell, at(0, hour)) for user in (0, 1) for cell, hour in ((5, 9), (8, 20))]
    loner = [(2, 5, at(0, 9)), (2, 8, at(0, 21))]
    assert risk(commuters) == Risk(2, 0, 2)
    assert risk(commuters + loner) == Risk(3, 1, 3)
    crowd = [(user, 5, at(0, 9)) for user in range(5)]
    assert risk(crowd) == Risk(5, 0, 0)
    assert risk([]) == Risk(0, 0, 0)


def test_only_the_top_four_count_and_by_how_often() -> None:
    habits = [(user, cell, at(0, cell)) for user in (0, 1) for cell in range(4) for _ in range(2)]
    assert risk([*habits, (0, 9, at(1, 1)), (1, 8, at(2, 2))]).unique == 0  # a fifth place, seen once, is not known
    assert risk([*habits, *3 * [(0, 9, at(1, 1))], (1, 8, at(2, 2))]).unique == 2  # seen most often, it is


def reference(events: list[tuple[int, int, int]]) -> Risk:
    """The same, slow and obvious."""
    seen: dict[int, Counter[tuple[int, int]]] = {}
    for user, cell, time in events:
        seen.setdefault(user, Counter())[(time // 3600 - 96) % 168, cell] += 1
    top = {user: frozenset(sorted(found, key=lambda p: (-found[p], p))[:4]) for user, found in seen.items()}
    alike = Counter(top.values())
    return Risk(len(top), sum(alike[t] == 1 for t in top.values()), sum(alike[t] < 5 for t in top.values()))


EVENTS = st.tuples(st.integers(0, 9), st.integers(0, 2), st.sampled_from([0, 3600, 90_000, 604_800, -5]))


@settings(max_examples=100, deadline=None)
@given(events=st.lists(EVENTS, max_size=40), seed=st.integers(0, 99))
def test_the_risk_is_that_of_the_slow_count_in_any_order(events: list[tuple[int, int, int]], seed: int) -> None:
    expected = reference(events)
    assert risk(events) == expected
    order = np.random.default_rng(seed).permutation(len(events))
    far = [(2**40 + user, 2**60 + cell, time) for user, cell, time in (events[n] for n in order)]
    assert risk(far) == expected


def test_a_risk_is_told_in_one_line() -> None:
    assert str(Risk(1083, 812, 1000)) == "unique by their top 4 cell-hours: 812 of 1,083 users (75%)"
    assert Risk.of(Risk(3, 1, 2).to_json()) == Risk(3, 1, 2)
    assert Risk(0, 0, 0).share == 0
    with pytest.raises(GraphError, match="counts of users"):
        Risk.of({"users": 3})


def test_hiding_lowers_the_risk_of_a_log(engine: Engine) -> None:
    """Pairs of neighbours 300 m apart, each with a time of their own within the hour: alike only when coarsened."""
    rows = [
        {"user": f"u{n}", "lat": 40.0 + (n // 2) * 0.1 + (n % 2) * 0.0005, "time": at(n // 2 % 7, 8 + n % 2)}
        for n in range(20)
    ]
    raw = engine.create_table("log", pa.Table.from_pylist([{**EVENT, **row} for row in rows], SCHEMA))
    assert risk_of_log(engine, raw) == Risk(20, 20, 20)
    found = hidden(engine, rows, "coordinates=6,time=1d")
    coarse = engine.create_table("coarse", pa.Table.from_pylist(found, SCHEMA))
    assert risk_of_log(engine, coarse).unique < 20


def test_places_of_a_log_without_coordinates_are_its_locations_or_items(engine: Engine) -> None:
    rows = [{"user": "a", "item": "x"}, {"user": "b", "item": "y"}]
    for place, unique in ((None, 2), ("here", 0)):
        table = [{**EVENT, **row, "lat": None, "lon": None, "location": place} for row in rows]
        events = engine.create_table(f"log_{place}", pa.Table.from_pylist(table, SCHEMA))
        assert risk_of_log(engine, events).unique == unique


def test_info_prints_the_risk_before_and_after(
    city_graph: Path, tmp_path: Path, graphrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert str(risk_of(city_graph)) in graphrec("info", city_graph).out
    assert json.loads(graphrec("info", city_graph, "--json").out)["risk"] == {"after": risk_of(city_graph).to_json()}
    manifest = json.loads((city_graph / "manifest.json").read_text())
    manifest["privacy"] = Privacy.parse("time=1d").describe(0, Risk(40, 39, 40), Risk(40, 7, 20))
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    out = " ".join(graphrec("info", tmp_path).out.split())
    assert "risk before unique by their top 4 cell-hours: 39 of 40 users (98%)" in out
    assert "risk unique by their top 4 cell-hours: 7 of 40 users (18%)" in out
    assert "privacy time 1d" in out


def test_the_risk_of_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="events of a graph expected"):
        risk_of(tmp_path)


def test_events_without_a_location_are_told_apart_by_item(tmp_path: Path) -> None:
    types = {
        "user": pa.int32(),
        "item": pa.int32(),
        "location": pa.int32(),
        "time": pa.int64(),
        "utc_offset": pa.int16(),
    }
    rows = [
        {"user": user, "item": item, "location": -1, "time": 0, "utc_offset": 0} for user, item in enumerate("0112")
    ]
    table = pa.table({name: pa.array([int(row[name]) for row in rows], types[name]) for name in types})
    pq.write_table(table, tmp_path / "events.parquet")
    assert risk_of(tmp_path) == Risk(4, 2, 4)


def test_a_graph_under_privacy_shows_nobody(city: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built, appended to, and searched: user ids are spelled out so that a search finds them anywhere."""
    events = (city / "events.csv").read_text().splitlines()
    for name, rows in (("anna", events[:1000]), ("bo", [events[0], *events[1000:]])):
        spelled = "\n".join(row.replace("u00", "person-00") for row in rows)
        (tmp_path / f"{name}.csv").write_text(spelled + "\nperson-0001,broken,line\n")
    users = (city / "users.csv").read_text().replace("u00", "person-00")
    (tmp_path / "users.csv").write_text(users)
    out, options = tmp_path / "graph", "pseudonyms,coordinates=6,time=1d,places=2"
    tables = {"items": city / "items.csv", "users": tmp_path / "users.csv"}
    built = build_graph([tmp_path / "anna.csv"], out, text_model="none", mapping={"privacy": options}, **tables)  # type: ignore[arg-type]
    assert built.risk["before"]["unique"] >= built.risk["after"]["unique"]
    monkeypatch.setenv(VARIABLE, "another key of enough bytes")
    with pytest.raises(ConfigError, match="set the key of the build"):
        append_to_graph(out, [tmp_path / "bo.csv"])
    monkeypatch.setenv(VARIABLE, SECRET)
    manifest = append_to_graph(out, [tmp_path / "bo.csv"])
    assert append_to_graph(out, [tmp_path / "anna.csv"]).sources == manifest.sources  # it is known by its hash
    for path in (path for path in out.rglob("*") if path.is_file()):
        assert b"person-" not in path.read_bytes(), path
        assert path.suffix != ".parquet" or "person-" not in str(pq.read_table(path).to_pylist()), path
    assert not {"anna.csv", "bo.csv", "users.csv"} & {source.name for source in manifest.sources}
    assert set(pq.read_table(out / "quarantine.parquet")["value"].to_pylist()) == {REDACTED}
    events_of = pq.read_table(out / "events.parquet")
    assert {time % 86_400 for time in events_of["time"].to_pylist()} == {0}
    for kind in ("item", "location", "user"):
        for row in pq.read_table(out / "nodes" / f"{kind}.parquet").to_pylist():
            centre = None if row["lat"] is None else h3.cell_to_latlng(h3.latlng_to_cell(row["lat"], row["lon"], 6))
            assert centre is None or (row["lat"], row["lon"]) == centre
    told = manifest.privacy
    assert told["key"] == Key(SECRET.encode()).fingerprint
    assert risk_of(out).to_json() == told["risk"]["after"]
