"""Frozen records of what is stored as JSON: manifests and results."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen record of a JSON object; keys that it does not know, of an older or newer version, are kept."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        ser_json_inf_nan="constants",
    )

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that the record was made of: the keys that were set, and no others."""
        return self.model_dump(mode="json", exclude_unset=True)
