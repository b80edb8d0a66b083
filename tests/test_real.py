"""Real logs through the same line as every other: build, train, evaluate on validation rows, recommend."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.build import build_graph
from graphrec.evaluation.evaluation import evaluate
from graphrec.graph.events import TEST
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.recommendation import recommend
from graphrec.runs.config import RunConfig
from graphrec.runs.run import Run
from graphrec.training.trainer import train

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
SMALL = [
    "epochs=1",
    "dimension=16",
    "heads=2",
    "fan_out={own_history: 16, transitions: 8, nearby: 8}",
    "max_validation_queries=500",
]


def built(data_folder: Path, preset: str, folder: str, out: Path) -> Path:
    if not (data_folder / folder).is_dir():
        pytest.skip(f"GRAPHREC_DATA has no folder {folder}")
    build_graph([data_folder / folder], out / "graph", preset=preset, text_model="none")
    return out / "graph"


@pytest.mark.parametrize(
    ("preset", "folder", "has_places"),
    [("phoenix-malls", "phoenix-malls", True), ("movielens", "ml-latest-small", False)],
)
def test_a_real_log_goes_through_the_line(
    preset: str, folder: str, has_places: bool, data_folder: Path, tmp_path: Path
) -> None:
    graph = built(data_folder, preset, folder, tmp_path)
    train(graph, tmp_path / "run", config=RunConfig.load(None, SMALL), device="cpu")
    run = Run.open(tmp_path / "run", device="cpu")
    result = evaluate(run, "val")
    assert result.metrics["mrr"] > 0.8 * result.baselines["popularity"]["mrr"] > 0
    assert ("nearest" in result.baselines) == has_places
    users = run.graph.nodes["user"].ids.to_pylist()[:3]
    for answer in recommend(run, [*users, "a stranger"], k=5):
        assert len(answer.items) == 5
        for item in answer.items:
            assert sum(item.shares.values()) == pytest.approx(item.score, abs=1e-6)
            assert has_places or item.shares["what happens here"] == 0


def test_the_published_rows_of_new_york(data_folder: Path, tmp_path: Path) -> None:
    graph = TemporalGraph.open(built(data_folder, "nyc-getnext", "nyc-getnext", tmp_path))
    protocol = EvaluationProtocol(**graph.manifest.protocol)
    assert len(protocol.target_rows(graph, "test")) == 1348  # counted only: the test split is read by benchmarks
    assert (protocol.query_time, protocol.history) == ("last-event", "streaming")
    assert int(protocol.candidate_mask(graph).sum()) == 4938


def test_the_rows_of_getnext_in_blocks_of_time(data_folder: Path, tmp_path: Path) -> None:
    graph = TemporalGraph.open(built(data_folder, "nyc-chrono", "nyc-chrono", tmp_path))
    protocol = EvaluationProtocol(**graph.manifest.protocol)
    assert len(protocol.target_rows(graph, "test")) == 5550
    frozen = protocol.model_copy(update={"history": "frozen"}).queries(graph, protocol.target_rows(graph, "test"))
    assert frozen.history_cutoff == int(graph.log.time[graph.log.split == TEST].min())
