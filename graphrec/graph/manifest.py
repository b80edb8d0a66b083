"""What a graph directory says of itself: manifest.json."""

from __future__ import annotations

import json
from os.path import normpath
from pathlib import Path
from typing import Any

from graphrec.errors import GraphError

FORMAT = 1
"""Version of the graph directory's layout; a reader refuses a newer one."""


def read_manifest(root: Path) -> dict[str, Any]:
    """The manifest of a graph directory, or GraphError saying what is wrong with it."""
    path = root / "manifest.json"
    if not path.is_file():
        raise GraphError(f"{root}: a graph directory with a manifest.json expected; make one with 'graphrec build'")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "format" not in manifest and "graph_hash" in manifest:
            raise GraphError(
                f"{root}: a graph directory expected, but this is a run; its graph is {_graph_of(root, manifest)}"
            )
        found = int(manifest["format"])
        if found <= FORMAT and not {"node_types", "relations"} <= manifest.keys():
            raise KeyError("node_types, relations")
    except (ValueError, KeyError, TypeError) as error:
        raise GraphError(f"{path}: not a graph manifest ({error!r}); build the graph again") from error
    if found > FORMAT:
        raise GraphError(f"{path}: format {found} is newer than this graphrec reads ({FORMAT}); upgrade graphrec")
    return manifest


def _graph_of(run: Path, manifest: dict[str, Any]) -> str:
    return normpath(run / str(manifest.get("graph")))
