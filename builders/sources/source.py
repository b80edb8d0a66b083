"""Input files: their paths, and the format, encoding and dialect of each."""

from __future__ import annotations

import codecs
import glob
import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, field_validator

from builders.sources.character_encoding import UTF8, detect_encoding, utf8_pieces
from builders.sources.compression import MAGIC, REFUSED, check_no_tar, chunks, compression_of, open_bytes
from builders.sources.dialect import column_names, detect_delimiter, detect_header, parse
from builders.sources.item_lists import NAMES, write_pairs
from builders.sources.line_endings import LineEndings, normalize_line_endings, split_lines
from builders.sources.python_literals import are_literals, as_json, json_blocks
from graphrec.errors import InputError, MappingError

SAMPLE_BYTES = 1 << 18
"""Bytes of a text file by which its delimiter, header and columns are detected."""
NON_LOG_PREFIXES = {
    "<!doctype": "a web page; fetch the file itself",
    "<html": "a web page; fetch the file itself",
    "<?xml": "XML; write one event per line",
    "version https://git-lfs": "the pointer to a large file; fetch the file itself with 'git lfs pull'",
}
"""First characters of texts that are no logs, with what they are."""
PARQUET = b"PAR1"
"""Magic number of Parquet."""


class Layout(BaseModel):
    """The dialect of a text file; keys that are None are detected."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    delimiter: str | None = None
    """Separator of the fields, one to four characters."""
    encoding: str | None = None
    """Character encoding: utf-8, latin-1 or any other text codec of Python."""
    header: bool | None = None
    """Whether the first line is a header."""
    columns: tuple[str, ...] | None = None
    """Column names of a file without a header, in order."""
    quote: str = '"'
    """Quote character of fields; empty for none."""
    lists: bool = False
    """Whether each line is a user and then its items; read as a table of pairs."""

    @field_validator("delimiter")
    @classmethod
    def _short(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (not 1 <= len(delimiter) <= 4 or set(delimiter) & set("\r\n\0")):
            raise ValueError("one to four characters that do not end a line expected")
        return delimiter

    @field_validator("quote")
    @classmethod
    def _one_character(cls, quote: str) -> str:
        if len(quote) > 1 or not quote.isascii() or quote in ("\r", "\n", "\0"):
            raise ValueError("one character that does not end a line, or none, expected")
        return quote


@dataclass(frozen=True)
class Source:
    """One input file and its detected properties."""

    path: Path
    """Its path."""
    readable: Path
    """The file that the engine reads: the file itself, or a copy that is decompressed, in UTF-8 or reformatted."""
    bytes: int
    """Size on disk."""
    sha256: str
    """Hash of the file on disk."""
    compression: str = "none"
    """``gzip``, ``zstd`` or ``none``."""
    format: str = "csv"
    """Format of ``readable``: ``csv`` (any delimiter), ``jsonl`` or ``parquet``."""
    encoding: str | None = None
    """Character encoding; None for Parquet."""
    delimiter: str | None = None
    """Separator of the fields; None if the format has none."""
    quote: str = '"'
    """Quote character of fields; empty for none."""
    header: bool = True
    """Whether the first line is a header."""
    columns: tuple[str, ...] = ()
    """Column names in order."""
    display_name: str = ""
    """Name in manifests and messages, in place of the file name."""

    @property
    def packed(self) -> str:
        """Compression of ``readable``: ``gzip``, ``zstd`` or ``none``."""
        return self.compression if self.readable == self.path else "none"

    @property
    def name(self) -> str:
        """Its display name, or else its file name without the folder."""
        return self.display_name or self.path.name


def expand_paths(files: Sequence[str | Path]) -> list[Path]:
    """Paths and globs as distinct existing paths; those of a glob are sorted by name.

    Raises InputError for a missing file or a glob without a match.
    """
    paths: dict[Path, None] = {}
    for file in files:
        path = Path(file).expanduser()
        found = glob.glob(str(path), recursive=True)  # noqa: PTH207 - it may be absolute
        matches = [path] if path.exists() else sorted(map(Path, found))
        if not matches:
            reason = "no file matches this pattern" if glob.has_magic(str(path)) else "there is no such file"
            raise InputError(f"{file}: {reason}; give the log's files, such as 'logs/*.csv.gz'")
        paths.update(dict.fromkeys(matches))
    if not paths:
        raise InputError("a log file expected, got none")
    return list(paths)


def detect_source(path: Path, layout: Layout, workspace: Path) -> Source:
    """Detect the properties of a file in one pass; copies that the engine needs are written to ``workspace``.

    Raises InputError for a file that is missing, a folder, empty, damaged, or neither text nor Parquet.
    """
    if path.is_dir():
        raise InputError(f"{path}: a file expected, got a folder; give its files, such as '{path}/*.csv'")
    if not path.is_file():
        reason = "a file expected, got a pipe or device; write its output to a file first"
        raise InputError(f"{path}: {reason if path.exists() else 'there is no such file'}")
    source = Source(path, path, path.stat().st_size, "", compression_of(path))
    head = _head(source)
    if not head:
        raise InputError(f"{path}: the file is empty; a log with one row per event expected")
    check_no_tar(path, head)
    if source.compression != "none" and head.startswith((*MAGIC, *REFUSED)):
        raise InputError(f"{path}: the file is packed twice; unpack it, and give the file that comes out")
    if head.startswith(PARQUET):
        return _parquet(replace(source, sha256=sha256_of(path)), workspace)
    return _text(source, layout, workspace)


def sha256_of(path: Path) -> str:
    """Hash of a file on disk."""
    with open_bytes(path, "none") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _head(source: Source) -> bytes:
    with open_bytes(source.path, source.compression) as file:
        return file.read(SAMPLE_BYTES)


def _copy_path(source: Source, workspace: Path, suffix: str) -> Path:
    return workspace / f"{source.sha256[:16]}.{suffix}"


def rewritten(source: Source, workspace: Path, suffix: str, pieces: Iterable[bytes]) -> Source:
    """The source with a copy of the given bytes as its readable file."""
    target = _copy_path(source, workspace, suffix)
    with target.open("wb") as copy:
        copy.writelines(pieces)
    return replace(source, readable=target)


def _parquet(source: Source, workspace: Path) -> Source:
    if source.compression != "none":
        source = rewritten(source, workspace, "parquet", chunks(source.path, source.compression))
    try:
        schema = pq.read_schema(source.readable)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{source.path}: the Parquet file is damaged ({reason}); write or fetch it again") from error
    _check_distinct(source, schema.names)
    return replace(source, format="parquet", columns=tuple(schema.names))


def _text(source: Source, layout: Layout, workspace: Path) -> Source:
    source, endings = _read_through(source, layout.encoding)
    if source.encoding != UTF8:
        endings = LineEndings()
        pieces = utf8_pieces(source.path, source.compression, str(source.encoding))
        source = rewritten(source, workspace, "utf8", endings.watch(pieces))
    first, lines = _sample_lines(source)
    if not lines:
        raise InputError(f"{source.path}: the file holds blank lines only; a log with one row per event expected")
    start = lines[0].lstrip().lower()
    other = next((what for prefix, what in NON_LOG_PREFIXES.items() if start.startswith(prefix)), None)
    if other is not None:
        raise InputError(f"{source.path}: CSV, JSON lines or Parquet expected, got {other}")
    if layout.lists:
        return _item_lists(source, layout, workspace)
    is_json = layout.delimiter is None and start.startswith(("{", "["))
    if endings.mixed or not first.strip():
        pieces = normalize_line_endings(chunks(source.readable, source.packed), "" if is_json else layout.quote)
        source = rewritten(source, workspace, "lines", pieces)
    return _json_lines(source, lines, workspace) if is_json else _delimited(source, layout, lines)


def _read_through(source: Source, encoding: str | None) -> tuple[Source, LineEndings]:
    """The source with its hash and encoding, and its line endings; one pass over a file that is not compressed."""
    path, digest, endings = source.path, hashlib.sha256(), LineEndings()
    packed = source.compression != "none"
    pieces = endings.watch(chunks(path, source.compression) if packed else _hashed(path, digest))
    encoding = detect_encoding(path, source.compression, encoding, pieces)
    if not packed:
        deque(pieces, maxlen=0)  # the rest, if the encoding was known before the end
    return replace(source, encoding=encoding, sha256=sha256_of(path) if packed else digest.hexdigest()), endings


def _hashed(path: Path, digest: hashlib._Hash) -> Iterator[bytes]:
    for piece in chunks(path, "none"):
        digest.update(piece)
        yield piece


def _check_distinct(source: Source, columns: Sequence[str]) -> None:
    repeated = next((name for name in columns if columns.count(name) > 1), None)
    if repeated is not None:
        raise InputError(
            f"{source.path}: column names must differ, but {repeated!r} is there twice; rename one of them"
        )


def _sample_lines(source: Source) -> tuple[str, list[str]]:
    """The first line of the file, and its first non-blank lines."""
    decoder = codecs.getincrementaldecoder(source.encoding or UTF8)()
    text = decoder.decode(_head(source)).removeprefix("\ufeff")
    lines = split_lines(text)
    complete = lines[:-1] if len(lines) > 1 and len(text) > SAMPLE_BYTES // 4 else lines  # the last may be cut off
    return lines[0], [line for line in complete if line.strip()]


def _item_lists(source: Source, layout: Layout, workspace: Path) -> Source:
    names, target = layout.columns or NAMES, _copy_path(source, workspace, "pairs")
    if len(names) != len(NAMES):
        raise MappingError(
            f"{source.path}: the names of two columns, users and items, expected for a file of lists, "
            f"got columns: {', '.join(names)}"
        )
    if not write_pairs(source.readable, source.packed, layout.delimiter, names, target):
        raise InputError(
            f"{source.path}: a file of lists expected, a user and then items on each line, got no line with two ids; "
            "see 'lists' and 'delimiter' in the mapping"
        )
    return replace(source, format="parquet", readable=target, columns=names)


def _json_lines(source: Source, lines: list[str], workspace: Path) -> Source:
    if are_literals(lines[:100]):
        lines = [as_json(line) for line in lines]
        source = rewritten(source, workspace, "jsonl", json_blocks(source.readable, source.packed))
    names = dict.fromkeys(key for line in lines for key in _json_object(line) if _is_supported_key(key))
    if not names:
        raise InputError(
            f'{source.path}: JSON lines expected, one object such as {{"user": 1}} a line, got {lines[0][:60]!r}'
        )
    return replace(source, format="jsonl", columns=tuple(names))


def _is_supported_key(key: str) -> bool:
    """Whether the engine can extract a key: neither an empty one nor one with a surrogate."""
    return bool(key) and not any("\ud800" <= character <= "\udfff" for character in key)


def _json_object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _delimited(source: Source, layout: Layout, lines: list[str]) -> Source:
    delimiter = layout.delimiter or detect_delimiter(lines[:200], layout.quote)
    first = parse(lines[:1], delimiter, layout.quote)[0]
    header = layout.header if layout.header is not None else layout.columns is None and detect_header(first)
    columns = layout.columns or column_names(first, header=header)
    if len(columns) != len(first):
        raise MappingError(
            f"{source.path}: {len(columns)} column names are given for {len(first)} fields: {', '.join(columns)}"
        )
    _check_distinct(source, columns)
    return replace(source, delimiter=delimiter, quote=layout.quote, header=header, columns=columns)
