"""Time-sorted adjacency, with batched lookup of the most recent neighbours strictly before a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int32, Int64
from torch import Tensor

from graphrec.errors import GraphError
from graphrec.graph.tensor_record import TensorRecord
from graphrec.graph.time_bounds import TIME_MAX, TIME_MIN


@dataclass(frozen=True)
class Relation(TensorRecord):
    """Edges source -> target, sorted by (source, time), under one composite key.

    ``key = source * span + (time - origin + 1)``, with times before ``origin`` at 0, so that the edges of ``v``
    strictly before ``t`` end at ``searchsorted(key, v * span + (t - origin + 1))``: no loop, no compiled extension.
    """

    key: Int64[Tensor, " edges"]
    """Never decreasing composite of source and time."""
    target: Int32[Tensor, " edges"]
    """Code of the node that the edge leads to."""
    time: Int64[Tensor, " edges"]
    """Time of the edge, UTC seconds; TIME_MIN for a timeless edge."""
    event: Int32[Tensor, " edges"]
    """Row of the event that made the edge; -1 for an edge that no event made."""
    start: Int64[Tensor, " sources_plus_one"]
    """First edge of each source; ``start[v + 1]`` ends the edges of ``v``."""
    origin: int
    """Earliest time that the key resolves, UTC seconds."""
    span: int
    """Number of distinct time steps in the key."""

    @staticmethod
    def build(source: Tensor, target: Tensor, time: Tensor, event: Tensor | None, sources: int) -> Relation:
        """Sort edges by (source, time), keeping the given order among ties.

        Parameters are columns of one length, ``event`` None for edges that no event made; ``sources`` is the number of
        source nodes.
        """
        event = torch.full_like(source, -1) if event is None else event
        dated = time[(time != TIME_MIN) & (time != TIME_MAX)]
        origin = int(dated.min()) if len(dated) else 0
        span = (int(dated.max()) - origin if len(dated) else 0) + 4
        if sources * span >= 2**63:
            raise GraphError(f"a relation of {sources} sources over {span} seconds does not fit a 64-bit key")
        key = source.long() * span + (time - origin + 1).clamp(0, span - 1)
        key, order = torch.sort(key, stable=True)
        start = torch.searchsorted(key, torch.arange(sources + 1, device=key.device) * span)
        return Relation(key, target[order].int(), time[order], event[order].int(), start, origin, span)

    def __len__(self) -> int:
        return len(self.key)

    @property
    def sources(self) -> int:
        """Number of source nodes."""
        return len(self.start) - 1

    def end(self, source: Int64[Tensor, "*batch"], time: Int64[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
        """One past the last edge of each source strictly before its time; of use only for a source in the table."""
        step = (time - self.origin + 1).clamp(1, self.span - 1) * (time > TIME_MIN)  # timeless edges are at step 0
        return torch.searchsorted(self.key, source.clamp(0, max(self.sources - 1, 0)) * self.span + step)

    def before(
        self, source: Int64[Tensor, "*batch"], time: Int64[Tensor, "*batch"], k: int
    ) -> tuple[Int64[Tensor, "*batch k"], Bool[Tensor, "*batch k"]]:
        """The ``k`` most recent edges of each source strictly before its time, the latest first.

        Returns rows of this relation and their padding mask, True for an edge; a source of -1 or beyond the table has
        none.
        """
        known = (source >= 0) & (source < self.sources)
        end = self.end(source, time)
        first = self.start[source.clamp(0, max(self.sources - 1, 0))] if self.sources else end
        rows = end[..., None] - 1 - torch.arange(k, device=end.device)  # [*batch, k]
        real = (rows >= first[..., None]) & known[..., None]
        return rows.clamp(min=0) * real, real

    def count_before(self, source: Int64[Tensor, "*batch"], time: Int64[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
        """Number of edges of each source strictly before its time."""
        known = (source >= 0) & (source < self.sources)
        if not self.sources:
            return torch.zeros_like(source)
        return (self.end(source, time) - self.start[source.clamp(0, self.sources - 1)]) * known


def flatten_edges(
    end: Int64[Tensor, " batch"], count: Int64[Tensor, " batch"]
) -> tuple[Int64[Tensor, " edges"], Int64[Tensor, " edges"]]:
    """The ``count`` edges before ``end`` of every query, flat: (row of the query, row of the edge)."""
    query = torch.arange(len(count), device=count.device).repeat_interleave(count)
    offset = torch.arange(len(query), device=count.device) - (count.cumsum(0) - count)[query]
    return query, (end - count)[query] + offset
