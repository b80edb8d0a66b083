"""Writing a run's report: what its directory holds, and three users answered anew."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from graphrec.evaluation.result import read_results
from graphrec.queries.query import end_of_log
from graphrec.recommendation import RecommendationList, recommend, sample_users
from graphrec.report.health import data_health
from graphrec.report.page import run_content, write_report
from graphrec.runs.run import Run

USERS, ITEMS = 3, 5
"""How many users the report shows, and how many items each."""
CRUMB = 0.005
"""Part of an item's score below which the report does not show a reason."""


def publish(path: str | Path, run: Run | None = None, *, users: Sequence[str] = ()) -> Path:
    """Write ``report.html`` of a finished run, with every evaluation it has so far; returns the file.

    Parameters
    ----------
    path
        The run directory.
    run
        The same run where it is open already.
    users
        Ids of those whose lists and reasons are shown; where there are none, three of the log, from busy to quiet.
    """
    root = Path(path)
    opened = run or Run.open(root)
    graph = opened.graph
    shown = list(dict.fromkeys(users)) or sample_users(graph, USERS)
    name = opened.config.model.name
    model = [] if name == "stgat" else ["--model", name]
    content = run_content(
        root,
        read_results(root),
        [_without_crumbs(one) for one in recommend(opened, shown, k=ITEMS, what_if=True)],
        graph=graph.manifest,
        health=data_health(graph, end_of_log(graph)),
        title="/".join(root.resolve().parts[-2:]),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=shlex.join(["graphrec", "train", opened.manifest.graph, *model, "--seed", str(opened.config.seed)]),
    )
    write_report(content, root / "report.html")
    return root / "report.html"


def _without_crumbs(one: RecommendationList) -> RecommendationList:
    """A list without the evidence that carries next to nothing."""
    items = (
        replace(item, evidence=tuple(part for part in item.evidence if part.share >= CRUMB * item.score))
        for item in one.items
    )
    return replace(one, items=tuple(items))
