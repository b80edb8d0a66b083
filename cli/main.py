"""The console script ``graphrec``: its commands, and how it ends.

A refusal (GraphrecError) is one line on stderr and exit code 1, a usage error is exit code 2, an interrupt is 130.
Commands import graphrec and builders when they run, so that ``--help`` answers without loading torch.
"""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from cli.append import append_command
from cli.build import build_command
from cli.command import Command, Group
from cli.console import be_quiet, console, print_error, show_deprecations, survive_any_encoding
from cli.doctor import doctor_command
from cli.evaluate import evaluate_command
from cli.forget import forget_command
from cli.info import info_command
from cli.inspect import inspect_command
from cli.profile import profile_command
from cli.recommend import recommend_command
from cli.simulate import simulate_command
from cli.train import train_command
from graphrec.errors import GraphrecError

INTERRUPTED = 130
"""Exit code of a command that the user stopped: 128 + SIGINT."""

app = typer.Typer(
    name="graphrec",
    cls=Group,
    help="From logs to ranked, explained recommendations, each as of a time.",
    epilog="Start with: graphrec simulate city && graphrec build city/events.csv --out city/graph",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.print(f"graphrec {metadata.version('graphrec')}")
        raise typer.Exit


@app.callback()
def graphrec(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors, of any command.")] = False,
) -> None:
    """Hold the options that come before a command."""
    be_quiet(quiet=quiet)


for function in (
    simulate_command,
    inspect_command,
    build_command,
    append_command,
    forget_command,
    info_command,
    train_command,
    evaluate_command,
    recommend_command,
    profile_command,
    doctor_command,
):
    app.command(function.__name__.removesuffix("_command"), cls=Command)(function)


def main() -> None:
    """Run the command line; what a user can put right is one line, never a traceback."""
    survive_any_encoding()
    show_deprecations()
    try:
        app()
    except (GraphrecError, OSError) as error:
        print_error(
            f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        )
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print_error("interrupted")
        raise SystemExit(INTERRUPTED) from None
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer has turned the interrupt into its exit code, without a word
            print_error("interrupted")
        raise


if __name__ == "__main__":
    main()
