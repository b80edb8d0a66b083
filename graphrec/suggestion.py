"""Which name was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence


def plain(name: str) -> str:
    """A name without case, blanks, dashes and underscores."""
    return re.sub(r"[\W_]+", "", name).lower()


def nearest(name: str, columns: Sequence[str]) -> str:
    """A hint such as ``, did you mean 'user_id'?`` for a name that is not there; empty without a near one."""
    by_name = {plain(column): column for column in columns}
    match = difflib.get_close_matches(plain(name), list(by_name), n=1, cutoff=0.5)
    return f", did you mean {by_name[match[0]]!r}?" if match else ""
