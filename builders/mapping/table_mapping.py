"""Roles of the columns of a table of nodes."""

from __future__ import annotations

from builders.mapping.column_mapping import ColumnMapping
from builders.sources.source import Layout


class TableMapping(Layout):
    """Roles of the columns of a table of nodes; keys that are None are guessed."""

    id: str | None = None
    """Node id, as in the log."""
    label: str | None = None
    """Short display name."""
    text: str | None = None
    """Template of the text for the text encoder; empty: none, even if there are text columns."""
    lat: str | None = None
    """Latitude in degrees."""
    lon: str | None = None
    """Longitude in degrees."""
    location: str | None = None
    """Id of an item's location; an item with several is listed once for each."""
    since: str | None = None
    """Start of the node's existence; empty for always."""


def table_mapping(kind: str, mapping: ColumnMapping, preset: TableMapping | None) -> TableMapping:
    """The mapping of a node type's table: keys of the log's mapping (``item_id``, ...), then those of the preset."""
    keys = {key: getattr(mapping, f"{kind}_{key}") for key in ("id", "label", "text")}
    declared = {key: value for key, value in keys.items() if value is not None}
    return (preset or TableMapping()).model_copy(update=declared)
