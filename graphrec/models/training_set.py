"""Samples of a gradient training, indexed by batches of row numbers."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Int64
from torch import Tensor

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.queries.query import Queries


@runtime_checkable
class TrainingSet(Protocol):
    """Samples of which a batch is the arguments of the loss."""

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, index: Int64[Tensor, " batch"]) -> tuple[Any, ...]:
        """Arguments of the loss for some samples."""


class QueryDataset:
    """Train events as queries, each with the item of its event as target."""

    def __init__(self, graph: TemporalGraph, protocol: EvaluationProtocol) -> None:
        rows = protocol.training_rows(graph)
        self.queries, self.target = protocol.queries(graph, rows), graph.log.item[rows].long()

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, index: Int64[Tensor, " batch"]) -> tuple[Queries, Tensor]:
        """Queries and their targets."""
        return self.queries.rows(index), self.target[index]


class InteractionDataset:
    """Train events as pairs of user and item."""

    def __init__(self, graph: TemporalGraph, protocol: EvaluationProtocol) -> None:
        rows = protocol.training_rows(graph)
        self.user, self.item = graph.log.user[rows].long(), graph.log.item[rows].long()

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, index: Int64[Tensor, " batch"]) -> tuple[Tensor, Tensor]:
        """Users and items."""
        return self.user[index], self.item[index]


def interactions(model: object, graph: TemporalGraph, protocol: EvaluationProtocol) -> InteractionDataset:
    """The training set of a model that learns from pairs of user and item, whatever the model."""
    return InteractionDataset(graph, protocol)
