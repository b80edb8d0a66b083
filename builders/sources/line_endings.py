"""Line endings of a text file: the engine reads one kind per file, concatenated exports may have several."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

LF, CR = b"\n", b"\r"
BLANK_LINES = re.compile(rb"\A(\xef\xbb\xbf)?([ \t]*(\r\n|\n|\r))+")
"""Blank lines before the first line, after a byte order mark."""


class LineEndings:
    """The kinds of line ending of a file, collected from its pieces."""

    def __init__(self) -> None:
        self._kinds: set[bytes] = set()
        self._rest = b""

    def watch(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the pieces through and collect their line endings."""
        for piece in pieces:
            self._collect(self._rest + piece if self._rest else piece)
            yield piece

    @property
    def mixed(self) -> bool:
        """Whether there are several kinds."""
        return len(self._kinds) + (self._rest == CR and CR not in self._kinds) > 1

    def _collect(self, piece: bytes) -> None:
        self._rest = CR if piece.endswith(CR) else b""  # a line feed may follow
        end = len(piece) - len(self._rest)
        both = piece.count(CR + LF, 0, end) if CR in piece else 0
        present = {CR + LF: both, CR: CR in piece and piece.count(CR, 0, end) > both}
        present[LF] = LF in self._kinds or (piece.count(LF, 0, end) > both if both else LF in piece)
        self._kinds.update(kind for kind, is_present in present.items() if is_present)


def split_lines(text: str) -> list[str]:
    """The lines of a text as the engine counts them; ``str.splitlines`` splits at further characters."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def normalize_line_endings(pieces: Iterable[bytes], quote: str) -> Iterator[bytes]:
    """The pieces of a text with LF for all unquoted line endings, without leading blank lines."""
    rest, quoted, started = b"", 0, False
    for piece in pieces:
        text = rest + piece if started else BLANK_LINES.sub(b"", rest + piece)
        started = started or bool(text.strip())
        rest = CR if text.endswith(CR) else b""
        text, quoted = _with_lf(text.removesuffix(CR), quote, quoted)
        yield text
    yield rest if quoted else LF[: len(rest)]


def _with_lf(text: bytes, quote: str, quoted: int) -> tuple[bytes, int]:
    """The text with LF for CR and CRLF, and whether its end is quoted; ``quoted``: whether its start is."""
    characters = np.frombuffer(text, np.uint8)
    if not len(characters):
        return text, quoted
    inside = (np.cumsum(characters == ord(quote)) + quoted) & 1 if quote else np.zeros(len(characters), np.int64)
    returns = (characters == CR[0]) & (inside == 0)
    followed = np.append(characters[1:] == LF[0], False)
    changed = np.where(returns, LF[0], characters).astype(np.uint8)
    return changed[~(returns & followed)].tobytes(), int(inside[-1])
