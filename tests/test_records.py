"""Records of JSON: the same keys and values come out that went in, in their order, of whatever version they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphrec.errors import GraphError, RunError
from graphrec.graph.manifest import GraphManifest, read_manifest
from graphrec.runs.manifest import RunManifest

STORED = Path(__file__).parent / "data" / "version-0.1"


@pytest.mark.parametrize("path", sorted(STORED.rglob("manifest.json")), ids=lambda path: path.parent.name)
def test_a_stored_manifest_comes_out_as_it_went_in(path: Path) -> None:
    stored = json.loads(path.read_text(encoding="utf-8"))
    manifest = read_manifest(path.parent) if "format" in stored else RunManifest.read(path.parent)
    assert json.dumps(manifest.to_dict()) == json.dumps(stored)


def test_keys_of_another_version_are_kept(city_graph: Path, city_run: Path, tmp_path: Path) -> None:
    for folder in (city_graph, city_run):
        stored = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        newer = {**stored, "of a newer version": {"a": [1, None]}}
        (tmp_path / "manifest.json").write_text(json.dumps(newer), encoding="utf-8")
        manifest = read_manifest(tmp_path) if folder == city_graph else RunManifest.read(tmp_path)
        assert json.dumps(manifest.to_dict()) == json.dumps(newer)


def test_a_manifest_shows_its_single_values() -> None:
    manifest = GraphManifest(hash="<b>", counts={"events": 3}, preset=None)
    assert repr(manifest) == "GraphManifest(hash='<b>')"
    assert manifest._repr_html_().endswith("<tr><td>hash</td><td>&lt;b&gt;</td></tr></table>")


def test_a_value_of_another_type_is_one_line(tmp_path: Path) -> None:
    graph = {"format": 1, "node_types": ["user"], "relations": {}, "counts": {"events": "many"}}
    (tmp_path / "manifest.json").write_text(json.dumps(graph), encoding="utf-8")
    with pytest.raises(GraphError, match=r"not a graph manifest \(counts\.events: [^\n]+\); build the graph again"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"graph": "g", "protocol": 3}), encoding="utf-8")
    with pytest.raises(RunError, match=r"the manifest of a run expected \(protocol: [^\n]+\)"):
        RunManifest.read(tmp_path)
