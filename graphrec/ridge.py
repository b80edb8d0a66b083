"""What a ridge regression of every item on all others expects, fitted without the user who asks.

EASE (Steck 2019, arXiv 1905.03375) has a closed form: with ``P = (X'X + r I)^-1`` of the visits ``X`` [users, items],
an item j is expected with ``-sum_i s_i P_ij / P_jj`` over the other items i of a history ``s``. Two identities make it
fit for training, where a question must not find itself through its own user's row x:

- ``P = (I - X' K^-1 X) / r`` with ``K = X X' + r I`` [users, users] (Woodbury 1950), so that no matrix of items x items
  is ever held: it takes 4 bytes for each pair of users.
- without x, ``P`` gains ``a a' / (1 - x a)`` with ``a = P x = X' K^-1[u]`` and ``1 - x a = r K^-1[u, u]`` (Sherman and
  Morrison 1950).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from graphrec.errors import ConfigError
from graphrec.propagation import SMALLEST, matrix

USERS = 10_000
"""Largest number of users that it is fitted to: two matrices of users x users, 0.8 GB, and half a minute."""
BLOCK = 10_000_000
"""Numbers held at once beside these while it is fitted."""


class Ridge(nn.Module):
    """The regression over the visits of the train split."""

    inverse: Tensor
    diagonal: Tensor
    to_users: Tensor
    to_items: Tensor

    def __init__(
        self, visited: Int64[Tensor, "2 pairs"], often: Float[Tensor, " pairs"], shape: tuple[int, int], ridge: float
    ) -> None:
        """Fit to (user, item) pairs, by user, with their strengths; ``shape`` counts users and items."""
        super().__init__()
        users, items = shape
        if users > USERS:
            raise ConfigError(f"ridge={ridge:g}: a graph of at most {USERS:,} users expected, this one has {users:,}")
        self.ridge, self.known = ridge, max(1, len(torch.unique(visited[1])))
        self.register_buffer("to_users", matrix(visited[0], visited[1], often, (users, items)), persistent=False)
        self.register_buffer("to_items", matrix(visited[1], visited[0], often, (items, users)), persistent=False)
        self.register_buffer("inverse", inverse_gram(visited[0], visited[1], often, shape, ridge), persistent=False)
        explained = often.new_zeros(items)  # the diagonal of X' K^-1 X
        for block in _blocks(shape):
            user, item, strength = _of_rows(visited[0], visited[1], often, block)
            through = (self.to_items @ self.inverse[:, block])[item, user]
            explained.index_add_(0, item, through * strength)
        self.register_buffer("diagonal", (1 - explained) / ridge, persistent=False)

    @torch.no_grad()
    def forward(
        self, history: Float[Tensor, "batch items"], user: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch items"]:
        """What is expected beside a history, in units of its root mean square over visited items.

        A user of -1 has no row to leave out.
        """
        signal, known, safe = history.T.float().contiguous(), user >= 0, user.clamp(min=0)
        own = self.to_items @ (self.inverse[:, safe] * known)  # a, [items, batch]
        left = torch.where(known, self.ridge * self.inverse[safe, safe], 1.0)
        reached = (signal - self.to_items @ (self.inverse @ (self.to_users @ signal))) / self.ridge
        reached = reached + own * ((signal * own).sum(0) / left)
        expected = signal - reached / (self.diagonal[:, None] + own.square() / left)
        return (expected * (expected.square().sum(0) / self.known + SMALLEST).rsqrt()).T


def inverse_gram(
    row: Int64[Tensor, " n"],
    column: Int64[Tensor, " n"],
    value: Float[Tensor, " n"],
    shape: tuple[int, int],
    ridge: float,
) -> Float[Tensor, "rows rows"]:
    """``(X X' + ridge I)^-1`` of a sparse matrix X; what stands at one place twice is added up."""
    sparse, gram = matrix(row, column, value, shape), value.new_empty(shape[0], shape[0])
    for block in _blocks(shape):
        inside, there, strength = _of_rows(row, column, value, block)
        dense = value.new_zeros(shape[1], block.stop - block.start)
        gram[:, block] = sparse @ dense.index_put_((there, inside), strength, accumulate=True)
    gram.diagonal().add_(ridge)
    torch.linalg.cholesky(gram, out=gram)
    return torch.cholesky_inverse(gram)


def _blocks(shape: tuple[int, int]) -> list[slice]:
    """Rows that are dense at once."""
    size = max(1, BLOCK // max(shape[1], 1))
    return [slice(start, min(start + size, shape[0])) for start in range(0, shape[0], size)]


def _of_rows(row: Tensor, column: Tensor, value: Tensor, block: slice) -> tuple[Tensor, Tensor, Tensor]:
    """Place in the block, column and value of what stands in some rows."""
    chosen = (row >= block.start) & (row < block.stop)
    return row[chosen] - block.start, column[chosen], value[chosen]
