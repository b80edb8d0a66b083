"""SLIT against the published form: one source row and one target row per split point, by the normal equations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.graph.events import TRAIN
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.slit import Slit, SlitConfig
from graphrec.queries.query import Queries
from tests.models.test_baselines import city, own_events, questions
from tests.worlds import alone

ITEMS = 15


def sequence_of(world: TemporalGraph, row: int) -> tuple[str, int]:
    session = int(world.log.session[row])
    return ("session", session) if session >= 0 else ("user", int(world.log.user[row]))


def slow_weights(world: TemporalGraph, config: SlitConfig) -> np.ndarray:
    """The ridge regression of all target rows on all source rows."""
    log = world.log
    train = [row for row in range(len(log)) if log.split[row] == TRAIN]
    own: dict[tuple[str, int], list[int]] = {}
    for row in train:
        own.setdefault(sequence_of(world, row), []).append(row)
    newest = max(int(log.time[row]) for row in train)
    gram, cross = config.ridge * np.eye(ITEMS), np.zeros((ITEMS, ITEMS))
    for rows in own.values():
        item = [int(log.item[row]) for row in rows]
        age = (newest - int(log.time[rows[-1]])) / 86_400
        weight = math.exp(-age / config.session_decay_days) if config.session_decay_days else 1.0
        for split in range(len(item) - 1):
            source, target = np.zeros(ITEMS), np.zeros(ITEMS)
            for place in range(split + 1) if config.source == "past" else [split]:
                source[item[place]] += math.exp(-(split - place) / config.position_decay)
            for place in range(split + 1, len(item)):
                target[item[place]] += math.exp(-(place - split - 1) / config.position_decay)
            source /= source.sum()
            gram += weight * np.outer(source, source)
            cross += weight * np.outer(source, target)
    return np.linalg.solve(gram, cross)


CHANGES: list[dict[str, Any]] = [
    {},
    {"position_decay": 6.0},
    {"position_decay": 0.125, "session_decay_days": 4.0},
    {"source": "last", "position_decay": 3.0, "session_decay_days": 30.0},
]


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("sessions", [True, False])
@settings(deadline=None, max_examples=5)
@given(st.integers(0, 10_000))
def test_the_weights_equal_those_of_the_rows_written_out(changes: dict[str, Any], sessions: bool, seed: int) -> None:
    world = city(seed)
    if not sessions:
        world = replace(world, log=replace(world.log, session=torch.full_like(world.log.session, -1)))
    config = SlitConfig(ridge=0.7, **changes)
    np.testing.assert_allclose(Slit(world, config).weights, slow_weights(world, config), rtol=1e-3, atol=1e-4)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000), st.booleans())
def test_scores_are_those_of_the_ongoing_session(seed: int, frozen: bool) -> None:
    world = city(seed)
    model, asked = Slit(world, SlitConfig(inference_decay=2.5)), questions(world, seed, frozen)
    found = model.scores(asked).numpy()
    for query in range(len(asked)):
        own, history = own_events(world, asked, query), np.zeros(ITEMS)
        rows = [row for row in own if sequence_of(world, row) == sequence_of(world, own[-1])]
        for age, row in enumerate(reversed(rows)):
            history[int(world.log.item[row])] += math.exp(-age / 2.5)
        np.testing.assert_allclose(found[query], history @ model.weights, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_event(count: int) -> None:
    world = city(5)
    few = alone(world, world.log.rows(slice(0, count)))
    model = Slit(few, SlitConfig(session_decay_days=1.0))
    asked = Queries.from_users(torch.arange(-1, 8), torch.full((9,), 10**10))
    assert model.scores(asked).shape == (9, ITEMS)
    assert model.scores(asked).isfinite().all()


def test_an_order_is_learned_and_not_its_reverse() -> None:
    """Everybody has 0, 1, 2 and so on: after 3 to 6 the items to come score higher than those before."""
    world = city(4)
    log = replace(
        world.log,
        item=torch.zeros_like(world.log.item),
        session=torch.full_like(world.log.session, -1),
        split=torch.zeros_like(world.log.split),
    )
    for user in range(8):
        own = (log.user == user).nonzero()[:, 0]
        log.item[own] = torch.arange(len(own), dtype=log.item.dtype).clamp(max=14)
    weights = Slit(alone(world, log), SlitConfig(position_decay=5.0, ridge=0.1)).weights
    scores = weights[3:7].sum(0)
    assert scores[7:9].min() > scores[:3].max()
