"""Networks for tests: with random weights, the same weights over another graph, or briefly trained."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.losses import MixtureNLL
from graphrec.models.ranking import StgatRanker
from graphrec.models.stgat import NODE_TYPES, ModelConfig, Stgat
from graphrec.queries.query import Queries


def settings(**changes: Any) -> ModelConfig:
    """A small network without dropout."""
    small: dict[str, Any] = {
        "dimension": 16,
        "heads": 2,
        "fan_out": {"own_history": 6, "transitions": 5, "nearby": 4},
        "dropout": 0.0,
        "id_dropout": 0.0,
    }
    return ModelConfig(**{**small, **changes})


def initial(world: TemporalGraph, ids: bool = True, **changes: Any) -> Stgat:
    """A network as training starts from it; without ``ids`` no node has a learned vector or bias."""
    model = Stgat(world, settings(**changes))
    if not ids:
        for kind in NODE_TYPES:
            model.encoder(kind).trained.zero_()
    return model


def untrained(world: TemporalGraph, seed: int, spread: float = 0.3, ids: bool = True, **changes: Any) -> Stgat:
    """Every weight moved at random, also those that training would start from zero: nothing is switched off."""
    torch.manual_seed(seed)
    model = initial(world, ids, **changes)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(spread * torch.randn_like(weight))
    return model.eval()


def again(model: Stgat, world: TemporalGraph) -> Stgat:
    """The same weights over another graph that has all the nodes of the first, as opening a run does."""
    weights = model.state_dict()
    moved = Stgat(world, model.config, weights)
    moved.load_state_dict(weights)
    return moved.eval()


def trained(
    world: TemporalGraph,
    queries: Queries,
    target: Int64[Tensor, " n"],
    seed: int,
    steps: int = 200,
    ids: bool = True,
    **changes: Any,
) -> Stgat:
    """A network fitted to questions and their answers with a few hundred steps of Adam."""
    torch.manual_seed(seed)
    model = initial(world, ids, **changes)
    loss = MixtureNLL(model, world, negatives=0, full_softmax=10**6).train()
    optimiser = torch.optim.Adam(loss.parameters(), lr=1e-2)
    for _ in range(steps):
        batch = torch.randint(0, len(target), (64,))
        optimiser.zero_grad()
        loss(queries.rows(batch), target[batch]).backward()
        optimiser.step()
    return model.eval()


def scores(world: TemporalGraph, model: Stgat, queries: Queries) -> Float[Tensor, "batch items"]:
    """Scores of the whole catalogue; -inf for items that a question cannot know."""
    ranker = StgatRanker(world, model)
    return ranker.scores(ranker.forward(queries), slice(0, len(world.nodes["item"])))
