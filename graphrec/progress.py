"""How long work says how far it is, without knowing who listens."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Listens to one piece of work at a time."""

    def start(self, title: str, total: int | None = None) -> None:
        """A piece of work begins; ``total`` steps, None if unknown."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """So many steps are done; ``note`` replaces the text beside the bar."""

    def finish(self) -> None:
        """The piece of work is over."""

    def tell(self, text: str) -> None:
        """Something to know before work goes on, such as how long it will take."""


class Silent:
    """Listens and says nothing: the default of every function."""

    def start(self, title: str, total: int | None = None) -> None:
        """Say nothing."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Say nothing."""

    def finish(self) -> None:
        """Say nothing."""

    def tell(self, text: str) -> None:
        """Say nothing."""
