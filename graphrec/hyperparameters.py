"""Base of every record of settings: frozen, closed to unknown names, open to the names of the version before."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator


class DeprecatedSetting(FutureWarning):
    """A setting is given by the name that it had in the version before."""


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
        """Plain values under the names of today; a value that is given under both names keeps that of today.

        Warns with DeprecatedSetting of each former name. Raises ValueError for a removed setting that is not at the
        default which it had.
        """
        current = {name: value for name, value in values.items() if name not in {*cls.renamed, *cls.removed}}
        for former, name in cls.renamed.items():
            if former in values:
                cls.notice(former, name)
                current.setdefault(name, cls.converted(former, values[former]))
        for former, default in cls.removed.items():
            if former in values and values[former] != default:
                raise ValueError(f"{former} was removed, so only its default ({default!r}) opens; leave it out")
        return current

    @classmethod
    def converted(cls, former: str, value: Any) -> Any:
        """The value of a setting given by its former name."""
        return not value if former in cls.negated and isinstance(value, bool) else value

    @classmethod
    def notice(cls, former: str, name: str) -> None:
        """Warn that a setting was given by its former name."""
        opposite = ", which means the opposite" if former in cls.negated else ""
        warnings.warn(
            f"setting {former} is now called {name}{opposite}; the next version drops the old name",
            DeprecatedSetting,
            stacklevel=2,
        )


class ModelHyperparameters(Hyperparameters):
    """Settings of a model; a subclass gives ``name`` a literal type and that name as default."""

    name: str
    """Name of the model."""
