"""The command line on a terminal, in a pipe and under ``--quiet``: colours, letters, hints, suggestions."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from cli.console import RichProgress, be_quiet, command, notes, print_indented, table
from tests.cli.test_main import GROUP, MANIFEST, REGISTERED

SCRIPT = str(Path(sys.executable).with_name("graphrec"))
COLOUR = re.compile(r"\x1b\[(?:[0-9]*;)*(?:3[0-7]|9[0-7]|38|48)[;0-9]*m")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A manifest with a letter that is not ASCII."""
    folder = tmp_path / "a graph"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({**MANIFEST, "kinds": ["café"]}))
    return folder


@pytest.fixture(autouse=True)
def loud() -> None:
    be_quiet(quiet=False)


def surroundings(**more: str) -> dict[str, str]:
    decided = {"NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TERM"}
    return {name: value for name, value in os.environ.items() if name not in decided} | more


def on_a_terminal(*words: str, **environment: str) -> str:
    """What a terminal of 80 columns is sent."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [SCRIPT, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=surroundings(**environment)
    ) as process:
        os.close(theirs)
        sent = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so when the other side has closed
                break
            if not piece:
                break
            sent += piece
        process.wait(timeout=60)
    os.close(ours)
    return sent.decode()


def in_a_pipe(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *words], env=surroundings(**environment), capture_output=True, text=True, timeout=60)


def test_a_terminal_gets_colours_and_the_next_step(graph: Path) -> None:
    assert "\x1b[1;31merror:" in on_a_terminal("info", "nowhere", TERM="xterm")
    shown = on_a_terminal("info", str(graph), TERM="xterm")
    assert f"next:\x1b[0m graphrec train '{graph}' --out {graph.parent}/run" in shown
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in shown.split("\r\n") if "next:" not in line) <= 80


def test_no_color_leaves_no_colour() -> None:
    assert not COLOUR.search(on_a_terminal("info", "nowhere", TERM="xterm", NO_COLOR="1"))


def test_a_dumb_terminal_gets_no_escape_at_all(graph: Path) -> None:
    for words in (("info", "nowhere"), ("info", str(graph))):
        shown = on_a_terminal(*words, TERM="dumb")
        assert "\x1b" not in shown
        assert len(shown) > 20


def test_a_pipe_gets_text_alone(graph: Path) -> None:
    done = in_a_pipe("info", str(graph), TERM="xterm")
    assert "\x1b" not in done.stdout + done.stderr
    assert "café" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_letters_that_the_terminal_lacks_stop_nothing(graph: Path, environment: dict[str, str]) -> None:
    done = in_a_pipe("info", str(graph), **environment)
    assert done.returncode == 0
    assert re.search(r"kinds +caf(é|\?)", done.stdout)
    assert in_a_pipe("info", "--nowhere", **environment).returncode == 2
    assert in_a_pipe("train", "--help", **environment).returncode == 0


@pytest.mark.parametrize("place", ["before", "after"])
def test_quiet_leaves_results_and_errors(place: str, graph: Path) -> None:
    def words(*command: str) -> tuple[str, ...]:
        return ("--quiet", *command) if place == "before" else (*command, "--quiet")

    shown = on_a_terminal(*words("info", str(graph)), TERM="xterm")
    assert "1,234,567" in shown
    assert "next:" not in shown
    assert "error:" in on_a_terminal(*words("info", "nowhere"), TERM="xterm")


@pytest.mark.parametrize("name", REGISTERED)
def test_every_command_can_be_quiet(name: str) -> None:
    options = [option for parameter in GROUP.commands[name].params for option in parameter.opts]
    assert {"--quiet", "-q"} <= set(options)


def test_quiet_work_draws_no_bar() -> None:
    page = Console(file=io.StringIO(), width=80, force_terminal=True, quiet=True)
    with RichProgress(page) as progress:
        progress.start("reading", 3)
        progress.advance()
        progress.message("soon")
    assert page.file.getvalue() == ""  # type: ignore[attr-defined]


def test_a_bar_says_how_long_is_left() -> None:
    page = Console(file=io.StringIO(), width=80, force_terminal=True)
    with RichProgress(page) as progress:
        progress.start("reading", 3)
        progress.advance(3)
    assert len(re.findall(r"\d:\d\d:\d\d", page.file.getvalue().splitlines()[-2])) >= 2  # type: ignore[attr-defined]


def test_being_quiet_ends_with_the_command(graph: Path) -> None:
    from typer.testing import CliRunner

    from cli.main import app

    CliRunner().invoke(app, ["--quiet", "info", str(graph)])
    assert notes.quiet
    CliRunner().invoke(app, ["info", str(graph)])
    assert not notes.quiet


def test_a_long_line_goes_on_below_its_text_at_a_terminal_and_stays_whole_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "word " * 20 + "[end]"
    print_indented("   0.25", words)
    assert capsys.readouterr().out == f"   0.25  {words}\n"
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    print_indented("   0.25", words)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("   0.25  word")
    assert second.startswith(" " * 9 + "word")
    assert second.rstrip().endswith("[end]")


def test_a_column_of_shares_has_one_number_of_digits(capsys: pytest.CaptureFixture[str]) -> None:
    Console().print(table("", ("name", "score"), [("a", 0.21644), ("b", 0.0779123), ("c", 0.5)]))
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[2:]] == ["0.2164", "0.0779", "0.5000"]


def test_a_hint_can_be_pasted() -> None:
    assert command("train", Path("my city/graph"), "-k", 3) == "graphrec train 'my city/graph' -k 3"


def test_a_mistyped_option_suggests_the_nearest() -> None:
    done = in_a_pipe("train", "graph", "--otu", "run")
    assert done.returncode == 2
    assert "--out" in done.stderr.partition("No such option: --otu")[2]


def test_help_names_no_type_beside_a_switch() -> None:
    for words in (["--help"], *([name, "--help"] for name in REGISTERED)):
        from typer.testing import CliRunner

        from cli.main import app

        assert "<bool>" not in CliRunner().invoke(app, words).stdout
