"""Log files as they lie on disk: which there are and what each one is."""

from __future__ import annotations

import codecs
import glob
import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, field_validator

from builders.sources.character_encoding import UTF8, detect_encoding, transcode
from builders.sources.compression import MAGIC, REFUSED, chunks, compression_of, open_bytes, refuse_tar, unpack
from builders.sources.dialect import column_names, detect_delimiter, detect_header, parse
from builders.sources.item_lists import NAMES, write_pairs
from builders.sources.line_endings import LineEndings, normalize_line_endings, split_lines
from builders.sources.python_literals import are_literals, as_json, write_json_lines
from graphrec.errors import InputError, MappingError

SAMPLE_BYTES = 1 << 18
"""How much of a text file is looked at to find its delimiter, header and columns."""
NON_LOG_PREFIXES = {
    "<!doctype": "a web page; fetch the file itself",
    "<html": "a web page; fetch the file itself",
    "<?xml": "XML; write one event a line",
    "version https://git-lfs": "the pointer to a large file; fetch the file itself with 'git lfs pull'",
}
"""How texts begin that lie where a log should, and what they are."""
PARQUET = b"PAR1"
"""The first bytes of a Parquet file."""


class Layout(BaseModel):
    """How the rows of a text file are written; what is None is detected."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    delimiter: str | None = None
    """What separates the fields, one to four characters."""
    encoding: str | None = None
    """How characters are written: utf-8, latin-1 or any other name that Python knows."""
    header: bool | None = None
    """Whether the first line names the columns."""
    columns: tuple[str, ...] | None = None
    """Names of the columns of a file without a header, in order."""
    quote: str = '"'
    """What fields are quoted with; empty for none."""
    lists: bool = False
    """Each line is a list: a user, then the items of that user; read as a table of pairs."""

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
    """One input file and what was found out about it."""

    path: Path
    """Where it is."""
    readable: Path
    """What the engine reads in its place: the file itself, or a copy that is unpacked, in UTF-8 or laid out anew."""
    bytes: int
    """Size on disk."""
    sha256: str
    """Hash of the file as it lies on disk."""
    compression: str = "none"
    """``gzip``, ``zstd`` or ``none``."""
    format: str = "csv"
    """How the engine reads it: as ``csv`` (any delimiter), ``jsonl`` or ``parquet``."""
    encoding: str | None = None
    """How characters are written; None for Parquet."""
    delimiter: str | None = None
    """What separates the fields; None where the format has none."""
    quote: str = '"'
    """What fields are quoted with; empty for none."""
    header: bool = True
    """Whether the first line names the columns."""
    columns: tuple[str, ...] = ()
    """Names of the columns in order."""
    display_name: str = ""
    """What it is called, where its file's name would not do."""

    @property
    def packed(self) -> str:
        """How ``readable`` is packed: ``gzip``, ``zstd`` or ``none``."""
        return self.compression if self.readable == self.path else "none"

    @property
    def name(self) -> str:
        """What people know it by: the file's name without its folder."""
        return self.display_name or self.path.name


def expand_paths(files: Sequence[str | Path]) -> list[Path]:
    """Paths and globs as a list of paths that exist, each once, a glob's in the order of their names.

    Raises InputError for a file that is not there or a glob that matches nothing.
    """
    found: dict[Path, None] = {}
    for given in files:
        path = Path(given).expanduser()
        matches = [path] if path.exists() else _glob(path)
        if not matches:
            wanted = "no file matches this pattern" if glob.has_magic(str(path)) else "there is no such file"
            raise InputError(f"{given}: {wanted}; give the log's files, such as 'logs/*.csv.gz'")
        found.update(dict.fromkeys(matches))
    if not found:
        raise InputError("a log file expected, got none")
    return list(found)


def _glob(pattern: Path) -> list[Path]:
    names = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    return sorted(Path(name) for name in names)


def detect_source(path: Path, layout: Layout, workspace: Path) -> Source:
    """Find out what a file is, reading it once from end to end; copies that the engine needs go to ``workspace``.

    Raises InputError for a file that is missing, a folder, empty, damaged, or neither text nor Parquet.
    """
    if path.is_dir():
        raise InputError(f"{path}: a file expected, got a folder; give its files, such as '{path}/*.csv'")
    if not path.is_file():
        what = "a file expected, got a pipe or device; write what comes out of it to a file first"
        raise InputError(f"{path}: {what if path.exists() else 'there is no such file'}")
    source = Source(path, path, path.stat().st_size, "", compression_of(path))
    head = _head(source)
    if not head:
        raise InputError(f"{path}: the file is empty; a log with one row an event expected")
    refuse_tar(path, head)
    if source.compression != "none" and head.startswith((*MAGIC, *REFUSED)):
        raise InputError(f"{path}: the file is packed twice; unpack it, and give the file that comes out")
    if head.startswith(PARQUET):
        return _parquet(replace(source, sha256=sha256_of(path)), workspace)
    return _text(source, layout, workspace)


def sha256_of(path: Path) -> str:
    """Hash of a file as it lies on disk."""
    with open_bytes(path, "none") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _head(source: Source) -> bytes:
    with open_bytes(source.path, source.compression) as file:
        return file.read(SAMPLE_BYTES)


def _copy_path(source: Source, workspace: Path) -> Path:
    return workspace / f"{source.sha256[:16]}-{source.path.stem[:40]}"


def _parquet(source: Source, workspace: Path) -> Source:
    readable = source.path
    if source.compression != "none":
        readable = unpack(source.path, source.compression, _copy_path(source, workspace))
    try:
        schema = pq.read_schema(readable)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{source.path}: the Parquet file is damaged ({reason}); write or fetch it again") from error
    _refuse_twice(source, schema.names)
    return replace(source, format="parquet", readable=readable, columns=tuple(schema.names))


def _text(source: Source, layout: Layout, workspace: Path) -> Source:
    source, ends = _read_through(source, layout.encoding)
    if source.encoding != UTF8:
        copy, ends = _copy_path(source, workspace), LineEndings()
        source = replace(source, readable=transcode(source.path, source.compression, str(source.encoding), copy))
        deque(ends.watch(chunks(copy, "none")), maxlen=0)
    first, lines = _sample_lines(source)
    if not lines:
        raise InputError(f"{source.path}: the file holds blank lines only; a log with one row an event expected")
    what = next((what for start, what in NON_LOG_PREFIXES.items() if lines[0].lstrip().lower().startswith(start)), None)
    if what is not None:
        raise InputError(f"{source.path}: CSV, JSON lines or Parquet expected, got {what}")
    if layout.lists:
        return _lists(source, layout, workspace)
    is_json = layout.delimiter is None and lines[0].lstrip().startswith(("{", "["))
    if ends.mixed or not first.strip():
        target = workspace / f"{source.sha256[:16]}.lines"
        quote = "" if is_json else layout.quote
        source = replace(source, readable=normalize_line_endings(source.readable, source.packed, quote, target))
    return _json_lines(source, lines, workspace) if is_json else _delimited(source, layout, lines)


def _read_through(source: Source, wanted: str | None) -> tuple[Source, LineEndings]:
    """The source with its hash and its encoding, and its line ends, found in one pass where it is not packed."""
    path, digest, ends = source.path, hashlib.sha256(), LineEndings()
    if source.compression != "none":
        pieces = ends.watch(chunks(path, source.compression))
        encoding = detect_encoding(path, source.compression, wanted, pieces)
        return replace(source, encoding=encoding, sha256=sha256_of(path)), ends
    pieces = ends.watch(_hashed(path, digest))
    encoding = detect_encoding(path, "none", wanted, pieces)
    deque(pieces, maxlen=0)  # the rest, where the answer was clear before the end
    return replace(source, encoding=encoding, sha256=digest.hexdigest()), ends


def _hashed(path: Path, digest: hashlib._Hash) -> Iterator[bytes]:
    for piece in chunks(path, "none"):
        digest.update(piece)
        yield piece


def _refuse_twice(source: Source, columns: Sequence[str]) -> None:
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{source.path}: column names must differ, but {twice!r} is there twice; rename one of them")


def _sample_lines(source: Source) -> tuple[str, list[str]]:
    """The first line of the file, and the first lines that are not blank."""
    encoding = source.encoding or UTF8
    text = codecs.getincrementaldecoder(encoding)().decode(_head(source)).removeprefix("\ufeff")
    lines = split_lines(text)
    whole = lines[:-1] if len(lines) > 1 and len(text) > SAMPLE_BYTES // 4 else lines  # the last one may be cut
    return lines[0], [line for line in whole if line.strip()]


def _lists(source: Source, layout: Layout, workspace: Path) -> Source:
    names, target = layout.columns or NAMES, workspace / f"{source.sha256[:16]}.pairs"
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
        target = workspace / f"{source.sha256[:16]}.jsonl"
        source = replace(source, readable=write_json_lines(source.readable, source.packed, target))
    names: dict[str, None] = {}
    for line in lines:
        names.update(dict.fromkeys(filter(_can_be_asked_for, _json_object(line))))
    if not names:
        raise InputError(
            f'{source.path}: JSON lines expected, one object such as {{"user": 1}} a line, got {lines[0][:60]!r}'
        )
    return replace(source, format="jsonl", columns=tuple(names))


def _can_be_asked_for(key: str) -> bool:
    """Whether the engine knows a key: an empty one it does not, nor half a character."""
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
    named = layout.columns is not None
    header = layout.header if layout.header is not None else not named and detect_header(first)
    columns = layout.columns or column_names(first, header)
    if len(columns) != len(first):
        raise MappingError(
            f"{source.path}: {len(columns)} column names are given for {len(first)} fields: {', '.join(columns)}"
        )
    _refuse_twice(source, columns)
    return replace(source, delimiter=delimiter, quote=layout.quote, header=header, columns=columns)
