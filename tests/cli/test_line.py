"""The whole line, from a log to explained recommendations and a report, through the console script."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import Ended

Command = Callable[..., Ended]
SMALL = shlex.split("--set dimension=16 --set heads=2 --set epochs=1 --set batch_size=128 --device cpu")


class Outside(HTMLParser):
    """Collects whatever a page would fetch from elsewhere."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found = re.findall(r"@import[^;]*|url\((?!['\"]?(?:data:|#))[^)]*\)", page)
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        fetched = {"src", "srcset", "data", "poster"} | ({"href"} if tag != "a" else set())
        self.found += [
            f"<{tag} {name}={value}>"
            for name, value in attributes
            if name in fetched and not str(value).startswith(("data:", "#"))
        ]


def next_step(done: Ended) -> list[str]:
    """The command that a command hints at."""
    assert done.code == 0, done
    hint = done.err[done.err.rindex("next: ") :]
    return shlex.split(" ".join(hint[hint.index("graphrec ") :].split()))[1:]


def test_following_the_hints_leads_from_a_log_to_recommendations(
    graphrec: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # hints are for a person at a terminal
    step = next_step(graphrec("simulate", "city", "--users", 30, "--days", 14, "--seed", 1))
    assert step[0] == "build"
    step = next_step(graphrec(*step, "--text-model", "none"))
    assert step == ["train", "city/graph", "--out", "city/run"]
    step = next_step(graphrec(*step, *SMALL))
    assert step == ["evaluate", "city/run"]
    step = next_step(graphrec(*step))
    assert step[:2] == ["recommend", "city/run"]
    assert graphrec(*step).code == 0
    assert pq.read_metadata("recommendations.parquet").num_rows == 30 * 10


def test_a_city_from_its_log_to_its_report(graphrec: Command, city: Path, tmp_path: Path) -> None:
    graph, run = tmp_path / "graph", tmp_path / "run"
    inspected = json.loads(graphrec("inspect", city / "events.csv", "--json").out)
    assert inspected["users"] == 40
    tables = [part for name in ("items", "users", "locations") for part in (f"--{name}", city / f"{name}.csv")]
    assert graphrec("build", city / "events.csv", *tables, "--text-model", "none", "--out", graph).code == 0
    assert json.loads(graphrec("info", graph, "--json").out)["counts"]["events"] == inspected["events"]
    assert graphrec("train", graph, "--out", run, *SMALL, "--seed", 5).code == 0
    assert graphrec("evaluate", run, "--split", "test", "--json", tmp_path / "result.json").code == 0
    result = json.loads((tmp_path / "result.json").read_text())
    told = graphrec("info", run).out
    assert "metrics on test" in told
    assert f"{result['metrics']['acc@1']:.4f}" in told
    explained = graphrec("recommend", run, "--user", "u0001", "--at", "2024-03-15T18:00", "-k", 3, "--explain")
    assert "as of 2024-03-15 18:00 UTC" in explained.out
    assert re.search(r"= .*(my history|what people do next|what happens here|semantic space) 0\.\d+", explained.out)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert Outside(page).found == []
    assert all(name in page.lower() for name in ("stgat", "popularity", "markov", "my history"))


def test_a_page_that_needs_the_network_is_found_out() -> None:
    page = '<a href="https://x"></a><img src="data:,"><script src="https://x"></script><style>@import "y";</style>'
    assert Outside(page).found == ['@import "y"', "<script src=https://x>"]


LOGS = {
    "who, what and when": (
        "user,item,time\n",
        lambda n: f"u{n % 9},i{(n * n) % 13},{1_500_000_000 + 7200 * n}\n",
    ),
    "ratings": (
        "userId,movieId,rating,timestamp\n",
        lambda n: f"{n % 9},{(n * n) % 13},{1 + n % 5}.0,{1_500_000_000 + 7200 * n}\n",
    ),
    "coordinates, no location": (
        "user_id,venue_id,lat,lon,time\n",
        lambda n: (
            f"u{n % 9},v{(n * n) % 13},{40 + (n * n) % 13 / 100},-73.9,2024-01-{1 + n // 10:02}T{n % 24:02}:00Z\n"
        ),
    ),
    "one user": ("user,item,time\n", lambda n: f"me,i{n % 3},{1_500_000_000 + 7200 * n}\n"),
    "one item": ("user,item,time\n", lambda n: f"u{n % 9},it,{1_500_000_000 + 7200 * n}\n"),
}


@pytest.mark.parametrize("name", LOGS)
def test_what_a_log_lacks_adds_nothing_and_stops_nothing(
    name: str, graphrec: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    header, row = LOGS[name]
    Path("log.csv").write_text(header + "".join(row(n) for n in range(150)))
    for command in (
        ["build", "log.csv", "--out", "graph", "--text-model", "none"],
        ["info", "graph"],
        ["train", "graph", "--out", "run", *SMALL],
        ["evaluate", "run", "--split", "test"],
        ["info", "run"],
        ["recommend", "run", "--all", "--explain", "-k", "3"],
    ):
        done = graphrec(*command)
        assert done.code == 0, done
    metrics: dict[str, Any] = json.loads(Path("run/metrics.json").read_text())["test"]
    assert 0 < metrics["metrics"]["mrr"] <= 1
    assert Outside(Path("run/report.html").read_text(encoding="utf-8")).found == []


def test_a_log_too_short_to_hold_anything_out_can_be_trained_and_not_evaluated(
    graphrec: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text("user,item,time\nann,tea,2024-01-01\nben,tea,2024-01-01\n")
    assert graphrec("build", "log.csv", "--out", "graph", "--text-model", "none").code == 0
    assert graphrec("train", "graph", "--out", "run", *SMALL).code == 0
    assert "split 'val' has no event to evaluate" in graphrec("evaluate", "run").refusal
    (answer,) = json.loads(graphrec("recommend", "run", "--user", "ann", "--json").out)
    assert [item["item"] for item in answer["items"]] == ["tea"]


@pytest.mark.slow
def test_two_processes_make_one_run(city_graph: Path, tmp_path: Path) -> None:
    scripts = Path(sys.executable).parent
    launch = [scripts / "torchrun", "--nproc-per-node", "2", "--no-python", scripts / "graphrec"]
    done = subprocess.run(
        [*launch, "train", city_graph, "--out", tmp_path / "run", *SMALL, "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)
    assert manifest["processes"] == 2
    assert manifest["history"][0]["mrr"] > 0.1
    assert (tmp_path / "run" / "report.html").is_file()
