"""The spatio-temporal graph attention network ``stgat``: from a query's neighbourhoods to probabilities of items.

The probability of an item is a mixture, computed by `Stgat.prob`, whose parts are the explanation of the score:

    P(i | u, t, p) = g_0 softmax_i(z . h_i + b_i + w . distance(p, i) + cf(u, i)) + sum_rk g_rk pointer_rk(i)

``h_i`` are node vectors (text, learned id, coordinates), ``z`` the state of user ``u`` as of time ``t`` at place ``p``,
``cf`` the logits of the collaborative filter (``graphrec.models.collaborative_filter``), ``pointer`` the attention
over the events of relation ``r`` by head ``k``, summed by item, and ``g`` a softmax over the parts.

Pointer networks: Vinyals et al. 2015, arXiv 1506.03134. Pointer mixtures with a gate: Merity et al. 2016, arXiv
1609.07843. Repeat/explore mixtures in recommendation: RepeatNet, Ren et al. 2019 (AAAI), arXiv 1812.02646; there the
pointer has the session's own items alone and the softmax the other items, here each relation of the graph has a
pointer of its own and the softmax all items. Graph attention: Velickovic et al. 2018, arXiv 1710.10903;
relation-specific parameters: Hu et al. 2020, arXiv 2003.01332.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from graphrec.graph import TIME_MIN, TRAIN, Nodes, TemporalGraph
from graphrec.graph.geography import PLACE_FEATURES, chord_to_km, distance_features, place_features, unit_vectors
from graphrec.graph.tensor_record import TensorColumns
from graphrec.models.collaborative_filter import CollaborativeFilter
from graphrec.models.event_features import (
    GAP_BUCKETS,
    N_CALENDAR_FEATURES,
    N_EVENT_FEATURES,
    EventFeatures,
    calendar_features,
    event_features,
    gap_bucket,
    idle_seconds,
)
from graphrec.models.registry import AttentionHyperparameters
from graphrec.queries.sampling import FORMER_RELATIONS, Context, check_relations

NODE_TYPES = ("user", "item", "location")
CDIST_MODE = "donot_use_mm_for_euclid_dist"
"""Distances by differences: by a matrix product in float32 they are kilometres off within a city, and vary by batch."""
EPSILON = 1e-9
"""Pointer probability of an item without events in a logarithm, per unit of the pointers' mixture weight."""


class ModelConfig(AttentionHyperparameters):
    """Hyperparameters of ``stgat``."""

    renamed: ClassVar[Mapping[str, str]] = {"later": "transition_ridge"}
    removed: ClassVar[Mapping[str, Any]] = {
        **dict.fromkeys(("identity", "text", "geography", "time", "pointers"), True),
        **{"beside": False, "path": 1, "second_hop": {}},
    }

    name: Literal["stgat"] = "stgat"
    """The model."""
    heads: int = Field(default=4, ge=1)
    """Attention heads per relation; divides the dimension."""
    fan_out: dict[str, PositiveInt] = Field(default={"own_history": 128, "transitions": 48, "nearby": 48})
    """Maximum of events by relation, of these three or declared by the graph; a relation left out is not read."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Dropout of features in training."""
    id_dropout: float = Field(default=0.3, ge=0, lt=1)
    """Dropout of whole learned ids in training, so that nodes without one work as well."""
    propagation: bool = True
    """Use the collaborative filter; it holds the interactions of the train split in memory."""
    low_pass: int = Field(default=0, ge=0)
    """Factors of the ideal low-pass filter; for large logs of lists (some hundreds)."""
    transition_ridge: float | None = Field(default=None, ge=0)
    """Ridge of the item transition regression; 0: none; None: 30 where the protocol evaluates users by lists."""
    propagation_dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of training samples without the collaborative filter, so that items without interactions are learned."""

    @classmethod
    def current(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values under the names of today, those of the relations in ``fan_out`` too."""
        current = super().current(values)
        fan_out = current.get("fan_out")
        if isinstance(fan_out, Mapping) and (former := [name for name in fan_out if name in FORMER_RELATIONS]):
            for name in former:
                cls.notice(name, FORMER_RELATIONS[name])
            current["fan_out"] = {FORMER_RELATIONS.get(name, name): k for name, k in fan_out.items()}
        return current


class NodeEncoder(nn.Module):
    """Vectors of the nodes of one type: ``W_text text(v) + id_v + W_geo features(lat, lon)``."""

    trained: Tensor
    text: Tensor | None
    place: Tensor | None

    def __init__(self, table: Nodes, trained: Bool[Tensor, " count"], config: ModelConfig) -> None:
        super().__init__()
        self.dimension, self.id_dropout = config.dimension, config.id_dropout
        self.identity = nn.Embedding(len(trained), config.dimension)
        nn.init.normal_(self.identity.weight, std=0.02)
        self.register_buffer("trained", trained)
        text, placed = table.vectors, table.coordinates is not None
        self.from_text = nn.Linear(text.shape[1], config.dimension) if text is not None else None
        self.from_place = nn.Linear(PLACE_FEATURES, config.dimension, bias=False) if placed else None
        self.attach(table)

    def attach(self, table: Nodes) -> None:
        """Take text vectors and coordinates of the nodes from a graph; nodes newer than the training have no id."""
        self.count = len(table)
        self.register_buffer("text", table.vectors if self.from_text is not None else None, persistent=False)
        coordinates = table.coordinates if self.from_place is not None else None
        self.register_buffer("place", None if coordinates is None else place_features(coordinates), persistent=False)

    def forward(self, code: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        """Vectors of nodes by code; zeros for a code of -1, an unknown node."""
        vector = torch.zeros(*code.shape, self.dimension, device=code.device)
        if not self.count:
            return vector
        safe = code.clamp(min=0)
        if len(self.trained):
            inside = safe < len(self.trained)
            row = torch.where(inside, safe, 0)
            keep = self.trained[row] & inside
            if self.training and self.id_dropout:
                keep = keep & (torch.rand(code.shape, device=code.device) >= self.id_dropout)
            vector = vector + self.identity(row) * keep[..., None]
        if self.from_text is not None and self.text is not None:
            vector = vector + self.from_text(self.text[safe].to(self.from_text.weight.dtype))
        if self.from_place is not None and self.place is not None:
            vector = vector + self.from_place(self.place[safe])
        return vector * (code >= 0)[..., None]


@dataclass(frozen=True)
class ItemTable:
    """Vectors of all items, or of those that a training batch needs."""

    code: Int64[Tensor, " items"] | None
    """Codes of the items, ascending; None for the whole catalogue."""
    vector: Float[Tensor, "items_plus_one d"]
    """One row per item, and a last row of zeros for no item."""

    def row(self, code: Int64[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
        """Rows of items by code; -1 gives the row of zeros."""
        padding = len(self.vector) - 1
        row = code if self.code is None else torch.searchsorted(self.code, code.contiguous()).clamp(max=padding)
        return torch.where(code >= 0, row, padding)


class NeighbourAttention(nn.Module):
    """Attention weights over the events of a neighbourhood, one per head."""

    def __init__(self, config: ModelConfig, k: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.dimension, config.dimension)
        self.feature_weight = nn.Linear(config.dimension, config.heads * N_EVENT_FEATURES)
        self.time_gap = nn.Embedding(GAP_BUCKETS, config.heads)
        self.last_visit_gap = nn.Embedding(GAP_BUCKETS + 1, config.heads)
        self.rank = nn.Embedding(k, config.heads)
        with torch.no_grad():  # start from recency, proximity and time similarity
            self.time_gap.weight.copy_(-torch.linspace(0, 2, GAP_BUCKETS)[:, None].expand(-1, config.heads))
            self.last_visit_gap.weight.zero_()
            self.rank.weight.zero_()
            self.feature_weight.weight.mul_(0.1)
            self.feature_weight.bias.fill_(0.1)

    def forward(
        self, query: Float[Tensor, "batch d"], key: Float[Tensor, "batch k d"], events: EventFeatures
    ) -> Float[Tensor, "batch k heads"]:
        """Softmax over the events of each query; all zero where there is none."""
        batch, k = events.mask.shape
        q = self.query(query).view(batch, self.heads, -1)
        logits = key @ _block_diagonal(q).mT / math.sqrt(q.shape[-1])  # [batch, k, heads]
        weight = self.feature_weight(query).view(batch, N_EVENT_FEATURES, self.heads)
        logits = logits + events.scalars @ weight + self.rank.weight[:k]
        logits = logits + F.embedding(events.time_gap, self.time_gap.weight)
        logits = logits + F.embedding(events.last_visit_gap, self.last_visit_gap.weight)
        logits = logits.masked_fill(~events.mask[..., None], -1e9).float()
        attention: Tensor = logits.softmax(1) * events.mask[..., None]
        return attention


def _block_diagonal(q: Float[Tensor, "batch heads d_head"]) -> Float[Tensor, "batch heads d"]:
    """Each head's query in its own part of ``d`` and zeros elsewhere, so that one matrix product serves all heads.

    It multiplies zeros, and is faster for it: nothing as large as the keys is written in between.
    """
    return torch.diag_embed(q.mT).permute(0, 2, 3, 1).flatten(2)


class RelationAttention(nn.Module):
    """Multi-head attention of queries over the events of one relation, in two passes.

    The first pass, by user, place and time, gives a summary of the events. The state that is made of all summaries
    is the query of the second pass, whose weights are the pointer.
    """

    def __init__(self, config: ModelConfig, k: int) -> None:
        super().__init__()
        d = config.dimension
        self.heads = config.heads
        self.item = nn.Linear(d, d, bias=False)
        self.previous_item = nn.Linear(d, d, bias=False)
        self.path_decay = nn.Parameter(torch.ones(1))  # weight of the previous item
        self.value = nn.Linear(d, d, bias=False)
        self.calendar = nn.Linear(N_CALENDAR_FEATURES, d, bias=False)
        self.summary_attention = NeighbourAttention(config, k)
        self.pointer_attention = NeighbourAttention(config, k)
        self.out = nn.Linear(d, d)
        self.drop = nn.Dropout(config.dropout)

    def keys(self, events: EventFeatures, items: ItemTable) -> tuple[Tensor, Tensor]:
        """Keys (item, item before it, calendar) and values (item) of the events, [batch, k, d] each."""
        row = items.row(events.item)  # F.embedding: its backward pass is several times faster than that of indexing
        key = F.embedding(row, self.item(items.vector)) + self.calendar(events.calendar)
        previous = F.embedding(items.row(events.previous_item), self.previous_item(items.vector))
        return key + self.path_decay * previous, F.embedding(row, self.value(items.vector))

    def summary(
        self, query: Float[Tensor, "batch d"], events: EventFeatures, key: Tensor, value: Tensor
    ) -> Float[Tensor, "batch d"]:
        """Attention-weighted summary of the events; zero where there is none."""
        attention = self.summary_attention(query, key, events).to(value.dtype)
        mixed = (attention.mT @ value).unflatten(-1, (self.heads, -1))  # [batch, heads, heads, d_head]
        by_head = mixed.diagonal(dim1=1, dim2=2).mT.flatten(1)  # each head of its own part
        summary: Tensor = self.out(self.drop(by_head))
        return summary * events.mask.any(1, keepdim=True)


@dataclass(frozen=True)
class UserState(TensorColumns):
    """Output of the network for a batch of queries, before it is scored against the catalogue."""

    z: Float[Tensor, "batch d"]
    """State of the user as of the query's time and place."""
    distance_weights: Float[Tensor, "batch 4"]
    """Weights of the distance features of an item."""
    log_mixture_weights: Float[Tensor, "batch parts"]
    """Log weight of the semantic part and of each (relation, head); their exponentials sum to 1."""
    attention: Mapping[str, Float[Tensor, "batch k heads"]]
    """Pointer attention over the events of each relation."""
    cf_logits: Float[Tensor, "batch items"] | None = None
    """Logits of the collaborative filter."""

    def event_probabilities(self) -> dict[str, Float[Tensor, "batch k"]]:
        """Probability of each event by relation: mixture weight times pointer attention, summed over heads."""
        weights = self.log_mixture_weights[:, 1:].exp().chunk(max(len(self.attention), 1), dim=1)  # [batch, heads] each
        return {
            name: (attention * weight[:, None]).sum(-1)
            for (name, attention), weight in zip(self.attention.items(), weights, strict=False)
        }


class Stgat(nn.Module):
    """The network over one graph; ``graphrec.models.ranking`` ranks with it."""

    place: Tensor | None
    first_seen: Tensor

    def __init__(self, graph: TemporalGraph, config: ModelConfig, weights: Mapping[str, Tensor] | None = None) -> None:
        """Make the network for a graph, as large as ``weights`` that are to be loaded into it, if there are any."""
        super().__init__()
        check_relations(graph, config.fan_out)
        self.config = config
        d, relations = config.dimension, len(config.fan_out)
        counts = {kind: len(weights[f"nodes.{kind}.trained"]) if weights else None for kind in NODE_TYPES}
        seen = {kind: graph.occurring(kind, graph.log.split == TRAIN)[: counts[kind]] for kind in NODE_TYPES}
        self.nodes = nn.ModuleDict({kind: NodeEncoder(graph.nodes[kind], seen[kind], config) for kind in NODE_TYPES})
        self.bias = nn.Embedding(len(seen["item"]), 1)
        nn.init.zeros_(self.bias.weight)
        self.query_encoder = nn.Sequential(nn.Linear(3 * d + N_CALENDAR_FEATURES, d), nn.GELU(), nn.Linear(d, d))
        self.relation_attention = nn.ModuleDict(
            {name: RelationAttention(config, k) for name, k in config.fan_out.items()}
        )
        self.fuse = nn.Sequential(
            nn.Linear((1 + relations) * d, 2 * d), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(2 * d, d)
        )
        self.norm = nn.LayerNorm(d)
        self.gate = nn.Linear(d + 2 * relations, 1 + relations * config.heads)
        self.distance_weights = nn.Linear(d, 4)
        self.drop = nn.Dropout(config.dropout)
        nn.init.zeros_(self.distance_weights.weight)
        self.idle_gap = nn.Embedding(GAP_BUCKETS + 1, d)
        nn.init.zeros_(self.idle_gap.weight)
        self.cf: CollaborativeFilter | None = None
        if config.propagation and (k := config.fan_out.get("own_history")):
            self.cf = CollaborativeFilter(graph, config, NeighbourAttention(config, k), weights)
        self.attach(graph)

    def attach(self, graph: TemporalGraph) -> None:
        """Read node features and coordinates from a graph, that of the training or one grown from it."""
        for kind in self.nodes:
            self.encoder(kind).attach(graph.nodes[kind])
        coordinates = graph.nodes["item"].coordinates
        place = None if coordinates is None else unit_vectors(coordinates)
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("first_seen", graph.nodes["item"].first_seen, persistent=False)
        self.dated = bool((self.first_seen != TIME_MIN).any())

    def encoder(self, kind: str) -> NodeEncoder:
        """The encoder of a node type."""
        return cast(NodeEncoder, self.nodes[kind])

    def attention(self, relation: str) -> RelationAttention:
        """The attention over the events of a relation."""
        return cast(RelationAttention, self.relation_attention[relation])

    def item_vectors(self, code: Int64[Tensor, " items"] | None = None) -> ItemTable:
        """Vectors of all items, or of those with the given codes (ascending)."""
        encoder = self.encoder("item")
        every = torch.arange(encoder.count, device=self.first_seen.device) if code is None else code
        vector = encoder(every)
        return ItemTable(code, torch.cat((vector, vector.new_zeros(1, vector.shape[1]))))

    def forward(self, graph: TemporalGraph, context: Context, items: ItemTable) -> UserState:
        """The state of each query, from its neighbourhoods."""
        query = self.query(graph, context, items)
        summaries, read, counts = [query], {}, []
        for name in self.relation_attention:
            attention, events = self.attention(name), self.event_features(graph, context, name)
            key, value = attention.keys(events, items)
            read[name] = events, key
            summaries.append(attention.summary(query, events, key, value))
            counts.append(events.mask.sum(1, keepdim=True).float())
        z = self.norm(query + self.fuse(torch.cat(summaries, -1)))
        pointer = {name: self.attention(name).pointer_attention(z, key, events) for name, (events, key) in read.items()}
        cf_logits = None if self.cf is None else self.cf(z, *read["own_history"], context.queries.user)
        return UserState(z, self.distance_weights(z), self.log_gate(z, counts), pointer, cf_logits)

    def query(self, graph: TemporalGraph, context: Context, items: ItemTable) -> Float[Tensor, "batch d"]:
        """First query of the attention, from user, last item, location, calendar and time since the last event."""
        user = self.encoder("user")(context.queries.user)
        location = self.encoder("location")(context.location)
        last = self.drop(items.vector[items.row(context.last_item)])
        calendar, idle_gap = self.query_time(graph, context)
        features = torch.cat((self.drop(user), last, location, calendar), -1)
        query: Tensor = self.query_encoder(features) + self.idle_gap(idle_gap)
        return query

    def query_time(self, graph: TemporalGraph, context: Context) -> tuple[Tensor, Tensor]:
        """Calendar features of each query, and bucket of the time since the user's last event (the last for none)."""
        idle_gap = torch.where(context.last_event >= 0, gap_bucket(idle_seconds(graph, context)), GAP_BUCKETS)
        return calendar_features(context.local_time), idle_gap

    def event_features(self, graph: TemporalGraph, context: Context, relation: str) -> EventFeatures:
        """Features of the events of one relation."""
        return event_features(graph, context, relation)

    def log_gate(self, z: Float[Tensor, "batch d"], counts: list[Tensor]) -> Float[Tensor, "batch parts"]:
        """Log of the gate ``g``, by the state and the counts of events, [batch, 1] each; no weight without events."""
        amounts = [part for count in counts for part in (count.log1p() / 4, (count > 0).float())]
        gate = self.gate(torch.cat((z, *amounts), -1)).float()
        empty = [(count == 0).expand(-1, self.config.heads) for count in counts]
        masked = torch.cat((torch.zeros_like(gate[:, :1], dtype=torch.bool), *empty), 1)
        log_weights: Tensor = gate.masked_fill(masked, -1e9).log_softmax(-1)
        return log_weights

    def item_logits(
        self, state: UserState, context: Context, items: ItemTable, known_by: Tensor, rows: slice = slice(None)
    ) -> Float[Tensor, "batch rows"]:
        """Logits of items in the semantic part: ``z . h_i + b_i + w . distance(p, i) + cf(u, i)``.

        ``known_by`` [batch] or a single time: -inf for items that are not first seen strictly before it.
        """
        vector = items.vector[:-1][rows]
        code = torch.arange(len(items.vector) - 1, device=vector.device) if items.code is None else items.code
        code = code[rows]
        logits = (state.z @ vector.T).float() + self.item_bias(code)
        if self.place is not None:
            chord = torch.cdist(unit_vectors(context.coordinates), self.place[code], compute_mode=CDIST_MODE)
            features = distance_features(chord_to_km(chord.square()), 1)  # [batch, 4, rows]
            logits = logits + (state.distance_weights.float()[:, None] @ features)[:, 0]
        if state.cf_logits is not None:
            logits = logits + state.cf_logits[:, rows if items.code is None else code]
        if self.dated:
            logits = logits.masked_fill(self.first_seen[code] >= known_by[..., None], -torch.inf)
        return logits

    def item_bias(self, code: Int64[Tensor, " items"]) -> Float[Tensor, " items"]:
        """Learned bias of items; 0 for one that occurs in no train event."""
        trained = self.encoder("item").trained
        inside = code < len(trained)
        row = torch.where(inside, code, 0)
        bias: Tensor = self.bias.weight[row, 0] * (trained[row] & inside)
        return bias

    @staticmethod
    def prob(
        state: UserState, log_softmax: Float[Tensor, "batch items"], pointer: Float[Tensor, "batch items"]
    ) -> Float[Tensor, "batch items"]:
        """Probabilities of items: the mixture at the head of this file.

        ``log_softmax`` is that of `item_logits`, ``pointer`` the sum of `UserState.event_probabilities` by item.
        """
        return (state.log_mixture_weights[:, :1] + log_softmax).exp() + pointer

    @staticmethod
    def log_prob(
        state: UserState, log_softmax: Float[Tensor, "batch 1"], pointer: Float[Tensor, "batch 1"], items: int = 1
    ) -> Float[Tensor, "batch 1"]:
        """Log of `prob`, for one item or a set of so many ``items``; finite where no event has the item.

        Added as logarithms: the gradient of an item whose probability rounds to zero is exact as well.
        """
        pointer = pointer + items * EPSILON * state.log_mixture_weights[:, 1:].exp().sum(1, keepdim=True)
        limits = torch.finfo(pointer.dtype)
        log_pointer = torch.where(pointer > 0, pointer.clamp(min=limits.tiny).log(), -torch.inf)
        return torch.logaddexp((state.log_mixture_weights[:, :1] + log_softmax).clamp(min=limits.min), log_pointer)
