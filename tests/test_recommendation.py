"""Recommendations: a contract that adds up, as of any time, from any place, for anybody, also after the log grew."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from builders.build import build_graph
from graphrec.errors import InputError
from graphrec.evidence.counterfactual import Counterfactual
from graphrec.evidence.shares import SHARE_LABELS, Evidence, Recommendation
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.ranking import BATCH
from graphrec.queries.query import Queries, end_of_log
from graphrec.queries.user_history import user_events
from graphrec.recommendation import (
    RecommendationList,
    Recommendations,
    history_in_words,
    recommend,
    sample_users,
)
from graphrec.report.publishing import publish
from graphrec.runs.config import RunConfig
from graphrec.runs.run import Run
from graphrec.training.trainer import train
from tests.run_fixtures import BRACKETS, appended

DAY = 86_400


@pytest.fixture(scope="module")
def run(city_run: Path) -> Run:
    return Run.open(city_run, device="cpu")


def everybody(run: Run) -> list[str]:
    users: list[str] = run.graph.nodes["user"].ids.to_pylist()
    return users


def visited(run: Run, user: str, time: int) -> set[str]:
    """Ids of the items that a user visited before a time."""
    log, code = run.graph.log, run.graph.nodes["user"].code(user)
    rows = ((log.user == code) & (log.time < time)).nonzero()[:, 0]
    return {run.graph.nodes["item"].ids[item].as_py() for item in log.item[rows].tolist()}


# the contract


def test_each_answer_is_a_ranking_whose_scores_add_up(run: Run) -> None:
    answers = recommend(run, everybody(run), k=5)
    assert [answer.user for answer in answers] == everybody(run)
    for answer in answers:
        scores = [item.score for item in answer.items]
        assert len(scores) == len({item.item for item in answer.items}) == 5
        assert scores == sorted(scores, reverse=True)
        assert 0 < sum(scores) <= 1 + 1e-6
        for item in answer.items:
            assert item.shares.keys() == set(SHARE_LABELS.values())
            assert sum(item.shares.values()) == pytest.approx(item.score, abs=1e-6)
            assert sum(part.share for part in item.evidence) == pytest.approx(item.score, abs=1e-6)
            assert all(part.description for part in item.evidence)
    json.dumps([answer.to_dict() for answer in answers])


def test_evidence_is_events_with_the_item_before_the_question(run: Run) -> None:
    log, items = run.graph.log, run.graph.nodes["item"]
    at = int(log.time[800])
    for answer in recommend(run, everybody(run)[:10], at=at, k=5):
        user = run.graph.nodes["user"].code(answer.user)
        for name, part in [(item.item, part) for item in answer.items for part in item.evidence]:
            rows = [event for event, _ in part.events]
            assert (log.time[rows] < at).all()
            assert (log.item[rows] == items.code(name)).all()
            if part.relation == "semantic":
                assert not rows
            else:
                assert sum(mass for _, mass in part.events) == pytest.approx(part.share, abs=1e-6)
            if part.relation == "own_history":
                assert (log.user[rows] == user).all()


def test_reasons_change_no_score(run: Run) -> None:
    users = everybody(run)[:5]
    with_reasons, without = (recommend(run, users, reasons=reasons) for reasons in (True, False))
    for one, other in zip(with_reasons, without, strict=True):
        assert [item.item for item in one.items] == [item.item for item in other.items]
        assert [item.score for item in one.items] == pytest.approx([item.score for item in other.items])
        assert all(item.to_dict().keys() == {"item", "label", "score"} for item in other.items)


def test_an_answer_is_what_the_ranker_ranks(run: Run) -> None:
    (answer,) = recommend(run, ["u0003"], k=7, reasons=False)
    ranking = run.ranker.top(Queries.from_users(torch.tensor([run.graph.nodes["user"].code("u0003")]), last(run)), 7)
    assert [run.graph.nodes["item"].code(item.item) for item in answer.items] == ranking.items[0].tolist()
    assert [item.score for item in answer.items] == pytest.approx(ranking.scores[0].tolist())


def last(run: Run) -> torch.Tensor:
    return run.graph.log.time[-1:] + 1


@pytest.mark.parametrize("users", [0, BATCH, BATCH + 1])
def test_users_are_answered_one_by_one_whatever_their_number(users: int, run: Run) -> None:
    asked = list(itertools.islice(itertools.cycle(everybody(run)), users))
    answers = recommend(run, asked, k=2, reasons=False)
    assert [answer.user for answer in answers] == asked
    if answers:
        alone = recommend(run, asked[-1:], k=2, reasons=False)[0].items
        assert [item.item for item in answers[-1].items] == [item.item for item in alone]


def test_no_more_items_than_there_are(run: Run) -> None:
    (answer,) = recommend(run, ["u0001"], k=10_000, reasons=False)
    assert len(answer.items) == len(run.graph.nodes["item"])
    assert sum(item.score for item in answer.items) == pytest.approx(1, abs=1e-4)
    with pytest.raises(InputError, match="-k 0: at least 1 expected"):
        recommend(run, ["u0001"], k=0)


# the records


ITEM = Recommendation(
    "<i>", "Café <b>", 0.5, {"my history": 0.3, "semantic space": 0.2}, (Evidence("own_history", 0.3, "3 & more"),)
)
WHAT_IF = Counterfactual(4, 1.0, "your 2 Friday visits", 2, 6.0)


def listed(*items: Recommendation, has_what_if: bool = False) -> RecommendationList:
    return RecommendationList("ann", True, "2024-03-01T18:00:00+00:00", "at <Home>", "2 events", items, has_what_if)


def test_a_list_as_json_has_no_key_for_what_was_not_computed() -> None:
    plain = Recommendation("a", "A", 0.5)
    asked = {"user": "ann", "known": True, "asked_at": "2024-03-01T18:00:00+00:00", "place": "at <Home>"}
    assert listed(plain).to_dict() == {
        **asked,
        "history": "2 events",
        "items": [{"item": "a", "label": "A", "score": 0.5}],
    }
    evidence = [{"relation": "mine", "share": 0.3, "words": "3 & more", "events": []}]
    (item,) = listed(ITEM).to_dict()["items"]
    assert item == {"item": "<i>", "label": "Café <b>", "score": 0.5, "shares": ITEM.shares, "evidence": evidence}
    found, none = listed(replace(ITEM, what_if=WHAT_IF), ITEM, has_what_if=True).to_dict()["items"]
    words = "without your 2 Friday visits it would rank 6th"
    assert found["what_if"] == {"without": "your 2 Friday visits", "visits": 2, "rank_without": 6.0, "words": words}
    assert (none["what_if"], [*none]) == (None, ["item", "label", "score", "shares", "evidence", "what_if"])


def test_lists_as_tables_have_a_row_for_each_item() -> None:
    lists = Recommendations([listed(ITEM, ITEM), listed()])
    table = lists.to_arrow()
    columns = ["user", "asked_at", "rank", "item", "label", "score", "my history", "semantic space", "evidence"]
    assert table.column_names == columns
    assert (table["rank"].to_pylist(), table["evidence"].to_pylist()) == ([1, 2], [["3 & more"]] * 2)
    assert lists[0].to_pandas().equals(lists.to_pandas())
    assert listed(replace(ITEM, what_if=WHAT_IF), has_what_if=True).to_arrow()["what_if"].to_pylist() == [
        WHAT_IF.description
    ]
    assert len(Recommendations().to_arrow()) == 0


def test_a_list_shows_itself_and_escapes_what_it_shows() -> None:
    assert repr(listed(ITEM)) == "RecommendationList('ann', 1 item: Café <b> 0.500)"
    assert repr(listed(*[ITEM] * 6)).endswith("Café <b> 0.500, …)")
    html = Recommendations([listed(ITEM)])._repr_html_()
    assert "<td>Café &lt;b&gt;</td><td>0.500</td><td>3 &amp; more</td>" in html
    assert "at &lt;Home&gt;" in html


# when, where, for whom


def test_without_a_time_everything_is_known(run: Run) -> None:
    end = end_of_log(run.graph)
    assert end == int(run.graph.log.time[-1]) + 1
    answer, same = (recommend(run, ["u0001"], at=at)[0] for at in (None, end))
    assert answer == same
    assert answer.asked_at == datetime.fromtimestamp(end, UTC).isoformat()


def test_a_log_without_times_has_no_time_of_asking(run: Run) -> None:
    timeless = replace(run.graph, manifest=run.graph.manifest.model_copy(update={"mapping": {"timeless": True}}))
    (answer,) = recommend(replace(run, graph=timeless), ["u0001"], k=1, reasons=False)
    assert answer.asked_at is None


def test_an_answer_is_as_of_its_time(run: Run) -> None:
    at = int(run.graph.log.time[600])
    cut = replace(run, graph=run.graph.as_of(at))
    asked_then = recommend(run, everybody(run), at=at)
    assert recommend(cut, everybody(run), at=at) == asked_then
    asked_later = recommend(cut, everybody(run), at=at + DAY)  # of a day of which the view shows nothing
    assert [one.history for one in asked_later] == [one.history for one in asked_then]


def test_before_the_log_nobody_has_a_history(run: Run) -> None:
    (answer,) = recommend(run, ["u0001"], at=0)
    assert answer.history == "no events before"
    assert answer.place is None
    assert {part.relation for item in answer.items for part in item.evidence} == {"semantic"}


@pytest.mark.parametrize("at", [2**63, -(2**63), 253_402_300_800, -62_135_596_801, 1_700_000_000_000])
def test_a_time_beyond_the_calendar_is_one_line(at: int, run: Run) -> None:
    with pytest.raises(InputError, match=f"--at {at}: UTC seconds of the years 1 to 9999 expected"):
        recommend(run, ["u0001"], at=at)


@pytest.mark.parametrize("at", [253_402_300_799, -62_135_596_800])
def test_the_ends_of_the_calendar_can_be_asked(at: int, run: Run) -> None:
    assert recommend(run, ["u0001"], at=at, k=1)[0].items


def test_the_place_matters(run: Run) -> None:
    items = run.graph.nodes["item"].coordinates
    assert items is not None
    north, south = (tuple(items[int(pick)].tolist()) for pick in (items[:, 0].argmax(), items[:, 0].argmin()))
    first, second = (recommend(run, ["u0001"], near=place)[0] for place in (north, south))
    assert first.place == f"{north[0]:.4f},{north[1]:.4f}"
    assert [item.score for item in first.items] != [item.score for item in second.items]
    around = {part.relation for item in first.items for part in item.evidence}
    assert "nearby" in around


@pytest.mark.parametrize("near", [(90.1, 0.0), (0.0, -180.1), (float("nan"), 0.0), (float("inf"), 0.0)])
def test_a_place_off_the_globe_is_one_line(near: tuple[float, float], run: Run) -> None:
    with pytest.raises(InputError, match=r"latitude in -90\.\.90 and longitude in -180\.\.180 expected"):
        recommend(run, ["u0001"], near=near)


def test_novel_leaves_out_what_the_user_has_visited(run: Run) -> None:
    end, users = end_of_log(run.graph), everybody(run)[:8]
    for usual, novel in zip(recommend(run, users), recommend(run, users, novel=True), strict=True):
        seen = visited(run, usual.user, end)
        assert {item.item for item in usual.items} & seen
        assert not {item.item for item in novel.items} & seen
        assert len(novel.items) == 10


def test_who_is_judged_by_what_is_new_is_recommended_what_is_new(run: Run) -> None:
    users = everybody(run)[:3]
    judged = replace(run, protocol=run.protocol.model_copy(update={"novel": True}))
    assert recommend(judged, users) == recommend(run, users, novel=True)
    assert recommend(judged, users, novel=False) == recommend(run, users) == recommend(run, users, novel=False)


@pytest.mark.parametrize("reasons", [True, False])
def test_novel_scores_are_probabilities_among_what_is_new(run: Run, reasons: bool) -> None:
    users, every = everybody(run)[:3], len(run.graph.nodes["item"])
    for usual, novel in zip(
        recommend(run, users, k=every), recommend(run, users, k=every, novel=True, reasons=reasons), strict=True
    ):
        score = {item.item: item.score for item in usual.items}
        new = {item.item: item.score for item in novel.items}
        assert sum(new.values()) == pytest.approx(1, abs=1e-5)
        whole = sum(score[item] for item in new)
        assert 0 < whole < 1
        assert new == pytest.approx({item: score[item] / whole for item in new}, rel=1e-4)
        for item in novel.items if reasons else ():
            assert sum(item.shares.values()) == pytest.approx(item.score, abs=1e-6)
            assert sum(part.share for part in item.evidence) == pytest.approx(item.score, abs=1e-6)
            for part in item.evidence:
                if part.events:
                    assert sum(mass for _, mass in part.events) == pytest.approx(part.share, abs=1e-6)


def test_novel_has_fewer_items_when_nearly_all_are_visited(run: Run) -> None:
    user = everybody(run)[0]
    (answer,) = recommend(run, [user], novel=True, k=200, reasons=False)
    assert len(answer.items) == len(run.graph.nodes["item"]) - len(visited(run, user, end_of_log(run.graph)))


def test_a_user_never_seen_is_answered_from_time_and_place(run: Run) -> None:
    stranger, other = recommend(run, ["nobody", ""], near=(40.41, -3.70))
    assert not stranger.known
    assert stranger.history == "no events before"
    assert len(stranger.items) == 10
    assert [item.item for item in stranger.items] == [item.item for item in other.items]
    scores = [item.score for item in other.items]
    assert [item.score for item in stranger.items] == pytest.approx(scores, abs=1e-6)
    relations = {part.relation for item in stranger.items for part in item.evidence}
    assert relations == {"nearby", "semantic"}
    assert recommend(run, ["u0001"])[0].known


def test_histories_in_words(run: Run) -> None:
    graph, user = run.graph, run.graph.nodes["user"].code("u0001")
    rows = user_events(graph, user, end_of_log(graph))
    assert (graph.log.user[rows] == user).all()
    assert (graph.log.time[rows].diff() >= 0).all()
    assert len(rows) == int((graph.log.user == user).sum())
    assert history_in_words(graph, rows).startswith(f"{len(rows)} events since 2024-03-")
    assert history_in_words(graph, rows[-1:]).startswith("1 event since 2024-03-")
    timeless = replace(graph, manifest=graph.manifest.model_copy(update={"mapping": {"timeless": True}}))
    assert history_in_words(timeless, rows[-1:]) == "1 event"
    assert len(user_events(graph, -1, end_of_log(graph))) == 0
    first = int(graph.log.time[rows[0]])
    assert len(user_events(graph, user, first)) == 0  # strictly before


def test_a_report_shows_users_of_different_activity(run: Run) -> None:
    log = run.graph.log
    codes = [run.graph.nodes["user"].code(user) for user in sample_users(run.graph, 3)]
    counts = [int((log.user == code).sum()) for code in codes]
    assert len(set(codes)) == 3
    assert counts == sorted(counts, reverse=True)
    assert sample_users(run.graph.as_of(0), 3) == []


# a graph that has grown since the training


@pytest.fixture(scope="module")
def grown(city_run: Path, city_graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run.open(city_run, appended(city_graph, tmp_path_factory.mktemp("grown")), device="cpu")


def test_new_events_count_at_once(grown: Run, run: Run) -> None:
    regular = run.graph.nodes["user"].ids[0].as_py()
    (answer,) = recommend(grown, [regular], k=200)
    found = {item.item: item for item in answer.items}
    assert found["v[9]"].shares["my history"] > 0
    assert found["v[9]"].evidence[0].description.startswith("1 visit of yours")
    assert [item.item for item in answer.items].index("v[9]") < 10  # the last venue is among the next
    assert answer.place == f"at {BRACKETS}"


def test_a_new_user_is_known_at_once(grown: Run) -> None:
    (answer,) = recommend(grown, ["newcomer"])
    assert answer.known
    assert answer.history.startswith("2 events since 2024-03-")
    mine = [part for item in answer.items for part in item.evidence if part.relation == "own_history"]
    assert sum(len(part.events) for part in mine) == 2


def test_growth_changes_no_answer_as_of_before_it(grown: Run, run: Run) -> None:
    users, at = everybody(run), end_of_log(run.graph)
    for one, other in zip(recommend(grown, users, at=at), recommend(run, users, at=at), strict=True):
        assert one.history == other.history
        assert [item.item for item in one.items] == [item.item for item in other.items]
        assert [item.score for item in one.items] == pytest.approx([item.score for item in other.items])
    (early,) = recommend(grown, ["newcomer"], at=at)
    assert early.history == "no events before"
    assert "v[9]" not in {item.item for item in recommend(grown, ["u0001"], at=at, k=500)[0].items}


# a log that brings nothing but who, what and when


@pytest.fixture(scope="module")
def ratings(tiny: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("ratings")
    rows = [f"u{n % 7},m{(n * n) % 11},{1 + n % 5},{1_500_000_000 + 7200 * n}" for n in range(200)]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *rows]))
    build_graph([folder / "ratings.csv"], folder / "graph", text_model="none")
    train(folder / "graph", folder / "run", config=tiny, device="cpu")
    return Run.open(folder / "run", device="cpu")


def test_what_a_log_does_not_bring_adds_nothing(ratings: Run) -> None:
    graph: TemporalGraph = ratings.graph
    assert len(graph.nodes["location"]) == 0
    (answer,) = recommend(ratings, ["u1"], k=3)
    assert len(answer.items) == 3
    assert all(item.shares["what happens here"] == 0 for item in answer.items)
    assert sum(answer.items[0].shares.values()) == pytest.approx(answer.items[0].score)
    assert not any("km away" in part.description for item in answer.items for part in item.evidence)


def test_before_the_first_event_there_is_nothing_to_recommend(ratings: Run) -> None:
    (answer,) = recommend(ratings, ["u1"], at=1_500_000_000)
    assert answer.items == ()  # no item is known yet: no table lists them
    (answer,) = recommend(ratings, ["u1"], at=1_500_000_001, near=(10.0, 10.0))
    assert [item.item for item in answer.items] == ["m0"]


# the report


def test_publishing_writes_a_report_of_the_run(city_run: Path, city_graph: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(city_run, tmp_path / "run")
    opened = Run.open(copied, city_graph, device="cpu")
    page = publish(copied, opened).read_text(encoding="utf-8")
    assert all(user in page for user in sample_users(opened.graph, 3))
    assert not list(copied.glob(".*"))
