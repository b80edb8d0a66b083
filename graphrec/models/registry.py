"""Registry of the models that ``--model`` names.

A new model is one file, which ends with its `ModelEntry`, and one line in ``BUILT_IN``. An installed package adds one
without a line here, through an entry point of its ``pyproject.toml``:

    [project.entry-points."graphrec.models"]
    neumf = "its_module:NEUMF"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from pydantic import Field, model_validator
from torch import Tensor, nn

from graphrec.errors import ConfigError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.hyperparameters import Hyperparameters
from graphrec.models.ranker import Ranker
from graphrec.models.score_ranker import ItemScorer, ScoreRanker
from graphrec.models.training_set import TrainingSet, interactions
from graphrec.queries.protocol import EvaluationProtocol
from graphrec.suggestion import did_you_mean

BUILT_IN = {
    "stgat": "graphrec.models.ranking:STGAT",
    "sasrec": "graphrec.models.sasrec:SASREC",
    "lightgcn": "graphrec.models.lightgcn:LIGHTGCN",
    "als": "graphrec.models.matrix_factorization:ALS",
    "bpr": "graphrec.models.matrix_factorization:BPR",
    "ease": "graphrec.models.item_to_item:EASE",
    "item-knn": "graphrec.models.item_to_item:ITEM_KNN",
    "slit": "graphrec.models.slit:SLIT",
}
"""Module and attribute of each model's entry."""
GROUP = "graphrec.models"
"""Entry points by which other packages add models."""
LONG_TRAINING = {"weight_decay": 0.0, "epochs": 100, "patience": 10}
"""Settings of the training of models that learn vectors of ids alone."""
_registered: dict[str, ModelEntry[Any, Any]] = {}


class ModelHyperparameters(Hyperparameters):
    """Hyperparameters of a model; a subclass gives ``name`` a literal type and that name as its default."""

    name: str
    """Name of the model."""


class AttentionHyperparameters(ModelHyperparameters):
    """Hyperparameters of a model with multi-head attention."""

    dimension: int = Field(default=64, ge=4)
    """Length of vectors and states."""
    heads: int = Field(default=1, ge=1)
    """Attention heads; divides the dimension."""

    @model_validator(mode="after")
    def _heads_share_the_dimension(self) -> AttentionHyperparameters:
        if self.dimension % self.heads:
            raise ValueError(f"dimension {self.dimension} cannot be shared by {self.heads} heads; take a multiple")
        return self


@runtime_checkable
class NonGradientModel(ItemScorer, Protocol):
    """A model that is fitted without gradient steps: in closed form, by counting, or by another library."""

    def fit(self, seed: int) -> None:
        """Fit to the train split."""

    def tensors(self) -> dict[str, Tensor]:
        """What was fitted, to be stored."""

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Load what was stored."""


Model = nn.Module | NonGradientModel
C = TypeVar("C", bound=ModelHyperparameters)
M = TypeVar("M")


@dataclass(frozen=True)
class LossOptions:
    """Settings of the training that a loss may read."""

    negatives: int
    """Sampled items per batch where the catalogue is larger than ``full_softmax``."""
    full_softmax: int
    """Largest catalogue over which a softmax is computed in full."""
    novel: bool = False
    """Targets are first visits, with unvisited items as candidates."""


@dataclass(frozen=True)
class ModelEntry(Generic[C, M]):
    """What training, evaluation and the command line have to know of a model."""

    config: type[C]
    """Hyperparameters; the default of their field ``name`` is the model's name."""
    create: Callable[[TemporalGraph, C, Mapping[str, Tensor] | None], M]
    """An untrained model over a graph, in the shapes of the weights that are to be loaded into it, if there are any."""
    loss: Callable[[M, TemporalGraph, LossOptions], nn.Module] | None = None
    """The module whose output, called with a batch of the training set, is minimised; None: `NonGradientModel`."""
    training_set: Callable[[M, TemporalGraph, EvaluationProtocol], TrainingSet] = interactions
    """The samples of a gradient training; by default the train events as pairs of user and item."""
    ranker: Callable[[TemporalGraph, Any], Ranker] = ScoreRanker
    """What ranks with the trained model; by default by the ``scores`` of an `ItemScorer`."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the training (``graphrec.runs.config.TrainingConfig``) whose defaults differ for this model."""

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.config.model_fields["name"].default)


def register(entry: ModelEntry[Any, Any]) -> None:
    """Add a model for this process, in place of one registered under its name; ConfigError for a built-in name."""
    if entry.name in BUILT_IN:
        raise ConfigError(f"model {entry.name!r}: graphrec has a model of this name; register yours under another")
    _registered[entry.name] = entry


def model_names() -> list[str]:
    """Names of all models, of which none is imported: built in, of installed packages, and registered here."""
    return list(dict.fromkeys([*BUILT_IN, *(point.name for point in entry_points(group=GROUP)), *_registered]))


def model_entry(name: str) -> ModelEntry[Any, Any]:
    """The entry of a model. ConfigError for an unknown name, or for a package whose entry cannot be loaded."""
    if name in _registered:
        return _registered[name]
    if name in BUILT_IN:
        return _load(EntryPoint(name, BUILT_IN[name], GROUP))
    for point in entry_points(group=GROUP, name=name):
        return _load(point)
    known = model_names()
    raise ConfigError(f"model {name!r}: one of {', '.join(known)} expected{did_you_mean(name, known)}")


@cache
def _load(point: EntryPoint) -> ModelEntry[Any, Any]:
    try:
        entry = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"model {point.name}: {point.value} cannot be imported ({error})") from error
    if not isinstance(entry, ModelEntry) or entry.name != point.name:
        raise ConfigError(f"model {point.name}: a ModelEntry of this name expected at {point.value}, got {entry!r}")
    return entry


def load_model(graph: TemporalGraph, config: ModelHyperparameters, weights: Mapping[str, Tensor]) -> Model:
    """A model with stored weights, ready to rank, over the graph of its training or one grown from it.

    KeyError and RuntimeError: the weights are of another model or of other hyperparameters.
    """
    model: Model = model_entry(config.name).create(graph, config, weights)
    if isinstance(model, nn.Module):
        model.load_state_dict(dict(weights))
        return model.eval()
    model.restore(weights)
    return model


def ranker_of(graph: TemporalGraph, model: Model, config: ModelHyperparameters) -> Ranker:
    """The ranker of a model over a graph."""
    return model_entry(config.name).ranker(graph, model.eval() if isinstance(model, nn.Module) else model)
