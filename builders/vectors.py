"""Text vectors of nodes: written next to the node tables, one file a type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from safetensors.numpy import save_file

from graphrec.progress import Progress

NO_MODEL = "none"
"""The name that stands for building without text vectors."""


def write_vectors(folder: Path, nodes: dict[str, pa.Table], model: str, progress: Progress) -> dict[str, Any] | None:
    """Encode the texts of every node type that has some.

    Returns
    -------
    What the manifest says of the model; None when there is no model or no text.
    """
    texts = {kind: table["text"].to_pylist() for kind, table in nodes.items() if table["text"].null_count < len(table)}
    if model == NO_MODEL or not texts:
        return None
    from builders.encoder import load_encoder
    from builders.text import encode_texts

    encoder = load_encoder(model)
    folder.mkdir()
    for kind, column in texts.items():
        save_file({"vectors": encode_texts(column, encoder, progress=progress)}, folder / f"{kind}.safetensors")
    return {
        "model": encoder.name,
        "revision": encoder.revision,
        "sha256": encoder.sha256,
        "dimension": encoder.dimension,
    }
