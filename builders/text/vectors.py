"""Vectors of nodes, written beside the node tables: one safetensors file per node type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import safe_open
from safetensors.numpy import save_file

from builders.mapping.pseudonyms import Key
from builders.text.precomputed_vectors import combine
from builders.text.vector_files import PrecomputedVectors, VectorsOption, read_precomputed_vectors
from graphrec.errors import ConfigError, InputError
from graphrec.formatting import format_duration
from graphrec.progress import Progress

if TYPE_CHECKING:
    from builders.text.encoder import TextEncoder

NO_MODEL = "none"
"""Name of the text model of a build without text vectors."""
LONG_SECONDS = 5
"""Estimated duration from which the encoding of text is announced."""


@dataclass(frozen=True)
class StoredVectors:
    """Vectors of an existing graph, which are kept."""

    root: Path
    """Its directory."""
    text_manifest: Mapping[str, Any] | None
    """Its text model in the manifest; None without one."""
    vector_manifest: Mapping[str, Any]
    """Its precomputed vectors in the manifest, by node type."""

    def of_texts(self, kind: str, texts: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray] | None:
        """Rows of ``texts`` with stored vectors, and these [rows, dimension] float16; None without text vectors."""
        stored = self._load(kind)
        width = 0 if stored is None else stored.shape[1] - self._precomputed_width(kind)
        if stored is None or not width:
            return None
        stored_texts = pq.read_table(self.root / "nodes" / f"{kind}.parquet", columns=["text"])["text"].to_pylist()
        row_of = {text: row for row, text in enumerate(stored_texts) if text}
        rows = [row for row, text in enumerate(texts) if text in row_of]
        return np.array(rows, np.int64), stored[[row_of[texts[row] or ""] for row in rows], :width]

    def precomputed(self, kind: str) -> PrecomputedVectors | None:
        """Its precomputed vectors of a node type; None without any."""
        stored = self._load(kind)
        if stored is None or kind not in self.vector_manifest:
            return None
        entry, width = self.vector_manifest[kind], self._precomputed_width(kind)
        ids = pq.read_table(self.root / "nodes" / f"{kind}.parquet", columns=["id"])["id"].combine_chunks()
        option = VectorsOption(kind, Path(entry["file"]), entry["mode"])
        return PrecomputedVectors(option, ids, width, entry["sha256"], lambda: iter([stored[:, -width:]]))

    def _precomputed_width(self, kind: str) -> int:
        return int(self.vector_manifest[kind]["dimension"]) if kind in self.vector_manifest else 0

    def _load(self, kind: str) -> np.ndarray | None:
        path = self.root / "vectors" / f"{kind}.safetensors"
        if not path.is_file():
            return None
        with safe_open(path, "np") as file:
            return np.asarray(file.get_tensor("vectors"))


@dataclass(frozen=True)
class VectorOptions:
    """Sources of vectors besides the text model."""

    files: Sequence[VectorsOption] = ()
    """Files of precomputed vectors."""
    row_ids: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    """Ids of the rows of a table of nodes, by type: those of the rows of a file of vectors without ids."""
    stored: StoredVectors | None = None
    """Vectors of an existing graph, which are kept."""
    processes: int = 1
    """Number of processes that encode texts."""
    key: Key | None = None
    """Key of the pseudonyms of users, for their ids in files of vectors; None: no pseudonyms."""


DEFAULT = VectorOptions()


def write_vectors(
    folder: Path, nodes: Mapping[str, pa.Table], model: str, progress: Progress, options: VectorOptions = DEFAULT
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Write the vectors of every node type that has some, of its texts and precomputed ones.

    Returns
    -------
    The manifest of the text model (None: no model or no text), and that of the precomputed vectors by type.
    """
    precomputed = _precomputed(nodes, options)
    replaced = {kind for kind, vectors in precomputed.items() if vectors.option.mode == "instead"}
    with_text = () if model == NO_MODEL else (kind for kind in nodes if kind not in replaced)
    texts = {kind: column.to_pylist() for kind in with_text if (column := nodes[kind]["text"]).null_count < len(column)}
    stored, encoder = options.stored, None
    text_manifest = dict(stored.text_manifest) if stored and stored.text_manifest else None
    vector_manifest: dict[str, Any] = {}
    if texts or precomputed:
        folder.mkdir()
    for kind in (kind for kind in nodes if kind in texts or kind in precomputed):
        vectors = None
        if kind in texts:
            vectors, encoder = _text_vectors(kind, texts[kind], model, encoder, progress, options)
            if encoder and not text_manifest:
                identity = {name: getattr(encoder, name) for name in ("revision", "sha256", "dimension")}
                text_manifest = {"model": encoder.name, **identity}
        path = folder / f"{kind}.safetensors"
        if kind in precomputed:
            vector_manifest[kind] = combine(nodes[kind]["id"].combine_chunks(), vectors, precomputed[kind], path)[1]
        elif vectors is not None:
            save_file({"vectors": vectors}, path)
    return text_manifest if texts else None, vector_manifest


def _precomputed(nodes: Mapping[str, pa.Table], options: VectorOptions) -> dict[str, PrecomputedVectors]:
    """Precomputed vectors by type: those of files, then those of the existing graph."""
    by_type: dict[str, PrecomputedVectors] = {}
    for kind in nodes:
        if options.stored and (stored := options.stored.precomputed(kind)):
            by_type[kind] = stored
    for option in options.files:
        if option.kind not in nodes:
            raise InputError(f"--vectors: a node type among {', '.join(nodes)} expected, got {option.kind!r}")
        key = options.key if option.kind == "user" else None
        row_ids = options.row_ids.get(option.kind) if key is None else None
        new = read_precomputed_vectors(option, pa.array(row_ids, pa.string()) if row_ids is not None else None)
        if key is not None:
            ids = [None if identity is None else key.pseudonym(identity) for identity in new.ids.to_pylist()]
            new = replace(new, ids=pa.array(ids, pa.string()))
        by_type[option.kind] = _merged(new, by_type[option.kind]) if option.kind in by_type else new
    return by_type


def _merged(new: PrecomputedVectors, old: PrecomputedVectors) -> PrecomputedVectors:
    """Vectors of both; where both have one, the new."""
    if new.dimension != old.dimension:
        raise InputError(
            f"{new.option.path}: vectors of {old.dimension} numbers expected, as those of {old.option.path.name}, "
            f"got {new.dimension}"
        )
    return replace(new, ids=pa.concat_arrays([new.ids, old.ids]), chunks=lambda: chain(new.chunks(), old.chunks()))


def _text_vectors(
    kind: str,
    texts: Sequence[str | None],
    model: str,
    encoder: TextEncoder | None,
    progress: Progress,
    options: VectorOptions,
) -> tuple[np.ndarray, TextEncoder | None]:
    """Vectors [n, dimension] float16 of texts, stored ones unchanged, and the encoder if it was loaded."""
    stored = options.stored.of_texts(kind, texts) if options.stored else None
    rows = set(stored[0].tolist()) if stored is not None else set()
    missing = [None if row in rows else text for row, text in enumerate(texts)]
    if stored is not None and not any(missing):
        vectors = np.zeros((len(texts), stored[1].shape[1]), np.float16)
    else:
        from builders.text.encode import encode_texts, estimate_seconds

        encoder = encoder or _load_encoder(model, options.stored.text_manifest if options.stored else None)
        seconds = estimate_seconds(missing, encoder) / options.processes
        if seconds >= LONG_SECONDS:
            progress.message(f"encoding the texts of {kind} nodes will take about {format_duration(seconds)}")
        vectors = encode_texts(missing, encoder, progress=progress, processes=options.processes)
    if stored is not None:
        vectors[stored[0]] = stored[1]
    return vectors, encoder


def _load_encoder(model: str, manifest: Mapping[str, Any] | None) -> TextEncoder:
    from builders.text.encoder import load_encoder

    encoder = load_encoder(model)
    if manifest is not None and encoder.sha256 != manifest["sha256"]:
        raise ConfigError(
            f"text model {model!r}: the model of the graph's text vectors expected (sha256 {manifest['sha256'][:12]}), "
            f"got another (sha256 {encoder.sha256[:12]}); put it back, or build the graph again"
        )
    return encoder
