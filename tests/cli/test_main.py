"""The command line's manners: help, exit codes, one-line errors, pure JSON, output at 80 columns."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
from rich.console import Console
from typer.testing import CliRunner

from builders.build import build_graph
from builders.mapping.column_mapping import ColumnMapping
from cli import main as shell
from cli.console import RichProgress, facts, metrics_table, print_json, table
from cli.main import app
from graphrec.errors import GraphrecError, InputError
from graphrec.runs.config import RunConfig

COMMANDS = (
    "simulate", "inspect", "build", "append", "forget", "info", "train", "evaluate", "recommend", "profile", "doctor",
)  # fmt: skip
GROUP: Any = typer.main.get_command(app)
REGISTERED = list(GROUP.commands)
MANIFEST = {
    "format": 1,
    "created": "2026-01-01T00:00:00Z",
    "node_types": ["user", "item", "location"],
    "relations": {"at": ["item", "location"]},
    "counts": {"events": 1234567, "user": 3, "item": 4, "location": 2, "train": 8, "val": 1, "test": 1},
    "time_span": [1333476000, 1360000000],
    "kinds": ["check-in"],
    "sources": [{"name": "events.csv", "bytes": 3_400_000, "sha256": "0" * 64, "rows": 10}],
    "mapping": {"user": "user_id", "item": "venue[id]"},
    "split": {"method": "time", "t_val": 1350000000, "t_test": 1355000000},
    "text": None,
    "quarantined": {},
    "hash": "abc",
    "wall_seconds": 185.2,
    "peak_memory": 512_900_000,
}


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    return tmp_path


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    metrics = {"metrics": {"acc@1": 0.3, "mrr": 0.4}, "baselines": {"popularity": {"acc@1": 0.1, "mrr": 0.45}}}
    manifest = {
        "graph": "../graph",
        "graph_hash": "abc",
        "protocol": {"query_time": "request"},
        "seed": 7,
        "device": "cpu",
        "threads": 2,
        "precision": "no",
        "parameters": 159084,
        "training_rows": 2340,
        "best_epoch": 1,
        "wall_seconds": 185.0,
        "peak_memory": 513_000_000,
        "history": [{"epoch": 1, "train_loss": 5.79, "acc@1": 0.2875, "f1@1": 0.99}],
        "versions": {"python": "3.11.7"},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "metrics.json").write_text(json.dumps({"test": metrics}))
    RunConfig().save(tmp_path / "config.yaml")
    return tmp_path


def graphrec(
    *arguments: str, folder: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    script = Path(sys.executable).with_name("graphrec")
    surroundings = {**os.environ, **(environment or {})}
    return subprocess.run(
        [script, *arguments], cwd=folder, env=surroundings, capture_output=True, text=True, timeout=60
    )


def test_the_commands_are_there() -> None:
    assert tuple(REGISTERED) == COMMANDS


@pytest.mark.parametrize("command", REGISTERED)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"graphrec {command}" in result.stdout.partition("Example")[2]
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", REGISTERED)
def test_every_option_says_what_it_does(command: str) -> None:
    parameters = GROUP.commands[command].params
    assert [parameter.name for parameter in parameters if not getattr(parameter, "help", None)] == []


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(f" {name} " in result.stdout for name in REGISTERED)


def test_version(tmp_path: Path) -> None:
    done = graphrec("--version", folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("graphrec 0.")


def test_a_mistyped_command_suggests_the_nearest(tmp_path: Path) -> None:
    done = graphrec("docter", folder=tmp_path)
    assert done.returncode == 2
    assert "Did you mean 'doctor'?" in done.stderr


def test_an_unknown_option_is_a_usage_error(tmp_path: Path) -> None:
    done = graphrec("info", ".", "--jsno", folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""


def test_a_refusal_is_one_line_and_exit_1(tmp_path: Path) -> None:
    done = graphrec(
        "info", "a-folder-with-a-name-so-long-that-the-line-has-to-be-longer-than-any-terminal", folder=tmp_path
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            InputError("log.csv: row 3,\ncolumn [time]: a number expected"),
            "log.csv: row 3, column [time]: a number expected",
        ),
        (PermissionError(13, "Permission denied", "/locked"), "/locked: Permission denied"),
    ],
)
def test_what_a_user_can_put_right_is_never_a_traceback(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr(shell, "app", refuse)
    with pytest.raises(SystemExit) as end:
        shell.main()
    assert end.value.code == 1
    assert capsys.readouterr().err == f"error: {line}\n"


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(shell, "app", fail)
    with pytest.raises(ZeroDivisionError):
        shell.main()


def test_an_interrupt_is_one_line_and_130(tmp_path: Path) -> None:
    code = (
        "import time, cli.main as shell\n@shell.app.command()\ndef wait(): print('ready', flush=True); time.sleep(30)\n"
    )
    code += "import sys; sys.argv = ['graphrec', 'wait']; shell.main()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == shell.INTERRUPTED
    assert stderr == "error: interrupted\n"


def test_info_prints_a_graph(graph: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(graph)])
    assert result.exit_code == 0, result.output
    for text in (
        "1,234,567",
        "2012-04-03 18:00:00 UTC",
        "user user_id, item venue[id]",
        "events.csv",
        "3.2 MiB",
        "3 min 05 s, peak memory 489.1 MiB",
    ):
        assert text in result.stdout


def test_info_of_a_log_without_times_says_no_day(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("0 10 11\n1 10\n")
    (tmp_path / "test.txt").write_text("0 12\n1 11\n")
    lists = {"lists": True, "timeless": True, "columns": ["user", "item"], "split_by": "files"}
    mapping = ColumnMapping(**{**lists, "user": "user", "item": "item"})
    build_graph([tmp_path / "train.txt", tmp_path / "test.txt"], tmp_path / "graph", mapping=mapping, text_model="none")
    result = CliRunner().invoke(app, ["info", str(tmp_path / "graph")])
    assert result.exit_code == 0
    assert "1970" not in result.stdout


def test_info_json_is_json_and_nothing_else(graph: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(graph), "--json"])
    assert json.loads(result.stdout) == {"path": str(graph), "type": "graph", **MANIFEST}


def test_info_prints_a_run(trained: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(trained)])
    assert result.exit_code == 0, result.output
    for text in ("abc", "stgat", "3 min 05 s", "489.2 MiB", "0.2875", "0.4500", "popularity"):
        assert text in result.stdout


@pytest.mark.parametrize("name", ["manifest.json", "metrics.json", "config.yaml"])
def test_info_refuses_a_broken_run(name: str, trained: Path) -> None:
    (trained / name).write_text("{")
    result = CliRunner().invoke(app, ["info", str(trained)])
    assert isinstance(result.exception, GraphrecError)
    assert name in str(result.exception)


def test_info_says_what_a_manifest_lacks(trained: Path) -> None:
    (trained / "manifest.json").write_text("{}")
    result = CliRunner().invoke(app, ["info", str(trained)])
    assert isinstance(result.exception, GraphrecError)
    assert "manifest.json: the manifest of a run expected (no graph, protocol in it)" in str(result.exception)


def test_doctor_json_lists_what_was_looked_at(tmp_path: Path) -> None:
    done = graphrec("doctor", "--json", folder=tmp_path)
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 0
    assert {"python", "torch", "device", "cache folder", "import graphrec"} <= set(checks)


def test_doctor_fails_with_a_remedy_where_the_cache_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = graphrec("doctor", folder=tmp_path, environment={"GRAPHREC_CACHE": str(tmp_path / "file" / "cache")})
    assert done.returncode == 1
    assert "-> set GRAPHREC_CACHE" in done.stdout


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [float("nan"), (1.5, float("inf"))], "b": {"c": None}})
    assert json.loads(capsys.readouterr().out) == {"a": [None, [1.5, None]], "b": {"c": None}}


def test_the_best_of_each_metric_is_bold() -> None:
    page = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    page.print(metrics_table({"acc@1": 0.3, "mrr": 0.4}, {"counter": {"acc@1": 0.25, "mrr": 0.41}}, name="stgat"))
    written = page.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[1m0.3000\x1b[0m" in written
    assert "\x1b[1m0.4100\x1b[0m" in written
    assert "\x1b[1m0.4000" not in written


def test_a_metric_that_a_baseline_lacks_is_a_dash_and_never_the_best() -> None:
    page = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    page.print(metrics_table({"mrr": 0.2}, {"absent": {}, "undefined": {"mrr": float("nan")}}))
    written = page.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[1m0.2000\x1b[0m" in written
    assert written.count(" -") == 2


def test_brackets_in_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Console().print(table("run [red]", ["[b]"], [["[/x]"]]), facts("[y]", {"a[i]": "[dim]"}))
    written = capsys.readouterr().out
    assert all(text in written for text in ("run [red]", "[b]", "[/x]", "[y]", "a[i]", "[dim]"))


def test_progress_off_a_terminal_is_one_line() -> None:
    page = Console(file=io.StringIO(), width=80)
    with RichProgress(page) as progress:
        progress.start("reading [a]", 3)
        progress.advance(2, "two")
        progress.advance(1)
    written = page.file.getvalue()  # type: ignore[attr-defined]
    assert written.count("\n") == 1
    assert all(part in written for part in ("reading [a]", "3/3", "0:00:00", "two"))


def test_an_error_gives_the_cursor_of_the_terminal_back() -> None:
    page = Console(file=io.StringIO(), width=80, force_terminal=True)

    def work() -> None:
        with RichProgress(page) as progress:
            progress.start("epoch 3 of 20", 400)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        work()
    assert page.file.getvalue().rindex("\x1b[?25h") > page.file.getvalue().rindex("\x1b[?25l")  # type: ignore[attr-defined]


def test_progress_may_be_advanced_or_finished_when_nothing_runs() -> None:
    progress = RichProgress(Console(file=io.StringIO()))
    progress.advance()
    progress.finish()
