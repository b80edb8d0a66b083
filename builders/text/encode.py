"""Texts of nodes to vectors: each distinct text is encoded once per model, and then cached."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from builders.text.encoder import TextEncoder, load_encoder
from builders.text.vector_cache import VectorCache
from graphrec.environment import cache_folder
from graphrec.errors import ConfigError
from graphrec.progress import NoProgress, Progress

__all__ = ["TextEncoder", "encode_texts", "estimate_seconds", "load_encoder"]

SHARD_TEXTS = 8192
"""Texts per shard of the cache: as many are encoded again after a crash, at most."""
MAX_SAMPLE_TEXTS = 2048
"""Texts in the sample of an estimate."""
MAX_TIMED_BATCHES, MAX_TIMED_SECONDS = 9, 1.0
"""Batches that an estimate times, and seconds after which it starts no other."""

Cache = Path | Literal["default"] | None


def encode_texts(
    texts: Sequence[str | None],
    encoder: TextEncoder,
    *,
    progress: Progress | None = None,
    cache: Cache = "default",
    processes: int = 1,
) -> np.ndarray:
    """Vectors of ``texts``, [n, dimension] float16; a row of zeros for a text that is None or blank.

    Texts that are not cached are encoded in shards, and each shard is cached at once: a killed run can be continued.
    Machines that share the folder of the cache share the work if each runs this with its ``RANK`` of ``WORLD_SIZE``
    in the environment, as torchrun sets them.

    Parameters
    ----------
    texts
        Text of each node.
    encoder
        From ``load_encoder``.
    progress
        Advances with each encoded text.
    cache
        Folder of the cache; None: no cache.
    processes
        Number of processes, each with its own model. More than one needs a main module that can be imported, see
        multiprocessing (``if __name__ == "__main__":``).

    Raises
    ------
    ConfigError
        A process died, or ``processes`` is less than one.
    """
    if processes < 1:
        raise ConfigError(f"processes: 1 or more expected, got {processes}")
    first = _first_rows(texts)
    vectors = np.zeros((len(texts), encoder.dimension), dtype=np.float16)
    job = _Job(vectors, dict(first), _open_cache(encoder, cache))
    job.take_from_cache()
    if job.missing:
        _encode_missing(job, encoder, progress or NoProgress(), processes)
    _copy_repeated(vectors, texts, first)
    return vectors


def _first_rows(texts: Sequence[str | None]) -> dict[str, int]:
    """The first row of each distinct text."""
    first: dict[str, int] = {}
    for row, text in enumerate(texts):
        if text and text not in first and text.strip():
            first[text] = row
    return first


def _copy_repeated(vectors: np.ndarray, texts: Sequence[str | None], first: dict[str, int]) -> None:
    """Copy the vector of a text's first row to its other rows."""
    source = np.fromiter((first.get(text, row) if text else row for row, text in enumerate(texts)), np.int64)
    repeated = np.flatnonzero(source != np.arange(len(texts)))
    for rows in np.array_split(repeated, len(repeated) // SHARD_TEXTS + 1):
        vectors[rows] = vectors[source[rows]]


def _open_cache(encoder: TextEncoder, cache: Cache) -> VectorCache | None:
    if cache is None:
        return None
    folder = cache_folder() if cache == "default" else cache
    return VectorCache(folder / "vectors" / encoder.fingerprint[:32], encoder.dimension)


@dataclass
class _Job:
    """Texts to encode."""

    vectors: np.ndarray
    """[n, dimension] float16, filled row by row."""
    missing: dict[str, int]
    """Texts without a vector, with the row of each."""
    cache: VectorCache | None
    seen: set[str] = field(default_factory=set)
    """Shards of the cache that were read."""

    def take_from_cache(self) -> int:
        """Fill the vectors that were cached since; their number."""
        before = len(self.missing)
        for texts, vectors in self.cache.find(self.missing, self.seen) if self.cache else ():
            self._fill(texts, vectors)
        return before - len(self.missing)

    def add(self, texts: list[str], vectors: np.ndarray) -> None:
        """Fill encoded vectors, and cache them."""
        if self.cache:
            self.seen.add(self.cache.append(texts, vectors))
        self._fill(texts, vectors)

    def _fill(self, texts: list[str], vectors: np.ndarray) -> None:
        self.vectors[[self.missing.pop(text) for text in texts]] = vectors


def _encode_missing(job: _Job, encoder: TextEncoder, progress: Progress, processes: int) -> None:
    progress.start(f"encode texts with {encoder.name}", len(job.missing))
    parts = _parts(job, progress, processes)
    if processes == 1:
        for part in parts:
            job.add(part, encoder.encode(part, progress).astype(np.float16))
    else:
        from builders.text.workers import encode_parallel

        for part, vectors in encode_parallel(parts, encoder, processes):
            job.add(part, vectors)
            progress.advance(len(part))
    progress.finish()


def _parts(job: _Job, progress: Progress, processes: int) -> Iterator[list[str]]:
    """The missing texts in shards: those of this machine first, then those that the others have not encoded by then."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    texts = list(job.missing)
    size = min(SHARD_TEXTS, -(-len(texts) // (processes * world)))
    parts = [texts[start : start + size] for start in range(0, len(texts), size)]
    for index in sorted(range(len(parts)), key=lambda index: (index - rank) % world):
        if world > 1 and (cached := job.take_from_cache()):
            progress.advance(cached)
        if part := [text for text in parts[index] if text in job.missing]:
            yield part


def estimate_seconds(texts: Sequence[str | None], encoder: TextEncoder, cache: Cache = "default") -> float:
    """Estimated duration of `encode_texts` for ``texts`` in seconds, from the time of a few batches.

    Cached texts take no time. The estimate itself takes a second or one batch, whichever is longer; texts of a single
    batch are not worth that: 0.
    """
    missing = dict.fromkeys(_first_rows(texts))
    store = _open_cache(encoder, cache)
    for cached, _ in store.find(missing, set()) if store else ():
        for text in cached:
            del missing[text]
    sample = list(missing)[:: len(missing) // MAX_SAMPLE_TEXTS + 1]
    batches = encoder.batches(sample)
    if len(batches) < 2:
        return 0.0
    encoder.encode(sample[:1])  # the first call is slow
    chosen = np.linspace(0, len(batches) - 1, min(len(batches), MAX_TIMED_BATCHES)).round().astype(int)
    done, start = 0, time.perf_counter()
    while done < len(chosen) and time.perf_counter() - start < MAX_TIMED_SECONDS:
        encoder.encode([sample[row] for row in batches[chosen[done]]])
        done += 1
    seconds_per_batch = (time.perf_counter() - start) / done
    return seconds_per_batch * len(batches) * len(missing) / len(sample)
