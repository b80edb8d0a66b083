"""Base of all hyperparameter records, which accept the names of the version before."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator


class DeprecatedSetting(FutureWarning):
    """Warns that a setting was given by its name in the version before."""


class Hyperparameters(BaseModel):
    """Settings of a model or of a training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    renamed: ClassVar[Mapping[str, str]] = {}
    """Former name -> name. The former names are accepted for one version, with a notice."""
    negated: ClassVar[frozenset[str]] = frozenset()
    """Former names of switches whose name now says the opposite: their value is negated."""
    removed: ClassVar[Mapping[str, Any]] = {}
    """Former setting -> its default, with which stored settings still open; any other value is an error."""

    @model_validator(mode="before")
    @classmethod
    def _accept_former_names(cls, values: Any) -> Any:
        return cls.current(values) if isinstance(values, Mapping) else values

    @classmethod
    def current(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Plain values by current names; of a setting given by both names the later value counts.

        Warns with DeprecatedSetting for each former name. Raises ValueError for a removed setting with another value
        than its default.
        """
        current: dict[str, Any] = {}
        for name, value in values.items():
            if name in cls.removed:
                if value != cls.removed[name]:
                    raise ValueError(f"{name} was removed, so only its default ({cls.removed[name]!r}) opens")
            elif name in cls.renamed:
                cls.notice(name, cls.renamed[name])
                current[cls.renamed[name]] = not value if name in cls.negated and isinstance(value, bool) else value
            else:
                current[name] = value
        return current

    @classmethod
    def names(cls) -> set[str]:
        """Current, former and removed names."""
        return {*cls.model_fields, *cls.renamed, *cls.removed}

    @classmethod
    def notice(cls, former: str, name: str) -> None:
        """Warn that a setting was given by its former name."""
        opposite = ", which means the opposite" if former in cls.negated else ""
        text = f"setting {former} is now called {name}{opposite}; the next version drops the old name"
        warnings.warn(text, DeprecatedSetting, stacklevel=2)
