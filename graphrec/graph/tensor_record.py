"""Bases of the records that hold tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

R = TypeVar("R")


class TensorRecord:
    """A dataclass with tensors among its fields, also in records and mappings."""

    def to(self: R, device: torch.device | str) -> R:
        """The same record with its tensors on another device; whatever else it holds stays where it is."""
        record: R = _map_tensors(self, lambda tensor: tensor.to(device))
        return record


class TensorColumns(TensorRecord):
    """A record whose tensors have one row for each of the same things, such as events or queries."""

    def rows(self: R, index: slice | Tensor) -> R:
        """The record of the rows at ``index``; a slice gives views, a tensor gives copies."""
        record: R = _map_tensors(self, lambda tensor: tensor[index])
        return record


def _map_tensors(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {name: _map_tensors(held, function) for name, held in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{part.name: _map_tensors(getattr(value, part.name), function) for part in fields(value)}
        )
    return value
