"""graphrec: graph-based recommendation in time and space.

Everything that happened has a time, and every question is asked as of a time:

>>> from graphrec import Run, recommend          # doctest: +SKIP
>>> run = Run.open("city/run")                   # doctest: +SKIP
>>> recommend(run, ["u0001"], k=5)               # doctest: +SKIP

Names are imported at first use, so that a command's ``--help`` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "AttentionFlow": "evidence.flow",
    "AttentionProfile": "evidence.attention_profile",
    "Change": "interest.change_points",
    "Cohorts": "interest.cohorts",
    "ConfigError": "errors",
    "Events": "graph.events",
    "Forecast": "interest.forecast",
    "GraphError": "errors",
    "GraphrecError": "errors",
    "HabitualPlaces": "interest.habitual_places",
    "History": "interest.history",
    "InputError": "errors",
    "InterestGroups": "interest.cohorts",
    "InterestOverTime": "interest.over_time",
    "MappingError": "errors",
    "MissingPackage": "errors",
    "ModelConfig": "models.stgat",
    "Nodes": "graph.nodes",
    "Place": "interest.habitual_places",
    "Profile": "interest.profile",
    "EvaluationProtocol": "queries.protocol",
    "Queries": "queries.query",
    "Ranker": "models.ranking",
    "Recommendation": "evidence.shares",
    "Relation": "graph.relation",
    "Run": "runs.run",
    "RunConfig": "runs.config",
    "RunError": "errors",
    "Sentence": "interest.profile",
    "Stgat": "models.stgat",
    "TemporalGraph": "graph.temporal_graph",
    "TrainingConfig": "runs.config",
    "activity_changes": "interest.change_points",
    "adjacency": "graph.conversion",
    "as_hetero_data": "subgraph.export",
    "attention_flow": "evidence.flow",
    "centralities": "subgraph.centrality",
    "co_visited": "subgraph.motifs",
    "cohorts_by_interest": "interest.cohorts",
    "cohorts_by_start": "interest.cohorts",
    "communities": "subgraph.community",
    "difference": "subgraph.ego",
    "draw_ego": "pictures.ego",
    "draw_embedding": "pictures.embedding",
    "draw_faithfulness": "pictures.faithfulness",
    "draw_flow": "pictures.flow",
    "draw_groups": "pictures.interest",
    "draw_interest": "pictures.stream",
    "draw_outlook": "pictures.interest",
    "draw_places": "pictures.places",
    "draw_profile": "pictures.attention_profile",
    "draw_retention": "pictures.interest",
    "draw_shares": "pictures.shares",
    "ego": "subgraph.ego",
    "evaluate": "evaluation.evaluation",
    "expected_rank": "metrics",
    "explain": "evidence.shares",
    "find_motifs": "subgraph.motifs",
    "forecast_interest": "interest.forecast",
    "hour_of_week": "pictures.week",
    "interactive_ego": "pictures.interactive",
    "interactive_map": "pictures.interactive",
    "interest_changes": "interest.change_points",
    "interest_over_time": "interest.over_time",
    "learn_rates": "interest.forecast",
    "measure_faithfulness": "evidence.faithfulness",
    "model_neighbourhood": "subgraph.neighbourhood",
    "path_between": "subgraph.shortest_path",
    "personalised_pagerank": "subgraph.pagerank",
    "place_changes": "interest.change_points",
    "places_of": "interest.habitual_places",
    "profile_attention": "evidence.attention_profile",
    "recommend": "recommendation",
    "sample": "queries.sampling",
    "summarise": "metrics",
    "train": "training.trainer",
    "user_profile": "interest.profile",
    "write_subgraph": "subgraph.export",
}
"""Public names and the files they live in."""

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'graphrec' has no attribute {name!r}")
    return getattr(import_module(f"graphrec.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
