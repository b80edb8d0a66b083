"""Line ends of a text file: the engine reads one kind a file, joined exports of several systems have more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from builders.sources.compression import chunks

LF, CR = b"\n", b"\r"
BLANK_LINES = re.compile(rb"\A(\xef\xbb\xbf)?([ \t]*(\r\n|\n|\r))+")
"""What may stand before the first line, and a byte order mark before that."""


class LineEndings:
    """Which kinds of line end a file has, told from its pieces as they go by."""

    def __init__(self) -> None:
        self._kinds: set[bytes] = set()
        self._rest = b""

    def watch(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces, looked at."""
        for piece in pieces:
            self._look(self._rest + piece if self._rest else piece)
            yield piece

    @property
    def mixed(self) -> bool:
        """Whether there are several."""
        return len(self._kinds) + (self._rest == CR and CR not in self._kinds) > 1

    def _look(self, piece: bytes) -> None:
        self._rest = CR if piece.endswith(CR) else b""  # a line feed may follow
        end = len(piece) - len(self._rest)
        both = piece.count(CR + LF, 0, end) if CR in piece else 0
        found = {CR + LF: both, CR: CR in piece and piece.count(CR, 0, end) > both}
        found[LF] = LF in self._kinds or (piece.count(LF, 0, end) > both if both else LF in piece)
        self._kinds.update(kind for kind, there in found.items() if there)


def split_lines(text: str) -> list[str]:
    """The lines of a text as the engine counts them; ``str.splitlines`` also cuts at characters that end none."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def normalize_line_endings(path: Path, compression: str, quote: str, target: Path) -> Path:
    """Write a text file unpacked to ``target``, each line end outside of quotes a line feed, no blank line first."""
    rest, inside, begun = b"", 0, False
    with target.open("wb") as copy:
        for piece in chunks(path, compression):
            whole = rest + piece if begun else BLANK_LINES.sub(b"", rest + piece)
            begun = begun or bool(whole.strip())
            rest = CR if whole.endswith(CR) else b""
            text, inside = _one_kind(whole[: len(whole) - len(rest)], quote, inside)
            copy.write(text)
        copy.write(rest if inside else LF[: len(rest)])
    return target


def _one_kind(text: bytes, quote: str, inside: int) -> tuple[bytes, int]:
    """The text, which ends with no carriage return, and whether its end is inside of quotes; ``inside``: its start."""
    letters = np.frombuffer(text, np.uint8)
    if not len(letters):
        return text, inside
    quoted = (np.cumsum(letters == ord(quote)) + inside) & 1 if quote else np.zeros(len(letters), np.int64)
    returns = (letters == CR[0]) & (quoted == 0)
    followed = np.append(letters[1:] == LF[0], False)
    changed = np.where(returns, LF[0], letters).astype(np.uint8)
    return changed[~(returns & followed)].tobytes(), int(quoted[-1])
