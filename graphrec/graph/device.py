"""Records of tensors on another device."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

Record = TypeVar("Record", bound=Any)
"""A dataclass."""


def to_device(record: Record, device: torch.device | str) -> Record:
    """The same record with its tensors on another device; whatever else it holds stays where it is."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    moved: Record = replace(record, **{name: v.to(device) for name, v in values.items() if isinstance(v, Tensor)})
    return moved
