"""The global view finds the one thing that a planted network looks at, and nothing in noise."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.errors import RunError
from graphrec.evidence.attention_profile import AttentionProfile, _interval, profile, profile_attention
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import bootstrap_interval
from graphrec.models.event_features import N_EVENT_FEATURES
from graphrec.models.item_to_item import ItemKNN, ItemKNNConfig
from graphrec.models.ranking import StgatRanker
from graphrec.models.stgat import Stgat
from graphrec.queries.query import Queries
from graphrec.runs.run import Run
from tests.conftest import Ended
from tests.models.test_planted import fitted, held_out, routines
from tests.networks import again, untrained
from tests.worlds import events, graph, random_world, rewritten, town

SEEDS = st.integers(0, 10_000)
HOUR, DAY = 3600, 86_400
SHARP_HOUR, SHARP_WEEKLY_HOUR, WALKING = 4, 5, 16
"""Places of signals in ``graphrec.models.event_features.neighbours``."""
FAN_OUT = {"own_history": 30, "transitions": 20, "nearby": 20}


def network(world: TemporalGraph, signal: int | None = None, strength: float = 8.0) -> Stgat:
    """All weights zero but that of one signal in every pointer: attention is even but for it."""
    model = untrained(world, 0, spread=0.0, fan_out=FAN_OUT, propagation=False)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        if signal is not None:
            for attend in model.relation_attention.values():
                attend.pointer_attention.feature_weight.bias.view(N_EVENT_FEATURES, -1)[signal] = strength
    return model


def noise(seed: int) -> TemporalGraph:
    """Events at random, enough of them that chance says little."""
    return random_world(seed, users=30, items=60, locations=20, count=2_000, seconds=60 * DAY)


def asked(world: TemporalGraph) -> Queries:
    """Questions from anywhere in the city: the last event is not the nearest one."""
    rows = torch.arange(150, len(world.log), len(world.log) // 150 + 1)
    place = torch.tensor([40.75, -73.99]) + 0.03 * torch.randn(len(rows), 2, generator=torch.Generator().manual_seed(1))
    return Queries.from_users(world.log.user[rows].long(), world.log.time[rows], coordinates=place)


def lifts(found: AttentionProfile, aspect: str, segment: str = "all") -> dict[str, float]:
    return {one.value: one.lift for one in found.of(aspect, segment) if one.lift is not None}


@settings(deadline=None, max_examples=6)
@given(SEEDS)
def test_an_even_attention_takes_what_is_available(seed: int) -> None:
    world = random_world(seed)
    found = profile(StgatRanker(world, network(world)), asked(world))
    for segment in found.segments:
        for aspect in found.aspects:
            values = found.of(aspect, segment)
            assert sum(one.share for one in values) == pytest.approx(1)
            if aspect != "relation":
                assert lifts(found, aspect, segment) == pytest.approx({one.value: 1.0 for one in values})
            assert all(one.low <= one.share + 1e-9 and one.share <= one.high + 1e-9 for one in values if one.low)


@settings(deadline=None, max_examples=3)
@given(SEEDS)
def test_the_hour_alone_is_found(seed: int) -> None:
    world = noise(seed)
    found = profile(StgatRanker(world, network(world, SHARP_HOUR)), asked(world))
    hours = lifts(found, "hours apart")
    assert hours["within 1 hour"] > 3
    assert hours["6 to 12 hours"] < 0.5
    assert lifts(found, "weekday")["same weekday"] == pytest.approx(1, abs=0.35)
    often = [one.lift for one in found.of("distance") if one.available > 0.1]
    assert often == pytest.approx([1.0] * len(often), abs=0.35)


def test_the_weekly_hour_is_found_in_both_aspects() -> None:
    world = noise(3)
    found = profile(StgatRanker(world, network(world, SHARP_WEEKLY_HOUR, 12.0)), asked(world))
    assert lifts(found, "weekday")["same weekday"] > 1.8
    assert lifts(found, "hours apart")["within 1 hour"] > 1.8


@settings(deadline=None, max_examples=3)
@given(SEEDS)
def test_the_distance_alone_is_found(seed: int) -> None:
    world = noise(seed)
    found = profile(StgatRanker(world, network(world, WALKING)), asked(world))
    away = lifts(found, "distance")
    assert away["under 200 m"] > 3
    assert away["3 to 10 km"] < 0.7
    assert lifts(found, "weekday")["same weekday"] == pytest.approx(1, abs=0.35)


def test_the_one_relation_that_the_gate_opens_is_found() -> None:
    world = random_world(4)
    model = network(world)
    with torch.no_grad():
        model.gate.bias[1 + 2 : 1 + 4] = 6.0  # the two heads of the second relation, "then"
    shares = {one.value: one for one in profile(StgatRanker(world, model), asked(world)).of("relation")}
    assert shares["what people do next"].share > 0.8
    assert shares["what people do next"].lift > 2
    assert shares["my history"].lift < 0.3
    assert shares["semantic space"].available is None


def test_a_learned_routine_of_the_day_is_found_and_noise_is_not() -> None:
    small = {"fan_out": {"own_history": 24}, "propagation": False, "ids": False}
    routine, nothing = routines(71), noise(72)
    found, none = (
        lifts(profile(StgatRanker(world, fitted(world, 71, steps=30, **small)), held_out(world)[0]), "hours apart")
        for world in (routine, nothing)
    )
    assert found["within 1 hour"] > 2.5
    assert found["3 to 6 hours"] < 0.2
    assert max(none.values()) < 1.5


# --- by hand ----------------------------------------------------------------------------------------------------------


def diary() -> TemporalGraph:
    """User 0, all on the clock of UTC, 1970: item 0 on Friday 2 January 9:00 and 21:00, item 1 on Friday 9th 9:00."""
    times = [DAY + 9 * HOUR, DAY + 21 * HOUR, 8 * DAY + 9 * HOUR]
    return graph(events([0] * 3, [0, 0, 1], times), 1, 2)


def test_shares_by_hand() -> None:
    """Asked on Friday 9th at 21:00, an even attention gives a third to each event."""
    world = diary()
    model = untrained(world, 0, spread=0.0, fan_out={"own_history": 9}, propagation=False)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    question = Queries.from_users(torch.tensor([0]), torch.tensor([8 * DAY + 21 * HOUR]))
    found = profile(StgatRanker(world, model), question)
    told = {aspect: {one.value: one.share for one in found.of(aspect)} for aspect in found.aspects}
    assert told == {
        "relation": pytest.approx({"my history": 2 / 3, "semantic space": 1 / 3}),  # two heads and the semantic space
        "how long ago": pytest.approx({"6 to 24 hours": 1 / 3, "1 to 4 weeks": 2 / 3}),
        "hours apart": pytest.approx({"within 1 hour": 1 / 3, "6 to 12 hours": 2 / 3}),
        "weekday": pytest.approx({"same weekday": 1.0}),
    }
    assert found.segments == ("all",)
    assert {(one.questions, one.low) for one in found.shares} == {(1, None)}


def test_segments_are_of_the_question() -> None:
    """User 0 asks on Thursday 1st 1970, 20:00, user 1 on Saturday 3rd 10:00 after two events."""
    log = events([0, 1, 1], [0, 0, 1], [HOUR, 2 * HOUR, 3 * HOUR])
    world = graph(log, 2, 2)
    question = Queries.from_users(torch.tensor([0, 1]), torch.tensor([20 * HOUR, 2 * DAY + 10 * HOUR]))
    mine = {"students": np.array([True, False]), "nobody": np.array([False, False])}
    found = profile(StgatRanker(world, network(world)), question, mine)
    assert found.segments == (
        "all", "few events", "many events", "workday", "weekend", "mornings", "evenings", "students",
    )  # fmt: skip
    ago = {segment: {one.value for one in found.of("how long ago", segment)} for segment in found.segments}
    assert ago["evenings"] == ago["workday"] == ago["few events"] == ago["students"] == {"6 to 24 hours"}
    assert ago["mornings"] == ago["weekend"] == ago["many events"] == {"1 to 3 days"}


def test_a_log_without_times_or_places_has_no_such_aspects() -> None:
    world = diary()
    world = replace(world, manifest=world.manifest.model_copy(update={"mapping": {"timeless": True}}))
    question = Queries.from_users(torch.tensor([0]), torch.tensor([8 * DAY + 21 * HOUR]))
    assert profile(StgatRanker(world, network(world)), question).aspects == ("relation",)


def test_strangers_and_nobody() -> None:
    world = town(5, dated=False)
    ranker = StgatRanker(world, untrained(world, 5))
    nobody = Queries.from_users(torch.full((3,), -1), torch.full((3,), int(world.log.time[0])))
    found = profile(ranker, nobody)
    assert [(one.aspect, one.value, one.share) for one in found.shares] == [("relation", "semantic space", 1.0)]
    assert profile(ranker, nobody.rows(slice(0, 0))) == AttentionProfile(0, ())
    alone = profile(
        StgatRanker(world, untrained(world, 5, fan_out={})), Queries.from_users(torch.tensor([1]), world.log.time[-1:])
    )
    assert [(one.value, one.share) for one in alone.of("relation")] == [("semantic space", 1.0)]
    empty = graph(events([], [], []), 1, 3)
    asked = Queries.from_users(torch.tensor([0]), torch.tensor([0]))
    assert profile(StgatRanker(empty, untrained(empty, 5)), asked).aspects == ("relation",)


@settings(deadline=None, max_examples=6)
@given(SEEDS)
def test_the_future_moves_nothing(seed: int) -> None:
    world = town(seed)
    model = untrained(world, seed, spread=0.2)
    question = Queries.from_users(world.log.user[40:80:4].long(), world.log.time[40:80:4])
    later = rewritten(world, int(question.time.max()), seed)
    assert not torch.equal(later.log.user, world.log.user)
    assert profile(StgatRanker(later, again(model, later)), question) == profile(StgatRanker(world, model), question)


def test_intervals_are_over_users() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((80, 1))
    low, high = _interval(values, np.arange(80))
    assert (low[0], high[0]) == pytest.approx(bootstrap_interval(torch.tensor(values[:, 0])), abs=0.01)
    many = np.repeat(values[:10], 8, axis=0)  # ten users, who say the same eight times
    few_low, few_high = _interval(many, np.repeat(np.arange(10), 8))
    own_low, own_high = _interval(values[:10], np.arange(10))
    assert (few_low[0], few_high[0]) == pytest.approx((own_low[0], own_high[0]))
    strangers_low, strangers_high = _interval(many, np.full(80, -1))
    assert strangers_high[0] - strangers_low[0] < few_high[0] - few_low[0]
    assert np.isnan(_interval(values, np.zeros(80, dtype=int))).all()


# --- of a run ---------------------------------------------------------------------------------------------------------


def test_the_profile_of_a_run(city_run: Path, tmp_path: Path) -> None:
    run = Run.open(city_run, device="cpu")
    found = profile_attention(run, questions=60, groups={"u0001": "mine", "u0002": "mine", "u0003": "yours"})
    assert found.questions == 60
    assert {"known item", "new item", "mine"} <= set(found.segments)
    assert found == profile_attention(
        run, questions=60, groups={"u0001": "mine", "u0002": "mine", "u0003": "yours"}, protocol=run.protocol
    )
    found.write(tmp_path / "profile.parquet")
    table = pq.read_table(tmp_path / "profile.parquet")
    assert table.to_pylist() == found.rows()
    assert {"segment", "aspect", "value", "share", "low", "high", "available", "lift"} <= set(table.column_names)


def test_only_stgat_has_a_profile(city_run: Path) -> None:
    run = Run.open(city_run, device="cpu")
    config = run.config.model_copy(update={"model": ItemKNNConfig()})
    with pytest.raises(RunError, match="pays no attention to profile; stgat does"):
        profile_attention(replace(run, config=config, model=ItemKNN(run.graph)))


def test_evaluate_prints_what_attention_rests_on(
    city_run: Path, tmp_path: Path, graphrec: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphrec.evaluation.evaluation.MAX_EVIDENCE_QUERIES", 60)
    shutil.copytree(city_run, tmp_path / "run")
    shutil.copytree(city_run.with_name("graph"), tmp_path / "graph")
    done = graphrec("evaluate", tmp_path / "run", "--evidence")
    kept = json.loads((tmp_path / "run" / "metrics.json").read_text())["val"]["attention"]
    found = profile_attention(Run.open(tmp_path / "run", device="cpu"), questions=60)
    assert kept == found.rows()
    lines = done.out.splitlines()
    for one in found.of("relation"):
        assert any(one.value in line and f"{one.share:.3f}" in line for line in lines)
    for segment in found.segments:
        assert any(line.startswith(segment) for line in lines)
    assert max(map(len, lines)) <= 80
