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
    "AttentionFlow": "flow",
    "AttentionProfile": "attention_profile",
    "Change": "change_points",
    "Cohorts": "cohorts",
    "ConfigError": "errors",
    "Events": "events",
    "Forecast": "forecast",
    "GraphError": "errors",
    "GraphrecError": "errors",
    "HabitualPlaces": "habitual_places",
    "History": "history",
    "InputError": "errors",
    "InterestGroups": "cohorts",
    "InterestOverTime": "interest",
    "MappingError": "errors",
    "MissingPackage": "errors",
    "ModelConfig": "model",
    "Nodes": "graph",
    "Place": "habitual_places",
    "Profile": "profile",
    "Protocol": "protocol",
    "Queries": "query",
    "Ranker": "ranking",
    "Recommendation": "evidence",
    "Relation": "relation",
    "Run": "run",
    "RunConfig": "config",
    "RunError": "errors",
    "Sentence": "profile",
    "Stgat": "model",
    "TemporalGraph": "graph",
    "TrainingConfig": "config",
    "activity_changes": "change_points",
    "adjacency": "subgraph",
    "as_hetero_data": "export",
    "attention_flow": "flow",
    "centralities": "centrality",
    "co_visited": "motifs",
    "cohorts_by_interest": "cohorts",
    "cohorts_by_start": "cohorts",
    "communities": "community",
    "difference": "subgraph",
    "draw_ego": "pictures",
    "draw_embedding": "embedding_map",
    "draw_faithfulness": "evidence_pictures",
    "draw_flow": "evidence_pictures",
    "draw_groups": "interest_pictures",
    "draw_interest": "pictures",
    "draw_outlook": "interest_pictures",
    "draw_places": "place_map",
    "draw_profile": "evidence_pictures",
    "draw_retention": "interest_pictures",
    "draw_shares": "pictures",
    "ego": "subgraph",
    "evaluate": "evaluation",
    "expected_rank": "metrics",
    "explain": "evidence",
    "find_motifs": "motifs",
    "forecast_interest": "forecast",
    "hour_of_week": "pictures",
    "interactive_ego": "interactive",
    "interactive_map": "interactive",
    "interest_changes": "change_points",
    "interest_over_time": "interest",
    "learn_rates": "forecast",
    "measure_faithfulness": "faithfulness",
    "model_neighbourhood": "neighbourhood",
    "path_between": "connection",
    "personalised_pagerank": "pagerank",
    "place_changes": "change_points",
    "places_of": "habitual_places",
    "profile_attention": "attention_profile",
    "recommend": "recommendation",
    "sample": "sampling",
    "summarise": "metrics",
    "train": "training",
    "user_profile": "profile",
    "write_subgraph": "export",
}
"""Public names and the files they live in."""

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'graphrec' has no attribute {name!r}")
    return getattr(import_module(f"graphrec.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
