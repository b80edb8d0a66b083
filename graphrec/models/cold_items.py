"""Where an item stands that nobody has visited: where the visited items beside it do, on average.

No trip over the visits reaches such an item. What it belongs to does: its place and the places near it, and the nodes
that a mapping links it to (a brand, an entity of a knowledge graph, another item).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from graphrec.graph.events import TRAIN
from graphrec.graph.nodes import Edges
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MIN
from graphrec.models.propagation import csr, degree, sparse_matmul

NEAR = 0.5
"""How much an item at a near place counts, against one at the same place."""
SAVED_BUFFERS = ("new", "members", "share")
"""What is saved with the weights: it stays as it was at the end of the train split."""


class ColdItemSmoothing(nn.Module):
    """Carries a value of the visited items to those without a visit."""

    new: Tensor
    members: Tensor
    share: Tensor
    item_to_attribute: Tensor
    attribute_to_item: Tensor
    to_new: Tensor
    from_new: Tensor

    def __init__(
        self, graph: TemporalGraph, visited: Bool[Tensor, " items"], weights: Mapping[str, Tensor] | None = None
    ) -> None:
        """Read what items belong to from the graph, or take what was saved as ``weights``."""
        super().__init__()
        kept = _groups(graph, visited) if weights is None else tuple(weights[name] for name in SAVED_BUFFERS)
        for name, value in zip(SAVED_BUFFERS, kept, strict=True):
            self.register_buffer(name, value)
        items = len(visited)
        groups = 1 + max((int(pairs[1].max()) for pairs in kept[:2] if pairs.numel()), default=-1)
        of_group = self.share.new_zeros(groups).index_add(0, self.members[1], self.share)
        share, alike = self.share / of_group[self.members[1]], 1 / degree(self.new[0])
        matrices = {
            "item_to_attribute": csr(self.members[1], self.members[0], share, (groups, items)),
            "attribute_to_item": csr(self.members[0], self.members[1], share, (items, groups)),
            "to_new": csr(self.new[0], self.new[1], alike, (items, groups)),
            "from_new": csr(self.new[1], self.new[0], alike, (groups, items)),
        }
        for name, value in matrices.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, value: Float[Tensor, "batch items"]) -> Float[Tensor, "batch items"]:
        """The mean over the groups of a new item of the mean over their visited members; 0 for every other item."""
        if not self.new.numel():
            return torch.zeros_like(value)
        together = sparse_matmul(value.T.contiguous(), self.item_to_attribute, self.attribute_to_item)
        return sparse_matmul(together, self.to_new, self.from_new).T


def _groups(
    graph: TemporalGraph, visited: Bool[Tensor, " items"]
) -> tuple[Int64[Tensor, "2 new"], Int64[Tensor, "2 members"], Float[Tensor, " members"]]:
    """What items without a visit have in common with visited ones, as of the end of the train split.

    Returns
    -------
    Pairs (item without a visit, group) of groups that have visited members, pairs (visited item, group), and how much
    each of these members counts. A group is a node that items are linked to, of whatever type.
    """
    times = graph.log.time[graph.log.split == TRAIN]
    end = int(times.max()) if len(times) else TIME_MIN
    tables = [_belonging(graph, name, end) for name, edges in graph.edges.items() if edges.source_type == "item"]
    if not tables:
        nothing = torch.zeros(2, 0, dtype=torch.int64, device=visited.device)
        return nothing, nothing, visited.new_zeros(0, dtype=torch.float32)
    seen = visited.cpu().numpy()
    own, wider = (scipy.sparse.hstack(part).tocoo() for part in zip(*tables, strict=True))
    member = seen[wider.row]
    peopled = np.bincount(wider.col[member], minlength=wider.shape[1]) > 0
    new = ~seen[own.row] & peopled[own.col]

    def pairs(row: np.ndarray, column: np.ndarray) -> Tensor:
        return torch.tensor(np.stack((row, column)), dtype=torch.int64, device=visited.device)

    share = torch.tensor(wider.data[member], dtype=torch.float32, device=visited.device)
    return pairs(own.row[new], own.col[new]), pairs(wider.row[member], wider.col[member]), share


def _belonging(graph: TemporalGraph, name: str, end: int) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
    """What items are linked to, [items, nodes], and who counts as a member of it, and how much."""
    edges = graph.edges[name]
    own = _ones(edges, (len(graph.nodes["item"]), len(graph.nodes[edges.target_type])), end)
    if edges.target_type == "item":
        return own, own + scipy.sparse.eye_array(own.shape[0], format="csr")
    if edges.target_type == "location" and "near" in graph.edges:
        near = _ones(graph.edges["near"], (own.shape[1], own.shape[1]), end)
        return own, own + NEAR * (own @ near.T)
    return own, own


def _ones(edges: Edges, shape: tuple[int, int], end: int) -> scipy.sparse.csr_array:
    """A one for each pair of nodes that an edge valid by ``end`` links."""
    valid = edges.valid_from <= end
    row, column = (part[valid].cpu().numpy() for part in (edges.source, edges.target))
    table = scipy.sparse.coo_array((np.ones(len(row)), (row, column)), shape=shape).tocsr()
    table.sum_duplicates()
    table.data[:] = 1
    return table
