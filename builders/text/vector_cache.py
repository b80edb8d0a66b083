"""Cache of text vectors on disk, by model and text."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from graphrec.files import atomic_write


@dataclass(frozen=True)
class VectorCache:
    """Vectors of one model in a folder of shards, each a safetensors file that is written once.

    A shard holds ``digest`` [n, 16] uint8 (BLAKE2b of the text) and ``vectors`` [n, dimension] float16. Writes are
    atomic, so several builds may share the folder.
    """

    folder: Path
    """Folder of the model."""
    dimension: int
    """Width of the vectors."""

    def find(self, texts: Iterable[str], seen: set[str]) -> Iterator[tuple[list[str], np.ndarray]]:
        """The cached of ``texts``, each once, with their vectors [k, dimension], by shard.

        Shards whose names are in ``seen`` are skipped; the others are added to it.
        """
        shards = [shard for shard in sorted(self.folder.glob("*.safetensors")) if shard.name not in seen]
        missing = {text_digest(text): text for text in texts} if shards else {}
        for shard in shards:
            seen.add(shard.name)
            try:
                digests, vectors = self._read_shard(shard)
            except (OSError, SafetensorError, ValueError) as error:
                _delete_broken(shard, error)
                continue
            rows = {digest: row for row, digest in enumerate(digests) if digest in missing}
            if rows:
                part = [missing.pop(digest) for digest in rows]
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
        """Store ``vectors`` [n, dimension] of ``texts``; the shard's name. Without write access, warn."""
        digests = np.frombuffer(b"".join(map(text_digest, texts)), dtype=np.uint8).reshape(-1, 16)
        shard = self.folder / f"{uuid.uuid4().hex}.safetensors"
        try:
            with atomic_write(shard) as temporary:
                save_file({"digest": digests, "vectors": vectors}, temporary)
        except (OSError, SafetensorError) as error:
            warnings.warn(f"{self.folder}: vectors are not kept for next time ({error})", RuntimeWarning, stacklevel=3)
        return shard.name


def _delete_broken(shard: Path, error: Exception) -> None:
    """Delete an unreadable shard, so that there is one warning; its texts are encoded again."""
    with contextlib.suppress(OSError):
        shard.unlink()
    warnings.warn(f"{shard}: a broken shard of vectors was removed ({error})", RuntimeWarning, stacklevel=4)


def text_digest(text: str) -> bytes:
    """Key of a text in the cache: its BLAKE2b hash, 16 bytes."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def delete_cached_vectors(texts: Sequence[str], folder: Path) -> int:
    """Delete the vectors of texts of all models from a folder of caches; their number."""
    digests = np.array([text_digest(text) for text in texts], "S16")
    return sum(_delete_from_shard(shard, digests) for shard in sorted(folder.glob("*/*.safetensors")) if len(digests))


def _delete_from_shard(shard: Path, digests: np.ndarray) -> int:
    try:
        with safe_open(shard, "np") as file:
            tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
        mask = np.isin(np.ascontiguousarray(tensors["digest"]).view("S16").ravel(), digests)
    except (OSError, SafetensorError, KeyError, ValueError):
        shard.unlink(missing_ok=True)  # unreadable; a build would delete it too
        return 0
    if mask.all():
        shard.unlink()
    elif mask.any():
        with atomic_write(shard) as temporary:
            save_file({name: value[~mask] for name, value in tensors.items()}, temporary, metadata=metadata)
    return int(mask.sum())
