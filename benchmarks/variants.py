"""``stgat`` with one part left out, registered as models of their own: ``model.name=stgat-no-text`` and so on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import create_model
from torch import Tensor

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.event_features import GAP_BUCKETS, N_TIME_FEATURES, EventFeatures
from graphrec.models.ranking import STGAT
from graphrec.models.registry import ModelEntry, register
from graphrec.models.stgat import NODE_TYPES, ItemTable, ModelConfig, Stgat, UserState
from graphrec.queries.sampling import Context


class NoIds(Stgat):
    """No learned vectors of nodes and no item biases: the mask that says which nodes have one is empty."""

    def __init__(self, graph: TemporalGraph, config: ModelConfig, weights: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(graph, config, weights)
        for kind in NODE_TYPES:
            self.encoder(kind).trained.zero_()


class _Stripped(Stgat):
    """A network that sees the graph without one column of its node tables."""

    column: str

    def __init__(self, graph: TemporalGraph, config: ModelConfig, weights: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(self._strip(graph), config, weights)

    def _strip(self, graph: TemporalGraph) -> TemporalGraph:
        nodes = {kind: replace(table, **{self.column: None}) for kind, table in graph.nodes.items()}
        return replace(graph, nodes=nodes)

    def attach(self, graph: TemporalGraph) -> None:
        """Read the node features that are left."""
        super().attach(self._strip(graph))

    def event_features(self, graph: TemporalGraph, context: Context, relation: str) -> EventFeatures:
        """Features of the events, from what is left."""
        return super().event_features(self._strip(graph), context, relation)


class NoText(_Stripped):
    """No text vectors."""

    column = "vectors"


class NoPlace(_Stripped):
    """No coordinates: neither places nor distances."""

    column = "coordinates"


class NoTime(Stgat):
    """No calendar, no time similarity and no time gaps; the order of events stays."""

    def query_time(self, graph: TemporalGraph, context: Context) -> tuple[Tensor, Tensor]:
        """Zeros, and the gap of a user without events."""
        calendar, idle_gap = super().query_time(graph, context)
        return torch.zeros_like(calendar), torch.full_like(idle_gap, GAP_BUCKETS)

    def event_features(self, graph: TemporalGraph, context: Context, relation: str) -> EventFeatures:
        """Features of the events with zeros for those of time."""
        events = super().event_features(graph, context, relation)
        scalars = events.scalars.clone()
        scalars[..., :N_TIME_FEATURES] = 0
        return replace(
            events,
            scalars=scalars,
            calendar=torch.zeros_like(events.calendar),
            time_gap=torch.zeros_like(events.time_gap),
            last_visit_gap=torch.where(events.last_visit_gap < GAP_BUCKETS, 0, GAP_BUCKETS),
        )


class NoPointers(Stgat):
    """No pointers: the semantic part has the whole probability."""

    def forward(self, graph: TemporalGraph, context: Context, items: ItemTable) -> UserState:
        """The state with a mixture of one part."""
        state = super().forward(graph, context, items)
        weights = torch.full_like(state.log_mixture_weights, -1e9)
        weights[:, 0] = 0
        return replace(state, log_mixture_weights=weights)


VARIANTS: dict[str, type[Stgat]] = {
    "stgat-no-ids": NoIds,
    "stgat-no-text": NoText,
    "stgat-no-place": NoPlace,
    "stgat-no-time": NoTime,
    "stgat-no-pointers": NoPointers,
}


def register_variants() -> None:
    """Make the variants known to ``train``, ``Run`` and ``RunConfig`` in this process."""
    for name, network in VARIANTS.items():
        fields: dict[str, Any] = {"name": (Literal[name], name)}  # type: ignore[valid-type]
        config = create_model(f"{network.__name__}Config", __base__=ModelConfig, **fields)
        register(
            ModelEntry(config, create=network, loss=STGAT.loss, training_set=STGAT.training_set, ranker=STGAT.ranker)
        )
