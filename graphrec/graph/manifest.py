"""The manifest of a graph directory, manifest.json; docs/graph-directory.md describes its keys."""

from __future__ import annotations

import json
from os.path import normpath
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from graphrec.errors import GraphError
from graphrec.records import Record, invalid_keys

FORMAT = 1
"""Version of the graph directory's layout; a reader refuses a newer one."""


class SourceEntry(Record):
    """A file that the graph was built from."""

    name: str
    """Its name."""
    bytes: int = 0
    """Its size."""
    sha256: str = ""
    """Hash of its content; keyed where the graph has pseudonyms."""
    rows: int | None = None
    """Rows read, the unusable ones included."""
    role: str = "events"
    """``events``, a node type, or ``relation-NAME`` or ``links-NAME``."""


class TextEntry(Record):
    """The text model of a graph."""

    model: str = ""
    """Its name."""
    revision: str | None = None
    """Its version."""
    sha256: str | None = None
    """Hash of its files."""
    dimension: int = 0
    """Length of its vectors."""
    templates: dict[str, str] = {}
    """Templates of the texts by node type."""


class GraphManifest(Record):
    """Contents and provenance of a graph directory."""

    format: int = FORMAT
    """Version of the directory's layout."""
    created: str = ""
    """Time of the build, ISO 8601."""
    node_types: list[str] = []
    """Node types, each a table in ``nodes``."""
    relations: dict[str, list[str]] = {}
    """Static relations: the types of their source and target nodes."""
    counts: dict[str, int] = {}
    """Numbers of events, of nodes by type and of events by split."""
    time_span: tuple[int, int] | None = None
    """First and last event, UTC seconds."""
    kinds: list[str] = []
    """Event types; an event's ``kind`` is an index into them."""
    sources: list[SourceEntry] = []
    """The files that were read, in their order."""
    mapping: dict[str, Any] | None = {}
    """Keys of the column mapping."""
    tables: dict[str, dict[str, Any]] = {}
    """Keys of the mapping of each node table."""
    preset: str | None = None
    """Preset of the log."""
    edition: str | None = None
    """Known edition of the preset's log that the counts agree with."""
    notes: list[str] = []
    """Remarks of the build on the edition."""
    split: dict[str, Any] = {}
    """Method and bounds of the split."""
    protocol: dict[str, Any] = {}
    """Keys of the evaluation protocol that the data set is known by."""
    locations: dict[str, Any] = {}
    """``method`` (``h3``, ``log`` or ``none``) and H3 ``resolution`` of the locations."""
    text_model: str = "none"
    """Name of the text model that the build was given; ``none`` for no text vectors."""
    row_hash: str | None = None
    """Hash by which repeated rows are found."""
    text: TextEntry | None = None
    """The text model; None without text vectors."""
    vectors: dict[str, Any] = {}
    """Precomputed vectors by node type."""
    privacy: dict[str, Any] | None = None
    """Anonymization and re-identification risk; None without anonymization."""
    quarantined: dict[str, int] = {}
    """Unusable rows by reason."""
    filtered: dict[str, int] = {}
    """Rows excluded by filters, by reason."""
    findings: list[dict[str, Any]] = []
    """Data issues."""
    hash: str = ""
    """Hash of events and nodes."""
    versions: dict[str, str] = {}
    """Versions of Python and of packages."""
    wall_seconds: float | None = None
    """Duration of the build, or of the last append."""
    peak_memory: int | None = None
    """Peak memory of its process, bytes."""

    @property
    def timeless(self) -> bool:
        """Whether the log has no times."""
        return bool((self.mapping or {}).get("timeless"))

    @property
    def pseudonyms(self) -> bool:
        """Whether user ids are pseudonyms."""
        return bool((self.privacy or {}).get("pseudonyms"))

    @property
    def risk(self) -> dict[str, Any]:
        """Re-identification risk ``before`` and ``after`` anonymization, where it was measured."""
        return (self.privacy or {}).get("risk") or {}


def read_manifest(root: Path) -> GraphManifest:
    """The manifest of a graph directory; GraphError where it is missing, broken or of a newer format."""
    path = root / "manifest.json"
    if not path.is_file():
        raise GraphError(f"{root}: a graph directory with a manifest.json expected; make one with 'graphrec build'")
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "format" not in values and "graph_hash" in values:
            graph = normpath(root / str(values.get("graph")))
            raise GraphError(f"{root}: a graph directory expected, but this is a run; its graph is {graph}")
        found = int(values["format"])
        if found > FORMAT:
            raise GraphError(f"{path}: format {found} is newer than this graphrec reads ({FORMAT}); upgrade graphrec")
        if not {"node_types", "relations"} <= values.keys():
            raise KeyError("node_types, relations")
        return GraphManifest.model_validate(values)
    except ValidationError as error:
        raise GraphError(f"{path}: not a graph manifest ({invalid_keys(error)}); build the graph again") from error
    except (ValueError, KeyError, TypeError) as error:
        raise GraphError(f"{path}: not a graph manifest ({error!r}); build the graph again") from error
