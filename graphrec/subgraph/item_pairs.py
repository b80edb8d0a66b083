"""Pairs of items as of a time: which follow each other, and which have the same visitors."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from graphrec.errors import InputError
from graphrec.graph.conversion import adjacency
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.time_units import DAY


def item_transitions(graph: TemporalGraph, within: int = DAY, *, between: int = 0, least: int = 2) -> pa.Table:
    """Number of times that one item followed another for the same person, the most frequent pair first.

    Parameters
    ----------
    graph
        The graph, or a view of it as of a time.
    within
        Longest time between the two events, seconds; events of the same second do not follow each other.
    between
        Largest number of the same person's events between the two.
    least
        Smallest number of times that a pair must have occurred.

    Returns
    -------
    Columns ``first`` and ``then`` (the items' own ids), ``times``, ``people`` (distinct persons) and ``lift``: observed
    over expected frequency if the next item were independent of the previous one.
    """
    if within < 1 or between < 0 or least < 1:
        raise InputError(
            f"motifs: within and least of at least 1 and between of at least 0 expected, "
            f"got within={within}, between={between}, least={least}"
        )
    first, then, person = _transitions(graph, within, between)
    items, people = len(graph.nodes["item"]), max(len(graph.nodes["user"]), 1)
    pair, pair_index, times = torch.unique(first * items + then, return_inverse=True, return_counts=True)
    people_per_pair = torch.bincount(torch.unique(pair_index * people + person) // people, minlength=len(pair))
    first_count, then_count = (torch.bincount(code, minlength=items).double() for code in (first, then))
    first, then = pair // max(items, 1), pair % max(items, 1)
    lift = times * times.sum() / (first_count[first] * then_count[then])
    frequent = (times >= least).nonzero()[:, 0]
    frequent = frequent[torch.sort(times[frequent], descending=True, stable=True).indices]
    columns = {"first": first, "then": then, "times": times, "people": people_per_pair, "lift": lift}
    arrays = {name: pa.array(column[frequent].cpu().numpy()) for name, column in columns.items()}
    return pa.table(arrays | {name: graph.nodes["item"].ids.take(arrays[name]) for name in ("first", "then")})


def _transitions(graph: TemporalGraph, within: int, between: int) -> tuple[Tensor, Tensor, Tensor]:
    """Previous item, next item and person of every transition before the horizon."""
    log, count = graph.log, graph.log.count_before(graph.horizon)
    row = torch.arange(count, device=log.time.device)
    earlier, pairs = row, []
    for _ in range(between + 1):
        earlier = torch.where(earlier >= 0, graph.previous[earlier.clamp(min=0)], -1)
        gap = log.time[row] - log.time[earlier.clamp(min=0)]
        follows = (earlier >= 0) & (gap > 0) & (gap <= within)
        pairs.append(torch.stack((earlier[follows], row[follows])))
    before, after = torch.cat(pairs, 1)
    return log.item[before].long(), log.item[after].long(), log.user[after].long()


def co_occurring_items(graph: TemporalGraph, item: str, *, k: int = 10) -> pa.Table:
    """Items with the same visitors as ``item``, by the cosine of their sets of visitors, the highest first.

    Returns columns ``item`` (own ids), ``people`` (visitors of both) and ``cosine``. Raises InputError for an item that
    the graph does not have.
    """
    table = graph.nodes["item"]
    code = table.code(item)
    if code < 0:
        raise InputError(f"item {item!r} is not among the {len(table):,} items of this graph")
    visitors = adjacency(graph, "user->item", time=graph.horizon)
    visitors.data[:] = 1  # a visitor, however often
    common = visitors.T @ (visitors[:, [code]].toarray()[:, 0])
    others = np.flatnonzero(common)
    others = others[others != code]
    size = np.bincount(visitors.indices, minlength=len(table))
    cosine = common[others] / np.sqrt(size[others] * max(size[code], 1))
    best = np.argsort(-cosine, kind="stable")[:k]
    return pa.table(
        {
            "item": table.ids.take(pa.array(others[best])),
            "people": common[others[best]].astype(np.int64),
            "cosine": cosine[best],
        }
    )
