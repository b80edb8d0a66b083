"""A relation that a mapping declares: a file of ties or triples, and which of its columns is what."""

from __future__ import annotations

import re
from typing import Any

from pydantic import field_validator, model_validator

from builders.sources.source import Layout
from graphrec.errors import MappingError

RESERVED_NAMES = ("at", "near")
"""Names of the relations that every graph has."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
"""What a declared relation or node type may be called: it becomes part of a file's name."""


class RelationMapping(Layout):
    """Which file holds a relation between nodes, and which column is what; columns that are None are guessed."""

    file: str
    """Path, relative to the mapping's folder or to the working folder."""
    source: str
    """Type of the nodes that the edges lead from: user, item, location, or one that only relations name. Where it is
    not said, it follows from what is; so it has no default that a saved mapping could leave out."""
    target: str
    """Type of the nodes that the edges lead to; likewise."""
    source_id: str | None = None
    """Column with the source's id; None: the first that is neither ``relation`` nor ``valid_from``."""
    target_id: str | None = None
    """Column with the target's id; None: the next such column."""
    relation: str | None = None
    """Column with the predicate of a triple; each predicate becomes a relation of its own."""
    valid_from: str | None = None
    """Column with the time from which the edge is known; an edge without one was always known."""
    time_format: str = "auto"
    """How that time is written, as in the mapping of a log."""
    both_ways: bool = False
    """Whether each edge leads back as well: a friendship, but not a follower."""
    links: str | None = None
    """File of item ids and the ids that they have in ``file``, as RecBole's ``.link``: such nodes become the items."""

    @model_validator(mode="before")
    @classmethod
    def _default_types(cls, values: Any) -> Any:
        """Triples are about items and what is known of them; what names no predicate is a tie of users."""
        if not isinstance(values, dict):
            return values
        about = "entity" if values.get("links") else "item" if values.get("relation") else "user"
        return {"source": about, "target": "user" if about == "user" else "entity", **values}

    @field_validator("source", "target")
    @classmethod
    def _plain_name(cls, kind: str) -> str:
        if not NAME.fullmatch(kind):
            raise ValueError("a node type such as user, item, location or brand expected")
        return kind


def check_relation_name(name: str) -> None:
    """Raise MappingError for a name that a relation of the mapping cannot have."""
    if name in RESERVED_NAMES or not NAME.fullmatch(name):
        raise MappingError(
            f"relations: a name of letters, digits, - and _ other than {' and '.join(RESERVED_NAMES)} expected, "
            f"got {name!r}; write it as 'relations: {{friends: {{file: friends.csv}}}}'"
        )
