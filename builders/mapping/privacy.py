"""Anonymization options of a build; docs/privacy.md describes the threats that they address."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from builders.mapping.pseudonyms import Key
from graphrec.errors import ConfigError
from graphrec.reidentification import Risk
from graphrec.suggestion import did_you_mean
from graphrec.time_units import DAY, HOUR, MINUTE, WEEK

UNITS = {"min": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
"""Units of the time resolution, in seconds."""
EXAMPLE = "pseudonyms,coordinates=8,time=1h,places=5"


class Privacy(BaseModel):
    """Anonymization options, all off by default. In a mapping they may also be one text, see `parse`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pseudonyms: bool = False
    """Whether user ids are replaced by keyed pseudonyms."""
    coordinates: int | None = Field(default=None, ge=0, le=15)
    """H3 resolution of the cells whose centres replace coordinates; None keeps them."""
    time: str | None = None
    """Resolution to which times are rounded down: ``15min``, ``1h``, ``1d``, ``1w``; None keeps them."""
    places: int | None = Field(default=None, ge=2)
    """Minimum number of distinct users of a location; events at others are dropped. None keeps them."""

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, values: Any) -> Any:
        return _options(values) if isinstance(values, str) else values

    @field_validator("time")
    @classmethod
    def _whole_days(cls, time: str | None) -> str | None:
        if time is None:
            return None
        if not re.fullmatch(r"[1-9]\d{0,5}(min|h|d|w)", time, re.ASCII):
            raise ValueError("a number and min, h, d or w expected, such as 15min, 1h or 1d")
        if _seconds(time) % DAY and DAY % _seconds(time):
            raise ValueError("a part of a day such as 15min, 1h or 6h, or whole days, expected")
        return time

    @staticmethod
    def parse(text: str) -> Privacy:
        """The options of the command line: ``pseudonyms,coordinates=8,time=1h,places=5``.

        Raises ConfigError with the invalid option and the expected values.
        """
        try:
            return Privacy.model_validate(text)
        except ValidationError as error:
            first = error.errors()[0]
            option = f" {first['loc'][0]}={first['input']}:" if first["loc"] else ""
            message = str(first["msg"]).removeprefix("Value error, ")
            raise ConfigError(f"--privacy:{option} {message} (such as {EXAMPLE})") from None

    def __bool__(self) -> bool:
        """Whether anything is anonymized."""
        return self != Privacy()

    def key(self) -> Key | None:
        """The key of the pseudonyms, from the environment; None without pseudonyms."""
        return Key.from_environment() if self.pseudonyms else None

    @property
    def seconds(self) -> int | None:
        """Resolution of times in seconds; None keeps them."""
        return _seconds(self.time) if self.time else None

    @property
    def redacts_rows(self) -> bool:
        """Whether rows are changed, so that the values of quarantined rows must be redacted too."""
        return self.pseudonyms or self.coordinates is not None or self.time is not None

    def describe(self, dropped: int = 0, before: Risk | None = None, after: Risk | None = None) -> dict[str, Any]:
        """The entry ``privacy`` of the manifest: options, fingerprint of the key, re-identification risk.

        ``dropped`` is the number of events at locations with too few users, ``before`` the risk of the original log.
        """
        risk = {name: value.to_json() for name, value in (("before", before), ("after", after)) if value}
        return {
            **self.model_dump(exclude_defaults=True),
            **({"key": Key.from_environment().fingerprint} if self.pseudonyms else {}),
            **({"dropped": dropped} if self.places else {}),
            **({"risk": risk} if risk else {}),
        }


def _seconds(time: str) -> int:
    unit = time.lstrip("0123456789")
    return int(time.removesuffix(unit)) * UNITS[unit]


def _options(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for option in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (part.strip() for part in option.partition("="))
        if name not in Privacy.model_fields:
            known = list(Privacy.model_fields)
            raise ValueError(f"unknown option {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}")
        if name in values:
            raise ValueError(f"{name}: once expected, got it twice")
        if (name == "pseudonyms") == bool(value):
            raise ValueError(f"{name}: {'no value' if value else 'a value'} expected, got {option!r}")
        values[name] = value or True
    if not values:
        raise ValueError("options separated by commas expected, got none")
    return values
