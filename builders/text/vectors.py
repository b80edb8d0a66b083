"""Text vectors of nodes: written next to the node tables, one file a type."""

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
from builders.text.vector_files import GivenVectors, VectorsOption, read_given_vectors
from graphrec.errors import ConfigError, InputError
from graphrec.formatting import format_duration
from graphrec.progress import Progress

if TYPE_CHECKING:
    from builders.text.encoder import TextEncoder

NO_MODEL = "none"
"""The name that stands for building without text vectors."""


@dataclass(frozen=True)
class Vectors:
    """A graph whose texts have vectors already."""

    root: Path
    """Its directory."""
    about: Mapping[str, Any] | None
    """What its manifest says of the model; None without one."""
    told: Mapping[str, Any]
    """What it says of given vectors, by type."""

    def of(self, kind: str, texts: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray] | None:
        """Rows of ``texts`` that have vectors, and these [rows, dimension] float16; None where the graph has none."""
        stored = self._stored(kind)
        width = 0 if stored is None else stored.shape[1] - self._given_width(kind)
        if stored is None or not width:
            return None
        written = pq.read_table(self.root / "nodes" / f"{kind}.parquet", columns=["text"])["text"].to_pylist()
        row_of = {text: row for row, text in enumerate(written) if text}
        rows = [row for row, text in enumerate(texts) if text in row_of]
        return np.array(rows, np.int64), stored[[row_of[texts[row] or ""] for row in rows], :width]

    def given(self, kind: str) -> GivenVectors | None:
        """The vectors that were given to it beside or instead of text; None where none were."""
        stored = self._stored(kind)
        if stored is None or kind not in self.told:
            return None
        told, width = self.told[kind], self._given_width(kind)
        ids = pq.read_table(self.root / "nodes" / f"{kind}.parquet", columns=["id"])["id"].combine_chunks()
        option = VectorsOption(kind, Path(told["file"]), told["mode"])
        return GivenVectors(option, ids, width, told["sha256"], lambda: iter([stored[:, -width:]]))

    def _given_width(self, kind: str) -> int:
        return int(self.told[kind]["dimension"]) if kind in self.told else 0

    def _stored(self, kind: str) -> np.ndarray | None:
        path = self.root / "vectors" / f"{kind}.safetensors"
        if not path.is_file():
            return None
        with safe_open(path, "np") as file:
            vectors: np.ndarray = file.get_tensor("vectors")
        return vectors


@dataclass(frozen=True)
class Asked:
    """What else there is to take vectors from besides the model."""

    given: Sequence[VectorsOption] = ()
    """Files of vectors, beside or instead of text."""
    order: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    """Ids of a type's table in its order: the rows of a file of vectors without ids."""
    old: Vectors | None = None
    """A graph whose vectors are kept."""
    processes: int = 1
    """How many encode texts beside each other."""
    key: Key | None = None
    """What makes pseudonyms of the users' ids in such files; None: the graph has their own."""


NOTHING = Asked()
LONG_SECONDS = 5
"""Work that takes longer is announced."""


def write_vectors(
    folder: Path, nodes: Mapping[str, pa.Table], model: str, progress: Progress, asked: Asked = NOTHING
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Write the vectors of every node type that has some: of its texts, and those that were given.

    Returns
    -------
    What the manifest says of the text model (None: there is no model or no text), and of the given vectors by type.
    """
    given = _given(nodes, asked)
    texts = {kind: table["text"].to_pylist() for kind, table in nodes.items() if table["text"].null_count < len(table)}
    instead = {kind for kind, found in given.items() if found.option.mode == "instead"}
    wanted = {} if model == NO_MODEL else {kind: column for kind, column in texts.items() if kind not in instead}
    told: dict[str, Any] = {}
    about = dict(asked.old.about) if asked.old and asked.old.about else None
    if wanted or given:
        folder.mkdir()
    encoder = None
    for kind in (kind for kind in nodes if kind in wanted or kind in given):
        vectors = None
        if kind in wanted:
            vectors, encoder = _text_vectors(kind, wanted[kind], model, encoder, progress, asked)
            about = about or (_about(encoder) if encoder else None)
        path = folder / f"{kind}.safetensors"
        if kind in given:
            told[kind] = combine(nodes[kind]["id"].combine_chunks(), vectors, given[kind], path)[1]
        elif vectors is not None:
            save_file({"vectors": vectors}, path)
    return about if wanted else None, told


def _given(nodes: Mapping[str, pa.Table], asked: Asked) -> dict[str, GivenVectors]:
    """The vectors that files give, then those that were given to the old graph, by type."""
    found: dict[str, GivenVectors] = {}
    for kind in nodes:
        kept = asked.old.given(kind) if asked.old else None
        if kept is not None:
            found[kind] = kept
    for option in asked.given:
        if option.kind not in nodes:
            raise InputError(f"--vectors: a node type among {', '.join(nodes)} expected, got {option.kind!r}")
        hidden = asked.key if option.kind == "user" else None
        order = asked.order.get(option.kind) if hidden is None else None
        new = read_given_vectors(option, pa.array(order, pa.string()) if order is not None else None)
        if hidden is not None:
            names = [None if one is None else hidden.pseudonym(one) for one in new.ids.to_pylist()]
            new = replace(new, ids=pa.array(names, pa.string()))
        found[option.kind] = _first(new, found[option.kind]) if option.kind in found else new
    return found


def _first(new: GivenVectors, old: GivenVectors) -> GivenVectors:
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
    asked: Asked,
) -> tuple[np.ndarray, TextEncoder | None]:
    """Vectors [n, dimension] float16 of texts, old ones as they were, and the model if one has been loaded."""
    known = asked.old.of(kind, texts) if asked.old else None
    had = set(known[0].tolist()) if known is not None else set()
    missing = [None if row in had else text for row, text in enumerate(texts)]
    if known is not None and not any(missing):
        vectors = np.zeros((len(texts), known[1].shape[1]), np.float16)
    else:
        from builders.text.encode import encode_texts, seconds_for

        encoder = encoder or _encoder(model, asked.old.about if asked.old else None)
        seconds = seconds_for(missing, encoder) / asked.processes
        if seconds >= LONG_SECONDS:
            progress.message(f"encoding the texts of {kind} nodes will take about {format_duration(seconds)}")
        vectors = encode_texts(missing, encoder, progress=progress, processes=asked.processes)
    if known is not None:
        vectors[known[0]] = known[1]
    return vectors, encoder


def _encoder(model: str, about: Mapping[str, Any] | None) -> TextEncoder:
    from builders.text.encoder import load_encoder

    encoder = load_encoder(model)
    if about is not None and encoder.sha256 != about["sha256"]:
        raise ConfigError(
            f"text model {model!r}: the one that read the graph's texts expected (sha256 {about['sha256'][:12]}), "
            f"got another (sha256 {encoder.sha256[:12]}); put it back, or build the graph again"
        )
    return encoder


def _about(encoder: TextEncoder) -> dict[str, Any]:
    return {
        "model": encoder.name,
        "revision": encoder.revision,
        "sha256": encoder.sha256,
        "dimension": encoder.dimension,
    }
