"""The spatio-temporal graph attention network ``stgat``: from a question's neighbourhoods to a ranking of items.

An item's probability is a mixture whose parts are the explanation:

    P(i | u, t, p) = g_0 softmax(z . h_i + b_i + near(p, i) + cf(u, i)) + sum_r g_r pointer_r(i)

``h`` are node vectors (text, learned id, geography), ``z`` the state of the user as of t at p, ``cf`` what people
of a like history visit (``graphrec.models.propagation``), ``pointer_r`` the
attention over the events of relation r gathered by their items, ``g`` a softmax gate. Pointer networks: Vinyals et
al. 2015, arXiv 1506.03134; pointer mixtures: Merity et al. 2016, arXiv 1609.07843; graph attention: Velickovic et
al. 2018, arXiv 1710.10903; relation-specific parameters: Hu et al. 2020, arXiv 2003.01332.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from graphrec.graph.events import TRAIN
from graphrec.graph.geography import PLACE_FEATURES, chord_to_km, distance_features, place_features, unit_vectors
from graphrec.graph.nodes import Nodes
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MIN
from graphrec.hyperparameters import ModelHyperparameters
from graphrec.models.cold_items import SAVED_BUFFERS, ColdItemSmoothing
from graphrec.models.event_features import (
    GAP_BUCKETS,
    N_CALENDAR_FEATURES,
    N_EVENT_FEATURES,
    Behind,
    EventFeatures,
    calendar_features,
    event_features,
    gap_bucket,
    idle_seconds,
)
from graphrec.models.item_transition import ItemTransitionRegression, default_ridge, recency_weighted_history
from graphrec.models.propagation import SAVED_INTERACTIONS, GraphFilter
from graphrec.models.ranker import Ranker
from graphrec.models.registry import LossOptions, ModelEntry
from graphrec.models.training_set import QueryDataset
from graphrec.queries.sampling import FORMER_RELATIONS, Context, check_relations

RECENCY_DECAY_EVENTS = 8.0
"""Events after which propagation starts by counting one e times less."""
INITIAL_PROPAGATION_WEIGHT = 1.2
"""How much propagation counts at the start of training."""
TRANSITION_WEIGHT = 0.25
"""How much the regression of what comes later counts; a likelihood would leave it next to nothing."""
CDIST_MODE = "donot_use_mm_for_euclid_dist"
"""How to take distances: a product of matrices in float32 is kilometres off within a city, and by the batch's size."""


def check_heads(dimension: int, heads: int) -> None:
    """ValueError if heads cannot share a dimension."""
    if dimension % heads:
        raise ValueError(f"dimension {dimension} cannot be shared by {heads} heads; take a multiple")


class ModelConfig(ModelHyperparameters):
    """Hyperparameters of ``stgat``."""

    renamed: ClassVar[Mapping[str, str]] = {"later": "transition_ridge"}

    name: Literal["stgat"] = "stgat"
    """The network."""
    dimension: int = Field(default=64, ge=4)
    """Length of node vectors and states."""
    heads: int = Field(default=4, ge=1)
    """Attention heads a relation; divides the dimension."""
    fan_out: dict[str, PositiveInt] = Field(default={"own_history": 128, "transitions": 48, "nearby": 48})
    """Events at most by relation, of these three or declared by the graph; leave one out to do without it."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of features dropped in training."""
    id_dropout: float = Field(default=0.3, ge=0, lt=1)
    """Share of nodes whose learned id is hidden in training, so that a node without one still works."""
    identity: bool = True
    """Learn a vector for each node and a bias for each item; without, nodes are their text and place alone."""
    text: bool = True
    """Use the graph's text vectors."""
    geography: bool = True
    """Use the graph's coordinates."""
    propagation: bool = True
    """Let the user's events spread over the whole graph of the train split."""
    low_pass: int = Field(default=0, ge=0)
    """Factors of the visits whose ideal low pass joins the propagation; for large logs of lists (some hundreds)."""
    transition_ridge: float | None = Field(default=None, ge=0)
    """Ridge of the item transition regression; 0: none; None: 30 where the protocol evaluates users by lists."""
    beside: bool = False
    """Let propagation reach items that nobody visited through those at their place, near it or linked alike."""
    propagation_dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of training questions without propagation, so that items that nobody visited are found as well."""
    path: int = Field(default=1, ge=1)
    """How many of the same person's events before a neighbour are read with it."""
    second_hop: dict[str, dict[str, PositiveInt]] = Field(default={})
    """By relation, the fan-out of each neighbour's own neighbourhood as of its time, such as {"then": {"mine": 8}}."""
    time: bool = True
    """Use hours, weekdays and how long ago."""
    pointers: bool = True
    """Let neighbours name their items; without, items are found by their vectors and by propagation alone."""

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

    @model_validator(mode="after")
    def _whole(self) -> ModelConfig:
        check_heads(self.dimension, self.heads)
        for name in self.second_hop:
            if name not in self.fan_out:
                raise ValueError(f"second_hop: one of fan_out ({', '.join(self.fan_out)}) expected, got {name!r}")
        return self


class NodeEncoder(nn.Module):
    """Vectors of the nodes of one type: ``W_text text(v) + id_v + W_geo features(lat, lon)``."""

    trained: Tensor
    text: Tensor | None
    place: Tensor | None

    def __init__(self, table: Nodes, trained: Bool[Tensor, " count"], config: ModelConfig) -> None:
        super().__init__()
        self.dimension, self.id_dropout = config.dimension, config.id_dropout
        self.identity = nn.Embedding(len(trained), config.dimension) if config.identity else None
        if self.identity is not None:
            nn.init.normal_(self.identity.weight, std=0.02)
        self.register_buffer("trained", trained)
        text = table.vectors if config.text else None
        self.from_text = nn.Linear(text.shape[1], config.dimension) if text is not None else None
        placed = config.geography and table.coordinates is not None
        self.from_place = nn.Linear(PLACE_FEATURES, config.dimension, bias=False) if placed else None
        self.attach(table)

    def attach(self, table: Nodes) -> None:
        """Take the nodes' texts and places from a graph; nodes newer than the training have no id."""
        self.count = len(table)
        self.register_buffer("text", table.vectors if self.from_text is not None else None, persistent=False)
        coordinates = table.coordinates if self.from_place is not None else None
        self.register_buffer("place", None if coordinates is None else place_features(coordinates), persistent=False)

    def forward(self, code: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        """Vectors of nodes by code; a code of -1 is a node nothing is known of, a zero vector."""
        vector = torch.zeros(*code.shape, self.dimension, device=code.device)
        if not self.count:
            return vector
        safe = code.clamp(min=0)
        if self.identity is not None and len(self.trained):
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
    """Vectors of the items at play: all of them, or those that a batch touches."""

    code: Int64[Tensor, " items"] | None
    """Codes of the items, rising; None for the whole catalogue."""
    vector: Float[Tensor, "items_plus_one d"]
    """One row an item, and a last row of zeros for no item."""

    def row(self, code: Int64[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
        """Rows of items by code; -1 gives the row of zeros."""
        nothing = len(self.vector) - 1
        row = code if self.code is None else torch.searchsorted(self.code, code.contiguous()).clamp(max=nothing)
        return torch.where(code >= 0, row, nothing)


def gather(table: Tensor, row: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
    """Rows of a table; its backward pass is several times faster than that of ``table[row]`` on a CPU."""
    return nn.functional.embedding(row, table)


class NeighbourAttention(nn.Module):
    """How much each event of a neighbourhood matters to a question, one logit a head."""

    def __init__(self, config: ModelConfig, k: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.dimension, config.dimension)
        self.signal_weight = nn.Linear(config.dimension, config.heads * N_EVENT_FEATURES)
        self.time_gap = nn.Embedding(GAP_BUCKETS, config.heads)
        self.last_visit_gap = nn.Embedding(GAP_BUCKETS + 1, config.heads)
        self.rank = nn.Embedding(k, config.heads)
        with torch.no_grad():  # start from "lately, near, at this hour"
            self.time_gap.weight.copy_(-torch.linspace(0, 2, GAP_BUCKETS)[:, None].expand(-1, config.heads))
            self.last_visit_gap.weight.zero_()
            self.rank.weight.zero_()
            self.signal_weight.weight.mul_(0.1)
            self.signal_weight.bias.fill_(0.1)

    def forward(
        self, query: Float[Tensor, "batch d"], key: Float[Tensor, "batch k d"], near: EventFeatures
    ) -> Float[Tensor, "batch k heads"]:
        """Softmax over the events of each question; all zero where there is none."""
        batch, k = near.mask.shape
        q = self.query(query).view(batch, self.heads, -1)
        logits = key @ _by_head(q).mT / math.sqrt(q.shape[-1])  # [batch, k, heads]
        weight = self.signal_weight(query).view(batch, N_EVENT_FEATURES, self.heads)
        logits = logits + near.signals @ weight + self.rank.weight[:k]
        logits = (
            logits
            + gather(self.time_gap.weight, near.time_gap)
            + gather(self.last_visit_gap.weight, near.last_visit_gap)
        )
        logits = logits.masked_fill(~near.mask[..., None], -1e9).float()
        attention: Tensor = logits.softmax(1) * near.mask[..., None]
        return attention


class Beyond(nn.Module):
    """Second hop: what was around each neighbour when it happened, as a message to it by attention from it."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d = config.dimension
        self.heads = config.heads
        self.query, self.key, self.value = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.time_gap = nn.Embedding(GAP_BUCKETS, config.heads)
        with torch.no_grad():  # start from "lately"
            self.time_gap.weight.copy_(-torch.linspace(0, 2, GAP_BUCKETS)[:, None].expand(-1, config.heads))
        self.out = nn.Linear(d, d, bias=False)

    def forward(
        self, asking: Float[Tensor, "batch k d"], behind: Behind, table: ItemTable
    ) -> tuple[Float[Tensor, "batch k d"], Float[Tensor, "batch k k2 heads"]]:
        """One message a neighbour, zero where nothing stands behind it, and the attention that it was made with."""
        row = table.row(behind.item)
        q = self._heads_of(self.query(asking))[:, :, None]
        key, value = (self._heads_of(gather(layer(table.vector), row)) for layer in (self.key, self.value))
        logits = (key * q).sum(-1) / math.sqrt(q.shape[-1]) + gather(self.time_gap.weight, behind.time_gap)
        logits = logits.masked_fill(~behind.mask[..., None], -1e9).float()
        attention = (logits.softmax(2) * behind.mask[..., None]).to(value.dtype)
        return self.out((attention[..., None] * value).sum(2).flatten(-2)), attention

    def _heads_of(self, vector: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch heads d_head"]:
        return vector.view(*vector.shape[:-1], self.heads, vector.shape[-1] // self.heads)


class Attention(nn.Module):
    """Multi-head attention from questions over the events of one relation, asked twice.

    The first asking, by who asks, where and when, gives a summary of the events. When the summaries of all relations
    have become the state, the state asks again: the second attention is the pointer.
    """

    def __init__(self, config: ModelConfig, name: str) -> None:
        super().__init__()
        d, k = config.dimension, config.fan_out[name]
        self.heads = config.heads
        self.item = nn.Linear(d, d, bias=False)
        self.previous_item = nn.Linear(d, d, bias=False)
        self.path_decay = nn.Parameter(0.5 ** torch.arange(config.path))
        self.value = nn.Linear(d, d, bias=False)
        self.calendar = nn.Linear(N_CALENDAR_FEATURES, d, bias=False)
        self.beyond = nn.ModuleDict({inner: Beyond(config) for inner in config.second_hop.get(name, {})})
        self.summary_attention = NeighbourAttention(config, k)
        self.pointer_attention = NeighbourAttention(config, k)
        self.out = nn.Linear(d, d)
        self.drop = nn.Dropout(config.dropout)

    def keys(self, near: EventFeatures, table: ItemTable) -> tuple[Tensor, Tensor]:
        """Keys and values of the events, [batch, k, d] each: what, after what, when, and amid what."""
        row = table.row(near.item)
        key = gather(self.item(table.vector), row) + self.calendar(near.calendar)
        before = self.previous_item(table.vector)
        for step, share in enumerate(self.path_decay):
            key = key + share * gather(before, table.row(near.previous_items[..., step]))
        value = gather(self.value(table.vector), row)
        for name, hop in self.beyond.items():
            message, _ = hop(key, near.beyond[name], table)
            key, value = key + message, value + message
        return key, value

    def summary(
        self, query: Float[Tensor, "batch d"], near: EventFeatures, key: Tensor, value: Tensor
    ) -> Float[Tensor, "batch d"]:
        """What the events say to the question; zero where there is none."""
        attention: Tensor = self.summary_attention(query, key, near).to(value.dtype)
        mixed = (attention.mT @ value).view(
            len(value), self.heads, self.heads, value.shape[-1] // self.heads
        )  # [batch, heads, heads, d_head]
        gathered = mixed.diagonal(dim1=1, dim2=2).mT.flatten(1)  # each head of its own part
        summary: Tensor = self.out(self.drop(gathered))
        return summary * near.mask.any(1, keepdim=True)


def _by_head(q: Float[Tensor, "batch heads d_head"]) -> Float[Tensor, "batch heads d"]:
    """Each head's query in its own part of ``d`` and zeros elsewhere: one product then serves all heads.

    It multiplies zeros, and is faster for it: nothing as large as the keys is written in between.
    """
    return torch.diag_embed(q.mT).permute(0, 2, 3, 1).flatten(2)


@dataclass(frozen=True)
class UserState:
    """The answer to a batch of questions before it is spread over the catalogue."""

    z: Float[Tensor, "batch d"]
    """State of the user as of the question's time and place."""
    distance_weights: Float[Tensor, "batch 4"]
    """How much each distance feature of an item counts."""
    log_mixture_weights: Float[Tensor, "batch parts"]
    """Log share of the semantic space and of each (relation, head)."""
    attention: Mapping[str, Float[Tensor, "batch k heads"]]
    """Attention over the events of each relation."""
    cf_logits: Float[Tensor, "batch items"] | None = None
    """Logits from what people with a like history visit."""

    def rows(self, index: slice) -> UserState:
        """The same for some of the questions."""
        attention = {name: values[index] for name, values in self.attention.items()}
        cf_logits = None if self.cf_logits is None else self.cf_logits[index]
        return UserState(
            self.z[index], self.distance_weights[index], self.log_mixture_weights[index], attention, cf_logits
        )


def constant_head(dimension: int, value: float) -> nn.Linear:
    """A number that starts as a constant, whatever the state."""
    layer = nn.Linear(dimension, 1)
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, value)
    return layer


class CollaborativeFilter(nn.Module):
    """What people of a like history visit: the user's events, each as strong as the state remembers it, spread."""

    def __init__(self, graph: TemporalGraph, config: ModelConfig, weights: Mapping[str, Tensor] | None) -> None:
        super().__init__()

        def saved(part: str, names: tuple[str, ...]) -> dict[str, Tensor] | None:
            return {name: weights[f"cf.{part}.{name}"] for name in names} if weights else None

        self.propagation = GraphFilter(graph, saved("propagation", SAVED_INTERACTIONS), config.low_pass)
        known = self.propagation.has_interactions > 0
        self.cold_item_smoothing = (
            ColdItemSmoothing(graph, known, saved("cold_item_smoothing", SAVED_BUFFERS)) if config.beside else None
        )
        k = config.fan_out["own_history"]
        self.recency_attention = NeighbourAttention(config, k)
        if not graph.timeless:
            with torch.no_grad():  # start from "the last few"
                self.recency_attention.rank.weight.sub_(torch.arange(k)[:, None] / RECENCY_DECAY_EVENTS)
        self.propagation_weight = constant_head(config.dimension, INITIAL_PROPAGATION_WEIGHT)
        ridge = (
            default_ridge(graph, config.transition_ridge) if not weights or "cf.transition.events" in weights else 0.0
        )
        self.transition = ItemTransitionRegression(graph, saved("transition", ("events",)), ridge) if ridge else None
        self.propagation_dropout = config.propagation_dropout

    def forward(
        self, z: Float[Tensor, "batch d"], near: EventFeatures, key: Tensor, user: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch items"]:
        """Logits of all items, from the user's own events and their keys."""
        weight = self.recency_attention(z, key, near).mean(-1)
        visited = weight.new_zeros(len(z), len(self.propagation.has_interactions)).scatter_add(1, near.item, weight)
        shown = torch.rand(len(z), 1, device=z.device) >= self.propagation_dropout if self.training else 1.0
        reached: Tensor = self.propagation(visited, user)
        if self.cold_item_smoothing is not None:
            reached = reached + self.cold_item_smoothing(reached)
        logits: Tensor = reached * (self.propagation_weight(z).float() * shown)
        if self.transition is not None and not self.training:  # the network learns as if there were none
            logits = logits + TRANSITION_WEIGHT * self.transition(
                recency_weighted_history(near.item, near.mask, logits.shape[1])
            )
        return logits


class Stgat(nn.Module):
    """The network over one graph. Ask it through ``graphrec.models.ranking``."""

    place: Tensor | None
    first_seen: Tensor

    def __init__(self, graph: TemporalGraph, config: ModelConfig, weights: Mapping[str, Tensor] | None = None) -> None:
        """Make the network for a graph, as large as ``weights`` that are to be loaded into it, if there are any."""
        super().__init__()
        check_relations(graph, config.fan_out)
        for inner in config.second_hop.values():
            check_relations(graph, inner, "second_hop")
        self.config = config
        d = config.dimension
        counts = {kind: len(graph.nodes[kind]) for kind in ("user", "item", "location")}
        if weights is not None:
            counts = {kind: len(weights[f"nodes.{kind}.trained"]) for kind in counts}
        encoders = {
            kind: NodeEncoder(graph.nodes[kind], seen_in_training(graph, kind, counts[kind]), config)
            for kind in ("user", "item", "location")
        }
        self.nodes = nn.ModuleDict(encoders)
        self.bias = nn.Embedding(counts["item"], 1) if config.identity else None
        if self.bias is not None:
            nn.init.zeros_(self.bias.weight)
        self.query_encoder = nn.Sequential(nn.Linear(3 * d + N_CALENDAR_FEATURES, d), nn.GELU(), nn.Linear(d, d))
        self.relation_attention = nn.ModuleDict({name: Attention(config, name) for name in config.fan_out})
        relations = len(config.fan_out)
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
        spreads = config.propagation and "own_history" in config.fan_out
        self.cf = CollaborativeFilter(graph, config, weights) if spreads else None
        self.attach(graph)

    def attach(self, graph: TemporalGraph) -> None:
        """Read node features and places from a graph, that of the training or one grown since."""
        for kind in self.nodes:
            self.encoder(kind).attach(graph.nodes[kind])
        coordinates = graph.nodes["item"].coordinates
        place = None if coordinates is None or not self.config.geography else unit_vectors(coordinates)
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("first_seen", graph.nodes["item"].first_seen, persistent=False)
        self.dated = bool((self.first_seen != TIME_MIN).any())

    def encoder(self, kind: str) -> NodeEncoder:
        """The encoder of a node type."""
        return cast(NodeEncoder, self.nodes[kind])

    def item_vectors(self, code: Int64[Tensor, " items"] | None = None) -> ItemTable:
        """Project items once: all, or those given (codes rising)."""
        encoder = self.encoder("item")
        every = torch.arange(encoder.count, device=self.first_seen.device) if code is None else code
        vector = encoder(every)
        return ItemTable(code, torch.cat((vector, vector.new_zeros(1, vector.shape[1]))))

    def forward(self, graph: TemporalGraph, context: Context, table: ItemTable) -> UserState:
        """The state of each question, from its neighbourhoods."""
        config = self.config
        user = self.encoder("user")(context.queries.user)
        place = self.encoder("location")(context.location)
        last = self.drop(table.vector[table.row(context.last_item)])
        query = self.query_encoder(
            torch.cat((self.drop(user), last, place, calendar_features(context.local_time) * config.time), -1)
        )
        query = query + self.idle_gap(self._elapsed(graph, context))
        summaries, read, amounts = [query], {}, []
        relations = {name: cast(Attention, attend) for name, attend in self.relation_attention.items()}
        for name, attend in relations.items():
            near = event_features(graph, context, name, config.path, config.geography, config.time)
            key, value = attend.keys(near, table)
            read[name] = near, key
            summaries.append(attend.summary(query, near, key, value))
            amount = near.mask.sum(1, keepdim=True).float()
            amounts += [amount.log1p() / 4, (amount > 0).float()]
        z = self.norm(query + self.fuse(torch.cat(summaries, -1)))
        attention = {name: relations[name].pointer_attention(z, key, near) for name, (near, key) in read.items()}
        gate = self.gate(torch.cat((z, *amounts), -1)).float()
        empty = [(amount == 0).expand(-1, config.heads) | (not config.pointers) for amount in amounts[1::2]]
        gate = gate.masked_fill(torch.cat((torch.zeros_like(gate[:, :1], dtype=torch.bool), *empty), 1), -1e9)
        cf_logits = None if self.cf is None else self.cf(z, *read["own_history"], context.queries.user)
        return UserState(z, self.distance_weights(z), gate.log_softmax(-1), attention, cf_logits)

    def _elapsed(self, graph: TemporalGraph, context: Context) -> Int64[Tensor, " batch"]:
        """Bucket of the time since the user's last event; ``GAP_BUCKETS`` for a user without one."""
        return torch.where(
            (context.last_event >= 0) & self.config.time, gap_bucket(idle_seconds(graph, context)), GAP_BUCKETS
        )

    def item_logits(
        self, state: UserState, context: Context, table: ItemTable, known_by: Tensor, rows: slice = slice(None)
    ) -> Float[Tensor, "batch rows"]:
        """Logits of items in the semantic space: ``z . h_i + b_i + near(p, i) + cf(i)``; -inf for items not yet known.

        ``known_by`` [batch] or a single time: only items first seen strictly before it exist.
        """
        vector = table.vector[:-1][rows]
        every = torch.arange(self.encoder("item").count, device=vector.device) if table.code is None else table.code
        code = every[rows]
        logits = (state.z @ vector.T).float() + self.item_bias(code)
        if self.place is not None:
            here, there = unit_vectors(context.coordinates), self.place[code]
            chord = torch.cdist(here, there, compute_mode=CDIST_MODE)
            features = distance_features(chord_to_km(chord.square()), 1)  # [batch, 4, rows]
            logits = logits + (state.distance_weights.float()[:, None] @ features)[:, 0]
        if state.cf_logits is not None:
            logits = logits + state.cf_logits[:, rows if table.code is None else code]
        if self.dated:
            logits = logits.masked_fill(self.first_seen[code] >= known_by[..., None], -torch.inf)
        return logits

    def item_bias(self, code: Int64[Tensor, " items"]) -> Float[Tensor, " items"]:
        """How welcome an item is whatever the question; 0 for one that training never saw."""
        if self.bias is None:
            return torch.zeros(len(code), device=code.device)
        trained = self.encoder("item").trained
        inside = code < len(trained)
        row = torch.where(inside, code, 0)
        bias: Tensor = self.bias.weight[row, 0] * (trained[row] & inside)
        return bias

    def pointer_mass(
        self, graph: TemporalGraph, context: Context, state: UserState, wanted: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "batch relations_heads"]:
        """What each relation's heads give the events whose items, [batch, k], are ``wanted``, without a scatter."""
        mass = []
        for name, attention in state.attention.items():
            hit = wanted(graph.log.item[context.neighbourhoods[name].event])[..., None]
            mass.append((attention * hit).sum(1))
        return torch.cat(mass, 1) if mass else state.z.new_zeros(len(state.z), 0)


def seen_in_training(graph: TemporalGraph, kind: str, count: int) -> Bool[Tensor, " count"]:
    """Which of the first ``count`` nodes of a type occur in train events: the others have no learned id."""
    trained = torch.zeros(len(graph.nodes[kind]), dtype=torch.bool, device=graph.log.time.device)
    code = getattr(graph.log, kind)[graph.log.split == TRAIN].long()
    trained[code[code >= 0]] = True
    return trained[:count]


def _loss(model: Stgat, graph: TemporalGraph, options: LossOptions) -> nn.Module:
    from graphrec.models.losses import MixtureNLL  # imports this module

    return MixtureNLL(model, graph, options.negatives, options.full_softmax, options.novel)


def _ranker(graph: TemporalGraph, model: Stgat) -> Ranker:
    from graphrec.models.ranking import StgatRanker  # imports this module

    return StgatRanker(graph, model)


STGAT = ModelEntry(
    ModelConfig,
    create=Stgat,
    loss=_loss,
    training_set=lambda model, graph, protocol: QueryDataset(graph, protocol),
    ranker=_ranker,
)
