"""Pooling of token vectors to one vector per text, as the files of a model define it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

Tokens = Float[Tensor, "batch tokens d"]
Mask = Int[Tensor, "batch tokens"]
Pooled = Float[Tensor, "batch d"]


def first_token(tokens: Tokens, mask: Mask) -> Pooled:
    """The first token that is not padding, on either side (``cls``)."""
    return _take(tokens, mask.argmax(dim=1))


def last_token(tokens: Tokens, mask: Mask) -> Pooled:
    """The last token that is not padding; in a causal model it attends to the whole text."""
    return _take(tokens, tokens.shape[1] - 1 - mask.flip(1).argmax(dim=1))


def mean(tokens: Tokens, mask: Mask) -> Pooled:
    """The mean over tokens."""
    return _sum(tokens, mask) / mask.sum(1, keepdim=True).clamp(min=1)


def mean_by_root(tokens: Tokens, mask: Mask) -> Pooled:
    """The sum over tokens divided by the square root of their number."""
    return _sum(tokens, mask) / mask.sum(1, keepdim=True).clamp(min=1).sqrt()


def weighted_mean(tokens: Tokens, mask: Mask) -> Pooled:
    """The mean with weights 1, 2, 3, ... from the first token on."""
    return mean(tokens, mask * mask.cumsum(1))


def maximum(tokens: Tokens, mask: Mask) -> Pooled:
    """The elementwise maximum over tokens."""
    return tokens.masked_fill(mask[..., None] == 0, float("-inf")).amax(dim=1)


POOLINGS: dict[str, Callable[[Tokens, Mask], Pooled]] = {
    "cls": first_token,
    "max": maximum,
    "mean": mean,
    "mean_sqrt_len_tokens": mean_by_root,
    "weightedmean": weighted_mean,
    "lasttoken": last_token,
}
"""Poolings by their name in model files; several are concatenated in this order."""


def pool(tokens: Tokens, mask: Mask, modes: tuple[str, ...]) -> Float[Tensor, "batch d_text"]:
    """Text vectors, [batch, d * len(modes)] float32; ``mask`` is 0 on tokens to ignore."""
    return torch.cat([POOLINGS[mode](tokens.float(), mask) for mode in modes], dim=1)


def _take(tokens: Tokens, position: Int[Tensor, " batch"]) -> Pooled:
    return tokens[torch.arange(len(tokens), device=tokens.device), position]


def _sum(tokens: Tokens, mask: Mask) -> Pooled:
    return (tokens * mask[..., None]).sum(1)
