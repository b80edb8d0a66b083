"""Settings of a run: the model's, the training's and the seed, from YAML and ``key=value`` pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from graphrec.errors import ConfigError
from graphrec.models.registry import CONFIGS, TRAINING, Settings
from graphrec.models.stgat import ModelConfig
from graphrec.suggestion import did_you_mean


class TrainingConfig(BaseModel):
    """How a model is fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query_time: Literal["last-event", "request"] | None = None
    """What a question knows of its time in training; None: what the graph's protocol says."""
    novel: bool | None = None
    """Learn from first visits only, among unvisited items; None: what the graph's protocol says."""
    epochs: int = Field(10, ge=1)
    """Passes over the training events at most: three, or as many as make ``least_steps``."""
    questions: int = Field(1_000_000, ge=1)
    """What an epoch goes through at most, drawn anew for each."""
    held_out: bool = True
    """Keep the val events for validation; else they are learned from as train events are, and nothing stops early."""
    least_steps: int = Field(800, ge=1)
    """Optimiser steps that a small log gets, by more epochs."""
    patience: int = Field(2, ge=1)
    """Stop after so many epochs without a better validation MRR."""
    batch_size: int = Field(256, ge=1)
    """Questions an optimiser step, over all processes and accumulated parts."""
    accumulate: int = Field(1, ge=1)
    """Parts that a batch is computed in, to save memory."""
    learning_rate: float = Field(2e-3, gt=0)
    """Peak step size of AdamW."""
    weight_decay: float = Field(0.3, ge=0)
    """Decoupled weight decay on matrices; vectors (biases, norms) have none."""
    warmup: int = Field(100, ge=0)
    """Steps over which the step size rises."""
    clip: float = Field(1.0, gt=0)
    """Largest norm of the gradient."""
    negatives: int = Field(4096, ge=1)
    """Sampled items a batch when the catalogue is larger than ``full_softmax``."""
    full_softmax: int = Field(20_000, ge=0)
    """Largest catalogue whose softmax is computed whole."""
    precision: Literal["auto", "no", "bf16"] = "auto"
    """Mixed precision; auto: bf16 on a GPU that has it."""
    checkpoint_every: int = Field(200, ge=1)
    """Steps between checkpoints."""
    validation_rows: int = Field(5_000, ge=1)
    """Validation questions at most, drawn once by the seed."""


class RunConfig(BaseModel):
    """Everything that decides a run besides the graph."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Settings = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    seed: int = Field(0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _settings_of_the_model(cls, values: Any) -> Any:
        """A model without a name is ``stgat``; what nobody set of the training is as the model wants it."""
        if not isinstance(values, dict):
            return values
        model, training = values.get("model") or {}, values.get("training") or {}
        if isinstance(model, dict):
            model = {"name": "stgat", **model}
        name = model["name"] if isinstance(model, dict) else getattr(model, "name", None)
        if isinstance(training, dict) and isinstance(name, str):
            training = {**TRAINING.get(name, {}), **training}
        return {**values, "model": model, "training": training}

    @staticmethod
    def load(path: Path | None = None, settings: Sequence[str] = (), seed: int | None = None) -> RunConfig:
        """Read a YAML file, then ``key=value`` pairs over it, then the seed.

        A key is ``section.name``, or a name alone where one section has it. Raises ConfigError on anything unknown.
        """
        values = _read(path) if path else {}
        for pair in settings:
            name, separator, text = pair.partition("=")
            if not separator:
                raise ConfigError(f"--set {pair}: key=value expected, such as --set epochs=3")
            _put(values, _path(name), _value(pair, text))
        if seed is not None:
            values["seed"] = seed
        return RunConfig.check(values)

    @staticmethod
    def check(values: Mapping[str, Any]) -> RunConfig:
        """Settings from plain values; ConfigError says which one is wrong and what it may be."""
        try:
            return RunConfig.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "union_tag_invalid":
                name = str(first["ctx"]["tag"])
                raise ConfigError(
                    f"model {name!r}: one of {', '.join(CONFIGS)} expected{did_you_mean(name, CONFIGS)}"
                ) from error
            where = ".".join(str(part) for part in first["loc"] if part not in CONFIGS)
            if first["type"] == "extra_forbidden":
                hint = did_you_mean(str(first["loc"][-1]), [name for _, name in _names()])
                raise ConfigError(
                    f"setting {where}: there is none of that name here, got {first['input']!r}{hint}"
                ) from error
            raise ConfigError(f"setting {where}: {first['msg']}, got {first['input']!r}") from error

    def save(self, path: Path) -> None:
        """Write the settings as YAML that ``load`` reads back."""
        path.write_text(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: a YAML file of settings expected ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict | None):
        raise ConfigError(f"{path}: sections 'model' and 'training' expected, got {type(values).__name__}")
    return values or {}


def _value(pair: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {pair}: a value as in YAML expected ({' '.join(str(error).split())})") from error


def _put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a value below sections, which are made where they are missing or empty."""
    *sections, last = path
    for place, name in enumerate(sections, 1):
        if values.get(name) is None:
            values[name] = {}
        values = values[name]
        if not isinstance(values, dict):
            raise ConfigError(f"setting {'.'.join(path)}: {'.'.join(sections[:place])} is no section, got {values!r}")
    values[last] = value


def _names() -> list[tuple[str, str]]:
    models = [("model", name) for config in CONFIGS.values() for name in config.model_fields]
    return list(dict.fromkeys([*models, *(("training", name) for name in TrainingConfig.model_fields)]))


def _path(name: str) -> list[str]:
    """Section and name of a setting that may be written without its section."""
    if "." in name or name == "seed":
        return name.split(".")
    found = [[section, field] for section, field in _names() if field == name]
    if not found:
        raise ConfigError(f"setting {name!r} is unknown{did_you_mean(name, [field for _, field in _names()])}")
    return found[0]
