"""Id columns of log parts, with their node types."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from builders.mapping.relation_mapping import RelationMapping
from graphrec.graph.manifest import GraphManifest

ID_COLUMNS: dict[str, dict[str, str]] = {
    "events": {"user": "user", "item": "item", "location": "location"},
    "user": {"id": "user"},
    "item": {"id": "item", "location": "location"},
    "location": {"id": "location"},
}
"""Id columns and their node types, by the role of a part: the events, or the table of a node type."""


def relation_id_columns(mapping: RelationMapping) -> dict[str, str]:
    """The id columns of the parts of a declared relation and of its links to items."""
    return {"source_id": mapping.source, "target_id": mapping.target, "item": "item"}


def part_id_columns(part: Path, manifest: GraphManifest) -> dict[str, str]:
    """The id columns of a part in the ``log`` folder of a graph; none for any other file."""
    role = part.stem.rpartition("-")[0]
    if role in ID_COLUMNS:
        return ID_COLUMNS[role]
    declared = (manifest.mapping or {}).get("relations") or {}
    relation = declared.get(role.partition("-")[2])  # after relation- or links-
    return relation_id_columns(RelationMapping.model_validate(relation)) if relation else {}


def user_columns(types: Mapping[str, str]) -> set[str]:
    """The columns that are ids of users."""
    return {column for column, kind in types.items() if kind == "user"}
