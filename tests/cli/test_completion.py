"""What the shell is offered: complete, from the sources alone, without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.completion import model_names, preset_names, setting_names

SCRIPT = str(Path(sys.executable).with_name("graphrec"))


def offered(line: str, shell: str) -> list[str]:
    """What a shell is offered at the end of a line."""
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    surroundings = {**os.environ, **asked, "_GRAPHREC_COMPLETE": f"complete_{shell}"}
    return subprocess.run([SCRIPT], env=surroundings, capture_output=True, text=True, timeout=60).stdout.splitlines()


def test_every_preset_model_and_setting_is_offered() -> None:
    from builders.mapping.presets import presets
    from graphrec.models.registry import BUILT_IN, model_entry
    from graphrec.runs.config import TrainingConfig

    assert [name for name, _ in preset_names("")] == list(presets())
    assert model_names("") == sorted(BUILT_IN)
    configs = [model_entry(name).config for name in BUILT_IN]
    settings = {name for config in (*configs, TrainingConfig) for name in config.model_fields} - {"name"}
    assert {name for name, _ in setting_names("")} == {f"{name}=" for name in {*settings, "seed"}}
    assert all(about for _, about in setting_names(""))


def test_only_what_begins_so_is_offered() -> None:
    assert [name for name, _ in setting_names("ep")] == ["epochs="]
    assert model_names("s") == ["sasrec", "slit", "stgat"]
    assert preset_names("no-such") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_answered(shell: str) -> None:
    (epochs,) = offered("graphrec train --set ep", shell)
    assert "epochs=" in epochs
    assert ("Passes over the training events" in epochs) == (shell != "bash")


def test_commands_presets_and_devices_are_offered() -> None:
    assert offered("graphrec tr", "bash") == ["train"]
    assert "nyc-getnext" in offered("graphrec build --preset nyc", "bash")
    assert offered("graphrec recommend run --device cu", "bash") == ["cuda"]


def test_completion_loads_no_torch() -> None:
    code = (
        "import sys; from cli.main import app; from cli import completion as c;"
        "c.model_names(''), c.setting_names(''), c.preset_names('');"
        "print([name for name in ('torch', 'ibis', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
