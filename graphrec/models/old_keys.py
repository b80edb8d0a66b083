"""Weight names of ``stgat`` in version 0.1 and what they are called now."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from graphrec.queries.sampling import FORMER_RELATIONS

RENAMED = (
    (r"^kin\.", "cf."),
    (r"^cf\.loud\.", "cf.propagation_weight."),
    (r"^cf\.remember\.", "cf.recency_attention."),
    (r"^cf\.propagation\.visited$", "cf.propagation.interactions"),
    (r"^cf\.propagation\.often$", "cf.propagation.log_counts"),
    (r"^cf\.later\.", "cf.transition."),
    (r"^read\.", "query_encoder."),
    (r"^since\.", "idle_gap."),
    (r"^reach\.", "distance_weights."),
    (r"^attend\.", "relation_attention."),
    (r"^(relation_attention\.[^.]+)\.read\.", r"\1.summary_attention."),
    (r"^(relation_attention\.[^.]+)\.point\.", r"\1.pointer_attention."),
    (r"^(relation_attention\.[^.]+)\.before\.", r"\1.previous_item."),
    (r"^(relation_attention\.[^.]+)\.clock\.", r"\1.calendar."),
    (r"^(relation_attention\.[^.]+)\.fading$", r"\1.path_decay"),
    *(
        (rf"^relation_attention\.{former}\.", f"relation_attention.{name}.")
        for former, name in FORMER_RELATIONS.items()
    ),
    (r"_attention\.signal_weight\.", "_attention.feature_weight."),
    (r"_attention\.gap\.", "_attention.time_gap."),
    (r"_attention\.again\.", "_attention.last_visit_gap."),
)
"""Patterns and their replacements, applied to every name in this order; a name of today matches none."""


def current_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by their names of today; other models' names stay as they are."""
    for pattern, replacement in RENAMED:
        weights = {re.sub(pattern, replacement, name): value for name, value in weights.items()}
    return dict(weights)
