from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from graphrec.graph.events import SPLITS, TEST, TRAIN
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.queries.protocol import EvaluationProtocol, is_repeat
from tests.worlds import events, graph, random_world

SEEDS = st.integers(0, 10_000)


def small_world() -> TemporalGraph:
    """Rows 0 to 8; sessions of one user and one split; item 3 and user 2 occur in test only.

    row      0  1  2  3  4  5  6  7  8
    user     0  0  1  0  0  1  0  1  2
    item     0  1  0  1  0  2  2  0  3
    session  1  1  2  3  3  .  4  4' 4''     (' and '': sessions 5 and 6)
    split    train......... val.  test...
    """
    log = events(
        [0, 0, 1, 0, 0, 1, 0, 1, 2],
        [0, 1, 0, 1, 0, 2, 2, 0, 3],
        [10, 20, 30, 40, 50, 60, 70, 80, 90],
        split=[0, 0, 0, 0, 0, 1, 2, 2, 2],
        session=[1, 1, 2, 3, 3, -1, 4, 5, 6],
    )
    return graph(log, users=3, items=5)


def city(seed: int) -> TemporalGraph:
    """A random world with sessions of one user and one split each, with gaps in their codes, some events in none."""
    world = random_world(seed, users=6, items=12, count=90)
    rng = np.random.default_rng(seed)
    session = 10 * world.log.user + 3 * world.log.split + torch.tensor(rng.integers(0, 3, 90), dtype=torch.int32)
    session[rng.random(90) < 0.2] = -1
    return replace(world, log=replace(world.log, session=session.int()), _cache={})


def test_every_event_of_a_split_is_judged() -> None:
    protocol, world = EvaluationProtocol(), small_world()
    assert protocol.target_rows(world, "train").tolist() == [0, 1, 2, 3, 4]
    assert protocol.target_rows(world, "val").tolist() == [5]
    assert protocol.target_rows(world, "test").tolist() == [6, 7, 8]


def test_only_the_last_of_a_session_of_two_is_judged() -> None:
    assert EvaluationProtocol(evaluate_on="session-last").target_rows(small_world(), "train").tolist() == [1, 4]
    assert EvaluationProtocol(evaluate_on="session-last").target_rows(small_world(), "test").tolist() == []


def test_training_learns_from_every_train_event_whatever_counts_as_a_sample() -> None:
    world = small_world()
    assert EvaluationProtocol().training_rows(world).tolist() == [0, 1, 2, 3, 4]
    assert EvaluationProtocol(vocabulary_from="session-rest").training_rows(world).tolist() == [0, 1, 2, 3, 4]


def test_known_only_drops_users_and_items_that_no_sample_has() -> None:
    world = small_world()
    assert EvaluationProtocol(known_only=True).target_rows(world, "test").tolist() == [7]
    assert EvaluationProtocol(known_only=True).target_rows(world, "val").tolist() == []
    only_samples = EvaluationProtocol(known_only=True, vocabulary_from="session-rest")  # of which user 1 has none
    assert only_samples.target_rows(world, "test").tolist() == []


def test_novel_keeps_first_visits() -> None:
    world = small_world()
    assert EvaluationProtocol(novel=True).target_rows(world, "test").tolist() == [6, 8]
    assert EvaluationProtocol(novel=True).training_rows(world).tolist() == [0, 1, 2]


def test_candidates_are_all_items_or_those_of_the_samples() -> None:
    world = small_world()
    assert EvaluationProtocol().candidate_mask(world).tolist() == [True] * 5
    assert EvaluationProtocol(candidates="train").candidate_mask(world).tolist() == [True, True, False, False, False]
    novel = EvaluationProtocol(
        candidates="train", novel=True
    )  # a sample that novelty leaves out of training still names its item
    assert novel.candidate_mask(world).tolist() == [True, True, False, False, False]


def test_queries_follow_the_protocol() -> None:
    world, rows = small_world(), torch.tensor([6, 7])
    last, frozen = EvaluationProtocol(query_time="last-event"), EvaluationProtocol(history="frozen")
    assert last.queries(world, rows).time.tolist() == [51, 61]
    assert last.queries(world, rows).history_cutoff == TIME_MAX
    assert frozen.queries(world, rows).time.tolist() == [70, 80]
    assert frozen.queries(world, rows).history_cutoff == 70
    all_train = replace(world, log=replace(world.log, split=torch.zeros_like(world.log.split)), _cache={})
    assert frozen.queries(all_train, rows).history_cutoff == TIME_MAX


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="query_time"):
        EvaluationProtocol(query_time="tomorrow")
    with pytest.raises(ValidationError, match="Extra inputs"):
        EvaluationProtocol(mood="good")


def test_a_world_without_events_has_no_rows() -> None:
    world = graph(events([], [], []), 2, 3)
    for protocol in (
        EvaluationProtocol(),
        EvaluationProtocol(evaluate_on="session-last", vocabulary_from="session-rest", known_only=True, novel=True),
    ):
        for split in SPLITS:
            assert protocol.target_rows(world, split).tolist() == []
        assert protocol.training_rows(world).tolist() == []
    assert EvaluationProtocol(candidates="train").candidate_mask(world).tolist() == [False] * 3


# --- slow references ----------------------------------------------------------------------------------------------


def slow_edges(world: TemporalGraph) -> tuple[set[int], set[int]]:
    """Rows that open and rows that close a session."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for row, session in enumerate(world.log.session.tolist()):
        if session >= 0:
            first.setdefault(session, row)
            last[session] = row
    return set(first.values()), set(last.values())


def slow_returning(world: TemporalGraph, row: int) -> bool:
    log = world.log
    return any(
        log.user[other] == log.user[row] and log.item[other] == log.item[row] and log.time[other] < log.time[row]
        for other in range(len(log))
    )


def slow_targets(protocol: EvaluationProtocol, world: TemporalGraph, split: str) -> list[int]:
    log, (first, last) = world.log, slow_edges(world)
    samples = [
        row
        for row in range(len(log))
        if log.split[row] == TRAIN and (protocol.vocabulary_from == "every" or row not in first)
    ]
    users, items = {int(log.user[row]) for row in samples}, {int(log.item[row]) for row in samples}
    return [
        row
        for row in range(len(log))
        if log.split[row] == SPLITS[split]
        and (protocol.evaluate_on == "every" or (row in last and row not in first))
        and (not protocol.known_only or (int(log.user[row]) in users and int(log.item[row]) in items))
        and (not protocol.novel or not slow_returning(world, row))
    ]


@settings(deadline=None, max_examples=25)
@given(
    SEEDS,
    st.sampled_from(["every", "session-last"]),
    st.sampled_from(["every", "session-rest"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(sorted(SPLITS)),
)
def test_target_rows_equal_a_slow_reference(
    seed: int, targets: str, samples: str, known_only: bool, novel: bool, split: str
) -> None:
    world = city(seed)
    protocol = EvaluationProtocol(evaluate_on=targets, vocabulary_from=samples, known_only=known_only, novel=novel)
    assert protocol.target_rows(world, split).tolist() == slow_targets(protocol, world, split)


@settings(deadline=None, max_examples=15)
@given(SEEDS)
def test_training_rows_and_candidates_equal_a_slow_reference(seed: int) -> None:
    world = city(seed)
    first, _ = slow_edges(world)
    train = [row for row in range(len(world.log)) if world.log.split[row] == TRAIN]
    rest = EvaluationProtocol(vocabulary_from="session-rest", candidates="train")
    expected = [row for row in train if row not in first]
    assert rest.training_rows(world).tolist() == train
    assert rest.candidate_mask(world).nonzero()[:, 0].tolist() == sorted({int(world.log.item[row]) for row in expected})


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_returning_equals_a_slow_reference(seed: int) -> None:
    world = random_world(seed, users=4, items=5, count=60, seconds=6_000)  # many ties and repeats
    rows = torch.tensor(np.random.default_rng(seed).permutation(60))
    assert is_repeat(world, rows).tolist() == [slow_returning(world, int(row)) for row in rows]


@settings(deadline=None, max_examples=15)
@given(SEEDS)
def test_held_out_events_choose_neither_samples_nor_candidates(seed: int) -> None:
    world = city(seed)
    item = world.log.item.clone()
    item[world.log.split == TEST] = 0
    other = replace(world, log=replace(world.log, item=item), _cache={})
    for protocol in (
        EvaluationProtocol(candidates="train", vocabulary_from="session-rest"),
        EvaluationProtocol(candidates="train", novel=True),
    ):
        assert torch.equal(protocol.training_rows(world), protocol.training_rows(other))
        assert torch.equal(protocol.candidate_mask(world), protocol.candidate_mask(other))


@settings(deadline=None)
@given(SEEDS, st.sampled_from(["val", "test"]), st.sampled_from(["every", "session-rest", "before-test"]))
def test_the_rows_of_getnext_equal_a_slow_reference(seed: int, split: str, samples: Any) -> None:
    """Drop what is not known, keep sessions of which three are left, judge the last of these."""
    world = city(seed)
    log, code = world.log, SPLITS[split]
    first = {int(session): row for row, session in reversed(list(enumerate(log.session))) if session >= 0}
    sample = [
        row
        for row in range(90)
        if log.split[row] == TRAIN or (samples == "before-test" and log.split[row] < TEST)
        if samples != "session-rest" or first.get(int(log.session[row])) != row
    ]
    users, items = ({int(codes[row]) for row in sample} for codes in (log.user, log.item))
    left: dict[int, list[int]] = {}
    for row in range(90):
        if log.split[row] == code and int(log.user[row]) in users and int(log.item[row]) in items:
            left.setdefault(int(log.session[row]), []).append(row)
    expected = sorted(rows[-1] for session, rows in left.items() if session >= 0 and len(rows) >= 3)
    protocol = EvaluationProtocol(evaluate_on="session-last-of-three", vocabulary_from=samples)
    assert protocol.target_rows(world, split).tolist() == expected


def test_a_frozen_history_of_test_questions_has_train_and_val() -> None:
    world, protocol = small_world(), EvaluationProtocol(history="frozen")
    frozen = {split: protocol.queries(world, protocol.target_rows(world, split)).history_cutoff for split in SPLITS}
    assert frozen == {"train": 60, "val": 60, "test": 70}


def test_the_names_on_disk_are_read_and_written() -> None:
    stored = {"judge": "users", "targets": "session-last", "samples": "before-test"}
    protocol = EvaluationProtocol(task="top-n", evaluate_on="session-last", vocabulary_from="before-test")
    assert EvaluationProtocol(**stored) == protocol
    assert protocol.model_dump().items() >= stored.items()
    assert EvaluationProtocol().model_dump()["judge"] == "events"
    assert EvaluationProtocol(judge="next-item").task == "next-item"
    with pytest.raises(ValidationError, match="'next-item' or 'top-n'"):
        EvaluationProtocol(judge="sessions")


def test_changes_are_checked_and_go_by_either_name() -> None:
    protocol = EvaluationProtocol(task="top-n", novel=True)
    assert protocol.with_changes({"judge": "events"}) == EvaluationProtocol(novel=True)
    assert protocol.with_changes({"task": "next-item", "novel": False}) == EvaluationProtocol()
    assert protocol.with_changes({}) == protocol
    with pytest.raises(ValidationError, match="novelty"):
        protocol.with_changes({"novelty": True})
