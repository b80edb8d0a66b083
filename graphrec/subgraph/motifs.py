"""What people do one after the other, and what the same people visit, as of a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from graphrec.errors import InputError
from graphrec.formatting import DAY
from graphrec.graph.conversion import adjacency
from graphrec.graph.temporal_graph import TemporalGraph


def find_motifs(graph: TemporalGraph, within: int = DAY, between: int = 0, least: int = 2) -> pa.Table:
    """How often one item came after another, the most often first.

    Parameters
    ----------
    graph
        The graph, or a view of it as of a time.
    within
        Longest time from the one event to the other, seconds; events of the same second do not follow each other.
    between
        How many events of the same person may lie between the two.
    least
        Times that a pair must have happened.

    Returns
    -------
    Columns ``first`` and ``then`` (the items' own ids), ``times``, ``people`` (how many did so) and ``lift``: how many
    times more often than if what came next had nothing to do with what came before.
    """
    if within < 1 or between < 0 or least < 1:
        raise InputError(
            f"motifs: within and least of at least 1 and between of at least 0 expected, "
            f"got within={within}, between={between}, least={least}"
        )
    first, then, person = _steps(graph, within, between)
    items, people = len(graph.nodes["item"]), len(graph.nodes["user"])
    pair, place, times = torch.unique(first * items + then, return_inverse=True, return_counts=True)
    who = torch.unique(place * people + person) // max(people, 1)
    before, after = (torch.bincount(code, minlength=items).double() for code in (first, then))
    one, other = pair // max(items, 1), pair % max(items, 1)
    lift = times * len(first) / (before[one] * after[other])
    number = torch.bincount(who, minlength=len(pair))
    kept = (times >= least).nonzero()[:, 0]
    kept = kept[torch.sort(times[kept], descending=True, stable=True).indices]
    ids = graph.nodes["item"].ids
    return pa.table(
        {
            "first": ids.take(pa.array(one[kept].cpu().numpy())),
            "then": ids.take(pa.array(other[kept].cpu().numpy())),
            "times": times[kept].cpu().numpy(),
            "people": number[kept].cpu().numpy(),
            "lift": lift[kept].cpu().numpy(),
        }
    )


def _steps(graph: TemporalGraph, within: int, between: int) -> tuple[Tensor, Tensor, Tensor]:
    """Items before and after, and the person, of every step before the horizon."""
    log, count = graph.log, graph.log.count_before(graph.horizon)
    row = torch.arange(count, device=log.time.device)
    earlier, found = row, []
    for _ in range(between + 1):
        earlier = torch.where(earlier >= 0, graph.previous[earlier.clamp(min=0)], -1)
        gap = log.time[row] - log.time[earlier.clamp(min=0)]
        step = (earlier >= 0) & (gap > 0) & (gap <= within)
        found.append(torch.stack((earlier[step], row[step])))
    before, after = torch.cat(found, 1)
    return log.item[before].long(), log.item[after].long(), log.user[after].long()


def co_visited(graph: TemporalGraph, item: str, k: int = 10) -> pa.Table:
    """The items that the same people visit, by the cosine of who visited them.

    Returns columns ``item`` (own ids), ``people`` (how many visited both) and ``cosine``, the highest first. Raises
    InputError for an item that the graph does not have.
    """
    table = graph.nodes["item"]
    code = table.code(item)
    if code < 0:
        raise InputError(f"item {item!r} is not among the {len(table):,} items of this graph")
    who = adjacency(graph, "user->item", graph.horizon)
    who.data[:] = 1  # a visitor, however often
    people = who.T @ (who[:, [code]].toarray()[:, 0])
    other = np.flatnonzero(people)
    other = other[other != code]
    reach = np.bincount(who.indices, minlength=len(table))
    cosine = people[other] / np.sqrt(reach[other] * max(reach[code], 1))
    best = np.argsort(-cosine, kind="stable")[:k]
    return pa.table(
        {
            "item": table.ids.take(pa.array(other[best])),
            "people": people[other[best]].astype(np.int64),
            "cosine": cosine[best],
        }
    )
