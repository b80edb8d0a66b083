"""Events are called what the log calls them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graphrec.evidence.counterfactual import counterfactuals
from graphrec.evidence.shares import explain
from graphrec.formatting import pluralize
from graphrec.graph.event_types import count_by_type, event_noun, item_phrase
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.ranking import StgatRanker
from graphrec.queries.query import Queries
from tests.networks import untrained
from tests.worlds import events, graph

DAY = 86_400


def world(kinds: list[str], kind: list[int], location: list[int] | None = None, **mapping: bool) -> TemporalGraph:
    """User 0 has item 0 twice and item 1 once; these are the kinds of the three events."""
    log = events([0, 0, 0], [0, 1, 0], [DAY, 2 * DAY, 3 * DAY], location)
    made = graph(replace(log, kind=torch.tensor(kind, dtype=torch.int8)), 1, 2, 2 if location else 0)
    return replace(made, manifest=made.manifest.model_copy(update={"kinds": kinds, "mapping": mapping}))


@pytest.mark.parametrize(
    ("kinds", "kind", "location", "words"),
    [
        (["rate"], [0, 0, 0], None, "rating"),
        (["check-in"], [0, 0, 0], [0, 1, 0], "check-in"),
        (["Buy"], [0, 0, 0], None, "purchase"),
        (["cart"], [0, 0, 0], None, "cart event"),
        (["event"], [0, 0, 0], None, "event"),
        (["event"], [0, 0, 0], [0, 1, 0], "visit"),
        (["event"], [0, 0, 0], [0, -1, 0], "event"),
        (["view", "buy"], [0, 1, 0], None, "event"),
        (["view", "buy"], [1, 1, 1], None, "purchase"),
        (["view"], [3, 3, 3], None, "event"),
        ([], [0, 0, 0], None, "event"),
    ],
)
def test_events_have_the_name_of_their_kind(
    kinds: list[str], kind: list[int], location: list[int] | None, words: str
) -> None:
    assert event_noun(world(kinds, kind, location), torch.arange(3)) == words


def test_no_events_are_events() -> None:
    assert event_noun(world(["rate"], [0, 0, 0]), torch.zeros(0, dtype=torch.int64)) == "event"


def test_of_some_kinds_only_those_asked_for_count() -> None:
    assert event_noun(world(["view", "buy"], [0, 1, 0]), torch.tensor([0, 2])) == "view"


def test_two_kinds_are_counted_apart_and_more_together() -> None:
    every = torch.arange(3)
    assert count_by_type(world(["view", "buy"], [0, 1, 0]), every) == "2 views and 1 purchase"
    assert count_by_type(world(["view", "buy", "cart"], [0, 1, 2]), every) == "3 events"
    assert count_by_type(world(["event"], [0, 1, 2]), every) == "3 events"
    assert count_by_type(world(["rate"], [0, 0, 0]), every[:1]) == "1 rating"


def test_counts_and_items_in_words() -> None:
    assert (pluralize(1, "rating"), pluralize(3, "rating")) == ("1 rating", "3 ratings")
    assert item_phrase("visit", "the bar") == "to the bar"
    assert item_phrase("check-in", "the bar") == "at the bar"
    assert item_phrase("rating", "Heat") == "of Heat"
    assert item_phrase("cart event", "a book") == "with a book"


def told(made: TemporalGraph) -> tuple[str, str]:
    """The evidence of item 0 among the user's own events, and without what it would fall."""
    model = untrained(made, 0, spread=0.0, fan_out={"own_history": 9}, propagation=False)
    with torch.no_grad():
        model.gate.bias[1:] = 5.0
    ranker, asked = StgatRanker(made, model), Queries.from_users(torch.tensor([0]), torch.tensor([4 * DAY]))
    [[one]] = explain(ranker, asked, items=torch.tensor([[0]]))
    (fall,) = counterfactuals(ranker, asked, items=torch.tensor([0]))
    return next(
        part.description for part in one.evidence if part.relation == "own_history"
    ), fall.without if fall else ""


def test_ratings_are_not_called_visits() -> None:
    evidence, without = told(world(["rate"], [0, 0, 0]))
    assert evidence == "2 ratings of yours, always nights, last 1 day ago"
    assert without in ("your Friday rating", "your Sunday rating")


def test_a_log_without_times_says_no_weekday() -> None:
    evidence, without = told(world(["rate"], [0, 0, 0], timeless=True))
    assert evidence == "2 ratings of yours"
    assert without == ""  # nothing but a weekday or a part of the day could make it fall
