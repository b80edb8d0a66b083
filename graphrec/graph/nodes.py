"""Node tables and static relations of a graph directory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
from jaxtyping import Float32, Int64
from torch import Tensor

from graphrec.graph.tensor_record import TensorRecord


@dataclass(frozen=True)
class Nodes(TensorRecord):
    """Nodes of one type; row v of every column describes node v."""

    ids: pa.Array
    """Ids as written in the log, [count] strings."""
    labels: pa.Array
    """Display names, [count] strings; null for none, and then the id is displayed."""
    texts: pa.Array
    """Input of the text encoder, [count] strings; null for a node without text."""
    vectors: Tensor | None
    """Text vectors [count, d_text] float16, memory-mapped, zero for a node without text; None without a text model."""
    coordinates: Float32[Tensor, "count 2"] | None
    """Latitude and longitude in degrees, NaN where unknown; None if no node of the type has them."""
    first_seen: Int64[Tensor, " count"]
    """UTC seconds from which the node is known; TIME_MIN for a node of a table without dates."""

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _code_of_id(self) -> dict[str, int]:
        return {identity: code for code, identity in enumerate(self.ids.to_pylist())}

    def code(self, identity: str) -> int:
        """Code of the node with this id, or -1."""
        return self._code_of_id.get(identity, -1)

    def label(self, code: int) -> str:
        """Display name: the label, or the id."""
        return str(self.labels[code].as_py() or self.ids[code].as_py())

    def position(self, code: int) -> tuple[float, float] | None:
        """Latitude and longitude in degrees; None where unknown."""
        if self.coordinates is None or bool(self.coordinates[code].isnan().any()):
            return None
        latitude, longitude = self.coordinates[code].tolist()
        return latitude, longitude


@dataclass(frozen=True)
class Edges(TensorRecord):
    """A static relation: timeless edges, or edges valid from a time on."""

    source_type: str
    target_type: str
    source: Int64[Tensor, " edges"]
    """Code of the source node."""
    target: Int64[Tensor, " edges"]
    """Code of the target node."""
    valid_from: Int64[Tensor, " edges"]
    """UTC seconds from which the edge is known; TIME_MIN for a timeless edge."""
    metres: Float32[Tensor, " edges"] | None
    """Length of the edge in metres; None for a relation without lengths."""
