"""Matrix factorization by the library implicit: alternating least squares and Bayesian personalized ranking.

Both fit a vector of each user and item of the train split. ``als`` solves for the user's vector again from the visits
that a query may see; ``bpr`` keeps the one of the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float, Float32
from pydantic import Field
from torch import Tensor

from graphrec.errors import ConfigError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.item_to_item import train_counts, visit_counts
from graphrec.models.registry import ModelEntry, ModelHyperparameters
from graphrec.models.score_ranker import known_rows
from graphrec.queries.query import Queries

ALPHA = 1.0
"""Confidence in an interaction that each visit adds."""


class AlsConfig(ModelHyperparameters):
    """Hyperparameters of ``als``: Hu et al. 2008, "Collaborative filtering for implicit feedback datasets"."""

    renamed: ClassVar[Mapping[str, str]] = {"ridge": "regularization", "rounds": "iterations"}

    name: Literal["als"] = "als"
    dimension: int = Field(default=64, ge=1)
    """Length of the vectors."""
    regularization: float = Field(default=0.05, ge=0)
    """L2 regularization of the vectors."""
    iterations: int = Field(default=15, ge=1)
    """Alternations between users and items."""


class BprConfig(ModelHyperparameters):
    """Hyperparameters of ``bpr``: Rendle et al. 2009, "BPR: Bayesian personalized ranking from implicit feedback"."""

    renamed: ClassVar[Mapping[str, str]] = {"ridge": "regularization", "rounds": "iterations", "rate": "learning_rate"}

    name: Literal["bpr"] = "bpr"
    dimension: int = Field(default=64, ge=1)
    """Length of the vectors."""
    regularization: float = Field(default=0.01, ge=0)
    """L2 regularization of the vectors."""
    learning_rate: float = Field(default=0.05, gt=0)
    """Learning rate."""
    iterations: int = Field(default=100, ge=1)
    """Passes over the interactions."""


class Factors:
    """Vectors of users and items."""

    user: Float32[Tensor, "users d"]
    item: Float32[Tensor, "items d"]

    def __init__(self, graph: TemporalGraph, config: AlsConfig | BprConfig) -> None:
        self.graph, self.config, self.name = graph, config, config.name

    def fit(self, seed: int) -> None:
        """Fit the vectors to the train split."""
        with _single_blas_thread(self.name):
            model = _implicit(self.config, seed)
            model.fit(scipy.sparse.csr_matrix(train_counts(self.graph), dtype=np.float32), show_progress=False)
        self.user, self.item = torch.from_numpy(model.user_factors), torch.from_numpy(model.item_factors)

    def tensors(self) -> dict[str, Tensor]:
        """The vectors, one row per user and one per item."""
        return {"user.weight": self.user, "item.weight": self.item}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Load stored vectors."""
        self.user, self.item = tensors["user.weight"], tensors["item.weight"]

    def scores(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """Products of the users' vectors with the items'; 0 for users that ``bpr`` did not train."""
        users = self._fold_in(queries) if self.name == "als" else known_rows(self.user, queries.user.cpu())
        return (users @ self.item.T).to(queries.time.device)

    def _fold_in(self, queries: Queries) -> Float32[Tensor, "batch d"]:
        """Users' vectors from the visits that each query may see, with the items' vectors fixed."""
        visits = scipy.sparse.csr_matrix(visit_counts(self.graph, queries)[:, : len(self.item)], dtype=np.float32)
        with _single_blas_thread(self.name):
            model = _implicit(self.config, 0)
            model.item_factors = self.item.numpy()
            return torch.from_numpy(model.recalculate_user(np.arange(len(queries)), visits))


def _single_blas_thread(name: str) -> AbstractContextManager[Any]:
    """Limit BLAS to one thread: each of the library's own threads calls it."""
    try:
        import implicit  # noqa: F401 - threadpoolctl comes with it
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise ConfigError(f"model {name}: needs the library implicit; pip install 'graphrec[implicit]'") from error
    limits: AbstractContextManager[Any] = threadpool_limits(1, "blas")
    return limits


def _implicit(config: AlsConfig | BprConfig, seed: int) -> Any:
    """The library's model; one thread for ``bpr``, whose threads update the same vectors without a lock."""
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    shared = {"regularization": config.regularization, "iterations": config.iterations, "random_state": seed}
    if isinstance(config, AlsConfig):
        return AlternatingLeastSquares(config.dimension, alpha=ALPHA, **shared)
    return BayesianPersonalizedRanking(config.dimension, config.learning_rate, num_threads=1, **shared)


ALS = ModelEntry(AlsConfig, create=lambda graph, config, weights: Factors(graph, config))
BPR = ModelEntry(BprConfig, create=lambda graph, config, weights: Factors(graph, config))
