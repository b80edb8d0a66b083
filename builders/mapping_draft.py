"""A mapping to edit: what was found out about a log, line by line, each with what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from builders.inspection import Column, Inspection
from builders.mapping.column_mapping import ROLES, ColumnMapping
from graphrec.errors import GraphrecError, InputError

FORMATS = ("delimiter", "encoding", "header")
"""What is found in each file."""
WIDE = 1 << 20
"""No line of YAML is broken before so many characters."""
LONGEST_EXAMPLES = 60
"""Characters of them behind a column."""


def draft(found: Inspection) -> str:
    """A mapping as YAML. Read again, it has the settings that were given or guessed; what else was found is comment."""
    settings = found.mapping.settings()
    format_line = _line("time_format", settings.pop("time_format", "auto"), _time(found))
    blocks = {
        "Which column is what.": _roles(found),
        "Columns that nothing is mapped to. Write a role in place of ROLE, and take the # away, to use one.": _unused(
            found
        ),
        "How the files are written. What stands behind a # was found, and is found again in each file.": [
            format_line,
            *(_format(found, key, settings) for key in FORMATS),
        ],
        "What else was set.": [_line(key, settings[key]) for key in settings if key not in (*ROLES, *FORMATS)],
    }
    about = f"# {_plain(', '.join(file.name for file in found.files))}: change what is wrong, and build with --mapping"
    parts = ["\n".join([f"# {title}", *filter(None, lines)]) for title, lines in blocks.items() if any(lines)]
    return "\n\n".join([f"{about}.\n# Every key is in docs/mapping.md.", *parts]) + "\n"


def save_draft(found: Inspection, path: Path) -> None:
    """Write the mapping to a file; InputError for one that holds something else, for it may have been edited."""
    if path.exists() and not _holds(path, found.mapping):
        raise InputError(
            f"{path}: a new file expected for the mapping, but there is one that differs; delete it, or name another"
        )
    path.write_text(draft(found), encoding="utf-8")


def _holds(path: Path, mapping: ColumnMapping) -> bool:
    try:
        return ColumnMapping.load(path) == mapping
    except GraphrecError:
        return False


def _roles(found: Inspection) -> list[str]:
    roles = found.mapping.roles()
    given = [_line(role, roles[role]) for role in ROLES if role in roles]
    return given + [
        f"# {role}: COLUMN  # {_meaning(role)} No column looks like it: say which." for role in found.missing_roles
    ]


def _unused(found: Inspection) -> list[str]:
    return [f"# ROLE: {_yaml(column.name)}  # {_contents(column)}" for column in found.columns if not column.used]


def _contents(column: Column) -> str:
    examples = ", ".join(map(_plain, column.examples))[:LONGEST_EXAMPLES]
    return f"{column.holds}, such as {examples}" if examples else column.holds


def _time(found: Inspection) -> str | None:
    return f"Found: {found.time_format}. Zone: {found.time_zone}." if found.time_format else None


def _format(found: Inspection, key: str, settings: dict[str, Any]) -> str:
    if key in settings:
        return _line(key, settings[key])
    values = dict.fromkeys(getattr(file, key) for file in found.files if file.format == "csv" or key == "encoding")
    told = [_yaml(value) for value in values if value is not None]
    return f"# {key}: {told[0]}  # {_meaning(key)}" if len(told) == 1 else ""


def _line(key: str, value: Any, comment: str | None = None) -> str:
    text, comment = f"{key}: {_yaml(value)}", _plain(comment or _meaning(key))
    if "\n" in text:
        return f"# {comment}\n{yaml.safe_dump({key: value}, allow_unicode=True, sort_keys=False).rstrip()}"
    return f"{text}  # {comment}"


def _yaml(value: Any) -> str:
    """A value as YAML on one line."""
    style = '"' if isinstance(value, str) and not value.isprintable() else None  # this one has no line end in it
    text = yaml.safe_dump([value], allow_unicode=True, default_flow_style=True, default_style=style, width=WIDE)
    return str(text).strip()[1:-1]


def _meaning(key: str) -> str:
    description = ColumnMapping.model_fields[key].description or "See docs/mapping.md."
    return _plain(description.replace("`", ""))


def _plain(text: str) -> str:
    """A text on one line, as a comment may have it."""
    return "".join(character if character.isprintable() else " " for character in text)
