"""The picture of docs/architecture.md is that of the code, and the page names what is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent


def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_architecture", ROOT / "docs" / "draw_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_that_of_the_imports() -> None:
    stored = (ROOT / "docs" / "images" / "architecture.svg").read_text(encoding="utf-8")
    assert stored == drawing().picture(), "the imports have changed: make architecture"


def test_the_page_names_every_step_in_order() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    draw = drawing()
    for steps in (draw.LOG, draw.QUERY):
        rows = [page.index(f"| {number} | `{draw._label(step)}` |") for number, step in enumerate(steps, 1)]
        assert rows == sorted(rows)


def test_every_path_and_room_on_the_page_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:graphrec|builders|cli|tests)/[\w./]*)`", page)
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []
    rooms = set(re.findall(r"`((?:graphrec|builders)\.[a-z_]+)`", page))
    known = set(drawing().room_imports(drawing().module_graph()))
    assert rooms <= known | {"graphrec.models.losses"}
    assert {room for room in known if (ROOT / room.replace(".", "/")).is_dir()} - {"cli"} <= rooms
