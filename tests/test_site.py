"""The documentation site's navigation names every page, and every link and anchor of the documentation leads somewhere.

Without MkDocs, which ``make docs`` installs; that builds the site besides and refuses what loads from the network.
"""

from __future__ import annotations

import importlib.util
import json
import pydoc
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.test_public import SURFACE, public_values

ROOT = Path(__file__).parent.parent
FENCED = re.compile(r"^(`{3,})[^\n]*\n.*?^\1\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.MULTILINE)
INCLUDED = re.compile(r'^--8<-- "([^":]+):([^"]+)"$', re.MULTILINE)


def load_hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOOKS = load_hooks()
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "findings/README.md")]
PAGES += [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]
PAGES += sorted((ROOT / "notebooks").glob("*.ipynb"))


def text_of(path: Path) -> str:
    """The Markdown of a page or of a notebook's cells, without fenced code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
    return FENCED.sub("", text)


def anchor(heading: str) -> str:
    """A heading's anchor, as GitHub and the site name it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def broken_links(page: Path) -> list[str]:
    """Links of a page that lead to no file or no heading, or are no addresses."""
    found = []
    for link in LINK.findall(text_of(page)):
        parts = urlsplit(link)
        if parts.scheme:
            whole = parts.scheme in ("https", "mailto") and (parts.netloc or parts.scheme == "mailto")
            found += [] if whole else [link]
            continue
        target = (page.parent / parts.path).resolve() if parts.path else page
        headings = HEADING.findall(text_of(target)) if parts.fragment and target.exists() else []
        if not target.exists() or (parts.fragment and parts.fragment not in map(anchor, headings)):
            found.append(link)
    return found


def named(entries: list[Any]) -> Iterator[str]:
    """The pages of a navigation."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry
        else:
            (below,) = entry.values()
            yield from named(below if isinstance(below, list) else [below])


def test_the_navigation_names_every_page_once() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    pages = [path for path in HOOKS.site_files() if path.endswith(".md")]
    assert sorted(named(HOOKS.navigation(navigation))) == sorted(pages)


def test_a_folder_of_the_navigation_is_its_pages() -> None:
    (written,) = HOOKS.navigation([{"Decisions": "decisions/"}])
    assert written["Decisions"][:2] == ["decisions/index.md", "decisions/0001-time-as-integer-utc-seconds.md"]


def test_every_public_name_is_in_the_reference_once() -> None:
    shown = [name for page in HOOKS.REFERENCE for name in HOOKS.reference_names(page)]
    assert len(shown) == len(set(shown))
    public = {id(value) for name in SURFACE for value in public_values(name)}
    assert {id(pydoc.locate(name)) for name in shown} == public


def test_every_command_is_in_the_reference() -> None:
    page = HOOKS.command_line_page()
    assert "## `graphrec recommend`" in page
    assert "--explain" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_includes_is_there(page: Path) -> None:
    for name, section in INCLUDED.findall(text_of(page)):
        source = (ROOT / name).read_text(encoding="utf-8")
        assert source.count(f"[start:{section}]") == source.count(f"[end:{section}]") == 1


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A title\n## It's `here`, now\n```text\n# not a heading\n```\n")
    page = tmp_path / "page.md"
    good = "[a](other.md) [b](other.md#its-here-now) [c](https://example.org/x) [d](#page)"
    bad = ["none.md", "other.md#elsewhere", "other.md#not-a-heading", "https:/example.org", "#nowhere"]
    page.write_text(f"# Page\n{good}\n" + "\n".join(f"[x]({link})" for link in bad) + "\n```md\n[y](gone.md)\n```\n")
    assert broken_links(page) == bad


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("evidence.md", "../benchmarks/network.md", "benchmarks/network.md"),
        ("report.md", "../notebooks/1-build-and-look.ipynb", "notebooks/1-build-and-look.md"),
        ("how-to/add-text.md", "../text.md", "../text.md"),
        ("benchmarks/network.md", "../docs/decisions/0007-propagation.md", "../decisions/0007-propagation.md"),
        ("contributing.md", "docs/decisions", "decisions/index.md"),
        ("notebooks/1-build-and-look.md", "../README.md", "../index.md"),
    ],
)
def test_a_link_of_the_repository_becomes_one_of_the_site(page: str, link: str, expected: str) -> None:
    assert HOOKS.moved_link(page, link) == expected
