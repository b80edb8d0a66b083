"""Every bash and python block of README.md and docs/ runs, in the page's order, in one folder a page.

What stands in a comment on the line before a block changes that:

- ``<!-- not run: why -->``: the block is only checked for commands and options that exist;
- ``<!-- file: name -->``: the block, of any language, is written to that file (a log to start from, say).

A bash block that begins with ``make``, ``git`` or ``pip`` changes the machine, so it is checked, not run.
The python blocks of a page share their names, like the cells of a notebook.

A page with the comment ``<!-- goes on from README.md -->`` begins in a copy of the folder that README.md leaves behind.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cli.main import app

ROOT = Path(__file__).parent.parent
PAGES = [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if path.is_file()]
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>not run|file): (?P<detail>[^\n]+?) -->\n)?"
    r"^```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
NOT_RUN = ("make", "git", "pip")
"""Commands that change the machine."""
GOES_ON = "<!-- goes on from README.md -->"


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    code: str
    line: int
    mark: str | None
    """``not run`` or ``file``, from the comment before the block."""
    detail: str | None

    @property
    def commands(self) -> Iterator[list[str]]:
        """The words of each command line, pipes and ``&&`` taken apart, comments left out."""
        whole = self.code.replace("\\\n", " ")
        for line in re.split(r"\n|&&|\|\||[|;]", whole):
            if words := shlex.split(line, comments=True):
                yield words

    @property
    def changes_the_machine(self) -> bool:
        """Whether the block begins with a command that is checked in place of being run."""
        return next(self.commands, [""])[0] in NOT_RUN


def blocks(page: str) -> list[Block]:
    return [
        Block(found["language"], found["code"], page[: found.start("code")].count("\n"), found["mark"], found["detail"])
        for found in FENCE.finditer(page)
    ]


def run_page(page: Path, folder: Path) -> None:
    """Run the blocks of a page in ``folder``; AssertionError names the block that failed."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page.read_text(encoding="utf-8")):
        where = f"{page.name}, block at line {block.line}"
        if block.mark == "file":
            (folder / str(block.detail)).write_text(block.code, encoding="utf-8")
        elif block.mark is None and block.language == "python":
            exec(compile("\n" * block.line + block.code, str(page), "exec", dont_inherit=True), names)
        elif block.mark is None and block.language == "bash" and not block.changes_the_machine:
            run_bash(block.code, folder, where)


def run_bash(code: str, folder: Path, where: str) -> None:
    surroundings = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code], cwd=folder, env=surroundings, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{where} exits with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def complaints(block: Block) -> list[str]:
    """What a bash block names that does not exist: make targets, graphrec commands and options, extras."""
    found = []
    for words in block.commands:
        if words[0] == "make":
            targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            found += [f"make {word}" for word in words[1:] if word.isalpha() and word not in targets]
        if words[0] == "graphrec":
            found += graphrec_complaints(words[1:])
        if words[0] == "pip":
            extras = re.findall(r"\[([\w,]+)\]", " ".join(words))
            found += [f"extra {name}" for names in extras for name in names.split(",") if name not in known_extras()]
    return found


def graphrec_complaints(words: list[str]) -> list[str]:
    group: Any = typer.main.get_command(app)
    if not words or words[0].startswith("-"):
        return []
    if words[0] not in group.commands:
        return [f"graphrec {words[0]}"]
    options = {"--help", "-h"}.union(*(parameter.opts for parameter in group.commands[words[0]].params))
    return [f"graphrec {words[0]} {word}" for word in words if re.match("--?[a-z]", word) and word not in options]


def known_extras() -> list[str]:
    return list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


@pytest.fixture(scope="session")
def after_readme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the blocks of README.md have run."""
    folder = tmp_path_factory.mktemp("readme")
    with chdir(folder):
        run_page(ROOT / "README.md", folder)
    return folder


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if page.name == "README.md":
        assert request.getfixturevalue("after_readme").is_dir()
        return
    if GOES_ON in page.read_text(encoding="utf-8"):
        shutil.copytree(request.getfixturevalue("after_readme"), tmp_path, dirs_exist_ok=True)
    with chdir(tmp_path):
        run_page(page, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = [complaint for block in blocks(text) if block.language == "bash" for complaint in complaints(block)]
    found += [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert found == []


@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_the_pages_beside_the_readme_name_only_what_exists(page: Path) -> None:
    test_what_a_page_names_exists(page)


def test_a_page_is_run_in_order_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- file: log.csv -->\n```csv\na,b\n```\n```bash\ncat log.csv > copy.csv\n```\n"
        "```python\nimport os\nn = os.path.getsize('copy.csv')\n```\ntext\n```python\nassert n == 4\n```\n"
        "<!-- not run: it takes a night -->\n```bash\nexit 1\n```\n"
        "```bash\nmake test\nexit 1\n```\n```text\n$ exit 1\n```\n"
    )
    monkeypatch.chdir(tmp_path)
    run_page(page, tmp_path)
    assert (tmp_path / "copy.csv").read_text() == "a,b\n"


@pytest.mark.parametrize("block", ["```bash\ntrue\nfalse\ntrue\n```\n", "```python\nassert 1 == 2\n```\n"])
def test_a_block_that_fails_fails_its_page(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(block)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError):
        run_page(page, tmp_path)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("make test\nmake tset", ["make tset"]),
        ("graphrec info x --json && graphrec inof x", ["graphrec inof"]),
        ("graphrec info \\\n  x --jsno", ["graphrec info --jsno"]),
        ("pip install 'graphrec[minilm,fast]'", ["extra fast"]),
    ],
)
def test_a_name_that_does_not_exist_is_found_without_running(code: str, expected: list[str]) -> None:
    (block,) = blocks(f"```bash\n{code}\n```\n")
    assert complaints(block) == expected
