"""Settings: from YAML and pairs, kept with the run, and refused in a line that says what would do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graphrec.errors import ConfigError
from graphrec.hyperparameters import DeprecatedSetting
from graphrec.models.stgat import ModelConfig
from graphrec.runs.config import RunConfig, TrainingConfig


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    config = RunConfig(
        model=ModelConfig(dimension=32, fan_out={"own_history": 8}),
        training=TrainingConfig(query_time="last-event", learning_rate=1e-5),
        seed=3,
    )
    config.save(tmp_path / "config.yaml")
    assert RunConfig.load(tmp_path / "config.yaml") == config


@pytest.mark.parametrize("text", ["", "# nothing\n", "training:\n", "{}"])
def test_an_empty_file_leaves_the_defaults(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    if text != "training:\n":
        assert RunConfig.load(path) == RunConfig()
    assert RunConfig.load(path, ["epochs=2"]) == RunConfig(training=TrainingConfig(epochs=2))


def test_pairs_stand_over_the_file_and_the_seed_over_both(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("training: {epochs: 9, gradient_clip: 2}\nmodel: {heads: 2}\nseed: 1\n")
    config = RunConfig.load(path, ["epochs=4", "model.dimension=32", "seed=2"], seed=3)
    assert (config.training.epochs, config.training.gradient_clip) == (4, 2.0)
    assert (config.model.heads, config.model.dimension) == (2, 32)
    assert config.seed == 3
    assert RunConfig.load(path, ["seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("pair", "read"),
    [
        ("propagation=false", lambda config: config.model.propagation is False),
        ("learning_rate=1e-3", lambda config: config.training.learning_rate == 0.001),
        ("query_time=last-event", lambda config: config.training.query_time == "last-event"),
        ("fan_out={own_history: 8, nearby: 4}", lambda config: config.model.fan_out == {"own_history": 8, "nearby": 4}),
        ("model.fan_out.own_history=8", lambda config: config.model.fan_out == {"own_history": 8}),
        ("fan_out={}", lambda config: config.model.fan_out == {}),
    ],
)
def test_a_pair_is_read_as_yaml(pair: str, read: Any) -> None:
    assert read(RunConfig.load(settings=[pair]))


@pytest.mark.parametrize(
    ("pair", "line"),
    [
        ("epoch=3", "setting 'epoch' is unknown, did you mean 'epochs'?"),
        ("training.epoch=3", "setting training.epoch: .* got 3, did you mean 'epochs'?"),
        ("trainning.epochs=3", "setting trainning: "),
        ("zzzzzz=3", "setting 'zzzzzz' is unknown$"),
        ("epochs", "--set epochs: key=value expected, such as --set epochs=3"),
        ("=3", "setting '' is unknown"),
        ("epochs=", "setting training.epochs: .* got None"),
        ("epochs=0", "setting training.epochs: .* greater than or equal to 1, got 0"),
        ("epochs=few", "setting training.epochs: .* got 'few'"),
        ("epochs=[1", r"--set epochs=\[1: a value as in YAML expected"),
        ("epochs.x=1", "setting epochs"),
        ("dropout=1", "setting model.dropout: .* less than 1"),
        ("learning_rate=.nan", "setting training.learning_rate: "),
        ("query_time=last_event", "'last-event' or 'request'"),
        ("fan_out={own_history: 0}", "setting model.fan_out.own_history: .* greater than 0"),
        ("heads=3", "dimension 64 cannot be shared by 3 heads"),
        ("seed=-1", "setting seed: "),
        ("seed.x=1", "setting seed: "),
    ],
)
def test_what_is_wrong_is_one_line(pair: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line) as refused:
        RunConfig.load(settings=[pair])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"training: [\n", "a YAML file of settings expected"),
        (b"\xff\xfe\x00", "a YAML file of settings expected"),
        (b"- epochs\n", "sections 'model' and 'training' expected, got list"),
        (b"epochs: 3\n", "setting epochs: .* got 3"),
        (b"training: 3\n", "setting training: "),
    ],
)
def test_a_bad_file_is_one_line(content: bytes, line: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=line) as refused:
        RunConfig.load(path)
    assert "\n" not in str(refused.value)


def test_a_pair_cannot_go_below_what_is_no_section(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("training: 3\n")
    with pytest.raises(ConfigError, match=r"setting training\.epochs: training is no section, got 3"):
        RunConfig.load(path, ["epochs=1"])


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.yaml: a YAML file of settings expected"):
        RunConfig.load(tmp_path / "no.yaml")


FORMER = "training: {clip: 2, held_out: false, least_steps: 7, questions: 9, validation_rows: 5}\n"


def test_former_names_are_accepted_with_a_notice(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(FORMER)
    with pytest.warns(DeprecatedSetting) as notices:
        found = RunConfig.load(path)
    today = TrainingConfig(
        gradient_clip=2, train_on_val=True, min_steps=7, samples_per_epoch=9, max_validation_queries=5
    )
    assert found.training == today
    assert RunConfig.stored(path) == found  # a run of the version before opens without a word
    lines = sorted(str(notice.message) for notice in notices)
    assert lines[0] == "setting clip is now called gradient_clip; the next version drops the old name"
    assert sum("held_out" in line and "the opposite" in line for line in lines) == 1
    assert len(lines) == 5


@pytest.mark.parametrize("name", ["clip", "training.clip"])
def test_a_former_name_in_a_pair_stands_over_the_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    for text in ("training: {gradient_clip: 2}\n", "training: {clip: 2}\n"):
        path.write_text(text)
        with pytest.warns(DeprecatedSetting, match="setting clip is now called gradient_clip"):
            assert RunConfig.load(path, [f"{name}=3"]).training.gradient_clip == 3


@pytest.mark.parametrize(
    "pair", ["fan_out={mine: 8, then: 4, friend: 2}", "fan_out={own_history: 8, then: 4, friend: 2}"]
)
def test_former_names_of_relations_are_accepted_with_a_notice(pair: str) -> None:
    with pytest.warns(DeprecatedSetting) as notices:
        config = RunConfig.load(settings=[pair])
    assert any("setting then is now called transitions" in str(notice.message) for notice in notices)
    assert config.model.fan_out == {"own_history": 8, "transitions": 4, "friend": 2}


@pytest.mark.parametrize("pair", ["second_hop={then: {mine: 8}}", "path=3", "beside=true", "model.text=false"])
def test_a_removed_setting_opens_with_its_default_alone(pair: str, tmp_path: Path) -> None:
    name = pair.partition("=")[0].removeprefix("model.")
    with pytest.raises(ConfigError, match=f"{name} was removed") as refused:
        RunConfig.load(settings=[pair])
    assert "\n" not in str(refused.value)
    path = tmp_path / "config.yaml"
    path.write_text("model: {second_hop: {}, path: 1, beside: false, text: true, time: true, pointers: true}\n")
    assert RunConfig.load(path) == RunConfig()


def test_a_former_name_stands_over_what_the_model_wants() -> None:
    with pytest.warns(DeprecatedSetting):
        assert RunConfig.check({"model": {"name": "sasrec"}, "training": {"least_steps": 1}}).training.min_steps == 1
    assert RunConfig.load(settings=["model.name=sasrec"]).training.min_steps == 4000


def test_the_command_line_says_a_former_name_in_one_line(tmp_path: Path) -> None:
    words = ["train", str(tmp_path / "none"), "--out", str(tmp_path / "run"), "--set", "clip=2"]
    done = subprocess.run([sys.executable, "-m", "cli.main", *words], capture_output=True, text=True, timeout=60)
    note, error = done.stderr.splitlines()
    assert note == "note: setting clip is now called gradient_clip; the next version drops the old name"
    assert error.startswith("error: ")
