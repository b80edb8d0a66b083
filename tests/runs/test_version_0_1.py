"""Runs that version 0.1 wrote, on a graph that it built: they open, and answer as they did then.

``tests/data/version-0.1`` holds a simulated log of 24 people, a run of each model on it, and ``answers.json``: what
``recommend(run, users, k=10)`` of that version said to six of the people and to a stranger.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphrec.recommendation import recommend
from graphrec.runs.run import Run

STORED = Path(__file__).parents[1] / "data" / "version-0.1"
ANSWERS: dict[str, list[dict[str, Any]]] = json.loads((STORED / "answers.json").read_text(encoding="utf-8"))
TOLERANCE = 1e-6


@pytest.mark.parametrize("name", ANSWERS)
def test_a_run_of_version_0_1_answers_as_it_did(name: str) -> None:
    run = Run.open(STORED / name, device="cpu")
    answers = recommend(run, [answer["user"] for answer in ANSWERS[name]], k=10)
    for answer, stored in zip(map(_plain, answers), ANSWERS[name], strict=True):
        assert {key: answer[key] for key in stored if key != "items"} == {
            key: stored[key] for key in stored if key != "items"
        }
        assert [item["item"] for item in answer["items"]] == [item["item"] for item in stored["items"]]
        for item, stored_item in zip(answer["items"], stored["items"], strict=True):
            assert item["score"] == pytest.approx(stored_item["score"], abs=TOLERANCE)
            assert item.get("shares", {}) == pytest.approx(stored_item.get("shares", {}), abs=TOLERANCE)
            for part, stored_part in zip(item.get("evidence", []), stored_item.get("evidence", []), strict=True):
                assert part["relation"] == stored_part["relation"]
                assert part["share"] == pytest.approx(stored_part["share"], abs=TOLERANCE)
                assert [one["event"] for one in part["events"]] == [one["event"] for one in stored_part["events"]]
                masses = [one["mass"] for one in stored_part["events"]]
                assert [one["mass"] for one in part["events"]] == pytest.approx(masses, abs=TOLERANCE)


def _plain(answer: Any) -> dict[str, Any]:
    to_dict: Callable[[], dict[str, Any]] = getattr(answer, "to_dict", lambda: answer)
    return to_dict()
