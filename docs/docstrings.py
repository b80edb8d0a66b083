"""How mkdocstrings reads our docstrings: what stands under Returns is prose, not a list of names and types."""

from __future__ import annotations

import re
from typing import Any

import griffe

RETURNS = re.compile(r"^(Returns|Yields)\n-+\n(.+?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)


class ProseReturns(griffe.Extension):
    """Hand the prose on as the one thing that is returned, of the type in the signature."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Indent the prose below an item without name and type."""
        if obj.docstring and RETURNS.search(obj.docstring.value):
            obj.docstring.value = RETURNS.sub(indented, obj.docstring.value)


def indented(found: re.Match[str]) -> str:
    """The section as one item that has a description alone."""
    lines = "\n".join(f"    {line}" for line in found[2].splitlines())
    return f"{found[1]}\n-------\n:\n{lines}"
