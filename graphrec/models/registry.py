"""Every model that ``--model`` names: its settings, how it is made, what it learns from and how it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from jaxtyping import Int64
from pydantic import BaseModel, Field
from torch import Tensor, nn

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.hyperparameters import Hyperparameters
from graphrec.models.item_to_item import Ease, EaseConfig, ItemKNN, ItemKNNConfig
from graphrec.models.lightgcn import LightGCN, LightGCNConfig, Pairs
from graphrec.models.losses import MixtureNLL, SoftmaxNLL
from graphrec.models.matrix_factorization import AlsConfig, BprConfig, Factors
from graphrec.models.ranker import Ranker
from graphrec.models.ranking import StgatRanker
from graphrec.models.sasrec import Sasrec, SasrecConfig, Windows
from graphrec.models.score_ranker import ScoreRanker
from graphrec.models.stgat import ModelConfig, Stgat
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.queries.query import Queries

Settings = Annotated[
    ModelConfig | SasrecConfig | LightGCNConfig | AlsConfig | BprConfig | EaseConfig | ItemKNNConfig,
    Field(discriminator="name"),
]
"""Settings of any model, told apart by its name."""
NETWORKS = (ModelConfig, SasrecConfig, LightGCNConfig)
"""Settings of models that are trained step by step; the others are fitted in one go."""
Network = Stgat | Sasrec | LightGCN
"""Models that are trained step by step."""
AtOnce = Factors | Ease | ItemKNN
"""Models that are fitted in one go."""
Model = Network | AtOnce
CONFIGS: dict[str, type[Hyperparameters]] = {
    "stgat": ModelConfig,
    "sasrec": SasrecConfig,
    "lightgcn": LightGCNConfig,
    "als": AlsConfig,
    "bpr": BprConfig,
    "ease": EaseConfig,
    "item-knn": ItemKNNConfig,
}
"""Class of each model's settings, by its name."""
_LONG = {"weight_decay": 0.0, "epochs": 100, "patience": 10}
TRAINING: dict[str, dict[str, Any]] = {
    "sasrec": {**_LONG, "batch_size": 64, "learning_rate": 1e-3, "min_steps": 4000},
    "lightgcn": {**_LONG, "batch_size": 2048, "learning_rate": 5e-3, "min_steps": 2000},
}
"""Settings of the training that differ from those of ``stgat``; a unit of ``sasrec`` is a window of a user's events."""


def restored(graph: TemporalGraph, config: BaseModel, weights: Mapping[str, Tensor]) -> Model:
    """A model over a graph with weights that were learned on it, or before it grew; ready to be asked.

    KeyError and RuntimeError tell that the weights are of another model or of other settings.
    """
    if isinstance(config, NETWORKS):
        network = new_network(graph, config, weights)
        network.load_state_dict(dict(weights))
        return network.eval()
    model = at_once(graph, config)
    model.restore(weights)
    return model


def new_network(graph: TemporalGraph, config: BaseModel, weights: Mapping[str, Tensor] | None = None) -> Network:
    """A network over a graph, not trained yet; as large as ``weights`` that are to be loaded into it."""

    def learned(name: str) -> int | None:
        return None if weights is None else len(weights[name])

    if isinstance(config, ModelConfig):
        return Stgat(graph, config, weights)
    if isinstance(config, SasrecConfig):
        return Sasrec(graph, config, learned("item.weight"))
    if isinstance(config, LightGCNConfig):
        return LightGCN(graph, config, weights)
    raise TypeError(f"settings of a network expected, got {config!r}")


def at_once(graph: TemporalGraph, config: BaseModel) -> AtOnce:
    """A model that is fitted in one go, not fitted yet."""
    if isinstance(config, EaseConfig):
        return Ease(graph, config)
    if isinstance(config, ItemKNNConfig):
        return ItemKNN(graph, config)
    if isinstance(config, AlsConfig | BprConfig):
        return Factors(graph, config)
    raise TypeError(f"settings of a model that is fitted in one go expected, got {config!r}")


def loss_of(model: Network, graph: TemporalGraph, negatives: int, full_softmax: int, novel: bool = False) -> nn.Module:
    """What training minimises; it is given units of `units_of`."""
    if isinstance(model, Stgat):
        return MixtureNLL(model, graph, negatives, full_softmax, novel)
    return SoftmaxNLL(model, graph, negatives, full_softmax)


def units_of(model: Network, graph: TemporalGraph, protocol: EvaluationProtocol) -> Questions | Windows | Pairs:
    """What a training goes through: train events with their questions, windows of them, or pairs."""
    rows = protocol.training_rows(graph)
    if isinstance(model, Sasrec):
        return Windows(graph, rows, model.config.window)
    if isinstance(model, LightGCN):
        return Pairs(graph, rows)
    return Questions(protocol.queries(graph, rows), graph.log.item[rows].long())


def ranker_of(graph: TemporalGraph, model: Model) -> Ranker:
    """The model over a graph, to be asked."""
    if isinstance(model, Stgat):
        return StgatRanker(graph, model)
    return ScoreRanker(graph, model.eval() if isinstance(model, nn.Module) else model)


class Questions:
    """The questions that train events answered, with their answers."""

    def __init__(self, queries: Queries, target: Int64[Tensor, " rows"]) -> None:
        self.queries, self.target = queries, target

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, index: Int64[Tensor, " batch"]) -> tuple[Queries, Tensor]:
        """Some questions and their answers."""
        return self.queries.rows(index), self.target[index]
