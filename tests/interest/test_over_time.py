"""Interest over time: a planted change of interest is found, at its week, and nothing later is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import InputError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.interest.over_time import interest_over_time
from tests import worlds

DAY = 86_400
WEEK = 7 * DAY
MONDAY = 1_599_436_800  # 2020-09-07 00:00 UTC


def reader(texts: list[str | None], vectors: list[list[float]] | None = None) -> TemporalGraph:
    """One user who takes the first half of the items in turn for four weeks, then the second half for four."""
    half = len(texts) // 2
    item = [(day % half) + (half if day >= 28 else 0) for day in range(56)]
    log = worlds.events([0] * 56, item, [MONDAY + 12 * 3600 + day * DAY for day in range(56)])
    graph = worlds.graph(log, users=1, items=len(texts))
    table = replace(
        graph.nodes["item"],
        texts=pa.array(texts, pa.string()),
        vectors=None if vectors is None else torch.tensor(vectors, dtype=torch.float16),
    )
    return replace(graph, nodes={**graph.nodes, "item": table})


def books() -> TemporalGraph:
    return reader([f"Book {n}. {'crime' if n < 4 else 'poetry|essay'}. Page {n}." for n in range(8)])


def test_shares_follow_the_categories_of_the_texts() -> None:
    interest = interest_over_time(books(), "user-0", until=TIME_MAX)
    assert interest.themes == ("crime", "essay", "poetry")
    assert interest.start.tolist() == [MONDAY + week * WEEK for week in range(8)]
    assert interest.events.tolist() == [7] * 8
    np.testing.assert_allclose(interest.share, [[1, 0, 0]] * 4 + [[0, 0.5, 0.5]] * 4)


def test_drift_peaks_where_the_interest_was_planted_to_turn() -> None:
    interest = interest_over_time(books(), "user-0", until=TIME_MAX)
    assert np.isnan(interest.drift[0])
    np.testing.assert_allclose(interest.drift[1:], [0, 0, 0, 1, 0, 0, 0], atol=1e-12)


def test_only_events_strictly_before_count() -> None:
    interest = interest_over_time(books(), "user-0", until=MONDAY + 12 * 3600 + 9 * DAY)
    assert interest.events.tolist() == [7, 2]
    assert interest.themes == ("crime",)


@given(seed=st.integers(0, 40))
@settings(max_examples=15, deadline=None)
def test_shares_add_up_and_the_future_changes_nothing(seed: int) -> None:
    graph = worlds.random_world(seed)
    time = int(graph.log.time[200])
    user = f"user-{int(graph.log.user[0])}"
    poisoned = torch.where(graph.log.time >= time, 0, graph.log.item)
    other = replace(graph, log=replace(graph.log, item=poisoned.int()), _cache={})
    interest, same = (interest_over_time(g, user, until=time, step_days=2) for g in (graph, other))
    np.testing.assert_allclose(interest.share.sum(axis=1), interest.events > 0)
    assert int(interest.events.sum()) == int(((graph.log.user == graph.log.user[0]) & (graph.log.time < time)).sum())
    assert interest.themes == same.themes
    np.testing.assert_array_equal(interest.share, same.share)
    np.testing.assert_array_equal(interest.drift, same.drift)


def test_without_categories_vectors_make_the_themes_and_words_name_them() -> None:
    rng = np.random.default_rng(0)
    words = ["whale ocean", "desert camel", "mountain snow"]
    topic = np.arange(30) // 10
    texts = [f"{words[topic[n]]} tale{chr(97 + n)}" for n in range(30)]
    vectors = np.eye(3)[topic] + 0.001 * rng.normal(size=(30, 3))
    interest = interest_over_time(reader(texts, vectors.tolist()), "user-0", until=TIME_MAX)
    assert set(interest.themes) == {"ocean, whale", "camel, desert", "mountain, snow"}
    mountain = interest.share[:, interest.themes.index("mountain, snow")]
    assert mountain[:4].max() == 0
    assert mountain[4:].min() > 0


def test_items_that_say_nothing_are_called_other() -> None:
    texts = [f"One {n}. {'art' if n % 4 == 1 else 'food'}. Yes." if n % 2 else None for n in range(8)]
    assert interest_over_time(reader(texts), "user-0", until=TIME_MAX).themes == ("art", "food", "other")


def test_without_text_the_most_frequent_items_are_the_themes() -> None:
    interest = interest_over_time(reader([None] * 20), "user-0", until=TIME_MAX)
    assert len(interest.themes) == 8
    assert interest.themes[0].startswith("item-")
    assert interest.themes[-1] == "other"


def test_weeks_without_events_are_empty_and_drift_spans_them() -> None:
    log = worlds.events([0, 0], [0, 1], [MONDAY, MONDAY + 3 * WEEK])
    interest = interest_over_time(worlds.graph(log, users=1, items=2), "user-0", until=TIME_MAX)
    assert interest.events.tolist() == [1, 0, 0, 1]
    assert interest.share.sum(axis=1).tolist() == [1, 0, 0, 1]
    assert np.isnan(interest.drift[:3]).all()
    assert interest.drift[3] == pytest.approx(1)


def test_weeks_turn_at_the_users_own_midnight() -> None:
    log = worlds.events([0, 0], [0, 0], [MONDAY - 3 * 3600, MONDAY - 2 * 3600])
    log = replace(log, utc_offset=torch.tensor([120, 120], dtype=torch.int16))
    interest = interest_over_time(worlds.graph(log, users=1, items=1), "user-0", until=TIME_MAX)
    assert interest.start.tolist() == [MONDAY - WEEK, MONDAY]


@pytest.mark.parametrize(
    ("user", "until", "step", "words"),
    [
        ("nobody", TIME_MAX, 7, "user 'nobody' is not among the 1 users"),
        ("user-0", MONDAY, 7, "has no event before 2020-09-07 00:00:00 UTC"),
        ("user-0", TIME_MAX, 0, "step of at least 1 day"),
    ],
)
def test_odd_requests_get_one_clear_line(user: str, until: int, step: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        interest_over_time(books(), user, until=until, step_days=step)
