"""Search for an id in every file of some folders."""

from __future__ import annotations

import json
import mmap
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MIN_SEARCHED_LENGTH = 6
"""Characters of the shortest id that is searched for in all texts and bytes; a shorter one matches by chance."""
ID_COLUMNS = ("id", "user", "item", "location", "source_id", "target_id", "entity")
"""Columns that hold ids and nothing else."""
WORD_BYTES = frozenset(b"%c" % letter for letter in range(128) if chr(letter).isalnum() or letter == ord("_"))
"""Bytes that make an id next to them a part of a longer word."""

UserColumns = Callable[[Path], Collection[str]]
"""The columns of a Parquet file that hold ids of users."""


@dataclass(frozen=True)
class IdMatch:
    """A place where an id was found."""

    file: Path
    """The file."""
    where: str
    """``column text``, ``JSON``, ``bytes`` or ``name``."""
    count: int
    """Number of matches."""


@dataclass(frozen=True)
class Search:
    """Result of a search."""

    files: int
    """Number of files searched."""
    bytes: int
    """Their total size."""
    everywhere: bool
    """Whether the first id was searched for in all texts and bytes, or only in the columns that hold ids of users."""
    matches: tuple[IdMatch, ...]
    """Places where an id was found."""

    @property
    def found(self) -> int:
        """Number of matches."""
        return sum(match.count for match in self.matches)

    def __str__(self) -> str:
        where = "" if self.everywhere else ", in the columns that hold ids of users"
        return f"searched {self.files:,} files of {self.bytes:,} bytes{where}: found {self.found:,}"


def search(folders: Mapping[Path, Path], names: Sequence[str], user_columns: UserColumns) -> Search:
    """Search every file of some folders for ids of users.

    The columns of users' ids are searched for an equal value. An id of at least `MIN_SEARCHED_LENGTH` characters is
    also searched for as a word in every text of Parquet and JSON files, and in the names and raw bytes of all files.
    There a match inside another node's id does not count. If an item or a location has the very same id, the two
    cannot be distinguished, and only the columns of users' ids are searched.

    Parameters
    ----------
    folders
        Folders to search, each with the path that matches are reported under.
    names
        The ids, that of the graph first.
    user_columns
        The columns of a file that hold ids of users.
    """
    paths = [(path, root / path.relative_to(folder)) for folder, root in folders.items() for path in folder.rglob("*")]
    files = {path: shown for path, shown in sorted(paths) if path.is_file()}
    matches, everywhere = [], True
    for name in names:
        others = set().union(*(_longer_ids(path, name, user_columns(path)) for path in files))
        unique = len(name) >= MIN_SEARCHED_LENGTH and name not in others
        everywhere &= unique or name != names[0]
        for path, shown in files.items():
            counts = _count_in_user_columns(path, name, user_columns(path))
            if unique:
                counts.update(_count_elsewhere(path, IdPattern.of(name, others), user_columns(path)))
            matches += [IdMatch(shown, where, count) for where, count in counts.items() if count]
    return Search(len(files), sum(path.stat().st_size for path in files), everywhere, tuple(matches))


@dataclass(frozen=True)
class IdPattern:
    """An id to match as a whole word, outside longer ids that contain it."""

    text: bytes
    """The id in UTF-8."""
    longer: tuple[tuple[bytes, int], ...]
    """Longer ids, each with the position of ``text`` in it."""

    @staticmethod
    def of(name: str, others: Collection[str] = ()) -> IdPattern:
        """The pattern of an id, outside those of ``others`` that contain it."""
        text = _bytes(name)
        hits = ((_bytes(other), hit.start()) for other in others for hit in re.finditer(re.escape(text), _bytes(other)))
        return IdPattern(text, tuple(hits))

    def count(self, content: bytes | mmap.mmap) -> int:
        """Number of matches in the content."""
        total, at = 0, content.find(self.text)
        while at >= 0:
            neighbours = content[max(at - 1, 0) : at], content[at + len(self.text) : at + len(self.text) + 1]
            total += not WORD_BYTES.intersection(neighbours) and not self._in_longer(content, at)
            at = content.find(self.text, at + 1)
        return total

    def _in_longer(self, content: bytes | mmap.mmap, at: int) -> bool:
        starts = ((word, at - offset) for word, offset in self.longer)
        return any(start >= 0 and content[start : start + len(word)] == word for word, start in starts)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _longer_ids(path: Path, name: str, user_columns: Collection[str]) -> set[str]:
    """Ids of other nodes in a Parquet file that contain the name as a word."""
    pattern, values = IdPattern.of(name), _matching_values(path, name, lambda column: column in ID_COLUMNS)
    words = ((column, value) for column, value, _ in values if pattern.count(_bytes(value)))
    return {value for column, value in words if value != name or column not in user_columns}


def _count_in_user_columns(path: Path, name: str, user_columns: Collection[str]) -> dict[str, int]:
    """Number of rows that equal the name, by column of users' ids."""
    counts: Counter[str] = Counter()
    for column, value, count in _matching_values(path, name, lambda column: column in user_columns):
        counts[f"column {column}"] += count * (value == name)
    return counts


def _count_elsewhere(path: Path, pattern: IdPattern, user_columns: Collection[str]) -> dict[str, int]:
    """Number of matches in a file outside the columns of users' ids."""
    counts = Counter({"name": pattern.count(_bytes(path.name)), "bytes": _count_in_bytes(path, pattern)})
    if path.suffix == ".json":
        counts["JSON"] = sum(pattern.count(_bytes(text)) for text in _json_strings(path))
    name = pattern.text.decode("utf-8", "surrogatepass")
    for column, value, count in _matching_values(path, name, lambda column: column not in user_columns):
        counts[f"column {column}"] += count * pattern.count(_bytes(value))
    return counts


def _count_in_bytes(path: Path, pattern: IdPattern) -> int:
    if not path.stat().st_size:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return pattern.count(content)


def _json_strings(path: Path) -> Iterator[str]:
    """Every text in a JSON file, keys included; none in a file that is not JSON."""
    try:
        pending: list[Any] = [json.loads(path.read_bytes())]
    except ValueError:
        return
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            pending += [*value, *value.values()] if isinstance(value, dict) else value


def _matching_values(path: Path, name: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str, int]]:
    """Column, value and number of rows for each value that contains the name, in the text columns of a Parquet file."""
    if path.suffix != ".parquet":
        return
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        columns = [c for c in schema.names if wanted(c) and schema.field(c).type in (pa.string(), pa.large_string())]
        for batch in file.iter_batches(columns=columns) if columns else ():
            for column in columns:
                hits = batch[column].filter(pc.match_substring(batch[column], name))
                for row in pc.value_counts(hits).to_pylist():
                    yield column, row["values"], row["counts"]
