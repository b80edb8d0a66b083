"""Frozen records of what is stored as JSON (manifests, results), and records as HTML tables for notebooks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Tabular(ABC):
    """A result that is also a table."""

    @abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """One mapping from column names to values for each row."""

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table."""
        import pyarrow as pa

        return pa.Table.from_pylist(self.rows())

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a data frame; needs pandas."""
        return self.to_arrow().to_pandas()


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

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._facts())})"

    def _repr_html_(self) -> str:
        return html_table(type(self).__name__, ("", ""), self._facts())

    def _facts(self) -> list[tuple[str, object]]:
        """The fields that hold a single value."""
        values = self.to_dict().items()
        return [(name, value) for name, value in values if not isinstance(value, dict | list) and value is not None]


def invalid_keys(error: ValidationError) -> str:
    """The first key that a record refuses, and why."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def html_table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with escaped cells; a float has three decimals."""
    cells = [[f"{value:.3f}" if isinstance(value, float) else str(value) for value in row] for row in rows]
    lines = [_row("th", header), *(_row("td", row) for row in cells)]
    return f"<table><caption>{escape(caption)}</caption>{''.join(lines)}</table>"


def _row(tag: str, values: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(value)}</{tag}>' for value in values)}</tr>"
