"""Packed files: how one is packed, and its bytes unpacked a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from graphrec.errors import InputError

CHUNK = 1 << 20
"""Bytes that are held at a time."""
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""The first bytes of the packed files that are read, and the engine's name of the way."""
REFUSED = {
    b"PK\x03\x04": ("zip archives", "unzip"),
    b"PK\x05\x06": ("zip archives", "unzip"),
    b"BZh": ("bzip2 files", "bunzip2"),
    b"\xfd7zXZ\x00": ("xz files", "unxz"),
    b"7z\xbc\xaf\x27\x1c": ("7z archives", "7z x"),
    b"\x04\x22\x4d\x18": ("lz4 files", "unlz4"),
}
"""The first bytes of those that are not, what they are called and what unpacks them."""
TAR = (257, b"ustar")
"""Where a tar archive says that it is one."""


def compression_of(path: Path) -> str:
    """``gzip``, ``zstd`` or ``none``, by the first bytes of a file; InputError for a way that is not read."""
    with open_bytes(path, "none") as file:
        head = file.read(TAR[0] + len(TAR[1]))
    for magic, (name, program) in REFUSED.items():
        if head.startswith(magic):
            raise _not_read(path, name, program)
    refuse_tar(path, head)
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), "none")


def refuse_tar(path: Path, head: bytes) -> None:
    """Raise InputError if the first bytes of a file, unpacked, are those of a tar archive."""
    if head[TAR[0] :].startswith(TAR[1]):
        raise _not_read(path, "tar archives", "tar -xf")


def _not_read(path: Path, name: str, program: str) -> InputError:
    return InputError(
        f"{path}: {name} are not read; unpack it first, for example with '{program} {path.name}', and give the files "
        "that come out (plain, gzip or zstd)"
    )


@contextmanager
def open_bytes(path: Path, compression: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked; InputError where it cannot be read or what is packed is damaged."""
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
    """The unpacked bytes of a file, a piece at a time."""
    with open_bytes(path, compression) as file:
        while piece := file.read(CHUNK):
            yield piece


def line_blocks(path: Path, compression: str) -> Iterator[bytes]:
    """The unpacked bytes of a text file in pieces that end where a line ends; a long line makes a long piece."""
    kept: list[bytes] = []
    for piece in chunks(path, compression):
        end = piece.rfind(b"\n") + 1
        if end:
            yield b"".join([*kept, piece[:end]])
            kept = [piece[end:]]
        else:
            kept.append(piece)
    if any(kept):
        yield b"".join(kept)


def unpack(path: Path, compression: str, target: Path) -> Path:
    """Write a packed file unpacked to ``target``."""
    with target.open("wb") as copy:
        for piece in chunks(path, compression):
            copy.write(piece)
    return target
