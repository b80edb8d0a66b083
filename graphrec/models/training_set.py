"""Samples of a gradient training, indexed by batches of row numbers."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import TensorDataset

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.queries import EvaluationProtocol, Queries


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


def interactions(model: object, graph: TemporalGraph, protocol: EvaluationProtocol) -> TensorDataset:
    """Train events as pairs of user and item, whatever the model."""
    rows = protocol.training_rows(graph)
    return TensorDataset(graph.log.user[rows].long(), graph.log.item[rows].long())
