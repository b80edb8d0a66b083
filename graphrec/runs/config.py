"""Settings of a run: the model's, the training's and the seed, from YAML and ``key=value`` pairs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, field_validator, model_validator

from graphrec.errors import ConfigError, translate_errors
from graphrec.files import atomic_write
from graphrec.hyperparameters import DeprecatedSetting, Hyperparameters
from graphrec.models.registry import BUILT_IN, ModelHyperparameters, model_entry
from graphrec.suggestion import did_you_mean

DEFAULT_MODEL = "stgat"
"""The model of a run that names none."""


class TrainingConfig(Hyperparameters):
    """Hyperparameters of a training."""

    renamed: ClassVar[Mapping[str, str]] = {
        "questions": "samples_per_epoch",
        "held_out": "train_on_val",
        "least_steps": "min_steps",
        "clip": "gradient_clip",
        "validation_rows": "max_validation_queries",
    }
    negated: ClassVar[frozenset[str]] = frozenset({"held_out"})

    query_time: Literal["last-event", "request"] | None = None
    """Query time in training and validation; None: that of the graph's protocol."""
    novel: bool | None = None
    """Train on first visits only, with unvisited items as candidates; None: as the graph's protocol says."""
    epochs: int = Field(default=10, ge=1)
    """Passes over the training events at most: three, or as many as make ``min_steps``."""
    samples_per_epoch: int = Field(default=1_000_000, ge=1)
    """Training samples in an epoch at most, drawn anew for each."""
    train_on_val: bool = False
    """Train on the validation events as well; then there is no validation, and no early stopping."""
    min_steps: int = Field(default=800, ge=1)
    """Optimiser steps that a small log gets, by more epochs."""
    patience: int = Field(default=2, ge=1)
    """Epochs without a better validation MRR after which the training stops."""
    batch_size: int = Field(default=256, ge=1)
    """Samples per optimiser step, over all processes and accumulated parts."""
    accumulate: int = Field(default=1, ge=1)
    """Parts that a batch is computed in (gradient accumulation), to save memory."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Peak learning rate of AdamW."""
    weight_decay: float = Field(default=0.3, ge=0)
    """Decoupled weight decay of matrices; vectors (biases, norms) have none."""
    warmup: int = Field(default=100, ge=0)
    """Steps over which the learning rate rises."""
    gradient_clip: float = Field(default=1.0, gt=0)
    """Maximum norm of the gradient."""
    negatives: int = Field(default=4096, ge=1)
    """Sampled items per batch where the catalogue is larger than ``full_softmax``."""
    full_softmax: int = Field(default=20_000, ge=0)
    """Largest catalogue over which the softmax is computed in full."""
    precision: Literal["auto", "no", "bf16"] = "auto"
    """Mixed precision; auto: bf16 on a GPU that has it."""
    checkpoint_every: int = Field(default=200, ge=1)
    """Steps between checkpoints."""
    max_validation_queries: int = Field(default=5_000, ge=1)
    """Validation queries at most, drawn once by the seed."""


class RunConfig(BaseModel):
    """Everything that decides a run besides the graph."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: SerializeAsAny[ModelHyperparameters] = Field(default_factory=lambda: model_entry(DEFAULT_MODEL).config())
    training: TrainingConfig = TrainingConfig()
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _training_of_the_model(cls, values: Any) -> Any:
        """Settings of the training that are not given are those of the model's entry."""
        if not isinstance(values, dict):
            return values
        model, training = values.get("model") or {}, values.get("training") or {}
        if isinstance(training, dict):
            training = {**model_entry(_model_name(model)).training, **training}
        return {**values, "model": model, "training": training}

    @field_validator("model", mode="before")
    @classmethod
    def _config_of_the_model(cls, model: Any) -> Any:
        """The record of the registry for the model that plain values name."""
        return model_entry(_model_name(model)).config.model_validate(model) if isinstance(model, dict) else model

    @staticmethod
    def load(path: Path | None = None, settings: Sequence[str] = (), *, seed: int | None = None) -> RunConfig:
        """Read a YAML file, then ``key=value`` pairs over it, then the seed.

        A key is ``section.name``, or a name alone. Raises ConfigError on anything unknown.
        """
        values = _read(path) if path else {}
        pairs = [_pair(pair) for pair in settings]
        chosen = [value for name, value in pairs if name in ("name", "model.name")]
        sections = _sections(str(chosen[-1]) if chosen else _model_name(values.get("model")))
        for name, value in pairs:
            _put(values, _path(name, sections), value)
        if seed is not None:
            values["seed"] = seed
        return RunConfig.check(values)

    @staticmethod
    def stored(path: Path) -> RunConfig:
        """Settings of a run directory, without a notice where they are of the version before."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecatedSetting)
            return RunConfig.load(path)

    @staticmethod
    def check(values: Mapping[str, Any]) -> RunConfig:
        """Settings from plain values; ConfigError says which one is wrong and what it may be."""
        try:
            return RunConfig.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where, reason, hint = ".".join(map(str, first["loc"])), first["msg"], ""
            if first["type"] == "extra_forbidden":
                reason = "there is none of that name here"
                hint = did_you_mean(str(first["loc"][-1]), _names(_sections(_model_name(values.get("model")))))
            raise ConfigError(f"setting {where}: {reason}, got {first['input']!r}{hint}") from error

    def save(self, path: Path) -> None:
        """Write the settings as YAML that ``load`` reads back."""
        with atomic_write(path) as temporary:
            temporary.write_text(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    unreadable = (OSError, UnicodeDecodeError, yaml.YAMLError)
    with translate_errors(*unreadable, to=ConfigError, expected=f"{path}: a YAML file of settings expected"):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict | None):
        raise ConfigError(f"{path}: sections 'model' and 'training' expected, got {type(values).__name__}")
    return values or {}


def _pair(pair: str) -> tuple[str, Any]:
    """Name and value of a ``key=value`` pair."""
    name, separator, text = pair.partition("=")
    if not separator:
        raise ConfigError(f"--set {pair}: key=value expected, such as --set epochs=3")
    with translate_errors(yaml.YAMLError, to=ConfigError, expected=f"--set {pair}: a value as in YAML expected"):
        return name, yaml.safe_load(text)


def _model_name(model: Any) -> str:
    """Name of the model that a record or plain values name."""
    name = model.get("name") if isinstance(model, Mapping) else getattr(model, "name", None)
    return str(name or DEFAULT_MODEL)


def _sections(model: str) -> list[tuple[str, type[Hyperparameters]]]:
    """Section and record of every setting: those of the model and the training, then those of other models."""
    records = [("model", model_entry(name).config) for name in (model, *BUILT_IN)]
    return [records[0], ("training", TrainingConfig), *records[1:]]


def _path(name: str, sections: Sequence[tuple[str, type[Hyperparameters]]]) -> list[str]:
    """Section and name of a setting that may be given without its section."""
    if "." in name or name == "seed":
        return name.split(".")
    for section, record in sections:
        if name in record.names():
            return [section, name]
    raise ConfigError(f"setting {name!r} is unknown{did_you_mean(name, _names(sections))}")


def _names(sections: Sequence[tuple[str, type[Hyperparameters]]]) -> list[str]:
    return list(dict.fromkeys(name for _, record in sections for name in record.model_fields))


def _put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a value below sections, which are made where they are missing or empty."""
    *sections, last = path
    for depth, name in enumerate(sections, 1):
        if values.get(name) is None:
            values[name] = {}
        values = values[name]
        if not isinstance(values, dict):
            raise ConfigError(f"setting {'.'.join(path)}: {'.'.join(sections[:depth])} is no section, got {values!r}")
    values.pop(last, None)  # the value that is given last counts, and stands last
    values[last] = value
