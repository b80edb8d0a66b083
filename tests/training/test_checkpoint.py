"""Checkpoints: everything comes back, a broken one is refused in a line, and nothing is ever pickled."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from graphrec.errors import RunError
from graphrec.files import atomic_write, write_json
from graphrec.training import checkpoint
from graphrec.training.checkpoint import TrainingState

ROOT = Path(__file__).parents[2]
PICKLING = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
STATE = TrainingState("abc", 7, 0.1 + 0.2, 1 / 3, 1, 12.5, 1000, [{"epoch": 1, "mrr": 1 / 3}])


def stepped(steps: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A small model some optimiser steps after its start."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)
    advance(model, optimiser, steps)
    return model, optimiser


def advance(model: nn.Module, optimiser: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimiser.zero_grad()
        model(torch.ones(1, 3)).square().sum().backward()
        optimiser.step()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_weights_moments_and_state_come_back(tmp_path: Path) -> None:
    model, optimiser = stepped(3)
    checkpoint.save(tmp_path / "last.safetensors", model, optimiser, STATE)
    other, other_optimiser = stepped(0)
    assert checkpoint.load(tmp_path / "last.safetensors", other, other_optimiser) == STATE  # floats to the last bit
    advance(model, optimiser, 2)
    advance(other, other_optimiser, 2)
    assert same(model.state_dict(), other.state_dict())


def test_a_checkpoint_before_the_first_step(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "last.safetensors", *stepped(0), TrainingState())
    other, optimiser = stepped(1)
    assert checkpoint.load(tmp_path / "last.safetensors", other, optimiser) == TrainingState()
    assert not optimiser.state_dict()["state"]


def test_a_checkpoint_to_rank_with_has_no_moments(tmp_path: Path) -> None:
    model, optimiser = stepped(1)
    checkpoint.save(tmp_path / "all.safetensors", model, optimiser, STATE)
    checkpoint.save(tmp_path / "best.safetensors", model, None, STATE)
    assert (tmp_path / "best.safetensors").stat().st_size < (tmp_path / "all.safetensors").stat().st_size
    other, _ = stepped(0)
    assert checkpoint.load(tmp_path / "best.safetensors", other) == STATE
    assert same(model.state_dict(), other.state_dict())


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_checkpoint_is_one_line(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    checkpoint.save(path, *stepped(1), STATE)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RunError, match=r"last\.safetensors: a checkpoint expected \([^\n]+$"):
        checkpoint.load(path, stepped(0)[0])


@pytest.mark.parametrize("state", ["", "{", "[]", '{"foreign": 1}', None])
def test_a_file_without_a_state_is_one_line(state: str | None, tmp_path: Path) -> None:
    metadata = None if state is None else {"state": state}
    save_file({"model.weight": torch.zeros(2, 3)}, tmp_path / "last.safetensors", metadata)
    with pytest.raises(RunError, match=r"last\.safetensors: a checkpoint expected \([^\n]+$"):
        checkpoint.load(tmp_path / "last.safetensors", stepped(0)[0])


def test_a_checkpoint_of_other_settings_is_one_line(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "last.safetensors", nn.Linear(4, 2), None, STATE)
    with pytest.raises(RunError, match=r"of other settings \(.*size mismatch[^\n]+$"):
        checkpoint.load(tmp_path / "last.safetensors", stepped(0)[0])


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with atomic_write(tmp_path / "model") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    (tmp_path / "model").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model").read_text() == "old"


def test_a_run_can_be_read_by_whom_other_files_can(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "last.safetensors", *stepped(1), STATE)
    write_json(tmp_path / "manifest.json", {})
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("package", ["graphrec", "builders", "cli"])
def test_nothing_is_pickled(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', '')}"
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if pickles(node)
    ]
    assert found == []


def pickles(node: ast.AST) -> bool:
    """Whether a node of a program imports a pickling module, or calls what pickles unasked."""
    if isinstance(node, ast.Import):
        return any(name.name.split(".")[0] in PICKLING for name in node.names)
    if isinstance(node, ast.ImportFrom):
        return str(node.module).split(".")[0] in PICKLING
    called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    return called in {"torch.save", "torch.load"} or called.endswith((".to_pickle", ".read_pickle"))


@pytest.mark.parametrize(
    ("code", "is_found"),
    [
        ("import pickle", True),
        ("from joblib import dump", True),
        ("torch.save(model, path)", True),
        ("frame.to_pickle(path)", True),
        ("import json", False),
        ("'import pickle'", False),
        ("save_file(tensors, path)", False),
    ],
)
def test_the_search_for_pickling_finds_it(code: str, is_found: bool) -> None:
    assert any(pickles(node) for node in ast.walk(ast.parse(code))) == is_found
