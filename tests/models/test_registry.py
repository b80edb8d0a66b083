"""The models beside ``stgat``: one interface, one run directory, the same questions, nothing seen of the future."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from builders.build import build_graph
from graphrec.errors import ConfigError, GraphError, RunError
from graphrec.evaluation.evaluation import evaluate
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import expected_rank
from graphrec.models.item_to_item import EaseConfig
from graphrec.models.losses import SoftmaxNLL
from graphrec.models.registry import BUILT_IN, LossOptions, load_model, model_entry
from graphrec.models.sasrec import SasrecConfig, SequenceDataset
from graphrec.models.score_ranker import ItemScorer, ScoreRanker
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.queries.query import Queries
from graphrec.queries.user_history import UserHistory
from graphrec.recommendation import recommend
from graphrec.runs.config import RunConfig
from graphrec.runs.run import Run
from graphrec.runs.unlearning import _erase_nodes
from graphrec.training.trainer import Training, train
from tests.models.test_planted import held_out, hits, planted, walks
from tests.run_fixtures import appended, history, weights
from tests.worlds import continued, cut, rewritten, town

OTHERS = [name for name in BUILT_IN if name != "stgat"]
QUICK: dict[str, dict[str, Any]] = {
    "sasrec": {"dimension": 16, "window": 12},
    "lightgcn": {"dimension": 16},
    "als": {"dimension": 8, "iterations": 3},
    "bpr": {"dimension": 8, "iterations": 20},
    "ease": {},
    "item-knn": {},
    "slit": {"position_decay": 4.0, "inference_decay": 4.0},
}


def config(name: str, seed: int = 0, **training: Any) -> RunConfig:
    return RunConfig.check({"model": {"name": name, **QUICK[name]}, "training": training, "seed": seed})


def fitted(world: TemporalGraph, name: str, steps: int = 5, rate: float = 0.01, **model: Any) -> Any:
    """A model that has learned from the train split of a world; a network by some steps over all of it."""
    chosen = RunConfig.check({"model": {"name": name, **QUICK[name], **model}}).model
    entry = model_entry(name)
    if entry.loss is None:
        simple = entry.create(world, chosen, None)
        simple.fit(0)
        return simple
    torch.manual_seed(0)
    network = entry.create(world, chosen, None)
    units = entry.training_set(network, world, EvaluationProtocol())
    loss = entry.loss(network, world, LossOptions(negatives=0, full_softmax=10_000))
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.0)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(*units[torch.arange(len(units))]).backward()
        optimiser.step()
    return network.eval()


def tensors(model: Any) -> dict[str, Tensor]:
    return model.state_dict() if isinstance(model, torch.nn.Module) else model.tensors()


@pytest.mark.parametrize("name", OTHERS)
def test_each_makes_a_run_that_is_judged_and_asked_like_any_other(name: str, city_graph: Path, tmp_path: Path) -> None:
    chosen = config(name, seed=3, **({"epochs": 1} if name in ("sasrec", "lightgcn") else {}))
    manifest = train(city_graph, tmp_path / "run", config=chosen, device="cpu")
    again = train(city_graph, tmp_path / "again", config=chosen, device="cpu")
    assert weights(tmp_path / "run") == weights(tmp_path / "again")
    assert (manifest.seed, manifest.graph_hash) == (3, again.graph_hash)
    run = Run.open(tmp_path / "run")
    assert run.config == chosen
    found = evaluate(run, "val")
    assert found.model == name
    assert name not in found.baselines
    assert found.metrics["mrr"] == pytest.approx(history(tmp_path / "run")[-1]["mrr"])
    [answer] = recommend(run, ["u0003"], k=4)
    assert len({item.item for item in answer.items}) == 4
    assert "shares" not in answer.items[0].to_dict()
    assert json.loads((tmp_path / "run" / "manifest.json").read_text()) == manifest.to_dict()


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_answers_over_a_graph_that_has_grown(name: str, city_graph: Path, tmp_path: Path) -> None:
    train(
        city_graph, tmp_path / "run", config=config(name, **({"epochs": 1} if name in ("sasrec", "lightgcn") else {}))
    )
    old, new = Run.open(tmp_path / "run"), Run.open(tmp_path / "run", appended(city_graph, tmp_path))
    items, end = len(old.graph.nodes["item"]), int(old.graph.log.time[-1])
    asked = Queries.from_users(torch.arange(5), torch.full((5,), end))
    before, after = old.ranker.top(asked, items), new.ranker.top(asked, items)
    torch.testing.assert_close(before.scores, after.scores)
    newcomer = Queries.from_users(torch.tensor([len(new.graph.nodes["user"]) - 1]), torch.tensor([end + 1000]))
    assert torch.isfinite(new.ranker.top(newcomer, 5).scores).all()


FUTURES = {"cut": lambda world, time, seed: cut(world, time), "rewritten": rewritten, "continued": continued}


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 10_000), st.integers(97, 119), st.sampled_from(sorted(FUTURES)))
@pytest.mark.parametrize("name", OTHERS)
def test_no_future_moves_a_score(name: str, seed: int, row: int, future: str) -> None:
    world = town(seed)
    time = int(world.log.time[row])
    other = FUTURES[future](world, time, seed)
    model = fitted(world, name)
    moved = load_model(other, RunConfig.check({"model": {"name": name, **QUICK[name]}}).model, tensors(model))
    user = torch.arange(-1, len(world.nodes["user"]))
    asked = Queries.from_users(user, torch.full_like(user, time))
    items = len(world.nodes["item"])
    torch.testing.assert_close(model.scores(asked), moved.scores(asked)[:, :items], rtol=1e-5, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_ranks_and_best_are_those_of_the_dense_scores(seed: int, novel: bool, some: bool) -> None:
    world = town(seed)
    rng = np.random.default_rng(seed)
    table = torch.tensor(rng.integers(0, 5, (8, 15))).double()  # many ties

    class Given:
        name = "given"

        def scores(self, queries: Queries) -> Tensor:
            return table[queries.user]

    user, time = torch.arange(8), world.log.time[torch.tensor(rng.integers(0, 120, 8))]
    asked, candidates = Queries.from_users(user, time), torch.tensor(rng.random(15) < 0.6) if some else None
    dense = table.masked_fill(world.nodes["item"].first_seen >= time[:, None], -torch.inf)
    if candidates is not None:
        dense = dense.masked_fill(~candidates, -torch.inf)
    if novel:
        visits = UserHistory.before(world, asked)
        dense[visits.question, visits.item] = -torch.inf
    ranker, target = ScoreRanker(world, Given()), torch.tensor(rng.integers(0, 15, 8))
    assert torch.equal(
        ranker.expected_ranks(asked, target, candidates=candidates, novel=novel), expected_rank(dense, target)
    )
    best = ranker.top(asked, 4, candidates=candidates, novel=novel)
    expected = dense.topk(4).values
    assert torch.equal(best.scores, expected.clamp(min=0))
    assert torch.equal(best.items >= 0, expected > -torch.inf)
    assert ranker.top(asked, 20).items.shape == (8, 20)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_windows_equal_a_slow_reference(seed: int, window: int) -> None:
    world = town(seed)
    rows = EvaluationProtocol().training_rows(world)
    found = SequenceDataset(world, EvaluationProtocol(), window)
    asked = []
    for item, time in zip(*(column.tolist() for column in found.tensors), strict=True):
        assert len(item) == window + 1
        sequence = [(when, code) for when, code in zip(time, item, strict=True) if code >= 0]
        assert item[: len(item) - len(sequence)] == [-1] * (len(item) - len(sequence))
        asked += [one for before, one in pairwise(sequence) if one[0] > before[0]]
    own = [rows[world.log.user[rows] == user].tolist() for user in range(8)]
    steps = [(before, row) for mine in own for before, row in pairwise(mine)]
    later = [row for before, row in steps if world.log.time[row] > world.log.time[before]]
    assert sorted(asked) == sorted((int(world.log.time[row]), int(world.log.item[row])) for row in later)


def test_an_event_of_the_same_second_is_not_asked_for() -> None:
    """The second user's two events are not before each other: there is no window of them, and no loss of nothing."""
    time = np.array([10, 10, 20, 30, 40, 40])
    world = planted(np.array([0, 0, 0, 0, 1, 1]), np.arange(6), time, np.zeros(6), 2, 6)
    entry = model_entry("sasrec")
    model = entry.create(world, config("sasrec").model, None)
    units = entry.training_set(model, world, EvaluationProtocol())
    assert len(units) == 1
    _, target, _ = model.logit_factors(*units[torch.tensor([0])])
    assert target.tolist() == [2, 3]
    loss = SoftmaxNLL(model, world, negatives=0, full_softmax=10_000)
    assert torch.isfinite(loss(*units[torch.tensor([0])]))


def test_a_log_without_an_order_is_refused_by_what_learns_it(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(f"u,i{n},1700000000\n" for n in range(5)))
    build_graph([tmp_path / "log.csv"], tmp_path / "graph", text_model="none", mapping={"split_fractions": [1, 0, 0]})
    with pytest.raises(GraphError, match="none after an earlier one of its user"):
        train(tmp_path / "graph", tmp_path / "run", config=config("sasrec"), device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_sequence_that_all_follow_is_found_by_sasrec() -> None:
    world = walks(72)
    asked, target = held_out(world, "last-event")
    follows = asked.time < world.log.time[world.log.split == 2]
    rank = ScoreRanker(world, fitted(world, "sasrec", steps=120)).expected_ranks(asked, target)
    assert hits(rank[follows]) > 0.9


def circles(seed: int) -> tuple[TemporalGraph, Queries, Tensor]:
    """Two circles of 15 users, each with 12 items of their own: who goes to a new item stays in the circle."""
    rng = np.random.default_rng(seed)
    visits = [(user, 12 * (user % 2) + item) for user in range(30) for item in rng.permutation(12)[:8]]
    user, item = np.array(visits).T
    turn = np.tile(np.arange(8), 30)
    world = planted(user, item, turn * 3600 + user, turn >= 7, 30, 24)
    return (world, *held_out(world))


@pytest.mark.parametrize("name", ["lightgcn", "als", "bpr", "ease", "item-knn", "slit"])
def test_what_goes_together_is_found(name: str) -> None:
    world, asked, target = circles(5)
    small = {
        "als": {"dimension": 2, "regularization": 1.0},
        "bpr": {"dimension": 2, "iterations": 300, "regularization": 0.05},
    }
    model = fitted(world, name, steps=60, **small.get(name, {}))
    rank = ScoreRanker(world, model).expected_ranks(asked, target, novel=True)
    assert float((rank <= 6).double().mean()) > 0.95  # five of the circle are left; by chance a third


def test_settings_that_a_model_does_not_have_are_one_line() -> None:
    with pytest.raises(ConfigError, match=r"model 'sasrek': one of stgat, .* expected, did you mean 'sasrec'\?"):
        RunConfig.check({"model": {"name": "sasrek"}})
    with pytest.raises(ConfigError, match=r"setting model\.heads: there is none of that name here, got 2$"):
        RunConfig.check({"model": {"name": "ease", "heads": 2}})
    with pytest.raises(ConfigError, match="dimension 64 cannot be shared by 3 heads"):
        RunConfig.load(settings=["model.name=sasrec", "heads=3"])


def test_a_model_has_its_own_settings_of_the_training() -> None:
    chosen = RunConfig.load(settings=["model.name=sasrec", "epochs=7"])
    assert (chosen.training.batch_size, chosen.training.epochs) == (64, 7)
    assert RunConfig(model=SasrecConfig()).training == RunConfig.load(settings=["model.name=sasrec"]).training
    assert RunConfig(model=EaseConfig()).training == RunConfig().training


@pytest.mark.parametrize("name", OTHERS)
def test_weights_of_another_model_are_one_line(name: str, city_graph: Path, city_run: Path, tmp_path: Path) -> None:
    train(
        city_graph, tmp_path / "run", config=config(name, **({"epochs": 1} if name in ("sasrec", "lightgcn") else {}))
    )
    (tmp_path / "run" / "model.safetensors").write_bytes(weights(city_run))
    with pytest.raises(RunError, match=r"model\.safetensors: "):
        Run.open(tmp_path / "run")


@pytest.mark.parametrize("name", OTHERS)
def test_a_log_with_one_event_is_enough(name: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\nu,i,1700000000\nu,i,1700000001\nv,j,1700000002\n")
    build_graph([tmp_path / "log.csv"], tmp_path / "graph", text_model="none", mapping={"split_fractions": [1, 0, 0]})
    train(tmp_path / "graph", tmp_path / "run", config=config(name), device="cpu")
    [answer] = recommend(Run.open(tmp_path / "run"), ["u"], k=3)
    assert len(answer.items) == 2


@pytest.mark.parametrize("name", OTHERS)
def test_what_was_learned_of_forgotten_nodes_alone_is_gone(name: str) -> None:
    """A user and an item that only they visited, forgotten: nothing is left that stands for either."""
    world = town(4)
    model = fitted(world, name)
    left = _erase_nodes(tensors(model), {"user": [2], "item": [3]})
    settings = RunConfig.check({"model": {"name": name, **QUICK[name]}}).model
    after = load_model(world, settings, left)
    asked = Queries.from_users(torch.arange(8), torch.full((8,), int(world.log.time[-1]) + 1))
    scores = after.scores(asked)
    assert torch.isfinite(scores).all()
    assert not scores[:, 3].any() or name == "sasrec"
    for one, value in left.items():
        if one in ("visited", "alike"):
            assert not (value[1] == 3).any()
            assert not (value[0] == (2 if one == "visited" else 3)).any()
        if one in ("user.weight", "item.weight", "item.item"):
            assert not value[2 if one == "user.weight" else 3].any()


def test_what_scores_is_a_scorer(city_graph: Path) -> None:
    graph = TemporalGraph.open(city_graph)
    assert all(isinstance(fitted(graph, name, steps=0), ItemScorer) for name in OTHERS)


@pytest.mark.parametrize("name", ["sasrec", "lightgcn"])
def test_an_interrupted_training_ends_where_an_undisturbed_one_does(
    name: str, city_graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = config(name, epochs=3, min_steps=1, checkpoint_every=1, batch_size=16 if name == "sasrec" else 200)
    train(city_graph, tmp_path / "whole", config=chosen, device="cpu")
    step, done = Training._step, []

    def interrupted(self: Training, batch: Tensor) -> float:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(batch)
        return step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(city_graph, tmp_path / "run", config=chosen, device="cpu")
    train(city_graph, tmp_path / "run", resume=True, device="cpu")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_ease_refuses_what_memory_cannot_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=12 * 15**2 - 1))
    with pytest.raises(GraphError, match=r"ease: 15 items need 0\.0 GiB of memory"):
        fitted(town(1), "ease")


def test_a_run_without_reasons_says_so(city_graph: Path, tmp_path: Path, graphrec: Callable[..., Any]) -> None:
    done = graphrec("train", city_graph, "--model", "ease", "--out", tmp_path / "run")
    assert "nan" not in done.out
    assert "loss" not in done.out
    page = (tmp_path / "run" / "report.html").read_text()
    assert "--model ease" in page
    assert "cannot be taken apart" in page
    assert "nan" not in page.lower().split("<body", 1)[1]
    assert "explain" not in graphrec("recommend", tmp_path / "run", "--user", "u0003").out
    refused = graphrec("recommend", tmp_path / "run", "--user", "u0003", "--explain")
    assert "only stgat can take its scores apart" in refused.refusal
    refused = graphrec("evaluate", tmp_path / "run", "--evidence")
    assert "model ease has no evidence to measure; stgat has" in refused.refusal


@pytest.mark.parametrize("name", ["als", "bpr"])
def test_a_library_that_is_not_there_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "implicit", None)
    with pytest.raises(ConfigError, match=r"needs the library implicit; pip install 'graphrec\[implicit\]'"):
        fitted(town(1), name)
