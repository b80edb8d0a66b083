"""Character encoding of a text file: detected in one pass, converted to UTF-8 where needed.

Detection is by exclusion, over the whole file: UTF-16 by its byte order mark, else UTF-8 if every byte is valid, else
Latin-1 if no byte is a control character there. Statistical detectors need running text: on the short names of a log
charset-normalizer 3.5 takes Latin-1 for cp1250 (findings/charset-normalizer-western-text.sh), and cp1252 for cp775.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from builders.sources.compression import chunks
from graphrec.errors import InputError

UTF8, LATIN1, UTF16 = "utf-8", "latin-1", "utf-16"
NON_TEXT_CODECS = ("unicode-escape", "raw-unicode-escape", "punycode", "idna")
"""Codecs of Python that encode no files."""
_CONTROL = bytes(range(0x80, 0xA0))
"""Control characters of Latin-1: a text with any of them has another encoding."""
_LAST_CHARACTER = re.compile(rb"[\xc0-\xff][\x80-\xbf]{0,2}\Z")
"""A last character of UTF-8 that may continue in the next piece."""


def detect_encoding(path: Path, compression: str, declared: str | None, pieces: Iterable[bytes]) -> str:
    """The encoding of a text file: the ``declared`` one, or else UTF-8, UTF-16 or Latin-1.

    ``pieces`` are the unpacked bytes of the file, read only as far as the answer depends on them.

    Raises
    ------
    InputError
        For binary data, and for bytes that are invalid in all of these, with the first such byte and its line.
    """
    if declared is not None and _canonical(path, declared) != UTF8:
        return _canonical(path, declared)
    rest = b""
    for index, piece in enumerate(pieces):
        if index == 0 and piece[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return UTF16
        _check_text(path, piece)
        if rest or not piece.isascii():
            text = rest + piece
            tail = _LAST_CHARACTER.search(text[-3:])
            rest = tail.group() if tail else b""
            if not _is_utf8(text.removesuffix(rest)):
                return _fallback(path, compression, declared)
    return UTF8 if _is_utf8(rest) else _fallback(path, compression, declared)


def _is_utf8(text: bytes) -> bool:
    """Whether bytes are valid UTF-8; Arrow validates three times as fast as Python decodes."""
    try:
        pa.array([text], pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _fallback(path: Path, compression: str, declared: str | None) -> str:
    """Latin-1 if the file may be; InputError if an encoding is declared or the file has control characters."""
    has_control = False
    for piece in chunks(path, compression):
        _check_text(path, piece)
        has_control = has_control or len(piece.translate(None, _CONTROL)) < len(piece)
    if declared is not None or has_control:
        hint = "name the file's encoding in the mapping, such as 'encoding: latin-1' or 'encoding: cp1252'"
        deque(utf8_pieces(path, compression, UTF8, hint), maxlen=0)  # raises at the first invalid byte
    return LATIN1


def _check_text(path: Path, piece: bytes) -> None:
    if b"\0" in piece:
        raise InputError(f"{path}: CSV, JSON lines or Parquet expected, got binary data (a zero byte)")


def _canonical(path: Path, name: str) -> str:
    try:
        "".encode(name)  # fails for codecs between bytes, such as hex
        codec = codecs.lookup(name).name
    except (LookupError, ValueError):
        codec = ""
    if codec in ("", *NON_TEXT_CODECS):
        raise InputError(f"{path}: encoding {name!r} is unknown; use a name such as utf-8, latin-1 or cp1252")
    return codec


def utf8_pieces(path: Path, compression: str, encoding: str, hint: str = "") -> Iterator[bytes]:
    """The text of a file in UTF-8, in pieces; InputError names the first invalid byte and its line, with a hint."""
    hint = hint or f"correct 'encoding: {encoding}' in the mapping, or leave it out"
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    try:
        for piece in chunks(path, compression):
            text = decoder.decode(piece)
            line += text.count("\n")
            yield text.encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        what = f"a character after line {line}"
        if isinstance(error, UnicodeDecodeError):
            line += error.object.count(b"\n", 0, error.start)
            what = f"byte 0x{error.object[error.start]:02x} in line {line}"
        name = "UTF-8" if encoding == UTF8 else encoding
        raise InputError(f"{path}: {what} is not {name}; {hint}") from error
