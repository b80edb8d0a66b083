"""Where an id still stands: a search through every file of some folders."""

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
"""Characters of the shortest id that is looked for everywhere: a shorter one stands in many places by chance."""
ID_COLUMNS = ("id", "user", "item", "location", "source_id", "target_id", "entity")
"""Columns that hold ids and nothing else."""
WORD_BYTES = frozenset(b"%c" % letter for letter in range(128) if chr(letter).isalnum() or letter == ord("_"))
"""What an id must not be surrounded by: it would be a part of a longer word."""

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
    """How often."""


@dataclass(frozen=True)
class Search:
    """What a search has found."""

    files: int
    """How many files were searched."""
    bytes: int
    """How large they are."""
    everywhere: bool
    """Whether the first id was looked for in all texts and bytes, or only in the columns that hold ids of users."""
    matches: tuple[IdMatch, ...]
    """Where an id was found."""

    @property
    def found(self) -> int:
        """How often the ids were found."""
        return sum(match.count for match in self.matches)

    def __str__(self) -> str:
        where = "" if self.everywhere else ", in the columns that hold ids of users"
        return f"searched {self.files:,} files of {self.bytes:,} bytes{where}: found {self.found:,}"


def search(folders: Mapping[Path, Path], names: Sequence[str], people: UserColumns) -> Search:
    """Search every file of some folders for ids of users.

    An id stands where a column of users' ids holds it. One of at least `MIN_SEARCHED_LENGTH` characters is also looked for as a word
    in every text of Parquet and JSON files, in the names and in the raw bytes of all files. There it does not count
    as a part of another node's id; if an item or a place has the very same id, nobody can tell the two apart, and only
    the columns of users' ids are searched.

    Parameters
    ----------
    folders
        Each with the path that it is told by.
    names
        The ids, first the one that the graph goes by.
    people
        Which columns of a file hold ids of users.
    """
    files = {path: told / path.relative_to(folder) for folder, told in folders.items() for path in _files(folder)}
    matches, everywhere = [], True
    for name in names:
        others = set().union(*(_longer_ids(path, name, people(path)) for path in files))
        wide = len(name) >= MIN_SEARCHED_LENGTH and name not in others
        everywhere &= wide or name != names[0]
        for path, told in files.items():
            found = _count_in_user_columns(path, name, people(path))
            found |= _count_elsewhere(path, IdPattern.of(name, others), people(path)) if wide else {}
            matches += [IdMatch(told, where, count) for where, count in found.items() if count]
    return Search(len(files), sum(path.stat().st_size for path in files), everywhere, tuple(matches))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class IdPattern:
    """A word to look for, and longer ones that it is a part of."""

    text: bytes
    """The word in UTF-8."""
    longer: tuple[tuple[bytes, int], ...]
    """Each with how many bytes of it stand before the word."""

    @staticmethod
    def of(name: str, others: Collection[str] = ()) -> IdPattern:
        """The word, and those of ``others`` that hold it."""
        text = _bytes(name)
        hits = ((_bytes(other), hit.start()) for other in others for hit in re.finditer(re.escape(text), _bytes(other)))
        return IdPattern(text, tuple(hits))

    def count(self, content: bytes | mmap.mmap) -> int:
        """How often the word stands in the content, outside the longer ones."""
        total, at = 0, content.find(self.text)
        while at >= 0:
            around = content[max(at - 1, 0) : at], content[at + len(self.text) : at + len(self.text) + 1]
            total += not WORD_BYTES.intersection(around) and not self._in_longer(content, at)
            at = content.find(self.text, at + 1)
        return total

    def _in_longer(self, content: bytes | mmap.mmap, at: int) -> bool:
        starts = ((word, at - before) for word, before in self.longer)
        return any(start >= 0 and content[start : start + len(word)] == word for word, start in starts)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _longer_ids(path: Path, name: str, people: Collection[str]) -> set[str]:
    """Ids of other nodes in a Parquet file that hold the name as a word."""
    word, values = IdPattern.of(name), _matching_values(path, name, lambda column: column in ID_COLUMNS)
    return {
        value for column, value, _ in values if word.count(_bytes(value)) and (value != name or column not in people)
    }


def _count_in_user_columns(path: Path, name: str, people: Collection[str]) -> dict[str, int]:
    """How often each column of users' ids holds the name."""
    found: Counter[str] = Counter()
    for column, value, count in _matching_values(path, name, lambda column: column in people):
        found[f"column {column}"] += count * (value == name)
    return dict(found)


def _count_elsewhere(path: Path, word: IdPattern, people: Collection[str]) -> dict[str, int]:
    """How often a file holds the word outside the columns of users' ids."""
    found = Counter({"name": word.count(_bytes(path.name)), "bytes": _count_in_bytes(path, word)})
    if path.suffix == ".json":
        found["JSON"] = sum(word.count(_bytes(text)) for text in _strings(_read_json(path)))
    name = word.text.decode("utf-8", "surrogatepass")
    for column, value, count in _matching_values(path, name, lambda column: column not in people):
        found[f"column {column}"] += count * word.count(_bytes(value))
    return dict(found)


def _count_in_bytes(path: Path, word: IdPattern) -> int:
    if not path.stat().st_size:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return word.count(content)


def _read_json(path: Path) -> Any:
    """What a JSON file says; nothing if it is none."""
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def _strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _strings(part)


def _matching_values(path: Path, name: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str, int]]:
    """The columns of texts of a Parquet file, each with the values that hold the name, and how often it has them."""
    if path.suffix != ".parquet":
        return
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        columns = [c for c in schema.names if wanted(c) and schema.field(c).type in (pa.string(), pa.large_string())]
        for batch in file.iter_batches(columns=columns) if columns else ():
            for column in columns:
                hits = batch[column].filter(pc.match_substring(batch[column], name))
                for found in pc.value_counts(hits).to_pylist():
                    yield column, found["values"], found["counts"]
