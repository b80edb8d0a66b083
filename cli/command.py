"""Commands whose help names no type beside a switch."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


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
