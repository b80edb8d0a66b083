"""How mkdocstrings reads our docstrings: what stands under Returns, or after the sections, is prose and not a list."""

from __future__ import annotations

import re
from typing import Any

import griffe

SECTION = re.compile(r"\w+\n-+\n")
"""The head of a section, such as Parameters."""
RETURNS = re.compile(r"(Returns|Yields)\n-+\n(.+)", re.DOTALL)


class Prose(griffe.Extension):
    """Write docstrings of this project as the numpy format has it."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of a module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = "\n\n".join(in_numpy_format(obj.docstring.value.split("\n\n")))


def in_numpy_format(paragraphs: list[str]) -> list[str]:
    """Prose that follows sections goes before them; what is returned is one thing of the type in the signature."""
    first = next((place for place, text in enumerate(paragraphs) if SECTION.match(text)), len(paragraphs))
    prose = [
        text for text in paragraphs[first:] if not SECTION.match(text) and not re.search(r"^ ", text, re.MULTILINE)
    ]
    sections = [RETURNS.sub(returned, text) for text in paragraphs[first:] if text not in prose]
    return [*paragraphs[:first], *prose, *sections]


def returned(found: re.Match[str]) -> str:
    """The section as one item that has a description alone."""
    lines = "\n".join(f"    {line}" for line in found[2].splitlines())
    return f"{found[1]}\n-------\n:\n{lines}"
