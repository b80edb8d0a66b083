from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.evidence import shares
from graphrec.evidence.shares import SHARE_LABELS, Recommendation, explain
from graphrec.graph.event_types import format_habit
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.models.ranking import StgatRanker
from graphrec.queries.query import Queries
from graphrec.queries.user_history import user_events
from graphrec.recommendation import history_in_words, ranked_items
from tests.networks import scores, untrained
from tests.worlds import alone, events, graph, town

SEEDS = st.integers(0, 10_000)
MINUTE, HOUR, DAY = 60, 3600, 86_400
FRIDAY = DAY  # 1970-01-02 was a Friday


@settings(deadline=None, max_examples=12)
@given(SEEDS, st.booleans(), st.sampled_from([{}, {"locations": 0}, {"places": False}, {"texts": 0}]))
def test_shares_and_evidence_add_up_to_the_score(seed: int, frozen: bool, bare: dict[str, int]) -> None:
    world = town(seed, **bare)
    log, model = world.log, untrained(world, seed, spread=0.1)
    user = torch.arange(-1, 8)
    history_cutoff = int(log.time[60]) if frozen else TIME_MAX
    asked = replace(
        Queries.from_users(user, log.time[10:100:10] + 1),
        history_cutoff=history_cutoff,
        session=log.session[9:99:10].long(),
    )
    ranker = StgatRanker(world, model)
    best = ranker.top(asked, 6)
    dense = scores(world, model, asked)
    for row, found in enumerate(explain(ranker, asked, items=best.items)):
        codes = [code for code in best.items[row].tolist() if code >= 0]
        assert [one.item for one in found] == [f"item-{code}" for code in codes]
        for code, one in zip(codes, found, strict=True):
            assert one.score == pytest.approx(float(dense[row, code]), abs=1e-6)
            assert_adds_up(one)
            assert_seen(world, one, code, int(asked.time[row]))


def assert_adds_up(one: Recommendation) -> None:
    """Shares make the score, evidence makes the shares, events make the evidence."""
    assert list(one.shares) == list(SHARE_LABELS.values())
    assert sum(one.shares.values()) == pytest.approx(one.score, abs=1e-6)
    for relation, name in SHARE_LABELS.items():
        parts = [part.share for part in one.evidence if part.relation == relation]
        assert sum(parts) == pytest.approx(one.shares[name], abs=1e-6)
        assert len(parts) <= 1
    assert [part.share for part in one.evidence] == sorted((part.share for part in one.evidence), reverse=True)


def assert_seen(world: TemporalGraph, one: Recommendation, code: int, time: int) -> None:
    """Evidence is events of that item strictly before the question, the strongest first."""
    for part in one.evidence:
        rows, mass = [event for event, _ in part.events], [mass for _, mass in part.events]
        assert all(int(world.log.item[event]) == code and world.log.time[event] < time for event in rows)
        assert mass == sorted(mass, reverse=True)
        assert len(set(rows)) == len(rows)
        assert (part.relation == "semantic") == (not rows)
        if rows:
            assert sum(mass) == pytest.approx(part.share, abs=1e-6)
        assert part.description


# --- in words ---------------------------------------------------------------------------------------------------------


def week() -> TemporalGraph:
    """User 0 goes to the bar on Friday evenings and to the office on workday mornings; user 1 goes from office to gym.

    row        0          1          2          3          4          5          6
    user       0          0          1          1          0          0          0
    item       office     bar        office     gym        office     bar        office
    when       Fri 9:00   Fri 20:00  Tue 9:00   Tue 12:00  Thu 9:00   Fri 21:00  Mon 9:00
    place      0          1          0          0          0          1          0
    """
    hours = [9, 20, 4 * 24 + 9, 4 * 24 + 12, 6 * 24 + 9, 7 * 24 + 21, 10 * 24 + 9]
    time = [FRIDAY + hour * HOUR for hour in hours]
    log = events([0, 0, 1, 1, 0, 0, 0], [0, 1, 0, 2, 0, 1, 0], time, [0, 1, 0, 0, 0, 1, 0])
    world = graph(log, 2, 4, 2)
    labels = pa.array(["the office", "the bar", None, "the park"], pa.string())
    return alone(world, item=replace(world.nodes["item"], labels=labels))


MONDAY_NOON = FRIDAY + (10 * 24 + 12) * HOUR


def why(world: TemporalGraph, user: int, time: int, item: int) -> dict[str, str]:
    """Words by relation for one item."""
    every = {"own_history": 9, "transitions": 9, "nearby": 9}
    ranker = StgatRanker(world, untrained(world, 61, spread=0.1, fan_out=every))
    asked = Queries.from_users(torch.tensor([user]), torch.tensor([time]))
    [[one]] = explain(ranker, asked, items=torch.tensor([[item, -1]]))
    return {part.relation: part.description for part in one.evidence}


def test_visits_of_ones_own_in_words() -> None:
    words = why(week(), 0, MONDAY_NOON, 1)
    assert words["own_history"] == "2 visits of yours, always Friday evenings, last 3 days ago"
    assert words["transitions"] == "1 time next after the office (1 by you), on a Friday evening, last 10 days ago"
    assert words["nearby"] == "2 visits around here by 1 user, always Friday evenings, last 3 days ago"


def test_visits_of_others_in_words() -> None:
    words = why(week(), 0, MONDAY_NOON, 2)
    assert "own_history" not in words
    assert words["transitions"] == "1 time next after the office, on a Tuesday afternoon, last 6 days ago"
    assert words["nearby"] == "1 visit around here by 1 user, on a Tuesday afternoon, last 6 days ago"


def test_what_most_visits_have_in_common() -> None:
    words = why(week(), 0, MONDAY_NOON, 0)
    assert words["own_history"] == "3 visits of yours, always mornings, last 3 hours ago"
    assert words["nearby"] == "4 visits around here by 2 users, always mornings, last 3 hours ago"


def test_an_item_without_events_is_close_to_something_or_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(why(week(), 0, MONDAY_NOON, 3)) == ["semantic"]
    monkeypatch.setattr(shares, "MIN_SIMILARITY", 1.1)  # nothing is as alike as that
    assert why(week(), 0, MONDAY_NOON, 3)["semantic"].startswith("fits your state")
    monkeypatch.setattr(shares, "MIN_SIMILARITY", -1.0)  # anything is
    assert why(week(), 0, MONDAY_NOON, 3)["semantic"].startswith("close to the ")
    assert why(week(), -1, MONDAY_NOON, 3)["semantic"] == "fits your state"


def test_how_far_away_an_item_is() -> None:
    world = week()
    places = torch.tensor([[40.0, -74.0], [40.0, -73.9], [torch.nan] * 2, [40.0, -74.0]])
    world = alone(world, item=replace(world.nodes["item"], coordinates=places))
    assert why(world, 0, MONDAY_NOON, 1)["semantic"].endswith(", 8.5 km away")
    assert why(world, 0, MONDAY_NOON, 3)["semantic"].endswith(", 0.0 km away")
    assert "km" not in why(world, 0, MONDAY_NOON, 2)["semantic"]
    assert "km" not in why(world, -1, MONDAY_NOON, 1)["semantic"]


def test_a_view_counts_time_to_its_horizon() -> None:
    assert why(week().as_of(MONDAY_NOON), 0, MONDAY_NOON + 90 * DAY, 1)["own_history"].endswith("last 3 days ago")


def test_without_a_relation_there_is_no_such_evidence() -> None:
    world = week()
    model = untrained(world, 62, fan_out={"transitions": 3})
    [[one]] = explain(
        StgatRanker(world, model),
        Queries.from_users(torch.tensor([0]), torch.tensor([MONDAY_NOON])),
        items=torch.tensor([[1]]),
    )
    assert {part.relation for part in one.evidence} == {"transitions", "semantic"}
    assert (one.shares["my history"], one.shares["what happens here"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        ([20], "on a Friday evening"),
        ([2], "on a Friday night"),
        ([18, 23, 24 * 7 + 19], "always Friday evenings"),
        ([18, 19, 24 * 3 + 9], "mostly Friday evenings"),
        ([5, 24 + 11, 24 * 2 + 8], "always mornings"),
        ([5, 24 + 11, 24 * 2 + 8, 24 * 3 + 17], "mostly mornings"),
        ([1, 12], "always Fridays"),
        ([1, 24 + 12], "at various times"),
    ],
)
def test_habits_in_words(hours: list[int], words: str) -> None:
    n = len(hours)
    world = graph(events([0] * n, [0] * n, [FRIDAY + hour * HOUR for hour in hours]), 1, 1)
    assert format_habit(world, torch.arange(n)) == words


def test_habits_are_of_local_time() -> None:
    log = events([0], [0], [FRIDAY + 2 * HOUR])
    west = graph(replace(log, utc_offset=torch.tensor([-300], dtype=torch.int16)), 1, 1)
    assert format_habit(west, torch.tensor([0])) == "on a Thursday evening"


# --- as data ----------------------------------------------------------------------------------------------------------


def test_items_with_and_without_evidence() -> None:
    world = week()
    ranker = StgatRanker(world, untrained(world, 63))
    asked = Queries.from_users(torch.tensor([0, -1]), torch.tensor([MONDAY_NOON] * 2))
    best = ranker.top(asked, 3)
    with_reasons, without = (ranked_items(ranker, asked, best, None, reasons=reasons) for reasons in (True, False))
    for row in range(2):
        assert [one.item for one in with_reasons[row]] == [one.item for one in without[row]]
        assert [one.label for one in with_reasons[row]] == [one.label for one in without[row]]
        for one, same in zip(with_reasons[row], without[row], strict=True):
            assert one.score == pytest.approx(same.score, abs=1e-6)
            assert sum(one.shares.values()) == pytest.approx(one.score, abs=1e-6)
            masses = [mass for part in one.evidence for _, mass in part.events]
            semantic = [part.share for part in one.evidence if part.relation == "semantic"]
            assert sum(masses) + sum(semantic) == pytest.approx(one.score, abs=1e-6)


def test_history_is_strictly_before_and_in_words() -> None:
    world = week()
    friday = FRIDAY + 20 * HOUR
    assert user_events(world, 0, friday).tolist() == [0]
    assert user_events(world, 0, MONDAY_NOON).tolist() == [0, 1, 4, 5, 6]
    assert user_events(world.as_of(friday), 0, MONDAY_NOON).tolist() == [0]
    assert user_events(world, -1, MONDAY_NOON).tolist() == []
    assert history_in_words(world, user_events(world, 0, MONDAY_NOON)) == (
        "5 events since 1970-01-02, most often the office (3)"
    )
    assert history_in_words(world, user_events(world, 0, friday)) == "1 event since 1970-01-02"
    assert history_in_words(world, user_events(world, -1, friday)) == "no events before"
