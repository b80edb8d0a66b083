"""The commands train, evaluate and recommend: their contracts, and one line for whatever a user can get wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from graphrec.runs.config import RunConfig
from tests.conftest import Ended
from tests.run_fixtures import BRACKETS, appended

Command = Callable[..., Ended]
QUICK = ("--set", "dimension=8", "--set", "heads=2", "--set", "epochs=1", "--set", "batch_size=512")


@pytest.fixture
def run(city_run: Path, tmp_path: Path) -> Path:
    """A copy of the city's run beside a copy of its graph."""
    shutil.copytree(city_run.with_name("graph"), tmp_path / "graph")
    return shutil.copytree(city_run, tmp_path / "run")


# train


def test_train_leaves_a_run_and_says_what_is_next(
    graphrec: Command, city_graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # hints are for a person at a terminal
    out = tmp_path / "run"
    done = graphrec("train", city_graph, "--out", out, *QUICK, "--seed", 3, "--device", "cpu")
    assert done.code == 0
    assert "best epoch" in done.out
    assert "mrr" in done.out
    assert f"next: graphrec evaluate {out}" in done.err
    config = RunConfig.load(out / "config.yaml")
    assert (config.seed, config.model.dimension, config.training.batch_size) == (3, 8, 512)
    present = {path.name for path in out.iterdir() if not path.name.startswith("events.out.tfevents")}
    assert present == {"config.yaml", "manifest.json", "model.safetensors", "checkpoints", "report.html"}


def test_train_reads_settings_and_prints_json(
    graphrec: Command, city_graph: Path, tiny: RunConfig, tmp_path: Path
) -> None:
    settings = tmp_path / "tiny.yaml"
    tiny.save(settings)
    done = graphrec("train", city_graph, "-o", tmp_path / "run", "--config", settings, *QUICK, "--json")
    assert json.loads(done.out) == json.loads((tmp_path / "run" / "manifest.json").read_text())
    saved = RunConfig.load(tmp_path / "run" / "config.yaml")
    assert saved.model.fan_out == tiny.model.fan_out
    assert saved.model.dimension == 8


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--set", "epoch=3"], "setting 'epoch' is unknown, did you mean 'epochs'?"),
        (["--set", "epochs=none"], "setting training.epochs: Input should be a valid integer"),
        (["--set", "epochs"], "--set epochs: key=value expected"),
        (["--config", "bad.yaml"], "bad.yaml: a YAML file of settings expected (while parsing"),
        (["--config", "nowhere.yaml"], "nowhere.yaml: a YAML file of settings expected"),
        (["--resume"], "nothing to resume here"),
        (["--device", "gpu"], "device gpu: auto, cpu, cuda or cuda:1 expected"),
    ],
)
def test_train_refuses_in_one_line_and_leaves_nothing(
    options: list[str],
    line: str,
    graphrec: Command,
    city_graph: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text("training: [")
    assert line in graphrec("train", city_graph, "--out", "run", *options).refusal
    assert not Path("run").exists()


def test_a_run_and_a_graph_in_each_others_place_are_named(graphrec: Command, run: Path, tmp_path: Path) -> None:
    graph = tmp_path / "graph"
    refused = graphrec("train", run, "--out", tmp_path / "other").refusal
    assert refused == f"{run}: a graph directory expected, but this is a run; its graph is {graph}"
    refused = graphrec("recommend", graph, "--all").refusal
    assert f"a finished run expected, but this is a graph; make one with 'graphrec train {graph} --out RUN'" in refused
    assert "a graph or run directory expected" in graphrec("info", tmp_path).refusal


def test_train_says_that_there_is_no_gpu(graphrec: Command, city_graph: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = graphrec("train", city_graph, "--out", tmp_path / "run", "--device", "cuda")
    assert done.refusal == "device cuda: no CUDA GPU is visible here; use --device cpu (see 'graphrec doctor')"


def test_train_refuses_a_place_that_is_taken(graphrec: Command, city_graph: Path, run: Path) -> None:
    assert "it holds a finished run; give another --out" in graphrec("train", city_graph, "--out", run).refusal
    assert "it holds something else" in graphrec("train", city_graph, "--out", city_graph).refusal


def test_train_resumes_with_or_without_the_settings_of_the_start(graphrec: Command, run: Path, tmp_path: Path) -> None:
    graph, settings = tmp_path / "graph", run / "config.yaml"
    weights = (run / "model.safetensors").read_bytes()
    for options in ([], ["--config", settings]):
        assert graphrec("train", graph, "--out", run, "--resume", "--device", "cpu", *options).code == 0
        assert (run / "model.safetensors").read_bytes() == weights
    refused = graphrec("train", graph, "--out", run, "--resume", "--set", "epochs=9")
    assert "the run to resume has other settings than given" in refused.refusal


@pytest.mark.parametrize("name", ["manifest.json", "events.parquet", "nodes/item.parquet", "relations/near.parquet"])
def test_train_refuses_a_broken_graph(name: str, graphrec: Command, city_graph: Path, tmp_path: Path) -> None:
    graph = shutil.copytree(city_graph, tmp_path / "graph")
    for content in ((graph / name).read_bytes()[:100], b""):
        (graph / name).write_bytes(content)
        assert name in graphrec("train", graph, "--out", tmp_path / "run").refusal
    (graph / name).unlink()
    assert name.partition("/")[0] in graphrec("train", graph, "--out", tmp_path / "run").refusal
    assert not (tmp_path / "run").exists()


# evaluate


def test_evaluate_writes_the_contract(graphrec: Command, run: Path, tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "result.json"
    done = graphrec("evaluate", run, "--json", file, "--device", "cpu")
    result = json.loads(file.read_text())
    assert done.code == 0
    assert {"n", "protocol", "metrics", "baselines", "slices"} <= result.keys()
    names = {"acc@1", "acc@5", "acc@10", "recall@10", "ndcg@10", "mrr"}
    for metrics in (result["metrics"], *result["baselines"].values()):
        assert names <= metrics.keys()
    for text in (*result["baselines"], "val, 118 events", "returning items", "new items", "query_time request"):
        assert text in done.out
    assert f"{result['metrics']['mrr']:.4f}" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_evaluate_prints_json_and_nothing_else(graphrec: Command, run: Path) -> None:
    result = json.loads(graphrec("evaluate", run, "--json", "-").out)
    assert result["split"] == "val"
    assert result["metrics"] == json.loads((run / "metrics.json").read_text())["val"]["metrics"]


def test_evaluate_asks_otherwise_when_told(graphrec: Command, run: Path) -> None:
    options = ("--query-time", "last-event", "--history", "frozen", "--novel", "--split", "test")
    result = json.loads(graphrec("evaluate", run, *options, "--json", "-").out)
    assert result["split"] == "test"
    asked = {name: result["protocol"][name] for name in ("query_time", "history", "novel")}
    assert asked == {"query_time": "last-event", "history": "frozen", "novel": True}


def test_evaluate_measures_the_evidence(graphrec: Command, run: Path) -> None:
    done = graphrec("evaluate", run, "--evidence")
    found = json.loads((run / "metrics.json").read_text())["val"]["faithfulness"]
    assert found["deletion"][0] == pytest.approx(1)
    assert found["deletion"][-1] < found["deletion_at_random"][-1]
    assert 0 < found["questions"] <= 118
    assert f"the score falls {found['gap']:.3f}" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_evaluate_says_how_often_the_test_split_was_read(graphrec: Command, run: Path) -> None:
    assert "has now been read" not in graphrec("evaluate", run, "--split", "test").out
    assert "this test split has now been read 2 times by this run" in graphrec("evaluate", run, "--split", "test").out
    assert "has now been read" not in graphrec("evaluate", run).out


def test_evaluate_refreshes_the_report(graphrec: Command, run: Path) -> None:
    assert graphrec("evaluate", run).code == 0
    assert "counter" in (run / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "options", [["--split", "train"], ["--query-time", "now"], ["--history", "all"], ["--json"], ["--sample", "3"]]
)
def test_evaluate_knows_a_usage_error(options: list[str], graphrec: Command, run: Path) -> None:
    done = graphrec("evaluate", run, *options)
    assert done.code == 2
    assert "Traceback" not in done.err


def test_a_graph_that_has_moved_can_be_named(graphrec: Command, run: Path, tmp_path: Path) -> None:
    moved = (tmp_path / "graph").rename(tmp_path / "elsewhere")
    for command in (["evaluate", run], ["recommend", run, "--user", "u0001"]):
        assert "its graph is not at" in graphrec(*command).refusal
        assert graphrec(*command, "--graph", moved).code == 0


@pytest.mark.parametrize("name", ["manifest.json", "model.safetensors", "config.yaml"])
@pytest.mark.parametrize("command", [["evaluate"], ["recommend", "--user", "u0001"]])
def test_a_broken_run_is_one_line(command: list[str], name: str, graphrec: Command, run: Path) -> None:
    for content in ((run / name).read_bytes()[:30], b"\xff\xff"):
        (run / name).write_bytes(content)
        assert name in graphrec(command[0], run, *command[1:]).refusal
    (run / name).unlink()
    assert name in graphrec(command[0], run, *command[1:]).refusal


def test_what_is_no_run_is_one_line(graphrec: Command, city_graph: Path, tmp_path: Path) -> None:
    for path in (city_graph, tmp_path, tmp_path / "nowhere"):
        assert "run expected" in graphrec("evaluate", path).refusal
        assert "run expected" in graphrec("recommend", path, "--user", "u0001").refusal


# recommend


def test_recommend_prints_the_contract(graphrec: Command, city_run: Path) -> None:
    done = graphrec("recommend", city_run, "-u", "u0001", "-u", "nobody", "-k", 3, "--json")
    answers = json.loads(done.out)
    assert [answer["user"] for answer in answers] == ["u0001", "nobody"]
    assert [answer["known"] for answer in answers] == [True, False]
    for answer in answers:
        assert len(answer["items"]) == 3
        for item in answer["items"]:
            assert {"item", "score", "shares", "evidence"} <= item.keys()
            assert sum(item["shares"].values()) == pytest.approx(item["score"], abs=1e-6)


def test_recommend_shows_a_table_and_the_reasons_behind_it(
    graphrec: Command, city_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as terminal:
        terminal.setenv("TTY_COMPATIBLE", "1")  # hints are for a person at a terminal
        plain = graphrec("recommend", city_run, "--user", "u0001", "-k", 2)
    assert "u0001 as of 2024-03-2" in plain.out
    assert "add --explain" in plain.err
    explained = graphrec("recommend", city_run, "--user", "u0001", "-k", 2, "--explain")
    (answer,) = json.loads(graphrec("recommend", city_run, "--user", "u0001", "-k", 2, "--json").out)
    for item in answer["items"]:
        assert item["label"] in plain.out
        assert f"{item['score']:.3f} = " in explained.out
        assert item["evidence"][0]["words"] in explained.out
    assert "never seen: answered from time and place" in graphrec("recommend", city_run, "--user", "x").out


def test_recommend_reads_a_file_of_users(graphrec: Command, city_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "users.txt"
    file.write_text("\ufeffu0002\r\n\n  u0003 \nnobody", encoding="utf-8")
    answers = json.loads(graphrec("recommend", city_run, "-u", "u0001", "--users", file, "-k", 1, "--json").out)
    assert [answer["user"] for answer in answers] == ["u0001", "u0002", "u0003", "nobody"]


@pytest.mark.parametrize("explain", [False, True])
def test_recommend_writes_a_table_of_all_users(
    explain: bool, graphrec: Command, city_run: Path, tmp_path: Path
) -> None:
    file = tmp_path / "out" / "all.parquet"
    done = graphrec("recommend", city_run, "--all", "-k", 4, "--out", file, *(["--explain"] if explain else []))
    rows = pq.read_table(file).to_pylist()
    assert "wrote 160 rows to" in done.out
    assert len(rows) == 160
    assert [row["rank"] for row in rows[:5]] == [1, 2, 3, 4, 1]
    assert len({row["user"] for row in rows}) == 40
    assert {"user", "asked_at", "rank", "item", "label", "score"} <= rows[0].keys()
    assert ("my history" in rows[0]) == ("evidence" in rows[0]) == explain
    assert not list(file.parent.glob(".*"))


def test_recommend_asks_at_a_time_from_a_place(graphrec: Command, city_run: Path) -> None:
    def answer(*options: Any) -> dict[str, Any]:
        answers = json.loads(graphrec("recommend", city_run, "-u", "u0001", "-k", 1, *options, "--json").out)
        found: dict[str, Any] = answers[0]
        return found

    moment = answer("--at", "2024-03-10T12:00")
    assert moment["asked_at"] == "2024-03-10T12:00:00+00:00"
    assert answer("--at", "1710072000") == answer("--at", "2024-03-10T13:00+01:00") == moment
    assert answer("--at", "2024-03-10")["asked_at"] == "2024-03-10T00:00:00+00:00"
    assert answer("--at=-5")["asked_at"] == "1969-12-31T23:59:55+00:00"
    assert answer("--near", "40.41,-3.7")["place"] == "40.4100,-3.7000"
    assert answer("--near", " 40.41 , -3.7 ")["place"] == "40.4100,-3.7000"
    assert answer("--novel")["items"] != answer()["items"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "no user asked for; give --user ID, --users FILE or --all"),
        (["--users", "empty.txt"], "no user asked for"),
        (["--users", "nowhere.txt"], "nowhere.txt: No such file or directory"),
        (["--users", "."], ".: Is a directory"),
        (["--users", "latin.txt"], "--users latin.txt: UTF-8 text expected, one user id a line"),
        (["--all", "--at", "yesterday"], "an ISO time such as 2026-03-01T18:00 or epoch seconds expected"),
        (["--all", "--at=--5"], "--at --5: an ISO time"),
        (["--all", "--at", "²"], "--at ²: an ISO time"),
        (["--all", "--at", "2024-02-30"], "--at 2024-02-30: an ISO time"),
        (["--all", "--at", "1710072000000"], "UTC seconds of the years 1 to 9999 expected (not milliseconds)"),
        (["--all", "--at", "9" * 30], "UTC seconds of the years 1 to 9999 expected"),
        (["--all", "--near", "40.41"], "--near 40.41: latitude,longitude in degrees expected, such as 40.75,-73.99"),
        (["--all", "--near", "x,y"], "--near x,y: latitude,longitude in degrees expected"),
        (["--all", "--near", "1,2,3"], "--near 1,2,3: latitude,longitude in degrees expected"),
        (["--all", "--near", "-3.7,400"], "--near -3.7,400.0: latitude in -90..90 and longitude in -180..180 expected"),
        (["--all", "--near", "nan,0"], "latitude in -90..90"),
        (
            ["--all", "--out", "lists.csv"],
            "--out lists.csv: the lists are written as Parquet; give a name such as lists.p",
        ),
        (["--all", "--out", "."], ".: a file to write expected, but this is a folder"),
    ],
)
def test_recommend_refuses_in_one_line(
    options: list[str], line: str, graphrec: Command, city_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("\n \n")
    Path("latin.txt").write_bytes("Zoë\n".encode("latin-1"))
    assert line in graphrec("recommend", city_run, *options).refusal
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.txt", "latin.txt"]


@pytest.mark.parametrize("options", [["-k", "0"], ["-k", "many"], ["--user"]])
def test_recommend_knows_a_usage_error(options: list[str], graphrec: Command, city_run: Path) -> None:
    assert graphrec("recommend", city_run, *options).code == 2


def test_names_are_shown_as_they_are_written(
    graphrec: Command, city_run: Path, city_graph: Path, tmp_path: Path
) -> None:
    grown = appended(city_graph, tmp_path)
    done = graphrec("recommend", city_run, "--graph", grown, "-u", "newcomer", "-u", "[/red][b]", "-k", 3, "--explain")
    assert done.code == 0
    shown = " ".join(done.out.split())
    assert f"{BRACKETS} v[9]" in shown
    assert f". {BRACKETS} 0." in shown
    assert "[/red][b] as of" in shown
