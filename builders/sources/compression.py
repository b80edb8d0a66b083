"""Compressed files: their format, and their decompressed bytes in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from graphrec.errors import InputError

CHUNK = 1 << 20
"""Bytes per piece."""
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""Magic numbers of the supported formats, with the engine's names of them."""
REFUSED = {
    b"PK\x03\x04": ("zip archives", "unzip"),
    b"PK\x05\x06": ("zip archives", "unzip"),
    b"BZh": ("bzip2 files", "bunzip2"),
    b"\xfd7zXZ\x00": ("xz files", "unxz"),
    b"7z\xbc\xaf\x27\x1c": ("7z archives", "7z x"),
    b"\x04\x22\x4d\x18": ("lz4 files", "unlz4"),
}
"""Magic numbers of unsupported formats, with their names and the programs that decompress them."""
TAR = (257, b"ustar")
"""Offset and magic number of a tar archive."""


def compression_of(path: Path) -> str:
    """``gzip``, ``zstd`` or ``none``, by the magic number of a file; InputError for an unsupported format."""
    with open_bytes(path, "none") as file:
        head = file.read(TAR[0] + len(TAR[1]))
    for magic, (name, program) in REFUSED.items():
        if head.startswith(magic):
            raise _not_read(path, name, program)
    check_no_tar(path, head)
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), "none")


def check_no_tar(path: Path, head: bytes) -> None:
    """Raise InputError if the first decompressed bytes of a file are those of a tar archive."""
    if head[TAR[0] :].startswith(TAR[1]):
        raise _not_read(path, "tar archives", "tar -xf")


def _not_read(path: Path, name: str, program: str) -> InputError:
    return InputError(
        f"{path}: {name} are not read; unpack it first, for example with '{program} {path.name}', and give the files "
        "that come out (plain, gzip or zstd)"
    )


@contextmanager
def open_bytes(path: Path, compression: str) -> Iterator[IO[bytes]]:
    """The decompressed bytes of a file; InputError if it cannot be read or is damaged."""
    try:
        opened: Any = path.open("rb") if compression == "none" else pa.input_stream(str(path), compression=compression)
        with opened as file:
            yield cast(IO[bytes], file)
    except OSError as error:
        if compression == "none" or error.errno is not None:
            raise InputError(f"{path}: the file cannot be read ({error.strerror}); see who may read it") from error
        raise InputError(
            f"{path}: the {compression} file is damaged or cut off ({error}); fetch or pack it again"
        ) from error


def chunks(path: Path, compression: str) -> Iterator[bytes]:
    """The decompressed bytes of a file, in pieces of `CHUNK` bytes."""
    with open_bytes(path, compression) as file:
        while piece := file.read(CHUNK):
            yield piece


def line_blocks(path: Path, compression: str) -> Iterator[bytes]:
    """The decompressed bytes of a text file in pieces of whole lines; a long line makes a long piece."""
    rest: list[bytes] = []
    for piece in chunks(path, compression):
        lines, newline, tail = piece.rpartition(b"\n")
        if newline:
            yield b"".join([*rest, lines, newline])
            rest = []
        rest.append(tail)
    if any(rest):
        yield b"".join(rest)
