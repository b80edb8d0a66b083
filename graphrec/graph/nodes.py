"""Node tables and static relations of a graph directory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
from jaxtyping import Float32, Int64
from torch import Tensor


@dataclass(frozen=True)
class Nodes:
    """Nodes of one type; row v of every column describes node v."""

    ids: pa.Array
    """The user's own ids as they were written, [count] strings."""
    labels: pa.Array
    """A short name for people, [count] strings; null where there is none (then the id serves)."""
    texts: pa.Array
    """What the text encoder read, [count] strings; null for a node without text."""
    vectors: Tensor | None
    """Text vectors [count, d_text] float16, memory-mapped, zero for a node without text; None without a text model."""
    coordinates: Float32[Tensor, "count 2"] | None
    """Latitude and longitude in degrees, NaN where unknown; None if no node of the type has them."""
    first_seen: Int64[Tensor, " count"]
    """UTC seconds from which the node is known; TIME_MIN for a node that a catalogue lists without a date."""

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _code_of_id(self) -> dict[str, int]:
        return {identity: code for code, identity in enumerate(self.ids.to_pylist())}

    def code(self, identity: str) -> int:
        """Code of the node written as ``identity``, or -1 for one never seen."""
        return self._code_of_id.get(identity, -1)

    def label(self, code: int) -> str:
        """A name for people: the label, or the id where there is none."""
        return str(self.labels[code].as_py() or self.ids[code].as_py())

    def position(self, code: int) -> tuple[float, float] | None:
        """Latitude and longitude in degrees; None where unknown."""
        if self.coordinates is None or bool(self.coordinates[code].isnan().any()):
            return None
        latitude, longitude = self.coordinates[code].tolist()
        return latitude, longitude


@dataclass(frozen=True)
class Edges:
    """A static relation as it stands in the directory: timeless or valid from a time on."""

    source_type: str
    target_type: str
    source: Int64[Tensor, " edges"]
    """Code of the source node."""
    target: Int64[Tensor, " edges"]
    """Code of the target node."""
    valid_from: Int64[Tensor, " edges"]
    """UTC seconds from which the edge is known; TIME_MIN for a timeless edge."""
    metres: Float32[Tensor, " edges"] | None
    """Length of the edge in metres; None for a relation that is not of distance."""
