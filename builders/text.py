"""Texts of nodes to vectors: each distinct text once, and never again once it is in the cache."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from builders.encoder import TextEncoder, load_encoder
from graphrec.environment import cache_folder
from graphrec.progress import Progress, Silent

__all__ = ["TextEncoder", "VectorCache", "cache_folder", "encode_texts", "load_encoder"]

SHARD_TEXTS = 8192
"""Texts encoded before their vectors are written: what a crash in a long run can lose."""


def encode_texts(
    texts: Sequence[str | None],
    encoder: TextEncoder,
    progress: Progress | None = None,
    cache: Path | Literal["default"] | None = "default",
) -> np.ndarray:
    """Vectors of ``texts``, [n, dimension] float16; a row of zeros for a text that is None or blank.

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
    """
    distinct = list(dict.fromkeys(text for text in texts if text and text.strip()))
    store = _open_cache(encoder, cache)
    known = store.read(distinct) if store else {}
    missing = [text for text in distinct if text not in known]
    known |= _encode_missing(missing, encoder, progress or Silent(), store)
    nothing = np.zeros(encoder.dimension, dtype=np.float16)
    rows = [known.get(text, nothing) if text else nothing for text in texts]
    return np.stack(rows) if rows else np.zeros((0, encoder.dimension), dtype=np.float16)


def _open_cache(encoder: TextEncoder, cache: Path | Literal["default"] | None) -> VectorCache | None:
    if cache is None:
        return None
    folder = cache_folder() if cache == "default" else cache
    return VectorCache(folder / "vectors" / encoder.fingerprint[:32], encoder.dimension)


def _encode_missing(
    texts: list[str], encoder: TextEncoder, progress: Progress, store: VectorCache | None
) -> dict[str, np.ndarray]:
    vectors: dict[str, np.ndarray] = {}
    if not texts:
        return vectors
    progress.start(f"encode texts with {encoder.name}", len(texts))
    for start in range(0, len(texts), SHARD_TEXTS):
        part = texts[start : start + SHARD_TEXTS]
        encoded = encoder.encode(part, progress).astype(np.float16)
        if store:
            store.append(part, encoded)
        vectors |= zip(part, encoded, strict=True)
    progress.finish()
    return vectors


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
        wanted = {_digest(text): text for text in texts}
        found: dict[str, np.ndarray] = {}
        for shard in sorted(self.folder.glob("*.safetensors")):
            try:
                digests, vectors = self._read_shard(shard)
            except (OSError, SafetensorError, ValueError) as error:
                _drop(shard, error)
                continue
            rows = [(wanted[digest], row) for row, digest in enumerate(digests) if digest in wanted]
            found |= {text: vectors[row] for text, row in rows}
        return found

    def _read_shard(self, shard: Path) -> tuple[list[bytes], np.ndarray]:
        with safe_open(shard, "np") as file:
            if set(file.keys()) != {"digest", "vectors"}:
                raise ValueError(f"tensors digest and vectors expected, got {list(file.keys())}")
            digests, vectors = file.get_tensor("digest"), file.get_tensor("vectors")
        if digests.shape != (len(vectors), 16) or vectors.shape[1:] != (self.dimension,):
            raise ValueError(f"{len(vectors)} vectors of {self.dimension} numbers expected, got {vectors.shape}")
        return [row.tobytes() for row in digests], vectors

    def append(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        """Keep ``vectors`` [n, dimension] of ``texts``; a folder that cannot be written to is only warned of."""
        digests = np.frombuffer(b"".join(map(_digest, texts)), dtype=np.uint8).reshape(-1, 16)
        name = uuid.uuid4().hex
        aside = self.folder / f"{name}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({"digest": digests, "vectors": vectors}, aside)
            aside.replace(self.folder / f"{name}.safetensors")
        except (OSError, SafetensorError) as error:
            with contextlib.suppress(OSError):
                aside.unlink()
            warnings.warn(f"{self.folder}: vectors are not kept for next time ({error})", RuntimeWarning, stacklevel=3)


def _drop(shard: Path, error: Exception) -> None:
    """Remove a shard that cannot be read, so that it is warned of once; its texts are encoded again."""
    with contextlib.suppress(OSError):
        shard.unlink()
    warnings.warn(f"{shard}: a broken shard of vectors was removed ({error})", RuntimeWarning, stacklevel=4)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
