"""The filters against slow, obvious references."""

from __future__ import annotations

from collections import Counter
from typing import Any

import networkx
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.assemble.filters import BOX, DATES, ITEM, KIND, NO_COORDINATES, REPEAT, SESSION, USER, filter_events
from builders.engine.backend import Engine
from builders.engine.connect import connect
from builders.mapping.column_mapping import ColumnMapping
from graphrec.errors import InputError, MappingError

Event = dict[str, Any]
HOUR = 3600
SCHEMA = pa.schema(
    {"key": pa.int64(), "user": pa.string(), "item": pa.string(), "session": pa.string(), "kind": pa.string(),
     "time": pa.int64(), "lat": pa.float64(), "lon": pa.float64(), "weight": pa.float32(), "text": pa.string()}
)  # fmt: skip

ENGINE: list[Engine] = []


@pytest.fixture(scope="module", autouse=True)
def engine(tmp_path_factory: pytest.TempPathFactory) -> None:
    ENGINE[:] = [connect(tmp_path_factory.mktemp("engine"))]


def log(*rows: dict[str, Any]) -> list[Event]:
    """Events from what matters of them; the order in which they are given is their order in time."""
    plain = {"user": "u", "item": "i", "session": None, "kind": "view", "lat": None, "lon": None, "weight": 1.0}
    return [
        {**plain, "key": 10 + 3 * row, "time": row, "text": f"row {row}", **given} for row, given in enumerate(rows)
    ]


def filtered(events: list[Event], **keys: Any) -> tuple[list[Event], dict[str, int]]:
    table = ENGINE[0].create_table("given", pa.Table.from_pylist(events[::-1], SCHEMA))
    kept, dropped = filter_events(ENGINE[0], table, ColumnMapping.of(keys))
    assert kept.columns == tuple(SCHEMA.names)
    return ENGINE[0].to_pyarrow(kept.order_by("key")).cast(SCHEMA).to_pylist(), dropped


def keys(events: list[Event]) -> list[int]:
    return [event["key"] for event in events]


def moment(second: int) -> str:
    return f"1970-01-01T00:00:{second:02}Z"


@st.composite
def logs(draw: st.DrawFn, most: int = 25) -> list[Event]:
    rows = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "user": st.sampled_from("abcd"),
                    "item": st.sampled_from("wxyz"),
                    "session": st.sampled_from([None, "s", "t"]),
                    "kind": st.sampled_from(["view", "buy", "rate", None]),
                    "lat": st.sampled_from([None, -90.0, -1.0, 0.0, 1.0, 2.0]),
                    "gap": st.integers(0, 3),
                }
            ),
            min_size=1,
            max_size=most,
        )
    )
    time, found = 0, []
    for row in rows:
        time += row.pop("gap") * HOUR
        found.append({**row, "time": time, "lon": row["lat"], "weight": 2.0})
    return log(*found)


def compared(events: list[Event], expected: list[Event], reasons: dict[str, int], **settings: Any) -> None:
    """The filters must keep ``expected`` and count ``reasons``, or refuse where nothing is expected."""
    if not expected:
        with pytest.raises(InputError, match="not one event of the log is left"):
            filtered(events, **settings)
        return
    assert filtered(events, **settings) == (expected, {reason: count for reason, count in reasons.items() if count})


# --- filters that look at one event --------------------------------------------------------------------------------


def test_without_a_filter_the_events_go_through() -> None:
    events = log({}, {"kind": None, "lat": 1.0, "lon": 2.0})
    assert filtered(events) == (events, {})


@settings(deadline=None, max_examples=20)
@given(logs(), st.dictionaries(st.sampled_from(["view", "buy", "none"]), st.sampled_from([0.0, 0.5, 3.0]), min_size=1))
def test_kinds_equal_a_slow_reference(events: list[Event], kinds: dict[str, float]) -> None:
    kept = [{**event, "weight": 2.0 * kinds[event["kind"]]} for event in events if event["kind"] in kinds]
    compared(events, kept, {KIND: len(events) - len(kept)}, kinds=kinds)


def test_dates_begin_with_their_first_moment_and_end_before_their_last() -> None:
    events = log({}, {}, {}, {})
    kept, dropped = filtered(events, dates=[moment(1), moment(3)])
    assert (kept, dropped) == (events[1:3], {DATES: 2})


@settings(deadline=None, max_examples=20)
@given(logs(), st.lists(st.sampled_from([-90.0, -1.0, 0.0, 0.5, 2.0, 90.0]), min_size=4, max_size=4))
def test_a_box_equals_a_slow_reference(events: list[Event], edges: list[float]) -> None:
    (south, north), west, east = sorted(edges[:2]), edges[2], edges[3]

    def inside(event: Event) -> bool:
        across = west <= event["lon"] <= east if west <= east else not east < event["lon"] < west
        return bool(south <= event["lat"] <= north and across)

    placed = [event for event in events if event["lat"] is not None]
    kept = [event for event in placed if inside(event)]
    reasons = {NO_COORDINATES: len(events) - len(placed), BOX: len(placed) - len(kept)}
    compared(events, kept, reasons, box=[south, west, north, east])


def test_an_event_is_counted_for_the_first_reason() -> None:
    events = log({"kind": "buy"}, {}, {"lat": 5.0, "lon": 5.0}, {"lat": 1.0, "lon": 1.0}, {"time": 99})
    kept, dropped = filtered(events, kinds={"view": 1}, dates=[moment(0), moment(50)], box=[0, 0, 2, 2])
    assert keys(kept) == [19]
    assert dropped == {KIND: 1, DATES: 1, NO_COORDINATES: 1, BOX: 1}
    assert list(dropped) == [KIND, DATES, NO_COORDINATES, BOX]


# --- sessions and repeats ------------------------------------------------------------------------------------------


def made_sessions(events: list[Event], hours: float) -> list[Event]:
    last: dict[str, Event] = {}
    number: Counter[str] = Counter()
    found = []
    for event in events:
        before = last.get(event["user"])
        apart = before is None or before["session"] is not None or event["time"] - before["time"] > hours * HOUR
        number[event["user"]] += apart
        last[event["user"]] = event
        found.append({**event, "session": event["session"] or f"by gap {number[event['user']]}"})
    return found


@settings(deadline=None, max_examples=30)
@given(logs(), st.sampled_from([0.5, 1, 2.5]))
def test_sessions_by_gap_equal_a_slow_reference(events: list[Event], hours: float) -> None:
    assert filtered(events, session_gap=hours) == (made_sessions(events, hours), {})


def without_repeats(events: list[Event]) -> list[Event]:
    last: dict[str, str] = {}
    kept = []
    for event in events:
        if last.get(event["user"]) != event["item"]:
            kept.append(event)
        last[event["user"]] = event["item"]
    return kept


@settings(deadline=None, max_examples=30)
@given(logs())
def test_repeats_collapse_to_the_first(events: list[Event]) -> None:
    kept = without_repeats(events)
    compared(events, kept, {REPEAT: len(events) - len(kept)}, collapse_repeats=True)


def test_a_repeat_keeps_a_session_alive() -> None:
    events = log(*({"time": hour * HOUR} for hour in range(4)), {"time": 4 * HOUR, "item": "j"})
    kept, dropped = filtered(events, session_gap=1, collapse_repeats=True)
    assert [event["session"] for event in kept] == ["by gap 1", "by gap 1"]
    assert dropped == {REPEAT: 3}


def test_what_another_filter_left_out_parts_no_repeats() -> None:
    events = log({}, {"item": "j", "kind": "buy"}, {})
    assert filtered(events, kinds={"view": 1}, collapse_repeats=True)[1] == {KIND: 1, REPEAT: 1}


# --- sessions, users and items that are large enough ---------------------------------------------------------------


def core(events: list[Event], session: int, user: int, item: int) -> list[Event]:
    """Take one event at a time away for as long as any has too few companions."""

    def too_few(event: Event) -> bool:
        visit = [other for other in left if (other["user"], other["session"]) == (event["user"], event["session"])]
        return (
            (event["session"] is not None and len(visit) < session)
            or sum(other["user"] == event["user"] for other in left) < user
            or sum(other["item"] == event["item"] for other in left) < item
        )

    left = list(events)
    while (weak := next(filter(too_few, reversed(left)), None)) is not None:
        left.remove(weak)
    return left


@settings(deadline=None, max_examples=60)
@given(logs(40), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
def test_the_core_equals_a_slow_reference(events: list[Event], session: int, user: int, item: int) -> None:
    settings = {"least_session": session, "user_core": user, "item_core": item, "session": "session"}
    expected = core(events, session, user, item)
    if not expected:
        compared(events, expected, {}, **settings)
        return
    kept, dropped = filtered(events, **settings)
    assert kept == expected
    assert sum(dropped.values()) == len(events) - len(kept)
    assert set(dropped) <= {SESSION, USER, ITEM}


@settings(deadline=None, max_examples=20)
@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=50), st.integers(2, 4))
def test_with_distinct_pairs_the_core_is_that_of_the_bipartite_graph(pairs: set[tuple[int, int]], k: int) -> None:
    events = log(*({"user": f"u{user}", "item": f"i{item}"} for user, item in sorted(pairs)))
    network = networkx.k_core(networkx.Graph([(event["user"], event["item"]) for event in events]), k)
    kept = [event for event in events if network.has_edge(event["user"], event["item"])]
    if kept:
        assert filtered(events, user_core=k, item_core=k)[0] == kept
    else:
        compared(events, [], {}, user_core=k, item_core=k)


def test_a_core_counts_events_and_not_distinct_items() -> None:
    events = log({}, {}, {"user": "v"})
    assert filtered(events, user_core=2) == (events[:2], {USER: 1})


def test_one_event_can_bring_a_whole_chain_down() -> None:
    chain = [{"user": f"u{n // 2}", "item": f"i{(n + 1) // 2}"} for n in range(12)]  # u0 i0, u0 i1, u1 i1, u1 i2, ...
    square = [{"user": user, "item": item} for user in "ab" for item in "cd"]
    kept, dropped = filtered(log(*chain, *square), user_core=2, item_core=2)
    assert keys(kept) == keys(log(*chain, *square))[12:]
    assert dropped == {ITEM: dropped[ITEM], USER: 12 - dropped[ITEM]}


@settings(deadline=None, max_examples=25)
@given(logs(40), st.integers(1, 3), st.integers(1, 4))
def test_all_filters_run_in_the_documented_order(events: list[Event], session: int, core_size: int) -> None:
    by_kind = [event for event in events if event["kind"] in ("view", "buy")]
    later = [event for event in by_kind if event["time"] >= HOUR]
    walked = without_repeats(made_sessions(later, 1))
    expected = core(walked, session, core_size, core_size)
    compared_keys = {"kinds": {"view": 1, "buy": 1}, "dates": ["1970-01-01T01:00Z", "1971-01-01"], "session_gap": 1,
                     "collapse_repeats": True, "least_session": session, "user_core": core_size,
                     "item_core": core_size}  # fmt: skip
    if not expected:
        compared(events, expected, {}, **compared_keys)
        return
    kept, dropped = filtered(events, **compared_keys)
    assert kept == expected
    assert sum(dropped.values()) == len(events) - len(kept)
    assert dropped.get(KIND, 0) == len(events) - len(by_kind)
    assert dropped.get(REPEAT, 0) == len(later) - len(walked)


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kinds": {}}, "kinds: kinds with what their weights are multiplied by expected"),
        ({"kinds": {"view": -1}}, "kinds: "),
        ({"dates": ["2024-02-01", "2024-01-01"]}, "dates: a first moment before the end expected"),
        ({"dates": ["soon", "2024-01-01"]}, "^dates: a date such as 2024-05-31 .* got 'soon'"),
        ({"box": [2, 0, 1, 0]}, r"box: \[south, west, north, east\] in degrees expected"),
        ({"box": [0, 0, 1, 200]}, "box: "),
        ({"box": [0, 0, float("nan"), 1]}, "box: "),
        ({"least_session": 3}, "least_session: 3 needs sessions"),
    ],
)
def test_filters_that_cannot_be_meant_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        filtered(log({}), **settings)


def test_nothing_left_says_why_and_what_there_was() -> None:
    with pytest.raises(InputError, match=r"kind left out \(2\); its kinds are 'view'; loosen"):
        filtered(log({}, {}), kinds={"purchase": 1})


def test_an_empty_log_is_not_the_filters_fault() -> None:
    assert filtered([], kinds={"view": 1}, collapse_repeats=True, user_core=2) == ([], {})
