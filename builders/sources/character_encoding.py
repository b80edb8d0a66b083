"""How the characters of a text file are written: found by reading it once, changed to UTF-8 where needed."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from builders.sources.compression import chunks
from graphrec.errors import InputError

UTF8, LATIN1, UTF16 = "utf-8", "latin-1", "utf-16"
NON_TEXT_CODECS = ("unicode-escape", "raw-unicode-escape", "punycode", "idna")
"""Codecs that are no encodings of files."""
_CONTROL = bytes(range(0x80, 0xA0))
"""Bytes that Latin-1 leaves to control characters: a text that has them is written in something else."""


def detect_encoding(path: Path, compression: str, wanted: str | None, pieces: Iterable[bytes]) -> str:
    """The encoding of a whole text file: ``wanted`` if it holds, else UTF-8, UTF-16 by its mark, or Latin-1.

    ``pieces`` are the file's unpacked bytes; they are read to the end only where the answer depends on it.

    Raises InputError for a file that is no text, and for bytes that ``wanted`` or any of these cannot mean; the
    error names the byte and its line.
    """
    if wanted is not None and _canonical(path, wanted) != UTF8:
        return _canonical(path, wanted)
    start, rest = True, b""
    for piece in pieces:
        if start and piece[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return UTF16
        start = False
        _refuse_zero(path, piece)
        if rest or not piece.isascii():
            whole = rest + piece
            end = _last_character(whole)
            if not _is_utf8(whole[:end]):
                return _otherwise(path, compression, wanted)
            rest = whole[end:]
    return UTF8 if _is_utf8(rest) else _otherwise(path, compression, wanted)


def _last_character(text: bytes) -> int:
    """Where the last character begins if its bytes may go on in the next piece, else the end."""
    for back in range(1, min(4, len(text)) + 1):
        if text[-back] & 0xC0 != 0x80:  # no continuation byte
            return len(text) if text[-back] < 0x80 else len(text) - back
    return len(text)


def _is_utf8(text: bytes) -> bool:
    """Whether bytes are UTF-8; Arrow says so without making the text, three times as fast as decoding it."""
    ends = pa.py_buffer(np.array([0, len(text)], np.int32))
    try:
        pa.Array.from_buffers(pa.utf8(), 1, [None, ends, pa.py_buffer(text)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _otherwise(path: Path, compression: str, wanted: str | None) -> str:
    """Latin-1 for a text that is not UTF-8, unless another encoding was named or must have been meant."""
    control = False
    for piece in chunks(path, compression):
        _refuse_zero(path, piece)
        control = control or len(piece.translate(None, _CONTROL)) < len(piece)
    if wanted is None and not control:
        return LATIN1
    raise InputError(
        f"{path}: {_first_wrong(path, compression)} is not UTF-8; name the file's encoding in the mapping, such as "
        "'encoding: latin-1' or 'encoding: cp1252'"
    )


def _refuse_zero(path: Path, piece: bytes) -> None:
    if b"\0" in piece:
        raise InputError(f"{path}: CSV, JSON lines or Parquet expected, got binary data (a zero byte)")


def _first_wrong(path: Path, compression: str) -> str:
    """The first byte that is not UTF-8, and its line."""
    decoder = codecs.getincrementaldecoder(UTF8)()
    line = 1
    try:
        for piece in chunks(path, compression):
            line += decoder.decode(piece).count("\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return _byte(error, line)
    return "a byte"  # not reached: who asks knows that one is wrong


def _byte(error: UnicodeDecodeError, line: int) -> str:
    return f"byte 0x{error.object[error.start]:02x} in line {line + error.object.count(10, 0, error.start)}"


def _canonical(path: Path, name: str) -> str:
    try:
        "".encode(name)  # refuses names of codecs that are no encodings of text, such as hex
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        found = ""
    if found in ("", *NON_TEXT_CODECS):
        raise InputError(f"{path}: encoding {name!r} is unknown; use a name such as utf-8, latin-1 or cp1252")
    return found


def transcode(path: Path, compression: str, encoding: str, target: Path) -> Path:
    """Write the file as plain UTF-8 to ``target``, for an engine that reads nothing else."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with target.open("wb") as copy:
        try:
            for piece in chunks(path, compression):
                text = decoder.decode(piece)
                line += text.count("\n")
                copy.write(text.encode())
            copy.write(decoder.decode(b"", final=True).encode())
        except UnicodeError as error:
            wrong = _byte(error, line) if isinstance(error, UnicodeDecodeError) else f"a character after line {line}"
            raise InputError(
                f"{path}: {wrong} is not {encoding}; correct 'encoding: {encoding}' in the mapping, or leave it out"
            ) from error
    return target
