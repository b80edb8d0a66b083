"""Suggestions for misspelt names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

MIN_SIMILARITY = 0.5
"""Least ratio of `difflib.SequenceMatcher` between a name and its suggestion."""


def normalize(name: str) -> str:
    """A name in lower case, without blanks, punctuation and underscores."""
    return re.sub(r"[\W_]+", "", name).lower()


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint such as ``, did you mean 'user_id'?``, to append to an error; empty if none is similar."""
    by_name = {normalize(other): other for other in known}
    match = difflib.get_close_matches(normalize(name), by_name, n=1, cutoff=MIN_SIMILARITY)
    return f", did you mean {by_name[match[0]]!r}?" if match and by_name[match[0]] != name else ""
