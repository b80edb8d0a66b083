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
    "ConfigError": "errors",
    "Events": "events",
    "GraphError": "errors",
    "GraphrecError": "errors",
    "InputError": "errors",
    "InterestOverTime": "interest",
    "MappingError": "errors",
    "MissingPackage": "errors",
    "ModelConfig": "model",
    "Nodes": "graph",
    "Protocol": "protocol",
    "Queries": "query",
    "Ranker": "ranking",
    "Recommendation": "evidence",
    "Relation": "relation",
    "Run": "run",
    "RunConfig": "config",
    "RunError": "errors",
    "Stgat": "model",
    "TemporalGraph": "graph",
    "TrainingConfig": "config",
    "adjacency": "subgraph",
    "as_hetero_data": "export",
    "attention_flow": "flow",
    "centralities": "centrality",
    "co_visited": "motifs",
    "communities": "community",
    "difference": "subgraph",
    "draw_ego": "pictures",
    "draw_embedding": "embedding_map",
    "draw_faithfulness": "evidence_pictures",
    "draw_flow": "evidence_pictures",
    "draw_interest": "pictures",
    "draw_profile": "evidence_pictures",
    "draw_shares": "pictures",
    "ego": "subgraph",
    "evaluate": "evaluation",
    "expected_rank": "metrics",
    "explain": "evidence",
    "find_motifs": "motifs",
    "hour_of_week": "pictures",
    "interactive_ego": "interactive",
    "interactive_map": "interactive",
    "interest_over_time": "interest",
    "measure_faithfulness": "faithfulness",
    "model_neighbourhood": "neighbourhood",
    "path_between": "connection",
    "personalised_pagerank": "pagerank",
    "profile_attention": "attention_profile",
    "recommend": "recommendation",
    "sample": "sampling",
    "summarise": "metrics",
    "train": "training",
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
