"""The event log as columns: one row per event, sorted by time."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float32, Int8, Int16, Int32, Int64
from torch import Tensor

from graphrec.errors import GraphError
from graphrec.graph.splits import SPLITS, TEST, TRAIN, VAL
from graphrec.graph.tensor_record import TensorColumns

__all__ = ["SPLITS", "TEST", "TRAIN", "VAL", "Events"]


@dataclass(frozen=True)
class Events(TensorColumns):
    """User-item interactions with time and location. Every field is a column of length ``n``.

    Events of the same second are simultaneous, whatever their order in the columns.
    """

    user: Int32[Tensor, " n"]
    """Code of the user node, from 0."""
    item: Int32[Tensor, " n"]
    """Code of the item node, from 0."""
    location: Int32[Tensor, " n"]
    """Code of the location node, from 0; -1 for none."""
    time: Int64[Tensor, " n"]
    """UTC seconds, never decreasing."""
    utc_offset: Int16[Tensor, " n"]
    """Minutes to add for local time; 0 where unknown."""
    kind: Int8[Tensor, " n"]
    """Index into the manifest's ``kinds`` (view, buy, check-in, ...)."""
    weight: Float32[Tensor, " n"]
    """Strength of the event; 1 by default."""
    split: Int8[Tensor, " n"]
    """0 train, 1 validation, 2 test."""
    session: Int32[Tensor, " n"]
    """Code of the session (trajectory, visit); -1 for none. A session lies in one split."""

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            raise GraphError(f"events: columns of one length expected, got {lengths}")
        if len(early := (self.time[1:] < self.time[:-1]).nonzero()):
            row = int(early[0]) + 1
            raise GraphError(f"events: time must not decrease, but row {row} is earlier than row {row - 1}")

    def __len__(self) -> int:
        return len(self.time)

    def count_before(self, time: int) -> int:
        """Number of events strictly before ``time`` (UTC seconds)."""
        return int(torch.searchsorted(self.time, torch.tensor(time, dtype=torch.int64)))

    def local_time(self, rows: slice | Int64[Tensor, "*rows"]) -> Int64[Tensor, "*rows"]:
        """Local time of the events at ``rows``: UTC seconds plus the offset."""
        return self.time[rows] + 60 * self.utc_offset[rows].long()
