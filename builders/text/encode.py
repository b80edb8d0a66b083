"""Texts of nodes to vectors: each distinct text once, and never again once it is in the cache."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from builders.text.encoder import TextEncoder, load_encoder
from graphrec.environment import cache_folder
from graphrec.errors import ConfigError
from graphrec.files import atomic_write
from graphrec.progress import NoProgress, Progress

__all__ = ["TextEncoder", "VectorCache", "cache_folder", "encode_texts", "load_encoder", "seconds_for"]

SHARD_TEXTS = 8192
"""Texts encoded before their vectors are written: what a crash in a long run can lose."""
SAMPLE_TEXTS = 2048
"""Texts that an estimate of time looks at."""
MEASURED_BATCHES = 9
"""Batches that an estimate of time is measured on, unless that takes longer than MEASURED_SECONDS."""
MEASURED_SECONDS = 1.0


def encode_texts(
    texts: Sequence[str | None],
    encoder: TextEncoder,
    progress: Progress | None = None,
    cache: Path | Literal["default"] | None = "default",
    processes: int = 1,
) -> np.ndarray:
    """Vectors of ``texts``, [n, dimension] float16; a row of zeros for a text that is None or blank.

    Texts that the cache lacks are encoded in shards, and a shard is kept as soon as it is done: a run that was
    killed goes on where it was. Machines that share the cache's folder share the work when each runs this with its
    ``RANK`` of ``WORLD_SIZE`` in the environment, as torchrun sets them.

    Parameters
    ----------
    texts
        What each node says.
    encoder
        From ``load_encoder``.
    progress
        Hears of each text that has to be encoded.
    cache
        Folder that keeps vectors from run to run, by model and text; None keeps nothing.
    processes
        How many encode beside each other, each with a model of its own. More than one needs a main module that
        can be imported, as multiprocessing says (``if __name__ == "__main__":``).

    Raises
    ------
    ConfigError
        A process ended before its time, or there are fewer than one.
    """
    if processes < 1:
        raise ConfigError(f"processes: 1 or more expected, got {processes}")
    first = _first_rows(texts)
    vectors = np.zeros((len(texts), encoder.dimension), dtype=np.float16)
    work = _Work(vectors, dict(first), _open_cache(encoder, cache))
    work.take_from_cache()
    if work.missing:
        _encode_missing(work, encoder, progress or NoProgress(), processes)
    _repeat(vectors, texts, first)
    return vectors


def _first_rows(texts: Sequence[str | None]) -> dict[str, int]:
    """The row in which each distinct text comes first."""
    first: dict[str, int] = {}
    for row, text in enumerate(texts):
        if text and text not in first and text.strip():
            first[text] = row
    return first


def _repeat(vectors: np.ndarray, texts: Sequence[str | None], first: dict[str, int]) -> None:
    """Copy vectors to the rows that say what an earlier one said."""
    source = np.fromiter((first.get(text, row) if text else row for row, text in enumerate(texts)), np.int64)
    again = np.flatnonzero(source != np.arange(len(texts)))
    for rows in np.array_split(again, len(again) // SHARD_TEXTS + 1):
        vectors[rows] = vectors[source[rows]]


def _open_cache(encoder: TextEncoder, cache: Path | Literal["default"] | None) -> VectorCache | None:
    if cache is None:
        return None
    folder = cache_folder() if cache == "default" else cache
    return VectorCache(folder / "vectors" / encoder.fingerprint[:32], encoder.dimension)


@dataclass
class _Work:
    """What is still to be encoded."""

    vectors: np.ndarray
    """[n, dimension] float16, filled row by row."""
    missing: dict[str, int]
    """Texts without a vector, and the row of each."""
    store: VectorCache | None
    seen: set[str] = field(default_factory=set)
    """Shards of the cache that were looked at."""

    def take_from_cache(self) -> int:
        """Fill what the cache has come to hold; how many texts that were."""
        before = len(self.missing)
        if self.store:
            for texts, vectors in self.store.find(self.missing, self.seen):
                self._fill(texts, vectors)
        return before - len(self.missing)

    def keep(self, texts: list[str], vectors: np.ndarray) -> None:
        """Fill what was encoded, and put it into the cache."""
        if self.store:
            self.seen.add(self.store.append(texts, vectors))
        self._fill(texts, vectors)

    def _fill(self, texts: list[str], vectors: np.ndarray) -> None:
        self.vectors[[self.missing.pop(text) for text in texts]] = vectors


def _encode_missing(work: _Work, encoder: TextEncoder, progress: Progress, processes: int) -> None:
    progress.start(f"encode texts with {encoder.name}", len(work.missing))
    parts = _parts(work, progress, processes)
    if processes == 1:
        for part in parts:
            work.keep(part, encoder.encode(part, progress).astype(np.float16))
    else:
        from builders.text.workers import encode_beside

        for part, vectors in encode_beside(parts, encoder, processes):
            work.keep(part, vectors)
            progress.advance(len(part))
    progress.finish()


def _parts(work: _Work, progress: Progress, processes: int) -> Iterator[list[str]]:
    """The missing texts in shards: those of this machine first, then what the others have not done by then."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    texts = list(work.missing)
    size = min(SHARD_TEXTS, -(-len(texts) // (processes * world)))
    parts = [texts[start : start + size] for start in range(0, len(texts), size)]
    for place in sorted(range(len(parts)), key=lambda place: (place - rank) % world):
        if world > 1 and (found := work.take_from_cache()):
            progress.advance(found)
        if part := [text for text in parts[place] if text in work.missing]:
            yield part


def seconds_for(
    texts: Sequence[str | None],
    encoder: TextEncoder,
    cache: Path | Literal["default"] | None = "default",
) -> float:
    """About how long `encode_texts` will take for ``texts``, in seconds, measured on a few batches of them.

    Texts that the cache holds cost nothing. The measurement itself takes a second or one batch, whichever is longer;
    what fits into a single batch is not worth that, and 0 is returned.
    """
    missing = dict.fromkeys(_first_rows(texts))
    store = _open_cache(encoder, cache)
    for found, _ in store.find(missing, set()) if store else ():
        for text in found:
            del missing[text]
    sample = list(missing)[:: len(missing) // SAMPLE_TEXTS + 1]
    batches = encoder.batches(sample)
    if len(batches) < 2:
        return 0.0
    encoder.encode(sample[:1])  # the first call of all is slow
    chosen = np.linspace(0, len(batches) - 1, min(len(batches), MEASURED_BATCHES)).round().astype(int)
    measured = _seconds_a_batch([[sample[row] for row in batches[place]] for place in chosen], encoder)
    return measured * len(batches) * len(missing) / len(sample)


def _seconds_a_batch(batches: list[list[str]], encoder: TextEncoder) -> float:
    """The mean over some batches; after a second no other is begun."""
    done, start = 0, time.perf_counter()
    while done < len(batches) and time.perf_counter() - start < MEASURED_SECONDS:
        encoder.encode(batches[done])
        done += 1
    return (time.perf_counter() - start) / done


@dataclass(frozen=True)
class VectorCache:
    """Vectors of one model in a folder of shards, each a safetensors file that is written once.

    A shard holds ``digest`` [n, 16] uint8 (BLAKE2b of the text) and ``vectors`` [n, dimension] float16. Shards are
    written aside and renamed, so several builds may share the folder.
    """

    folder: Path
    """One folder a model."""
    dimension: int
    """Width of the vectors."""

    def read(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Vectors of those ``texts`` that are kept here, by text."""
        found = self.find(texts, set())
        return {text: row for part, vectors in found for text, row in zip(part, vectors, strict=True)}

    def find(self, texts: Iterable[str], seen: set[str]) -> Iterator[tuple[list[str], np.ndarray]]:
        """Those of ``texts`` that are kept here, each once, with their vectors [k, dimension], a shard at a time.

        Shards whose names are in ``seen`` are passed over; the others are added to it.
        """
        shards = [shard for shard in sorted(self.folder.glob("*.safetensors")) if shard.name not in seen]
        wanted = {text_digest(text): text for text in texts} if shards else {}
        for shard in shards:
            seen.add(shard.name)
            try:
                digests, vectors = self._read_shard(shard)
            except (OSError, SafetensorError, ValueError) as error:
                _drop(shard, error)
                continue
            rows = {digest: row for row, digest in enumerate(digests) if digest in wanted}
            if rows:
                part = [wanted.pop(digest) for digest in rows]
                yield part, vectors[list(rows.values())]

    def _read_shard(self, shard: Path) -> tuple[list[bytes], np.ndarray]:
        with safe_open(shard, "np") as file:
            if set(file.keys()) != {"digest", "vectors"}:
                raise ValueError(f"tensors digest and vectors expected, got {list(file.keys())}")
            digests, vectors = file.get_tensor("digest"), file.get_tensor("vectors")
        if digests.shape != (len(vectors), 16) or vectors.shape[1:] != (self.dimension,):
            raise ValueError(f"{len(vectors)} vectors of {self.dimension} numbers expected, got {vectors.shape}")
        return [row.tobytes() for row in digests], vectors

    def append(self, texts: Sequence[str], vectors: np.ndarray) -> str:
        """Keep ``vectors`` [n, dimension] of ``texts``; the shard's name.

        A folder that cannot be written to is only warned of.
        """
        digests = np.frombuffer(b"".join(map(text_digest, texts)), dtype=np.uint8).reshape(-1, 16)
        name = uuid.uuid4().hex
        try:
            with atomic_write(self.folder / f"{name}.safetensors") as temporary:
                save_file({"digest": digests, "vectors": vectors}, temporary)
        except (OSError, SafetensorError) as error:
            warnings.warn(f"{self.folder}: vectors are not kept for next time ({error})", RuntimeWarning, stacklevel=3)
        return f"{name}.safetensors"


def _drop(shard: Path, error: Exception) -> None:
    """Remove a shard that cannot be read, so that it is warned of once; its texts are encoded again."""
    with contextlib.suppress(OSError):
        shard.unlink()
    warnings.warn(f"{shard}: a broken shard of vectors was removed ({error})", RuntimeWarning, stacklevel=4)


def text_digest(text: str) -> bytes:
    """Key of a text in the cache: its BLAKE2b hash, 16 bytes."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
