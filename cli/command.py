"""What every command has: help that names no type where an option is a switch, and ``--quiet``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cli.console import be_quiet


class Command(TyperCommand):
    """A command whose help shows a switch as a switch; typer would write ``<bool>`` beside it."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options and arguments, with that of ``--help``."""
        return _switches_named(super().get_params(ctx))


class Group(TyperGroup):
    """The same for the options before a command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options, with that of ``--help``."""
        return _switches_named(super().get_params(ctx))


def _switches_named(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


def _silence(wanted: bool) -> None:
    if wanted:
        be_quiet()


Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Only results and errors.", callback=_silence, expose_value=False),
]
"""The option that every command has; it may also stand before the command."""
