"""Matrix factorisation by the library implicit: alternating least squares, and Bayesian personalised ranking.

Both learn a vector for each user and item of the train split. ``als`` makes a user's vector anew from what each
question may see; ``bpr`` keeps the one that it learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float32, Float64
from pydantic import Field
from torch import Tensor

from graphrec.errors import ConfigError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.hyperparameters import ModelHyperparameters
from graphrec.models.item_to_item import train_counts, visit_counts
from graphrec.models.registry import ModelEntry
from graphrec.queries.query import Queries

ALPHA = 1.0
"""What a visit more adds to the confidence in a pair."""


class AlsConfig(ModelHyperparameters):
    """Settings of ``als``: Hu, Koren, Volinsky 2008, "Collaborative filtering for implicit feedback datasets"."""

    renamed: ClassVar[Mapping[str, str]] = {"ridge": "regularization", "rounds": "iterations"}

    name: Literal["als"] = "als"
    dimension: int = Field(default=64, ge=1)
    """Length of the vectors."""
    regularization: float = Field(default=0.05, ge=0)
    """Weight of their squared length."""
    iterations: int = Field(default=15, ge=1)
    """How often users and items are solved in turn."""


class BprConfig(ModelHyperparameters):
    """Settings of ``bpr``: Rendle et al. 2009, "BPR: Bayesian personalized ranking from implicit feedback"."""

    renamed: ClassVar[Mapping[str, str]] = {"ridge": "regularization", "rounds": "iterations", "rate": "learning_rate"}

    name: Literal["bpr"] = "bpr"
    dimension: int = Field(default=64, ge=1)
    """Length of the vectors."""
    regularization: float = Field(default=0.01, ge=0)
    """Weight of their squared length."""
    learning_rate: float = Field(default=0.05, gt=0)
    """Step size."""
    iterations: int = Field(default=100, ge=1)
    """Passes over the visits."""


class Factors:
    """Vectors of users and items, fitted at once."""

    user: Float32[Tensor, "users d"]
    item: Float32[Tensor, "items d"]

    def __init__(self, graph: TemporalGraph, config: AlsConfig | BprConfig) -> None:
        self.graph, self.config, self.name = graph, config, config.name

    def fit(self, seed: int) -> None:
        """Learn the vectors from the train split."""
        with _one_thread_of_blas(self.name):
            model = _implicit(self.config, seed)
            model.fit(scipy.sparse.csr_matrix(train_counts(self.graph), dtype=np.float32), show_progress=False)
        self.user, self.item = torch.from_numpy(model.user_factors), torch.from_numpy(model.item_factors)

    def tensors(self) -> dict[str, Tensor]:
        """What was learned, one row a user and a row an item."""
        return {"user.weight": self.user, "item.weight": self.item}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take what was learned before."""
        self.user, self.item = tensors["user.weight"], tensors["item.weight"]

    def scores(self, queries: Queries) -> Float64[Tensor, "batch items"]:
        """Products of the users' vectors with the items'; 0 for what training never saw."""
        users = self._of_history(queries) if self.name == "als" else self._learned(queries)
        scores = torch.zeros(len(queries), len(self.graph.nodes["item"]), dtype=torch.float64)
        scores[:, : len(self.item)] = (users @ self.item.T).double()
        return scores.to(queries.time.device)

    def _learned(self, queries: Queries) -> Float32[Tensor, "batch d"]:
        user = queries.user.cpu()
        known = (user >= 0) & (user < len(self.user))
        return self.user[torch.where(known, user, 0)] * known[:, None]

    def _of_history(self, queries: Queries) -> Float32[Tensor, "batch d"]:
        visits = scipy.sparse.csr_matrix(visit_counts(self.graph, queries)[:, : len(self.item)], dtype=np.float32)
        with _one_thread_of_blas(self.name):
            model = _implicit(self.config, 0)
            model.item_factors = self.item.numpy()
            return torch.from_numpy(model.recalculate_user(np.arange(len(queries)), visits))


def _one_thread_of_blas(name: str) -> AbstractContextManager[Any]:
    """The library's own threads each use BLAS; so many times more threads would be in each other's way."""
    try:
        import implicit  # noqa: F401 - it brings the next one
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise ConfigError(f"model {name}: needs the library implicit; pip install 'graphrec[implicit]'") from error
    limits: AbstractContextManager[Any] = threadpool_limits(1, "blas")
    return limits


def _implicit(config: AlsConfig | BprConfig, seed: int) -> Any:
    """The library's model; one thread for ``bpr``, whose threads would race for a result."""
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    if isinstance(config, AlsConfig):
        return AlternatingLeastSquares(
            config.dimension, config.regularization, ALPHA, iterations=config.iterations, random_state=seed
        )
    return BayesianPersonalizedRanking(
        config.dimension,
        config.learning_rate,
        config.regularization,
        iterations=config.iterations,
        num_threads=1,
        random_state=seed,
    )


ALS = ModelEntry(AlsConfig, create=lambda graph, config, weights: Factors(graph, config))
BPR = ModelEntry(BprConfig, create=lambda graph, config, weights: Factors(graph, config))
