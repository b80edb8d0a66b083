"""Which columns of a table of nodes say what, and what a log's mapping says of them."""

from __future__ import annotations

from builders.mapping.column_mapping import ColumnMapping
from builders.sources.source import Layout


class TableMapping(Layout):
    """Which columns of a table of nodes say what; what is None is guessed."""

    id: str | None = None
    """The node's id as the log writes it."""
    label: str | None = None
    """A short name for people."""
    text: str | None = None
    """Template of what the text encoder reads; empty: nothing, even where there are words."""
    lat: str | None = None
    """Latitude in degrees."""
    lon: str | None = None
    """Longitude in degrees."""
    location: str | None = None
    """Id of the location that an item is at; an item with several is listed once for each."""
    since: str | None = None
    """From when it is there; always, where this is empty."""


def table_mapping(kind: str, mapping: ColumnMapping, preset: TableMapping | None) -> TableMapping:
    """What is said of the table of a node type: by the log's mapping (``item_id``, ...), then by the preset."""
    given = {key: getattr(mapping, f"{kind}_{key}") for key in ("id", "label", "text")}
    return (preset or TableMapping()).model_copy(
        update={key: value for key, value in given.items() if value is not None}
    )
