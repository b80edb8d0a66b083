"""Draft of a mapping to edit: the roles and formats of an inspection, each with its meaning as a comment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from builders.inspection import Column, Inspection
from builders.mapping.column_mapping import ROLES, ColumnMapping
from graphrec.errors import GraphrecError, InputError

FORMATS = ("delimiter", "encoding", "header")
"""Keys that are detected in each file."""
MAX_YAML_WIDTH = 1 << 20
"""Characters after which a line of YAML is broken: never, in practice."""
MAX_EXAMPLE_WIDTH = 60
"""Characters of the example values of a column."""


def draft(inspection: Inspection) -> str:
    """A mapping as YAML: it loads as the mapping of the inspection; detected formats are comments."""
    settings = inspection.mapping.settings()
    format_line = _line("time_format", settings.pop("time_format", "auto"), _time(inspection))
    blocks = {
        "Roles of the columns.": _roles(inspection),
        "Columns without a role. To use one, write a role in place of ROLE and remove the #.": _unused(inspection),
        "Format of the files. Values after a # were detected, and are detected again in each file.": [
            format_line,
            *(_format(inspection, key, settings) for key in FORMATS),
        ],
        "Other settings.": [_line(key, settings[key]) for key in settings if key not in (*ROLES, *FORMATS)],
    }
    about = (
        f"# {_plain(', '.join(file.name for file in inspection.files))}: change what is wrong, and build with --mapping"
    )
    parts = ["\n".join([f"# {title}", *filter(None, lines)]) for title, lines in blocks.items() if any(lines)]
    return "\n\n".join([f"{about}.\n# Every key is in docs/mapping.md.", *parts]) + "\n"


def save_draft(inspection: Inspection, path: Path) -> None:
    """Write the mapping to a file; InputError if the file exists with other content, which may have been edited."""
    if path.exists() and not _has_mapping(path, inspection.mapping):
        raise InputError(
            f"{path}: a new file expected for the mapping, but there is one that differs; delete it, or name another"
        )
    path.write_text(draft(inspection), encoding="utf-8")


def _has_mapping(path: Path, mapping: ColumnMapping) -> bool:
    try:
        return ColumnMapping.load(path) == mapping
    except GraphrecError:
        return False


def _roles(inspection: Inspection) -> list[str]:
    roles = inspection.mapping.roles()
    return [_line(role, roles[role]) for role in ROLES if role in roles] + [
        f"# {role}: COLUMN  # {_meaning(role)} No column looks like it: name one." for role in inspection.missing_roles
    ]


def _unused(inspection: Inspection) -> list[str]:
    return [f"# ROLE: {_yaml(column.name)}  # {_contents(column)}" for column in inspection.columns if not column.used]


def _contents(column: Column) -> str:
    examples = ", ".join(map(_plain, column.examples))[:MAX_EXAMPLE_WIDTH]
    return f"{column.holds}, such as {examples}" if examples else column.holds


def _time(inspection: Inspection) -> str | None:
    return f"Found: {inspection.time_format}. Zone: {inspection.time_zone}." if inspection.time_format else None


def _format(inspection: Inspection, key: str, settings: dict[str, Any]) -> str:
    if key in settings:
        return _line(key, settings[key])
    values = dict.fromkeys(getattr(file, key) for file in inspection.files if file.format == "csv" or key == "encoding")
    detected = [_yaml(value) for value in values if value is not None]
    return f"# {key}: {detected[0]}  # {_meaning(key)}" if len(detected) == 1 else ""


def _line(key: str, value: Any, comment: str | None = None) -> str:
    text, comment = f"{key}: {_yaml(value)}", _plain(comment or _meaning(key))
    if "\n" in text:
        return f"# {comment}\n{yaml.safe_dump({key: value}, allow_unicode=True, sort_keys=False).rstrip()}"
    return f"{text}  # {comment}"


def _yaml(value: Any) -> str:
    """A value as YAML on one line."""
    style = '"' if isinstance(value, str) and not value.isprintable() else None  # this one has no line end in it
    text = yaml.safe_dump(
        [value], allow_unicode=True, default_flow_style=True, default_style=style, width=MAX_YAML_WIDTH
    )
    return str(text).strip()[1:-1]


def _meaning(key: str) -> str:
    description = ColumnMapping.model_fields[key].description or "See docs/mapping.md."
    return _plain(description.replace("`", ""))


def _plain(text: str) -> str:
    """A text on one line, as a comment may have it."""
    return "".join(character if character.isprintable() else " " for character in text)
