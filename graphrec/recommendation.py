"""Answers for people: what next, for these users, as of a time, from a place, with the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from graphrec.errors import InputError
from graphrec.evidence.counterfactual import counterfactuals
from graphrec.evidence.shares import Recommendation, explain
from graphrec.formatting import pluralize
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.propagation import EPSILON
from graphrec.models.ranker import Ranking
from graphrec.models.ranking import BATCH, StgatRanker
from graphrec.progress import NoProgress, Progress
from graphrec.queries.query import Queries
from graphrec.queries.sampling import JSON_RELATIONS
from graphrec.queries.user_history import UserHistory, user_events
from graphrec.runs.run import Run


def recommend(
    run: Run,
    users: Sequence[str],
    at: int | None = None,
    near: tuple[float, float] | None = None,
    k: int = 10,
    novel: bool | None = None,
    reasons: bool = True,
    progress: Progress | None = None,
    what_if: bool = False,
) -> list[dict[str, Any]]:
    """Rank items for users as of a time.

    Parameters
    ----------
    run
        A trained run.
    users
        Ids as the log writes them; one that the graph has never seen is answered from time and place alone.
    at
        UTC seconds as of which to ask; one second after the last event of the log where None.
    near
        Latitude and longitude, degrees; the place of the user's last event where None.
    k
        Items a user at most.
    novel
        Leave out what the user has visited before; scores of ``stgat`` are then probabilities among what is left.
        None: as the run is judged.
    reasons
        Take scores apart into shares and evidence, which ``stgat`` alone can.
    what_if
        Say as well without which of the user's visits each item would fall farthest
        (``graphrec.evidence.counterfactual``).

    Returns
    -------
    One record a user: ``user``, ``known``, ``asked_at`` (None for a log without times), ``place``, ``history`` (in
    words) and ``items``, each with
    ``item``, ``label``, ``score`` and, with reasons, ``shares`` (by name, adding up to the score) and ``evidence``.
    With ``what_if`` there is ``what_if`` besides: None, or ``without``, ``visits``, ``rank_without`` and ``words``.
    """
    if k < 1:
        raise InputError(f"-k {k}: at least 1 expected")
    graph, ranker = run.graph, run.ranker
    every = Queries.from_user_ids(graph, users, at, near)
    candidates = run.protocol.candidate_mask(graph)
    novel = run.protocol.novel if novel is None else novel
    listener = progress or NoProgress()
    listener.start("recommending", len(users))
    answers: list[dict[str, Any]] = []
    for start in range(0, len(users), BATCH):
        batch = users[start : start + BATCH]
        queries = every.rows(slice(start, start + BATCH))
        found = ranker.top(queries, min(k, len(graph.nodes["item"])), candidates, novel)
        whole = torch.ones(len(batch), device=queries.user.device)
        if novel and found.total_probability is not None:
            whole = found.total_probability.clamp(min=EPSILON)
        found = replace(found, scores=found.scores / whole[:, None])
        items = (
            explained(ranker, queries, found.items, whole.tolist())
            if reasons and isinstance(ranker, StgatRanker)
            else plain(graph, found)
        )
        if what_if and isinstance(ranker, StgatRanker):
            _add_what_if(ranker, queries, found.items, items, candidates, novel)
        for row, user in enumerate(batch):
            answers.append(_answer(graph, user, int(queries.user[row]), int(queries.time[row]), near, items[row]))
        listener.advance(len(batch))
    listener.finish()
    return answers


def _add_what_if(
    ranker: StgatRanker,
    queries: Queries,
    codes: Int64[Tensor, "batch k"],
    items: list[list[dict[str, Any]]],
    candidates: Bool[Tensor, " items"],
    novel: bool,
) -> None:
    """Put into each item without which visits it would fall farthest."""
    for row, listed in enumerate(items):
        asked, ranked = queries.rows(slice(row, row + 1)), candidates
        if novel:
            ranked = candidates.clone()
            ranked[UserHistory.before(ranker.graph, asked).item] = False
        for item, found in zip(listed, counterfactuals(ranker, asked, codes[row, : len(listed)], ranked), strict=True):
            item["what_if"] = found and {
                "without": found.without,
                "visits": found.visits,
                "rank_without": found.rank_without,
                "words": found.description,
            }


def explained(
    ranker: StgatRanker, queries: Queries, items: Int64[Tensor, "batch k"], whole: Sequence[float]
) -> list[list[dict[str, Any]]]:
    """Recommendations as plain data: items with score, shares and evidence, events by their row in the log.

    ``whole`` is the probability of all that may be ranked, for each question: what is told are parts of it.
    """
    found = zip(explain(ranker, queries, items), whole, strict=True)
    return [[_plain(recommendation, mass) for recommendation in one] for one, mass in found]


def _plain(found: Recommendation, whole: float) -> dict[str, Any]:
    values = asdict(found)
    values["score"] /= whole
    values["shares"] = {name: share / whole for name, share in found.shares.items()}
    for part in values["evidence"]:
        part["relation"] = JSON_RELATIONS.get(part["relation"], part["relation"])
        part["share"] /= whole
        part["words"] = part.pop("description")
        part["events"] = [{"event": event, "mass": mass / whole} for event, mass in part.pop("events")]
    values["evidence"] = list(values["evidence"])
    return values


def plain(graph: TemporalGraph, found: Ranking) -> list[list[dict[str, Any]]]:
    """Ranked items as plain data, without reasons."""
    table = graph.nodes["item"]
    rows = zip(found.items.tolist(), found.scores.tolist(), strict=True)
    return [
        [
            {"item": str(table.ids[code].as_py()), "label": table.label(code), "score": score}
            for code, score in zip(codes, scores, strict=True)
            if code >= 0
        ]
        for codes, scores in rows
    ]


def _answer(
    graph: TemporalGraph, user: str, code: int, time: int, near: tuple[float, float] | None, items: list[dict[str, Any]]
) -> dict[str, Any]:
    rows = user_events(graph, code, time)
    place = f"{near[0]:.4f},{near[1]:.4f}" if near else None
    if place is None and len(rows):
        place = f"at {graph.nodes['item'].label(int(graph.log.item[rows[-1]]))}"
    return {
        "user": user,
        "known": code >= 0,
        "asked_at": None if graph.timeless else datetime.fromtimestamp(time, UTC).isoformat(),
        "place": place,
        "history": history_in_words(graph, rows),
        "items": items,
    }


def history_in_words(graph: TemporalGraph, rows: Int64[Tensor, " events"]) -> str:
    """A user's past in one line: number of events, first day (if the log has times), most frequent item.

    ``rows`` are events of the log, the oldest first.
    """
    if not len(rows):
        return "no events before"
    first = datetime.fromtimestamp(int(graph.log.time[rows[0]]), UTC)
    code, count = Counter(graph.log.item[rows.flip(0)].tolist()).most_common(1)[0]
    often = f", most often {graph.nodes['item'].label(code)} ({count})" if count > 1 else ""
    since = "" if graph.timeless else f" since {first:%Y-%m-%d}"
    return f"{pluralize(len(rows), 'event')}{since}{often}"


def sample_users(graph: TemporalGraph, count: int = 3) -> list[str]:
    """Ids of users for a report: of the most active tenth, the middle and the least active tenth with a past."""
    active = torch.bincount(graph.events.user.long(), minlength=len(graph.nodes["user"]))
    order = torch.argsort(active, descending=True, stable=True)[: int((active > 1).sum())]
    places = torch.linspace(0.1, 0.9, count) * max(len(order) - 1, 0)
    codes = [int(order[int(place)]) for place in places] if len(order) else []
    return [str(graph.nodes["user"].ids[code].as_py()) for code in dict.fromkeys(codes)]
