"""Findings keep their form; ``make findings`` runs them, since that needs a package index."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "findings"
FINDINGS = sorted(FOLDER.glob("*.sh"))


def test_the_page_lists_every_finding() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert FINDINGS
    assert sorted(re.findall(r"\]\(([\w-]+\.sh)\)", page)) == [path.name for path in FINDINGS]


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
def test_a_finding_pins_its_packages_and_leaves_graphrec_out(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    call = re.fullmatch(r'finding "([^"]+)" "\$program" "\$expected"', text.splitlines()[-1])
    assert call is not None
    packages = [package.partition("==")[::2] for package in call[1].split()]
    assert all(name and version for name, version in packages)
    program = text.partition("<<'PYTHON'\n")[2].partition("\nPYTHON\n")[0]
    compile(program, path.name, "exec")
    assert not re.search(r"\b(graphrec|builders|cli)\b", program)
    assert any(f"{name} {version}" in text for name, version in packages)  # in the comment
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0


@pytest.mark.parametrize(("seen", "code"), [("one\ntwo", 0), ("one\nthree", 1)])
def test_an_output_that_differs_is_shown_and_fails(seen: str, code: int) -> None:
    script = 'source run.bash; compare "$1" "$2"'
    done = subprocess.run(
        ["bash", "-c", script, "bash", "one\ntwo", seen], cwd=FOLDER, check=False, capture_output=True, text=True
    )
    assert done.returncode == code
    assert ("> three" in done.stderr) == (code == 1)
