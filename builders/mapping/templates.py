"""Texts of nodes, put together from columns: ``{title}. {category}. {description}``.

``{Comedy?}`` stands for a column of yes and no: it gives the column's name where the column says 1, true or yes.
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
    """Names of the columns that a template uses, in order."""
    return [name.removesuffix("?") for name in _FIELD.findall(template)]


def unused_columns(columns: Sequence[str], mapping: BaseModel) -> list[str]:
    """The columns of a file that a mapping neither gives a role to nor puts into a text."""
    given = [value for value in mapping.model_dump().values() if isinstance(value, str)]
    used = {*given, *(name for value in given for name in fields(value))}
    return [column for column in columns if column not in used]


def check_fields(template: str, key: str, columns: Iterable[str], where: str) -> None:
    """Raise MappingError if the template uses a column that ``where`` does not have, or none at all."""
    names, there = fields(template), list(columns)
    if not names:
        raise MappingError(
            f"{key}: a template with a column in braces, such as '{{title}}', expected, got {template!r}"
        )
    for name in names:
        check_column(name, there, key, where)


def render(template: str, columns: Mapping[str, Any]) -> Any:
    """The expression of a template over text columns; null where every column is empty.

    An empty column takes the punctuation that follows it along, and bars between words become commas.
    """
    pieces = _FIELD.split(template)  # literal, name, literal, name, ..., literal
    text: Any = ibis.literal("")
    for name, after in zip(pieces[1::2], pieces[2::2], strict=True):
        value = _value(name, columns[name.removesuffix("?")].strip())
        value = value.re_replace(r"\.$", "") if after.startswith(".") else value
        there = value.notnull() & (value != "")
        text = text + there.ifelse(value + after, "")
    filled = text.strip()
    return (filled != "").ifelse(ibis.literal(pieces[0]) + filled, None)


def _value(name: str, column: Any) -> Any:
    if name.endswith("?"):
        return column.lower().isin(["1", "true", "yes"]).ifelse(name.removesuffix("?"), "")
    text = column.replace("|", ", ")
    bare = text.re_replace(r'^\[+"?|"?\]+$', "").re_replace(r'"?\]*,\s*\[*"', ", ")
    return text.re_search(r"^\[.*\]$").ifelse(bare, text)  # a list of JSON: its words
