"""Progress reports of long work, independent of what displays them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Receives the progress of one task at a time."""

    def start(self, title: str, total: int | None = None) -> None:
        """Begin a task of ``total`` steps, None if unknown."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count ``steps`` as done; ``note`` replaces the text beside the bar."""

    def finish(self) -> None:
        """End the task."""

    def message(self, text: str) -> None:
        """Show a line before the work goes on, such as an estimate of its duration."""


class NoProgress:
    """Ignores every report: the default of all functions."""

    def start(self, title: str, total: int | None = None) -> None:
        """Ignore the task."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Ignore the steps."""

    def finish(self) -> None:
        """Ignore the end."""

    def message(self, text: str) -> None:
        """Ignore the line."""
