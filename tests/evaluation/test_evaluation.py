"""Evaluation: equal to a slow reference, blind to the future, the same contract for the model and every baseline."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from graphrec.errors import GraphError, RunError
from graphrec.evaluation.evaluation import evaluate
from graphrec.evaluation.result import EvaluationResult, read_results
from graphrec.graph.events import SPLITS, TEST, TRAIN, VAL
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.models.ranking import StgatRanker
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.queries.query import Queries
from graphrec.runs.config import RunConfig
from graphrec.runs.manifest import RunManifest
from graphrec.runs.run import Run
from tests.networks import untrained
from tests.worlds import rewritten, town

CONTRACT = {"acc@1", "acc@5", "acc@10", "recall@10", "ndcg@10", "mrr"}
BASELINES = {"popularity", "recent-popularity", "counter", "counter-decayed", "markov", "item-knn", "ease", "nearest"}
DAY = 86_400


def run_of(world: TemporalGraph, folder: Path, seed: int = 0, **protocol: Any) -> Run:
    """A run in memory, with random weights."""
    return Run(folder, RunConfig(), RunManifest(), EvaluationProtocol(**protocol), world, untrained(world, seed))


@pytest.fixture
def run(city_run: Path, city_graph: Path, tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(city_run, tmp_path / "run"), city_graph, device="cpu")


# the contract


def test_the_model_and_every_baseline_have_the_same_measures(run: Run) -> None:
    result = evaluate(run, "val")
    assert {"n", "protocol", "metrics", "baselines", "slices"} <= result.to_dict().keys()
    assert result.n == int((run.graph.log.split == VAL).sum())
    assert result.baselines.keys() == BASELINES
    for metrics in (result.metrics, *result.baselines.values()):
        assert metrics.keys() == result.metrics.keys() >= CONTRACT
        assert all(0 <= value <= 1 for value in metrics.values())
    assert result.errors.keys() == result.metrics.keys()
    assert result.protocol == run.protocol.model_dump()
    assert result.graph_hash == run.graph.manifest.hash


def test_the_slices_are_parts_of_the_whole(run: Run) -> None:
    result = evaluate(run, "val")
    slices = result.slices
    assert slices.keys() == {"returning", "new"}
    assert sum(part.n for part in slices.values()) == result.n
    for name in ("mrr", "acc@10"):
        whole = sum(part.n * part.metrics[name] for part in slices.values()) / result.n
        assert result.metrics[name] == pytest.approx(whole)
        popularity = sum(part.n * part.baselines["popularity"][name] for part in slices.values()) / result.n
        assert result.baselines["popularity"][name] == pytest.approx(popularity)
    assert slices["new"].baselines["counter"]["acc@1"] < 0.1  # a counter knows nothing new


def test_the_result_is_kept_with_the_run_and_readings_are_counted(run: Run) -> None:
    assert [evaluate(run, "test").reads for _ in range(2)] == [1, 2]
    last = evaluate(run, "val")
    kept = json.loads((run.path / "metrics.json").read_text())
    assert (kept["test"]["reads"], kept["val"]["reads"]) == (2, 1)
    assert kept["val"] == last.to_dict()
    assert [*kept["val"]][:5] == ["n", "split", "model", "protocol", "users"]
    assert read_results(run.path)["val"] == last
    newer = {**kept["val"], "of a newer version": {"a": [1]}}
    assert EvaluationResult.model_validate(newer).to_dict() == newer


def test_a_result_is_a_table_of_rankers(run: Run) -> None:
    result = evaluate(run, "val")
    rows = result.to_arrow().to_pylist()
    assert [row["ranker"] for row in rows if row["slice"] == "new"] == ["stgat", *result.baselines]
    assert {row["slice"]: row["n"] for row in rows} == {"all": result.n, **{k: v.n for k, v in result.slices.items()}}
    assert rows[0]["mrr"] == result.metrics["mrr"]
    assert list(result.to_pandas().columns[:3]) == ["slice", "ranker", "n"]
    assert repr(result).startswith(f"EvaluationResult(stgat on val, n={result.n}, ")
    assert f"<td>{result.metrics['mrr']:.3f}</td>" in result._repr_html_()


def test_two_evaluations_are_the_same(run: Run) -> None:
    first, second = (evaluate(run, "val") for _ in range(2))
    for name in ("metrics", "errors", "baselines", "slices"):
        assert getattr(first, name) == getattr(second, name)


def test_a_broken_record_is_one_line_and_is_kept(run: Run) -> None:
    (run.path / "metrics.json").write_text('{"test"')
    with pytest.raises(RunError, match=r"metrics\.json: not readable"):
        evaluate(run, "val")
    assert (run.path / "metrics.json").read_text() == '{"test"'


def test_a_split_without_judged_events_is_one_line(tmp_path: Path) -> None:
    world = town(0)
    world.log.split[:] = TRAIN
    with pytest.raises(GraphError, match="split 'val' has no event to evaluate under"):
        evaluate(run_of(world, tmp_path), "val")
    assert not (tmp_path / "metrics.json").exists()


def test_how_sure_the_numbers_are(run: Run) -> None:
    result = evaluate(run, "val")
    for part in (result, *result.slices.values()):
        assert part.users <= part.n
        for name, (low, high) in part.intervals.items():
            assert low <= part.metrics[name] <= high
        for name, lead in part.leads.items():
            best = max(values[name] for values in part.baselines.values())
            assert part.baselines[lead.baseline][name] == best
            assert lead.difference == pytest.approx(part.metrics[name] - best)
            assert lead.low <= lead.difference <= lead.high
    low, high = result.intervals["mrr"]
    assert 0.5 < (high - low) / (2 * 1.96 * result.errors["mrr"]) < 3
    assert result.baseline_intervals.keys() == result.baselines.keys()
    assert result.seconds.keys() == {"model", *result.baselines}


def test_the_map_accounts_for_every_question(run: Run) -> None:
    result = evaluate(run, "val")
    found = result.map
    assert found is not None
    assert sum(cell.n for cell in found.cells) + found.hidden + found.unplaced == result.n
    assert min(cell.users for cell in found.cells) >= 5


def test_a_single_question_has_no_standard_error(tmp_path: Path) -> None:
    world = town(0)
    world.log.split[:-1] = TRAIN
    result = evaluate(run_of(world, tmp_path), "test")
    assert (result.n, result.errors) == (1, {})
    assert "intervals" not in result.to_dict()
    assert "NaN" not in (tmp_path / "metrics.json").read_text()


@pytest.mark.parametrize(
    "override", [{"query_time": "last-event"}, {"history": "frozen"}, {"novel": True}, {"candidates": "train"}]
)
def test_a_question_can_be_asked_otherwise(override: dict[str, Any], run: Run) -> None:
    usual, other = evaluate(run, "val"), evaluate(run, "val", overrides=override)
    assert other.protocol == {**usual.protocol, **override}
    assert run.protocol.model_dump() == usual.protocol
    assert other.metrics != usual.metrics
    if "novel" in override:
        assert other.n == usual.slices["new"].n
        assert other.slices.keys() == {"new"}
        assert other.metrics["mrr"] > usual.slices["new"].metrics["mrr"]  # visited items are out of the way


def test_what_comes_after_the_split_moves_nothing(tmp_path: Path) -> None:
    world = town(3)
    t_test = int(world.log.time[world.log.split == SPLITS["test"]].min())
    ties = world.log.time[world.log.split == VAL] == t_test
    assert not bool(ties.any())
    run = run_of(world, tmp_path)
    other = Run(tmp_path, run.config, RunManifest(), run.protocol, rewritten(world, t_test, seed=1), run.model)
    usual, poisoned = evaluate(run, "val"), evaluate(other, "val")
    for name in ("n", "metrics", "baselines", "slices", "intervals", "leads", "map"):
        assert getattr(usual, name) == getattr(poisoned, name)


# a slow reference: one question at a time, in plain Python


class Slow:
    """Evaluation as docs/evaluation.md tells it, without a thought for speed."""

    def __init__(self, run: Run) -> None:
        self.world, self.protocol, self.ranker = run.graph, run.protocol, run.ranker
        log = run.graph.log
        names = ("user", "item", "time", "split", "session")
        self.events = list(zip(*(getattr(log, name).tolist() for name in names), strict=True))
        held_out = [time for _, _, time, split, _ in self.events if split == TEST]  # what all here are asked of
        self.history_cutoff = min(held_out) if self.protocol.history == "frozen" else TIME_MAX
        self.samples = [row for row in range(len(self.events)) if self.is_sample(row)]

    def is_sample(self, row: int) -> bool:
        session, split = self.events[row][4], self.events[row][3]
        opens = session >= 0 and all(event[4] != session for event in self.events[:row])
        return split == TRAIN and not (self.protocol.vocabulary_from == "session-rest" and opens)

    def is_judged(self, row: int, split: str) -> bool:
        user, item, _, part, session = self.events[row]
        if part != SPLITS[split]:
            return False
        if self.protocol.evaluate_on == "session-last":
            mates = [other for other, event in enumerate(self.events) if event[4] == session]
            if session < 0 or len(mates) < 2 or row != mates[-1]:
                return False
        if self.protocol.known_only:
            known = [self.events[sample] for sample in self.samples]
            if all(event[0] != user for event in known) or all(event[1] != item for event in known):
                return False
        return not (self.protocol.novel and self.is_returning(row))

    def is_returning(self, row: int) -> bool:
        user, item, time, _, _ = self.events[row]
        return any(event[0] == user and event[1] == item and event[2] < time for event in self.events)

    def asked_at(self, row: int) -> int:
        user, _, time, _, _ = self.events[row]
        earlier = [event[2] for event in self.events if event[0] == user and event[2] < time]
        return max(earlier) + 1 if self.protocol.query_time == "last-event" and earlier else time

    def own(self, row: int) -> list[tuple[int, ...]]:
        """The user's events that the question behind an event may see."""
        user, session, asked = self.events[row][0], self.events[row][4], self.asked_at(row)
        return [
            event
            for event in self.events
            if event[0] == user and event[2] < asked and (event[2] < self.history_cutoff or event[4] == session >= 0)
        ]

    def candidates(self, row: int) -> set[int]:
        asked, first_seen = self.asked_at(row), self.world.nodes["item"].first_seen.tolist()
        items = {item for item, seen in enumerate(first_seen) if seen < asked}
        if self.protocol.candidates == "train":
            items &= {self.events[sample][1] for sample in self.samples}
        return items - ({event[1] for event in self.own(row)} if self.protocol.novel else set())

    def model(self, row: int) -> list[float]:
        user, _, _, _, session = self.events[row]
        queries = Queries(
            torch.tensor([user]),
            torch.tensor([self.asked_at(row)]),
            torch.full((1, 2), torch.nan),
            torch.tensor([session]),
            self.history_cutoff,
        )
        count = len(self.world.nodes["item"])
        scores: list[float] = self.ranker.scores(self.ranker.forward(queries), slice(0, count))[0].tolist()
        return scores

    def popularity(self, row: int) -> list[float]:
        before = min(self.asked_at(row), self.history_cutoff)
        seen = [event[1] for event in self.events if event[2] < before]
        return [float(seen.count(item)) for item in range(len(self.world.nodes["item"]))]

    def counter(self, row: int) -> list[float]:
        scores = [0.0] * len(self.world.nodes["item"])
        for item in range(len(scores)):
            ages = [self.asked_at(row) - event[2] for event in self.own(row) if event[1] == item]
            scores[item] = len(ages) + DAY / (DAY + min(ages)) if ages else 0.0
        return scores

    def rank(self, scores: list[float], row: int) -> float:
        target, candidates = self.events[row][1], self.candidates(row)
        if target not in candidates:
            return math.inf
        others = [scores[item] for item in candidates if item != target]
        better = sum(score > scores[target] for score in others)
        return 1 + better + sum(score == scores[target] for score in others) / 2

    def metrics(self, judge: str, rows: list[int]) -> dict[str, float]:
        ranks = [self.rank(getattr(self, judge)(row), row) for row in rows]
        values = {f"acc@{k}": [float(rank <= k) for rank in ranks] for k in (1, 5, 10)}
        values["ndcg@10"] = [1 / math.log2(1 + rank) if rank <= 10 else 0.0 for rank in ranks]
        values["mrr"] = [1 / rank for rank in ranks]
        return {name: sum(value) / len(value) for name, value in values.items()}


PROTOCOLS: list[dict[str, Any]] = [
    {},
    {"query_time": "last-event"},
    {"history": "frozen"},
    {"novel": True},
    {"targets": "session-last", "samples": "session-rest", "candidates": "train", "known_only": True},
    {"query_time": "last-event", "history": "frozen", "novel": True, "samples": "session-rest"},
]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: ", ".join(map(str, protocol.values())) or "usual")
def test_evaluation_equals_a_slow_reference(protocol: dict[str, Any], tmp_path: Path) -> None:
    world = town(5, users=6, items=40, count=300)
    run = run_of(world, tmp_path, **protocol)
    slow, result = Slow(run), evaluate(run, "test")
    rows = [row for row in range(len(world.log)) if slow.is_judged(row, "test")]
    assert result.n == len(rows) > 3
    found = {"model": result.metrics, **result.baselines}
    for judge in ("model", "popularity", "counter"):
        expected = slow.metrics(judge, rows)
        assert {name: found[judge][name] for name in expected} == pytest.approx(expected, abs=1e-9), judge
    old = [row for row in rows if slow.is_returning(row)]
    assert {name: part.n for name, part in result.slices.items()} == {
        name: n for name, n in {"returning": len(old), "new": len(rows) - len(old)}.items() if n
    }


def test_the_reference_tells_protocols_apart(tmp_path: Path) -> None:
    world = town(5, users=6, items=40, count=300)
    found = [evaluate(run_of(world, tmp_path, **protocol), "test") for protocol in PROTOCOLS]
    assert len({(result.n, result.metrics["mrr"]) for result in found}) == len(PROTOCOLS)


def test_a_run_is_asked_through_its_ranker(run: Run) -> None:
    assert isinstance(run.ranker, StgatRanker)
    assert not run.ranker.model.training
