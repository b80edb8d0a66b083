"""The report: it says what it was given, escapes it, needs nothing else, and never flatters."""

from __future__ import annotations

import itertools
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from graphrec.chart import line_chart
from graphrec.comparison import Evaluation, compare, verdict
from graphrec.errors import RunError
from graphrec.evidence import LINKED
from graphrec.palette import SHARES
from graphrec.report import ReportContent, render_report, run_content, write_report

MEASURES = ("acc@1", "acc@5", "acc@10", "recall@10", "ndcg@10", "mrr")


def measures(*values: float) -> dict[str, float]:
    return dict(zip(MEASURES, values, strict=True))


def evaluation() -> dict[str, Any]:
    return {
        "split": "test",
        "n": 1348,
        "protocol": {"query_time": "last-event", "history": "streaming", "candidates": "train", "novel": False},
        "metrics": measures(0.319, 0.641, 0.735, 0.735, 0.519, 0.461),
        "errors": {"acc@1": 0.013, "mrr": 0.011},
        "baselines": {
            "popularity": measures(0.061, 0.168, 0.214, 0.214, 0.129, 0.117),
            "recent_popularity": measures(0.064, 0.175, 0.223, 0.223, 0.134, 0.121),
            "visit_counter": measures(0.246, 0.585, 0.697, 0.697, 0.462, 0.394),
            "decayed_counter": measures(0.271, 0.601, 0.703, 0.703, 0.478, 0.412),
            "markov": measures(0.203, 0.402, 0.468, 0.468, 0.331, 0.297),
        },
        "slices": {
            "returning": {
                "n": 1076,
                "metrics": measures(0.392, 0.771, 0.868, 0.868, 0.621, 0.556),
                "baselines": {"decayed_counter": measures(0.340, 0.753, 0.881, 0.881, 0.594, 0.508)},
            },
            "novel": {"n": 272, "metrics": measures(0.031, 0.126, 0.209, 0.209, 0.111, 0.087)},
        },
    }


def item(place: int, label: str, score: float, parts: tuple[float, ...], *evidence: str) -> dict[str, Any]:
    named = [name for name in SHARES if name != LINKED]
    shares = dict(zip(named, (score * part for part in parts), strict=True))
    reasons = [
        {"words": words, "relation": relation, "share": score * part}
        for words, relation, part in zip(evidence, ("mine", "then", "here", "semantic"), parts, strict=True)
        if words
    ]
    return {"item": f"venue-{place}", "label": label, "score": score, "shares": shares, "evidence": reasons}


def users() -> list[dict[str, Any]]:
    gym = item(
        1,
        "Harbour Strength Works",
        0.412,
        (0.7, 0.15, 0.1, 0.05),
        "14 visits of yours, mostly Friday evenings, last 3 days ago",
        "9 times next after Corner Juices (2 by you), mostly evenings, last 2 weeks ago",
        "3 visits around here by 2 users, always Friday evenings, last 5 hours ago",
        "close to Block House (similarity 0.71), 0.4 km away",
    )
    cafe = item(
        2,
        "Lantern Coffee House",
        0.178,
        (0.3, 0.5, 0.2, 0.0),
        "6 visits of yours, mostly mornings, last 20 hours ago",
        "22 times next after Lido Baths, mostly mornings, last 3 hours ago",
        "11 visits around here by 9 users, at various times, last 40 minutes ago",
        "",
    )
    cinema = item(
        3,
        "The Orpheum",
        0.064,
        (0.0, 0.1, 0.35, 0.55),
        "",
        "1 time next after Corner Juices, on a Sunday evening, last 4 months ago",
        "31 visits around here by 28 users, mostly evenings, last 2 hours ago",
        "close to Vertical (similarity 0.63), 2.8 km away",
    )
    return [
        {
            "user": "ana",
            "asked_at": "2013-01-18T18:20:00+00:00",
            "place": "at Corner Juices",
            "history": "212 visits to 41 places since April; mostly gyms and coffee, weekday evenings.",
            "items": [gym, cafe, cinema],
        },
        {
            "user": "user-0417",
            "asked_at": "2013-01-19T09:05:00+00:00",
            "place": None,
            "history": "3 visits, all this week.",
            "items": [cafe, cinema, gym],
        },
        {
            "user": "benedikta.von-und-zu-der-laengsten-kennung@example.org",
            "asked_at": "soon",
            "place": "40.7510, -73.9903",
            "history": "",
            "items": [cinema],
        },
    ]


def content(**changes: Any) -> ReportContent:
    """What a run on a city's check-ins might leave."""
    epochs = range(1, 7)
    values = {
        "title": "Next place in New York",
        "created": "2026-07-24T10:12:00+00:00",
        "graph": {
            "counts": {
                "events": 104_979,
                "user": 1_075,
                "item": 5_099,
                "location": 5_099,
                "train": 84_266,
                "val": 10_215,
                "test": 10_498,
            },
            "time_span": [1333429097, 1361005155],
            "text_model": "minilm",
            "hash": "5ad35aa51f0d6b6f1f7b1c2f1c0b9b7c",
            "quarantined": {"time out of range": 12, "no user": 3},
            "sources": ["NYC_train.csv.gz", "NYC_val.csv.gz", "NYC_test.csv.gz"],
        },
        "run": {
            "command": "graphrec train nyc.graph --out runs/nyc --set query_time=last-event --seed 0",
            "settings": {"training.query_time": "last-event", "model.dimension": 64},
            "seed": 0,
            "versions": {"python": "3.11.15", "torch": "2.13.0", "graphrec": "0.1.0"},
            "wall_seconds": 213.4,
            "peak_memory_mb": 1840.0,
            "device": "cpu",
            "epochs": 6,
            "best_epoch": 4,
            "parameters": 812_345,
        },
        "curves": [
            {
                "epoch": e,
                "train_loss": 4.1 / e**0.5 + 1.2,
                "acc@1": 0.32 - 0.12 / e,
                "acc@10": 0.74 - 0.2 / e,
                "mrr": 0.46 - 0.15 / e,
            }
            for e in epochs
        ],
        "evaluations": [evaluation()],
        "users": users(),
        "notes": ["The official train file has 83,228 rows; this one is reconstructed and has 84,266."],
    }
    return ReportContent(**{**values, **changes})


class Page(HTMLParser):
    """Tags, attributes and the text of a page; fails on a tag that is closed out of order."""

    VOID = frozenset({"meta", "line", "circle", "polyline", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_page_says_what_it_was_given() -> None:
    text = Page(render_report(content())).text
    for words in (
        "Next place in New York",
        "Of 1,348 test questions, the right item came first in 31.9% and among the first ten in 73.5%.",
        "No baseline does better on any measure shown; the nearest is decayed counter on MRR (0.412 against 0.461). "
        "In the slice “returning” (1,076 questions) a baseline does better: "
        "decayed counter on Acc@10 (0.881 against 0.868).",
        "104,979",
        "From 3 April 2012 to 16 February 2013.",
        "12 time out of range, 3 no user",
        "3 min 33 s",
        "14 visits of yours, mostly Friday evenings, last 3 days ago",
        "Asked on Friday 18 January 2013, 18:20 UTC · at Corner Juices",
        "graphrec train nyc.graph",
        "5ad35aa51f0d6b6f",
    ):
        assert words in text, words


def test_the_page_needs_nothing_else() -> None:
    html = render_report(content())
    tags = Page(html).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object", "embed"}
    assert not [value for _, attributes in tags for name, value in attributes.items() if name in ("src", "href")]
    assert "@import" not in html
    assert "url(" not in html
    assert "default-src 'none'" in html


EVIL = "<script>alert('x')</script>\"><img src=x onerror=y>"


def test_everything_given_is_escaped() -> None:
    wicked = json.loads(json.dumps(content().model_dump(), allow_nan=False))

    def poison(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: poison(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [poison(inner) for inner in value]
        return value + EVIL if isinstance(value, str) else value

    poisoned = poison(wicked)
    poisoned["graph"]["quarantined"] = {EVIL: 1}
    poisoned["run"]["settings"] = {EVIL: EVIL}
    poisoned["run"]["versions"] = {EVIL: EVIL}
    poisoned["evaluations"][0]["baselines"] = {EVIL: measures(0, 0, 0, 0, 0, 0)}
    poisoned["evaluations"][0]["slices"] = {EVIL: {"n": 1, "metrics": measures(0, 0, 0, 0, 0, 0)}}
    poisoned["evaluations"][0]["protocol"] = {EVIL: EVIL}
    page = Page(render_report(ReportContent(**poisoned)))
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert page.text.count("alert('x')") > 20


def test_the_best_of_each_column_is_marked_and_ties_share_it() -> None:
    judged = evaluation()
    judged["baselines"]["visit_counter"]["acc@10"] = judged["metrics"]["acc@10"]
    names, rows = compare(Evaluation(**judged))
    assert names == ["acc@1", "acc@5", "acc@10", "ndcg@10", "mrr"] or "recall@10" in names
    best = {row.name: [cell.best for cell in row.cells] for row in rows}
    assert all(best["stgat"])
    assert best["visit counter"][names.index("acc@10")]
    assert rows[0].name == "stgat"
    assert rows[0].cells[0].error == 0.013


def test_recall_is_shown_only_where_it_differs() -> None:
    names, _ = compare(Evaluation(**evaluation()))
    assert names == ["acc@1", "acc@5", "acc@10", "ndcg@10", "mrr"]


def test_a_better_baseline_is_admitted() -> None:
    judged = evaluation()
    judged["baselines"]["markov"]["acc@10"] = 0.75
    said = verdict(Evaluation(**judged))
    assert "A baseline does better: markov on Acc@10 (0.750 against 0.735)." in said
    assert said in Page(render_report(content(evaluations=[judged]))).text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n": 0, "metrics": {}}, "No test question could be asked."),
        (
            {"n": 1, "baselines": {}, "slices": {}},
            "Of 1 test question, the right item came first in 31.9% and among the first ten in 73.5%.",
        ),
        ({"metrics": {"map@5": 0.2}, "baselines": {}, "slices": {}}, "1,348 test questions were asked."),
    ],
)
def test_the_verdict_of_odd_evaluations(changes: dict[str, Any], words: str) -> None:
    assert verdict(Evaluation(**{**evaluation(), **changes})) == words


def test_numbers_that_are_not_known_are_dashes() -> None:
    judged = evaluation()
    judged["metrics"] = dict.fromkeys(MEASURES, math.nan)
    judged["baselines"] = {"popularity": dict.fromkeys(MEASURES, math.nan)}
    judged["slices"] = {"novel": {"n": 0, "metrics": dict.fromkeys(MEASURES, math.nan)}}
    page = Page(render_report(content(evaluations=[judged])))
    assert "nan" not in re.sub(r"[a-z-]*nan[a-z]+", "", page.text.lower())


@pytest.mark.parametrize("part", ["graph", "run", "curves", "evaluations", "users", "notes", "created"])
def test_any_part_may_be_missing(part: str) -> None:
    left = content().model_dump(exclude={part})
    assert "Next place" in Page(render_report(ReportContent(**left))).text
    assert Page(render_report(ReportContent(title="Nothing yet"))).text


def test_short_names_of_shares_are_understood() -> None:
    answer = {
        "user": "ana",
        "items": [{"item": "a", "score": 1, "shares": {"semantic": 0.4, "mine": 0.6}, "evidence": ["because"]}],
    }
    made = content(users=[answer]).users[0].items[0]
    assert made.shares == {"my history": 0.6, "semantic space": 0.4}
    assert made.evidence[0].words == "because"


def test_stacked_shares_are_as_long_as_their_part_of_the_top_score() -> None:
    page = Page(render_report(content(users=users()[:1])))
    widths = [
        float(str(attributes["style"]).removeprefix("width:").removesuffix("%"))
        for tag, attributes in page.tags
        if tag == "i" and str(attributes.get("class", "")).startswith("share-") and "style" in attributes
    ]
    assert sum(widths[:4]) == pytest.approx(100, abs=0.1)
    assert sum(widths) == pytest.approx(100 * (0.412 + 0.178 + 0.064) / 0.412, abs=0.1)


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], [math.nan, 2.0], [5e-9, 3e7], [-3.0, -1.0]])
def test_charts_stay_inside_their_frame(values: list[float]) -> None:
    chart = ElementTree.fromstring(line_chart("<Loss>", range(1, len(values) + 1), {"a & b": values}, mark=1))
    places = [(float(dot.get("cx", "nan")), float(dot.get("cy", "nan"))) for dot in chart.iter("circle")]
    assert len(places) == sum(map(math.isfinite, values))
    assert all(0 <= x <= 460 and 0 <= y <= 240 for x, y in places)


def test_names_of_lines_do_not_cover_each_other() -> None:
    chart = ElementTree.fromstring(line_chart("x", [1, 2], {name: [0.1, 0.5] for name in "abcd"}))
    heights = sorted(float(t.get("y", "0")) for t in chart.iter("text") if str(t.get("class")).startswith("name-"))
    assert all(below - above >= 14.9 for above, below in itertools.pairwise(heights))


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run" / "report.html"
    write_report(content(), out)
    before = out.read_text(encoding="utf-8")
    assert before.startswith("<!doctype html>")
    monkeypatch.setattr("graphrec.report.render_report", lambda content: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(content(), out)
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]
    assert out.read_text(encoding="utf-8") == before


def test_the_content_of_a_run_is_gathered_from_its_manifests(tmp_path: Path) -> None:
    run, graph = tmp_path / "run", tmp_path / "graph"
    run.mkdir()
    graph.mkdir()
    (run / "config.yaml").write_text("seed: 3\ntraining:\n  epochs: 9\n")
    history = [{"epoch": 1, "train_loss": 2.0, "mrr": 0.1, "learning_rate": 0.1, "seconds": 2.0}]
    made = {
        "graph": "../graph",
        "seed": 3,
        "device": "cpu",
        "best_epoch": 1,
        "wall_seconds": 7.5,
        "peak_memory": 2**30,
        "history": history,
        "versions": {"torch": "2.13.0"},
    }
    (run / "manifest.json").write_text(json.dumps(made))
    found = {
        "format": 1,
        "node_types": ["user", "item", "location"],
        "relations": {},
        "counts": {"events": 5},
        "time_span": [0, 86400],
        "text": None,
        "hash": "abc",
        "quarantined": {},
        "sources": [{"name": "log.csv"}],
    }
    (graph / "manifest.json").write_text(json.dumps(found))
    gathered = run_content(run, {"test": {**evaluation(), "split": "test"}}, users(), command="graphrec train graph")
    assert gathered.title == "Run run"
    assert gathered.run.peak_memory_mb == 1024
    assert gathered.run.settings == {"training.epochs": 9, "seed": 3}
    assert gathered.graph.sources == ("log.csv",)
    assert "log.csv" in Page(render_report(gathered)).text


def test_a_folder_that_is_no_run_gets_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"a finished run expected, but there is no manifest\.json"):
        run_content(tmp_path, {})


def test_a_browser_lays_it_out_without_overflow(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine; the page is checked without a browser above")
    write_report(content(), tmp_path / "report.html")
    quiet = [
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            *quiet,
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--screenshot={tmp_path / 'page.png'}",
            "--window-size=800,1200",
            (tmp_path / "report.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (tmp_path / "page.png").is_file(), done.stderr
    assert (tmp_path / "page.png").stat().st_size > 30_000
