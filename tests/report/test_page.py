"""The report: it says what it was given, escapes it, needs nothing else, and never flatters."""

from __future__ import annotations

import itertools
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import h3.api.basic_str as h3
import pytest

from graphrec.errors import RunError
from graphrec.evaluation.comparison import compare, lead_in_words, verdict
from graphrec.evaluation.result import EvaluationResult, Slice
from graphrec.evidence.counterfactual import Counterfactual
from graphrec.evidence.shares import LINKED, SHARE_LABELS, Evidence, Recommendation
from graphrec.graph.manifest import GraphManifest
from graphrec.pictures.palette import SHARES
from graphrec.recommendation import RecommendationList
from graphrec.report.chart import Bar, interval_chart, line_chart, period_chart
from graphrec.report.page import ReportContent, _graph_facts, render_report, run_content, write_report
from tests.conftest import Ended

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


def judged_in_full() -> dict[str, Any]:
    """The same with all that ``graphrec evaluate`` measures: intervals, leads, a map, what it took."""
    judged = evaluation()
    lead = {"baseline": "decayed_counter", "difference": 0.049, "low": 0.031, "high": 0.066}
    centre = h3.latlng_to_cell(40.75, -73.99, 7)
    cells = sorted(h3.grid_disk(centre, 2))
    whole = {
        "users": 461,
        "intervals": {name: (value - 0.02, value + 0.02) for name, value in judged["metrics"].items()},
        "baseline_intervals": {
            rival: {name: (max(value - 0.02, 0), value + 0.02) for name, value in values.items()}
            for rival, values in judged["baselines"].items()
        },
        "leads": {"acc@1": lead, "mrr": lead},
        "map": {
            "resolution": 7,
            "cells": [
                {"cell": cell, "n": 90 - 4 * n, "users": 5 + n, "right": n / 12} for n, cell in enumerate(cells[:12])
            ],
            "ground": cells[12:],
            "hidden": 17,
        },
        "seconds": {"model": 4.6, "popularity": 0.9, "markov": 0.5},
        "peak_memory": 3 * 2**29,
    }
    slices = dict(judged["slices"])
    slices["novel"] = {
        **slices["novel"],
        "users": 210,
        "baselines": {"markov": measures(0.03, 0.12, 0.21, 0.21, 0.11, 0.09)},
        "leads": {"mrr": {"baseline": "markov", "difference": -0.003, "low": -0.02, "high": 0.014}},
    }
    return {**judged, **whole, "slices": slices}


def health() -> dict[str, Any]:
    weeks = range(1_333_324_800, 1_333_324_800 + 46 * 604_800, 604_800)
    return {
        "period": "week",
        "starts": tuple(weeks),
        "events": {"train": tuple(2000 - 40 * n for n in range(46)), "val": (0,) * 40 + (300,) * 6, "test": (0,) * 46},
        "coverage": [{"kind": "item", "nodes": 5099, "active": 5000, "text": 5099, "placed": 4000}],
        "unseen": [{"split": "test", "events": 900, "users": 461, "new_users": 24, "items": 2403, "new_items": 102}],
    }


def full(**changes: Any) -> ReportContent:
    """A report with every part."""
    return content(**{"evaluations": [judged_in_full()], "health": health(), **changes})


def item(place: int, label: str, score: float, parts: tuple[float, ...], *evidence: str) -> Recommendation:
    named = [name for name in SHARES if name != LINKED]
    shares = dict(zip(named, (score * part for part in parts), strict=True))
    reasons = tuple(
        Evidence(relation, score * part, words)
        for words, relation, part in zip(evidence, SHARE_LABELS, parts, strict=True)
        if words
    )
    return Recommendation(f"venue-{place}", label, score, shares, reasons)


def users() -> list[RecommendationList]:
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
        RecommendationList(
            "ana",
            True,
            "2013-01-18T18:20:00+00:00",
            "at Corner Juices",
            "212 visits to 41 places since April; mostly gyms and coffee, weekday evenings.",
            (
                gym,
                cafe,
                cinema,
            ),
        ),
        RecommendationList(
            "user-0417",
            True,
            "2013-01-19T09:05:00+00:00",
            None,
            "3 visits, all this week.",
            (
                cafe,
                cinema,
                gym,
            ),
        ),
        RecommendationList(
            "benedikta.von-und-zu-der-laengsten-kennung@example.org", True, "soon", "40.7510, -73.9903", "", (cinema,)
        ),
    ]


def test_a_log_without_times_has_no_day_in_its_report() -> None:
    manifest = GraphManifest(counts={}, time_span=(0, 2), mapping={"timeless": True})
    assert _graph_facts(manifest).time_span is None
    assert _graph_facts(manifest.model_copy(update={"mapping": None})).time_span == (0, 2)


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
            "peak_memory": 1840 * 2**20,
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
    html = render_report(full())
    tags = Page(html).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object", "embed"}
    assert not [value for _, attributes in tags for name, value in attributes.items() if name in ("src", "srcset")]
    assert all(
        tag == "a" and str(to).startswith("#") for tag, attributes in tags for to in [attributes.get("href")] if to
    )
    assert not re.search("@import|url\\(|@font-face|https?:", html)
    assert "default-src 'none'" in html
    assert len(html.encode()) < 1_000_000


EVIL = "<script>alert('x')</script>\"><img src=x onerror=y>"


def test_everything_measured_is_told() -> None:
    text = Page(render_report(full())).text
    for words in (
        "1,348 questions of 461 users",
        "On MRR it is better than the best baseline, decayed counter, by 0.049 [0.031, 0.066].",
        "In the slice “novel” (272 questions) a baseline does better, within chance: markov on MRR",
        "0.441 to 0.481",  # the interval of the model's MRR
        "0.392 to 0.432",  # of the best baseline's
        "-.003 [-.020, +.014]",  # on the slice
        "A query is asked one second after the user's previous event",
        "Events a week",
        "2 Apr 2012",
        "Of 461 users in test, 24 (5.2%) have no event in training; of 2,403 items, 102 (4.2%).",
        "4,000 78.4%",
        "17 questions lie in cells with fewer",
        "What it cost",
        "293",  # questions a second
        "1.5 GiB",
    ):
        assert words in text, words


def test_what_the_build_found_is_told_without_its_examples() -> None:
    finding = {"reason": "user ids that differ only by case", "count": 2, "remedy": "write them alike"}
    facts = {**content().graph.model_dump(), "rows": 104_994, "findings": [{**finding, "examples": [{"value": "Ann"}]}]}
    text = Page(render_report(content(graph=facts))).text
    assert "104,994 rows of the log were read." in text
    assert "User ids that differ only by case: 2. What to do: write them alike." in text
    assert "Ann" not in text


def test_what_if_is_told() -> None:
    given = users()[0]
    first = replace(given.items[0], what_if=Counterfactual(1, 1.0, "your 7 Friday visits", 7, 14.0))
    text = Page(render_report(content(users=[replace(given, items=(first, *given.items[1:]))]))).text
    assert text.count("What if") == 1
    assert "What if: without your 7 Friday visits it would rank 14th." in text


@pytest.mark.parametrize(
    ("lead", "words"),
    [
        ((0.02, 0.01, 0.03), "On MRR it is better than the best baseline, markov, by 0.020 [0.010, 0.030]."),
        ((-0.02, -0.03, -0.01), "On MRR it is worse than the best baseline, markov, by 0.020 [0.010, 0.030]."),
        (
            (0.02, -0.01, 0.05),
            "On MRR it cannot be told apart from the best baseline, markov: +0.020 [-0.010, +0.050].",
        ),
    ],
)
def test_a_lead_in_words(lead: tuple[float, float, float], words: str) -> None:
    known = dict(zip(("difference", "low", "high"), lead, strict=True))
    part = Slice(n=9, metrics={"mrr": 0.3}, leads={"mrr": {"baseline": "markov", **known}})
    assert lead_in_words(part) == words
    assert lead_in_words(Slice(n=9, metrics={"mrr": 0.3})) == ""


# for everyone


def test_contents_lead_to_the_parts_that_are_there() -> None:
    for made, absent in ((full(), set()), (content(notes=[], users=[]), {"map", "people", "notes"})):
        tags = Page(render_report(made)).tags
        ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
        links = [str(attributes["href"]).removeprefix("#") for tag, attributes in tags if tag == "a"]
        assert links == ids
        assert len(set(ids)) == len(ids)
        assert set(ids) == {"data", "measures", "map", "learning", "people", "cost", "notes", "made"} - absent


def test_the_page_has_an_outline_landmarks_and_names() -> None:
    tags = Page(render_report(full())).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in itertools.pairwise(levels))
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in tags}
    assert [attributes["lang"] for tag, attributes in tags if tag == "html"] == ["en"]
    assert sum(tag == "table" for tag, _ in tags) == sum(tag == "caption" for tag, _ in tags) > 4
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in tags if tag == "th")
    assert all(
        attributes.get("role") == "img" and attributes.get("aria-label") for tag, attributes in tags if tag == "svg"
    )
    scrolled = [attributes for _, attributes in tags if "wide" in str(attributes.get("class")).split()]
    assert all(box["tabindex"] == "0" and box["role"] == "region" and box["aria-label"] for box in scrolled)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2, 1 to 21."""

    def luminance(colour: str) -> float:
        full = colour if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:])
        parts = [int(full[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_text_stands_out_from_every_ground_in_light_and_dark() -> None:
    assert contrast("#000000", "#fff") == pytest.approx(21)
    schemes = re.findall(r":root \{(.*?)\n *\}", render_report(full()), re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]+);", scheme))
        for text, ground in itertools.product(("ink", "soft", "accent"), ("page", "card", "tint")):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        assert contrast(colours["quiet"], colours["card"]) >= 3  # bars


# safe


def test_everything_given_is_escaped() -> None:
    drawn = {**judged_in_full(), "map": None}  # its cells are H3's own
    wicked = json.loads(json.dumps(full(evaluations=[drawn]).model_dump(), allow_nan=False))

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
    names, rows = compare(EvaluationResult(**judged))
    assert names == ["acc@1", "acc@5", "acc@10", "ndcg@10", "mrr"] or "recall@10" in names
    best = {row.name: [cell.best for cell in row.cells] for row in rows}
    assert all(best["stgat"])
    assert best["visit counter"][names.index("acc@10")]
    assert rows[0].name == "stgat"
    assert rows[0].cells[0].error == 0.013


def test_recall_is_shown_only_where_it_differs() -> None:
    names, _ = compare(EvaluationResult(**evaluation()))
    assert names == ["acc@1", "acc@5", "acc@10", "ndcg@10", "mrr"]


def test_a_baseline_of_version_0_1_is_shown_by_its_name_of_then() -> None:
    judged = evaluation()
    judged["baselines"]["follows"] = measures(0.25, 0.5, 0.6, 0.6, 0.4, 0.35)  # item-transition today
    assert "follows" in Page(render_report(content(evaluations=[judged]))).text


def test_a_better_baseline_is_admitted() -> None:
    judged = evaluation()
    judged["baselines"]["markov"]["acc@10"] = 0.75
    said = verdict(EvaluationResult(**judged))
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
    assert verdict(EvaluationResult(**{**evaluation(), **changes})) == words


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


def test_a_reason_has_the_colour_of_its_share() -> None:
    page = render_report(content(users=users()[:1]))
    first = page[page.index('<ul class="why">') :].partition("</ul>")[0]
    expected = [[*SHARES].index(name) for name in SHARES if name != LINKED]
    assert [int(number) for number in re.findall(r'<i class="share-(\d)"></i>', first)] == expected


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


def test_bars_are_as_long_as_their_values_and_whiskers_as_their_intervals() -> None:
    bars = [Bar("ours", 0.4, (0.3, 0.5), True), Bar("a <b>", 0.2, None), Bar("unknown", math.nan), Bar("none", 0.0)]
    chart = ElementTree.fromstring(interval_chart("MRR", bars))
    ours, other, none = (float(bar.get("width", "nan")) for bar in chart.iter("rect"))
    assert (ours, none) == (pytest.approx(2 * other, abs=0.2), 0)
    (whisker,) = (path.get("d", "") for path in chart.iter("path"))
    low, high = map(float, re.findall(r"^M([0-9.]+) [0-9.]+H([0-9.]+)", whisker)[0])
    start = float(next(chart.iter("rect")).get("x", "nan"))
    assert (low - start, high - start) == (pytest.approx(0.75 * ours, abs=0.2), pytest.approx(1.25 * ours, abs=0.2))
    assert chart.get("aria-label") == "MRR: ours 0.400 (0.300 to 0.500), a <b> 0.200, unknown unknown, none 0.000"
    assert ElementTree.fromstring(interval_chart("nothing", [])).get("role") == "img"


def test_piles_are_as_high_as_their_counts() -> None:
    chart = ElementTree.fromstring(period_chart("Events", ["May", "June"], {"train": [30, 10], "test": [10, 0]}))
    heights = [float(bar.get("height", "nan")) for bar in chart.iter("rect")]
    assert heights == [pytest.approx(3 * heights[1], abs=0.2), heights[1], pytest.approx(heights[1], abs=0.2)]
    assert [title.text for title in chart.iter("title")] == ["May: train 30, test 10", "June: train 10"]
    assert len(list(ElementTree.fromstring(period_chart("Nothing", ["May"], {"train": [0]})).iter("rect"))) == 0


def test_names_of_lines_do_not_cover_each_other() -> None:
    chart = ElementTree.fromstring(line_chart("x", [1, 2], {name: [0.1, 0.5] for name in "abcd"}))
    heights = sorted(float(t.get("y", "0")) for t in chart.iter("text") if str(t.get("class")).startswith("name-"))
    assert all(below - above >= 14.9 for above, below in itertools.pairwise(heights))


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run" / "report.html"
    write_report(content(), out)
    before = out.read_text(encoding="utf-8")
    assert before.startswith("<!doctype html>")
    monkeypatch.setattr("graphrec.report.page.render_report", lambda content: 1 / 0)
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
        "protocol": {},
        "seed": 3,
        "device": "cpu",
        "best_epoch": 1,
        "wall_seconds": 7.5,
        "peak_memory": 2**30,
        "training_rows": 750,
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
        "wall_seconds": 95.0,
        "peak_memory": 3 * 2**29,
    }
    (graph / "manifest.json").write_text(json.dumps(found))
    gathered = run_content(run, {"test": EvaluationResult(**evaluation())}, users(), command="graphrec train graph")
    assert gathered.title == "Run run"
    assert gathered.run.peak_memory == 2**30
    assert gathered.run.settings == {"training.epochs": 9, "seed": 3}
    assert gathered.graph.sources == ("log.csv",)
    told = Page(render_report(gathered)).text
    assert "Building the graph In all 1 min 35 s Memory at most 1.5 GiB" in told
    assert "In all, validation included 7.5 s An epoch 7.5 s Questions a second 100 Memory at most 1.0 GiB" in told
    assert "log.csv" in Page(render_report(gathered)).text


def test_a_folder_that_is_no_run_gets_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"a finished run expected, but there is no manifest\.json"):
        run_content(tmp_path, {})


def test_chosen_users_are_shown(
    graphrec: Callable[..., Ended], city_run: Path, city_graph: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(city_run, tmp_path / "run")
    done = graphrec("evaluate", run, "--graph", city_graph, "--user", "u0007", "-u", "u0003", "-u", "u0007")
    assert done.code == 0, done
    page = (run / "report.html").read_text(encoding="utf-8")
    assert re.findall(r'class="person">\s*<h3>(.*?)</h3>', page) == ["u0007", "u0003"]
    told = Page(page).text
    for words in ("Events a day", "What it cost", "the best baseline", "What if: without", "cell is shown only if"):
        assert words in told, words


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page in Chromium without a display; skips where there is none."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine; the page is checked without a browser above")
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-quic", "--disable-sync"]
    fixed = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        f"--user-data-dir={page.parent / 'profile'}",
    ]
    command = [browser, *fixed, *quiet, *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


MEASURE = """<script>addEventListener('load', () => {
  const root = document.documentElement, ground = getComputedStyle(document.body).backgroundColor;
  parent.document.body.dataset.told = [innerWidth, root.scrollWidth, ground].join('|');
})</script>"""


@pytest.mark.parametrize("width", [390, 820, 1400])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.slow
def test_a_browser_lays_it_out_without_overflow(width: int, dark: bool, tmp_path: Path) -> None:
    """The page in a frame, since no window of Chromium is as narrow as a phone."""
    page = re.sub(r"<meta http-equiv=.Content-Security-Policy[^>]*>", "", render_report(full())) + MEASURE
    frame = (
        f'<!doctype html><body><iframe width="{width}" height="900" frameborder="0" srcdoc="{escape(page)}"></iframe>'
    )
    (tmp_path / "frame.html").write_text(frame, encoding="utf-8")
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    done = browse(tmp_path / "frame.html", "--window-size=1500,1200", scheme, "--dump-dom")
    seen, laid_out, ground = re.findall(r'data-told="([^"]*)"', done.stdout)[0].split("|")
    assert int(laid_out) <= int(seen) <= width
    assert ground == ("rgb(17, 22, 27)" if dark else "rgb(244, 246, 248)")


@pytest.mark.slow
def test_a_browser_prints_it(tmp_path: Path) -> None:
    write_report(full(), tmp_path / "report.html")
    done = browse(
        tmp_path / "report.html", f"--print-to-pdf={tmp_path / 'page.pdf'}", f"--screenshot={tmp_path / 'page.png'}"
    )
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF"), done.stderr
    pages = (tmp_path / "page.pdf").read_bytes().count(b"/Type /Page\n")
    assert 3 <= pages <= 12
