"""How the characters of a text file are written: found by reading it once, changed to UTF-8 where needed."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from graphrec.errors import InputError

CHUNK = 1 << 20
UTF8, LATIN1, UTF16 = "utf-8", "latin-1", "utf-16"
_CONTROL = re.compile(rb"[\x80-\x9f]")
"""Bytes that Latin-1 leaves to control characters: a text that has them is written in something else."""


@contextmanager
def open_bytes(path: Path, compression: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked; InputError where a gzip file is damaged."""
    try:
        with gzip.open(path) if compression == "gzip" else path.open("rb") as file:
            yield cast(IO[bytes], file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: the gzip file is damaged or cut off ({error}); fetch or pack it again") from error


def chunks(path: Path, compression: str) -> Iterator[bytes]:
    """The unpacked bytes of a file, a piece at a time."""
    with open_bytes(path, compression) as file:
        while piece := file.read(CHUNK):
            yield piece


def detect_encoding(path: Path, compression: str, wanted: str | None) -> str:
    """The encoding of a whole text file: ``wanted`` if it holds, else UTF-8, UTF-16 by its mark, or Latin-1.

    Raises InputError for a file that is no text, and for bytes that ``wanted`` or any of these cannot mean; the
    error names the byte and its line.
    """
    if wanted is not None and _canonical(path, wanted) != UTF8:
        return _canonical(path, wanted)
    decoder = codecs.getincrementaldecoder(UTF8)()
    wrong: str | None = None
    control, line = False, 1
    for piece in chunks(path, compression):
        if line == 1 and piece[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return UTF16
        if b"\0" in piece:
            raise InputError(f"{path}: CSV, JSON lines or Parquet expected, got binary data (a zero byte)")
        if wrong is None:
            try:
                decoder.decode(piece)
            except UnicodeDecodeError as error:
                wrong = (
                    f"byte 0x{error.object[error.start]:02x} in line {line + error.object.count(10, 0, error.start)}"
                )
        control = control or _CONTROL.search(piece) is not None
        line += piece.count(b"\n")
    wrong = wrong or (_cut_off(decoder, line))
    if wrong is None:
        return UTF8
    if wanted is not None or control:
        raise InputError(
            f"{path}: {wrong} is not UTF-8; name the file's encoding in the mapping, such as 'encoding: latin-1' "
            "or 'encoding: cp1252'"
        )
    return LATIN1


def _cut_off(decoder: codecs.IncrementalDecoder, line: int) -> str | None:
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return f"byte 0x{error.object[error.start]:02x} in line {line}"
    return None


def _canonical(path: Path, name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise InputError(f"{path}: encoding {name!r} is unknown; use a name such as utf-8, latin-1 or cp1252") from None


def transcode(path: Path, compression: str, encoding: str, target: Path) -> Path:
    """Write the file as plain UTF-8 to ``target``, for an engine that reads nothing else."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with target.open("w", encoding=UTF8, newline="") as copy:
        for piece in chunks(path, compression):
            try:
                text = decoder.decode(piece)
            except UnicodeDecodeError as error:
                line += error.object.count(b"\n", 0, error.start)
                byte = f"byte 0x{error.object[error.start]:02x} in line {line}"
                raise InputError(
                    f"{path}: {byte} is not {encoding}; correct 'encoding: {encoding}' in the mapping, or leave it out"
                ) from error
            line += text.count("\n")
            copy.write(text)
    return target


def unpack(path: Path, target: Path) -> Path:
    """Write a gzipped file unpacked to ``target``."""
    with target.open("wb") as copy:
        for piece in chunks(path, "gzip"):
            copy.write(piece)
    return target
