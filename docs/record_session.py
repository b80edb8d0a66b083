"""Record a terminal session as docs/images/terminal.svg: real commands on a simulated city, and what they print.

python docs/record_session.py
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

OUT = Path(__file__).parent / "images" / "terminal.svg"
COLUMNS = 84
BEFORE = (
    "graphrec simulate city --users 120 --days 40",
    "graphrec build city/events.csv --items city/items.csv --users city/users.csv --locations city/locations.csv "
    "--text-model minilm --out city/graph",
)
"""What the session begins after."""
SHOWN = (
    "graphrec train city/graph --out city/run --set epochs=4",
    "graphrec recommend city/run --user u0003 -k 3 --explain --what-if",
)
"""What it shows."""


def main() -> None:
    """Run the commands in an empty folder and write the picture."""
    page = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    with tempfile.TemporaryDirectory() as folder:
        for line in BEFORE:
            run(line, folder)
        for line in SHOWN:
            page.print(Text.assemble(("$ ", "bold green"), (line, "bold")))
            page.print(Text.from_ansi(settled(run(line, folder))), end="\n\n" if line != SHOWN[-1] else "\n")
    if folder in page.export_text(clear=False):
        raise SystemExit(f"{folder} is in the picture")
    OUT.write_text(page.export_svg(title="graphrec", code_format=without_network(), unique_id="graphrec"), "utf-8")


def run(line: str, folder: str) -> str:
    """What a terminal would be sent by a command."""
    terminal = {"TTY_COMPATIBLE": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": str(COLUMNS)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    surroundings = {**os.environ, **terminal, "PATH": path, "PYTHONUNBUFFERED": "1"}
    words = shlex.split(line)
    done = subprocess.run(words, cwd=folder, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    done.check_returncode()
    return done.stdout.decode()  # not text=True, which takes the return of the carriage for the end of a line


def settled(sent: str) -> str:
    """What is left on the screen when every bar has been drawn over for the last time."""
    rows, row = [""], 0
    for piece in re.split(r"(\r|\n|\x1b\[2K|\x1b\[1A)", re.sub(r"\x1b\[\?25[lh]", "", sent)):
        if piece == "\n":
            row += 1
            rows += [""] * (row == len(rows))
        elif piece == "\x1b[1A":
            row -= 1
        elif piece == "\x1b[2K":
            rows[row] = ""
        elif piece != "\r":
            rows[row] += piece
    return "\n".join(rows).strip("\n")


def without_network() -> str:
    """Rich's frame, in the reader's own monospaced font in place of one from the network."""
    local = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return local.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace")


if __name__ == "__main__":
    main()
