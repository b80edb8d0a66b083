"""Checkpoints: weights, optimiser moments and state of a training in one safetensors file, written atomically.

Dropout and sample order are functions of (seed, step), so no state of a random generator is stored: a resumed training
ends with the same weights, bit for bit, as an uninterrupted one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from graphrec.errors import RunError, translate_errors
from graphrec.files import atomic_write
from graphrec.models.old_keys import current_names


@dataclass
class TrainingState:
    """Progress of a training."""

    graph: str = ""
    """Hash of the training graph."""
    step: int = 0
    """Optimiser steps done."""
    loss_sum: float = 0.0
    """Sum of the losses of this epoch's steps so far."""
    best: float = -1.0
    """Best validation MRR so far."""
    best_epoch: int = -1
    """Epoch of the best MRR, from 0."""
    seconds: float = 0.0
    """Wall time, over all resumptions."""
    peak_memory: int = 0
    """Peak memory of the process or the GPU so far, bytes."""
    history: list[dict[str, int | float]] = field(default_factory=list)
    """One record a finished epoch: epoch, train loss, validation metrics, learning rate, seconds."""


def save(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer | None, state: TrainingState) -> None:
    """Write weights, moments and state; without ``optimiser`` no moments (a checkpoint for ranking)."""
    tensors = {f"model.{name}": value.contiguous() for name, value in model.state_dict().items()}
    if optimiser is not None:
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, metadata={"state": json.dumps(asdict(state))})


def load(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer | None = None) -> TrainingState:
    """Load weights and moments in place; return the state."""
    broken, remedy = (OSError, SafetensorError, KeyError, TypeError, ValueError), "; train again in another --out"
    with (
        translate_errors(*broken, to=RunError, expected=f"{path}: a checkpoint expected", remedy=remedy),
        safe_open(path, "pt") as file,
    ):
        state = TrainingState(**json.loads(file.metadata()["state"]))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    other = f"{path}: the checkpoint is of another graph or of other settings"
    with translate_errors(RuntimeError, to=RunError, expected=other):
        model.load_state_dict(current_names(strip_prefix("model.", tensors)))
    if optimiser is not None:
        moments: dict[int, dict[str, Any]] = {}
        for name, value in strip_prefix("optimiser.", tensors).items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = value
        optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
    return state


def strip_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with the prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
