"""Templates of node texts over columns: ``{title}. {category}. {description}``.

``{Comedy?}`` is a boolean column: the column's name where its value is 1, true or yes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import ibis
from pydantic import BaseModel

from builders.mapping.column_names import check_column
from graphrec.errors import MappingError

_FIELD = re.compile(r"\{([^{}]+)\}")


def fields(template: str) -> list[str]:
    """Column names in a template, in order."""
    return [name.removesuffix("?") for name in _FIELD.findall(template)]


def unused_columns(columns: Sequence[str], mapping: BaseModel) -> list[str]:
    """The columns of a file that have no role and are in no template."""
    values = [value for value in mapping.model_dump().values() if isinstance(value, str)]
    used = {*values, *(name for value in values for name in fields(value))}
    return [column for column in columns if column not in used]


def check_fields(template: str, key: str, columns: Iterable[str], where: str) -> None:
    """Raise MappingError if the template has no column, or one that ``where`` lacks."""
    names, known = fields(template), list(columns)
    if not names:
        raise MappingError(
            f"{key}: a template with a column in braces, such as '{{title}}', expected, got {template!r}"
        )
    for name in names:
        check_column(name, known, key, where)


def render(template: str, columns: Mapping[str, Any]) -> Any:
    """The expression of a template over text columns; null if every column is empty.

    The punctuation after an empty column is omitted, and bars between words become commas.
    """
    pieces = _FIELD.split(template)  # literal, name, literal, name, ..., literal
    text: Any = ibis.literal("")
    for name, after in zip(pieces[1::2], pieces[2::2], strict=True):
        value = _value(name, columns[name.removesuffix("?")].strip())
        value = value.re_replace(r"\.$", "") if after.startswith(".") else value
        is_filled = value.notnull() & (value != "")
        text = text + is_filled.ifelse(value + after, "")
    filled = text.strip()
    return (filled != "").ifelse(ibis.literal(pieces[0]) + filled, None)


def _value(name: str, column: Any) -> Any:
    if name.endswith("?"):
        return column.lower().isin(["1", "true", "yes"]).ifelse(name.removesuffix("?"), "")
    text = column.replace("|", ", ")
    words = text.re_replace(r'^\[+"?|"?\]+$', "").re_replace(r'"?\]*,\s*\[*"', ", ")
    return text.re_search(r"^\[.*\]$").ifelse(words, text)  # the words of a JSON list
