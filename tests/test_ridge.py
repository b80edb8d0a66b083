"""The regression against one that is fitted anew, without the user, for each question."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import graphrec.ridge
from graphrec.errors import ConfigError
from graphrec.ridge import Ridge


def drawn(seed: int, users: int = 9, items: int = 14) -> Tensor:
    """Visits with an idle user, an item without a visit and repeats."""
    generator = torch.Generator().manual_seed(seed)
    visits = torch.poisson(torch.full((users, items), 0.4), generator)
    visits[3], visits[:, 5] = 0, 0
    return visits


def fitted(visits: Tensor, ridge: float) -> Ridge:
    pairs = visits.nonzero().T.contiguous()
    return Ridge(pairs, visits[pairs[0], pairs[1]], (visits.shape[0], visits.shape[1]), ridge)


def slow(visits: Tensor, history: Tensor, ridge: float, known: int) -> Tensor:
    """Each item on all others by the normal equations, one at a time; Steck 2019."""
    x = visits.double()
    expected = torch.zeros(x.shape[1], dtype=torch.float64)
    for item in range(x.shape[1]):
        rest = torch.arange(x.shape[1]) != item
        others = x[:, rest]
        gram = others.T @ others + ridge * torch.eye(int(rest.sum()), dtype=torch.float64)
        expected[item] = history.double()[rest] @ torch.linalg.solve(gram, others.T @ x[:, item])
    return expected / (expected.square().sum() / known).sqrt()


@pytest.mark.parametrize("block", [3, 10_000_000])
@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000))
def test_a_question_is_answered_by_a_regression_without_its_user(block: int, seed: int) -> None:
    visits, ridge = drawn(seed), 2.0
    history = torch.rand(3, 14) * (torch.rand(3, 14) < 0.4)
    history[:, 0] = 1.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphrec.ridge, "BLOCK", block)
        found = fitted(visits, ridge)(history, torch.tensor([2, 3, -1]))
    for row, user in enumerate((2, 3, None)):
        others = visits.clone()
        if user is not None:
            others[user] = 0
        wanted = slow(others, history[row], ridge, int(visits.any(0).sum()))
        torch.testing.assert_close(found[row].double(), wanted, rtol=1e-3, atol=1e-4)


def test_without_history_nothing_is_expected() -> None:
    assert not fitted(drawn(0), 2.0)(torch.zeros(1, 14), torch.tensor([1])).any()


def test_more_users_than_it_is_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphrec.ridge, "USERS", 8)
    with pytest.raises(ConfigError, match="at most 8 users expected, this one has 9"):
        fitted(drawn(0), 2.0)
