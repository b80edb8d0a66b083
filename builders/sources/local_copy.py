"""Local copies of database tables and remote files, and their addresses without secrets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote


@dataclass(frozen=True)
class LocalCopy:
    """A table or a file, copied to this machine."""

    path: Path
    """The copy; the file itself for a local one."""
    name: str
    """Address such as ``s3://logs/may.csv.gz`` or ``postgresql://host/shop/visits``; no user, password or options."""


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """A text with ``***`` in place of secrets, also where their percent codes are decoded."""
    forms = {form for secret in secrets if secret for form in (secret, unquote(secret))}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text
