"""Recommendations for users, as of a time and from a place, with shares, evidence and counterfactuals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from graphrec.errors import InputError
from graphrec.evidence import Recommendation, counterfactuals, explain
from graphrec.formatting import pluralize
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.propagation import EPSILON
from graphrec.models.ranker import Ranker, Ranking
from graphrec.models.ranking import BATCH, StgatRanker
from graphrec.progress import Progress
from graphrec.queries.query import Queries
from graphrec.queries.user_history import UserHistory, user_events
from graphrec.records import Tabular, html_table
from graphrec.runs.run import Run


@dataclass(frozen=True, repr=False)
class RecommendationList(Tabular):
    """The items recommended to one user."""

    user: str
    """The user's own id."""
    known: bool
    """Whether the graph has the user; one that it has not is answered from time and place alone."""
    asked_at: str | None
    """ISO time of the query, UTC; None for a log without times."""
    place: str | None
    """Coordinates of the query, or the place of the user's last event; None where neither is known."""
    history: str
    """Summary of the user's earlier events."""
    items: tuple[Recommendation, ...]
    """The items, best first."""
    has_what_if: bool = False
    """Whether counterfactuals were computed."""

    def to_dict(self) -> dict[str, Any]:
        """The list as ``graphrec recommend --json`` prints it."""
        values = {name: getattr(self, name) for name in ("user", "known", "asked_at", "place", "history")}
        items = [item.to_dict() for item in self.items]
        for item in items if self.has_what_if else ():
            item.setdefault("what_if", None)
        return {**values, "items": items}

    def rows(self) -> list[dict[str, Any]]:
        """One row an item: user, asked_at, rank, item, label, score and, where computed, shares, evidence, what_if."""
        rows = []
        for rank, item in enumerate(self.items, 1):
            row: dict[str, Any] = {"user": self.user, "asked_at": self.asked_at, "rank": rank}
            row |= {"item": item.item, "label": item.label, "score": item.score, **item.shares}
            if item.shares:
                row["evidence"] = [part.description for part in item.evidence]
            if self.has_what_if:
                row["what_if"] = item.what_if and item.what_if.description
            rows.append(row)
        return rows

    def __repr__(self) -> str:
        items = ", ".join(f"{item.label} {item.score:.3f}" for item in self.items[:5])
        rest = ", …" if len(self.items) > 5 else ""
        return f"RecommendationList({self.user!r}, {pluralize(len(self.items), 'item')}: {items}{rest})"

    def _repr_html_(self) -> str:
        caption = ", ".join(filter(None, (self.user, self.asked_at, self.place, self.history)))
        rows = [
            (rank, item.label, item.score, item.evidence[0].description if item.evidence else "")
            for rank, item in enumerate(self.items, 1)
        ]
        return html_table(caption, ("", "item", "score", "largest evidence"), rows)


class Recommendations(tuple[RecommendationList, ...], Tabular):
    """The lists of several users, in the order in which they were given."""

    def rows(self) -> list[dict[str, Any]]:
        """The rows of every list, see `RecommendationList.rows`."""
        return [row for one in self for row in one.rows()]

    def _repr_html_(self) -> str:
        return "".join(one._repr_html_() for one in self)


def recommend(
    run: Run,
    users: Sequence[str],
    *,
    at: int | None = None,
    near: tuple[float, float] | None = None,
    k: int = 10,
    novel: bool | None = None,
    reasons: bool = True,
    what_if: bool = False,
    progress: Progress | None = None,
) -> Recommendations:
    """Rank items for users as of a time.

    Parameters
    ----------
    run
        A trained run.
    users
        Ids as the log writes them; one that the graph has never seen is answered from time and place alone.
    at
        Query time, UTC seconds; one second after the last event of the log where None.
    near
        Latitude and longitude of the query, degrees; the place of the user's last event where None.
    k
        Maximum number of items for a user.
    novel
        Exclude items that the user has visited; scores of ``stgat`` are then probabilities among the others.
        None: as the run's protocol says.
    reasons
        Take scores apart into shares and evidence, which ``stgat`` alone can.
    what_if
        Compute as well without which of the user's visits each item would fall farthest
        (``graphrec.evidence.counterfactual``), for ``stgat``.

    Returns
    -------
    One `RecommendationList` for each user, in the order of ``users``.
    """
    if k < 1:
        raise InputError(f"-k {k}: at least 1 expected")
    graph, ranker = run.graph, run.ranker
    queries = Queries.from_user_ids(graph, users, at=at, near=near)
    novel = run.protocol.novel if novel is None else novel
    candidates = run.protocol.candidate_mask(graph)
    lists: list[RecommendationList] = []
    for batch in queries.batches(BATCH, "recommending", progress):
        ranking = ranker.top(batch, min(k, len(graph.nodes["item"])), candidates=candidates, novel=novel)
        items = ranked_items(ranker, batch, ranking, ranking.total_probability if novel else None, reasons=reasons)
        if what_if and isinstance(ranker, StgatRanker):
            items = _with_what_if(ranker, batch, ranking.items, items, candidates, novel=novel)
        for row in range(len(batch)):
            summary = _summary(graph, int(batch.user[row]), int(batch.time[row]), near)
            lists.append(
                RecommendationList(users[len(lists)], *summary, tuple(items[row]), what_if and run.is_explainable)
            )
    return Recommendations(lists)


def ranked_items(
    ranker: Ranker, queries: Queries, ranking: Ranking, total: Float[Tensor, " batch"] | None, *, reasons: bool
) -> list[list[Recommendation]]:
    """The items of a ranking for each query, their scores taken apart where that is possible.

    ``total`` is the probability of all candidates of each query: scores and shares are parts of it; None: 1.
    """
    total = None if total is None else total.clamp(min=EPSILON)
    if reasons and isinstance(ranker, StgatRanker):
        totals = [1.0] * len(queries) if total is None else total.tolist()
        explained = zip(explain(ranker, queries, items=ranking.items), totals, strict=True)
        return [[item.divided_by(mass) for item in items] for items, mass in explained]
    table = ranker.graph.nodes["item"]
    scores = ranking.scores if total is None else ranking.scores / total[:, None]
    return [
        [
            Recommendation(str(table.ids[code].as_py()), table.label(code), score)
            for code, score in zip(codes, values, strict=True)
            if code >= 0
        ]
        for codes, values in zip(ranking.items.tolist(), scores.tolist(), strict=True)
    ]


def _with_what_if(
    ranker: StgatRanker,
    queries: Queries,
    codes: Int64[Tensor, "batch k"],
    items: list[list[Recommendation]],
    candidates: Bool[Tensor, " items"],
    *,
    novel: bool,
) -> list[list[Recommendation]]:
    """The items with the counterfactual of each."""
    lists = []
    for row, listed in enumerate(items):
        query, ranked = queries.rows(slice(row, row + 1)), candidates
        if novel:
            ranked = candidates.clone()
            ranked[UserHistory.before(ranker.graph, query).item] = False
        what_ifs = counterfactuals(ranker, query, items=codes[row, : len(listed)], candidates=ranked)
        lists.append([replace(item, what_if=what_if) for item, what_if in zip(listed, what_ifs, strict=True)])
    return lists


def _summary(
    graph: TemporalGraph, user: int, time: int, near: tuple[float, float] | None
) -> tuple[bool, str | None, str | None, str]:
    """Whether a user (code) is known, the query time, the place and the history, as `RecommendationList` has them."""
    rows = user_events(graph, user, time)
    place = f"{near[0]:.4f},{near[1]:.4f}" if near else None
    if place is None and len(rows):
        place = f"at {graph.nodes['item'].label(int(graph.log.item[rows[-1]]))}"
    asked_at = None if graph.timeless else datetime.fromtimestamp(time, UTC).isoformat()
    return user >= 0, asked_at, place, history_in_words(graph, rows)


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
