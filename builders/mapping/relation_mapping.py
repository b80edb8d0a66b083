"""A relation that a mapping declares: a file of ties or triples, and the roles of its columns."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, field_validator, model_validator

from builders.sources.source import Layout
from graphrec.errors import MappingError

RESERVED_NAMES = ("at", "near")
"""Relations of every graph."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
"""Valid names of declared relations and node types: they are part of file names."""


class RelationMapping(Layout):
    """The file of a relation between nodes, and the roles of its columns; keys that are None are guessed."""

    file: str
    """Path, relative to the folder of the mapping or to the working directory."""
    source: str
    """Source node type: user, item, location, or a type of relations only. The default depends on the other keys, so
    that a saved mapping always has it."""
    target: str
    """Target node type; likewise."""
    source_id: str | None = None
    """Column of the source ids; None: the first that is neither ``relation`` nor ``valid_from``."""
    target_id: str | None = None
    """Column of the target ids; None: the next such column."""
    relation: str | None = None
    """Column of the predicates of triples; each predicate becomes a relation of its own."""
    valid_from: str | None = None
    """Column of the time from which the edge is known; an edge without one is always known."""
    time_format: str = "auto"
    """Format of that time, as in the mapping of a log."""
    both_ways: bool = False
    """Whether edges are undirected: friends, but not followers."""
    links: str | None = None
    """File of item ids and their ids in ``file``, as RecBole's ``.link``: these nodes are replaced by the items."""

    @model_validator(mode="before")
    @classmethod
    def _default_types(cls, values: Any) -> Any:
        """Triples are from items to entities; a file without predicates has ties between users."""
        if not isinstance(values, dict):
            return values
        source = "entity" if values.get("links") else "item" if values.get("relation") else "user"
        return {"source": source, "target": "user" if source == "user" else "entity", **values}

    @field_validator("source", "target")
    @classmethod
    def _plain_name(cls, kind: str) -> str:
        if not NAME.fullmatch(kind):
            raise ValueError("a node type such as user, item, location or brand expected")
        return kind


def check_relation_name(name: str) -> str:
    """The name of a relation; MappingError for an invalid one."""
    if name in RESERVED_NAMES or not NAME.fullmatch(name):
        raise MappingError(
            f"relations: a name of letters, digits, - and _ other than {' and '.join(RESERVED_NAMES)} expected, "
            f"got {name!r}; write it as 'relations: {{friends: {{file: friends.csv}}}}'"
        )
    return name


RelationName = Annotated[str, AfterValidator(check_relation_name)]
