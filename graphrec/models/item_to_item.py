"""Item-to-item models: nearest neighbours by cosine, and regressions in closed form.

Weights are fitted to the train split, once, at first use; scores are those weights times the history of each query.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import psutil
import scipy.linalg
import scipy.sparse
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from graphrec.errors import GraphError
from graphrec.graph import TRAIN, TemporalGraph
from graphrec.models.registry import ModelEntry, ModelHyperparameters
from graphrec.queries import Queries, UserHistory

BYTES_PER_PAIR = 12
"""Peak memory of a closed-form solution for each pair of items."""


class ItemKNNConfig(ModelHyperparameters):
    """Hyperparameters of ``item-knn``."""

    name: Literal["item-knn"] = "item-knn"
    neighbours: int = Field(default=50, ge=1)
    """Neighbours per item."""


class EaseConfig(ModelHyperparameters):
    """Hyperparameters of ``ease``."""

    name: Literal["ease"] = "ease"
    ridge: float = Field(default=100.0, gt=0)
    """L2 regularization of the weights."""


class ItemKNN:
    """Cosine similarity of items over the users who visited them, to the items of the user's history.

    Sarwar et al. 2001, "Item-based collaborative filtering recommendation algorithms"; an item is among its own
    neighbours, so that repeats are possible.
    """

    name = "item-knn"

    def __init__(self, graph: TemporalGraph, config: ItemKNNConfig | None = None) -> None:
        self.graph = graph
        self.neighbours = (config or ItemKNNConfig()).neighbours

    @cached_property
    def similarity(self) -> scipy.sparse.csr_array:
        """Cosine of each item (row) with its nearest items (columns), fitted on the train split at first use."""
        counts = train_counts(self.graph)
        norm = np.sqrt(counts.power(2).sum(axis=0))
        unit = counts @ scipy.sparse.diags_array(1 / np.maximum(norm, 1e-12))
        blocks = [_largest(rows, self.neighbours) for _, rows in _gram(unit)]
        return scipy.sparse.csr_array(scipy.sparse.vstack(blocks))

    def fit(self, seed: int) -> None:
        """Find the neighbours of each item, which nothing random enters."""
        _ = self.similarity

    def tensors(self) -> dict[str, Tensor]:
        """Pairs of neighbours and their similarities."""
        similarity = self.similarity.tocoo()
        pairs = torch.from_numpy(np.stack(similarity.coords).astype(np.int64))
        return {"alike": pairs, "similarity": torch.from_numpy(similarity.data)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Load stored similarities."""
        pairs = tensors["alike"].numpy()
        items = int(pairs.max(initial=-1)) + 1
        shape = (items, items)
        self.similarity = scipy.sparse.coo_array((tensors["similarity"].numpy(), tuple(pairs)), shape=shape).tocsr()

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Sum of the similarities to the items of the history, weighted by visits."""
        visits = visit_counts(self.graph, queries)[:, : self.similarity.shape[0]]
        return torch.from_numpy((visits @ self.similarity).toarray()).to(queries.time.device)


class ItemWeights(ABC):
    """A model that multiplies a history by a dense matrix of item-to-item weights, solved for in closed form.

    Solving peaks at 12 bytes for each pair of items (5,000 items: 300 MB; 10,000: 1.2 GB), of which 4 are kept.
    """

    name: ClassVar[str]

    def __init__(self, graph: TemporalGraph) -> None:
        self.graph = graph

    @abstractmethod
    def solve(self) -> NDArray[np.float32]:
        """Weight of each item of a history (row) for each candidate (column), from the train split."""

    @abstractmethod
    def history(self, queries: Queries) -> scipy.sparse.csr_array:
        """What the weights are multiplied by, [batch, items], from what each query may see."""

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """The weights, solved for at first use."""
        return self.solve()

    def fit(self, seed: int) -> None:
        """Solve for the weights, which nothing random enters. GraphError where memory does not suffice."""
        items, free = len(self.graph.nodes["item"]), psutil.virtual_memory().available
        if BYTES_PER_PAIR * items**2 > free:
            raise GraphError(
                f"{self.name}: {items:,} items need {BYTES_PER_PAIR * items**2 / 2**30:.1f} GiB of memory, and "
                f"{free / 2**30:.1f} GiB are free; take another model, such as item-knn"
            )
        _ = self.weights

    def tensors(self) -> dict[str, Tensor]:
        """The weights, one row and one column per item."""
        return {"item.item": torch.from_numpy(self.weights)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Load weights that were solved for before."""
        self.weights = tensors["item.item"].numpy()

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """The history times the weights."""
        history = self.history(queries).astype(np.float32)[:, : len(self.weights)]
        return torch.from_numpy(history @ self.weights).double().to(queries.time.device)


class Ease(ItemWeights):
    """Ridge regression of each item's visits on those of all others, in closed form.

    Steck 2019, "Embarrassingly shallow autoencoders for sparse data", arXiv 1905.03375, on log(1 + visits).
    """

    name = "ease"

    def __init__(self, graph: TemporalGraph, config: EaseConfig | None = None) -> None:
        super().__init__(graph)
        self.ridge = (config or EaseConfig()).ridge

    def solve(self) -> NDArray[np.float32]:
        """Weights with a zero diagonal."""
        lower, diagonal = _ridge_inverse(train_counts(self.graph).log1p(), self.ridge)
        weights = lower + lower.T
        weights /= -diagonal
        return weights

    def history(self, queries: Queries) -> scipy.sparse.csr_array:
        """log(1 + visits)."""
        return visit_counts(self.graph, queries).log1p()


def _counts(row: Tensor, item: Tensor, shape: tuple[int, int]) -> scipy.sparse.csr_array:
    """Number of occurrences of each (row, item)."""
    pairs = (row.cpu().numpy(), item.cpu().numpy())
    return scipy.sparse.coo_array((np.ones(len(row)), pairs), shape=shape).tocsr()


def train_counts(graph: TemporalGraph) -> scipy.sparse.csr_array:
    """Visits of each item by each user in the train split, as far as the graph is visible."""
    events = graph.events
    train = events.split == TRAIN
    return _counts(events.user[train], events.item[train], (len(graph.nodes["user"]), len(graph.nodes["item"])))


def visit_counts(graph: TemporalGraph, queries: Queries) -> scipy.sparse.csr_array:
    """Visits of each item that each query may see, [batch, items]."""
    visits = UserHistory.before(graph, queries)
    return _counts(visits.question, visits.item, visits.shape)


def _gram(matrix: scipy.sparse.csr_array) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Products of every two columns, as dense blocks of rows of at most 80 MB: (first row, block)."""
    columns = matrix.tocsc()
    items = columns.shape[1]
    rows = max(1, 10_000_000 // max(items, 1))
    for at in range(0, max(items, 1), rows):
        yield at, (columns[:, at : at + rows].T @ columns).toarray()


def _ridge_inverse(counts: scipy.sparse.csr_array, ridge: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Inverse of the items' gram matrix + ridge * identity, all in one matrix: (below the diagonal, diagonal)."""
    items = counts.shape[1]
    if not items:
        return np.zeros((0, 0), np.float32), np.zeros(0, np.float32)
    gram = np.empty((items, items))
    for at, rows in _gram(counts):
        gram[at : at + len(rows)] = rows
    gram[np.diag_indices(items)] += ridge
    factor, _ = scipy.linalg.lapack.dpotrf(gram.T, lower=1, overwrite_a=1)  # a symmetric matrix may be turned
    inverse, _ = scipy.linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)
    lower = inverse.astype(np.float32)
    diagonal = np.diag(lower).copy()
    np.fill_diagonal(lower, 0)
    return lower, diagonal


def _largest(dense: NDArray[np.float64], k: int) -> scipy.sparse.csr_array:
    """The ``k`` largest of each row, the rest zero."""
    if k < dense.shape[1]:
        rest = np.argpartition(-dense, k, axis=1)[:, k:]
        np.put_along_axis(dense, rest, 0, axis=1)
    return scipy.sparse.csr_array(dense)


ITEM_KNN = ModelEntry(ItemKNNConfig, create=lambda graph, config, weights: ItemKNN(graph, config))
EASE = ModelEntry(EaseConfig, create=lambda graph, config, weights: Ease(graph, config))
