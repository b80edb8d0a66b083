"""Ranking with ``stgat``: queries against the full catalogue, in tiles, never a whole user x item matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import RankCounts, expected_rank
from graphrec.models.losses import MixtureNLL
from graphrec.models.ranker import Ranking, mask_scores, query_batches
from graphrec.models.registry import ModelEntry
from graphrec.models.stgat import ItemTable, ModelConfig, Stgat, UserState
from graphrec.models.training_set import QueryDataset
from graphrec.queries import Context, Queries, UserHistory, sample

BATCH, TILE = 256, 32_768
"""Queries and items whose scores are computed at once."""


@dataclass(frozen=True)
class ModelOutput:
    """Output of the network for a batch of queries, before it is scored against the catalogue."""

    context: Context
    state: UserState
    log_partition: Float[Tensor, " batch"]
    """Log of the sum of exponentiated logits over the items known to each query."""
    event_item: Int64[Tensor, "batch events"]
    """Item of every event in every neighbourhood."""
    event_probability: Float[Tensor, "batch events"]
    """Probability of that event: mixture weight times pointer attention."""


class StgatRanker:
    """The `graphrec.models.ranker.Ranker` of a trained network over a graph."""

    def __init__(self, graph: TemporalGraph, model: Stgat) -> None:
        self.graph = graph
        self.model = model.eval()
        with torch.inference_mode():
            self.table: ItemTable = model.item_vectors()

    @torch.inference_mode()
    def forward(self, queries: Queries) -> ModelOutput:
        """Output for one batch of queries."""
        return self.forward_context(self.context(queries))

    def context(self, queries: Queries) -> Context:
        """Everything that the model reads for a batch."""
        return sample(self.graph, queries, fan_out=self.model.config.fan_out)

    @torch.inference_mode()
    def forward_context(self, context: Context) -> ModelOutput:
        """Output for one batch of queries with given neighbourhoods, whole or in part."""
        state = self.model(self.graph, context, self.table)
        partition = [self._logits(state, context, tile).logsumexp(1) for tile in self._tiles()]
        log_partition = torch.stack(partition, 1).logsumexp(1) if partition else state.z.new_zeros(len(state.z))
        probability = state.event_probabilities()
        item = [self.graph.log.item[context.neighbourhoods[name].event].long() for name in probability]
        none = state.z.new_zeros(len(state.z), 0)  # for a network that reads no relation
        return ModelOutput(
            context,
            state,
            log_partition,
            torch.cat((none.long(), *item), 1),
            torch.cat((none, *probability.values()), 1),
        )

    def _tiles(self) -> Iterator[slice]:
        items = len(self.graph.nodes["item"])
        yield from (slice(start, min(start + TILE, items)) for start in range(0, items, TILE))

    def item_logits(self, state: UserState, context: Context) -> Float[Tensor, "batch items"]:
        """Logits of the whole catalogue in the semantic part."""
        return torch.cat([self._logits(state, context, tile) for tile in self._tiles()], 1)

    def _logits(self, state: UserState, context: Context, tile: slice) -> Float[Tensor, "batch tile"]:
        known_by = context.queries.time.clamp(max=self.graph.horizon)
        return self.model.item_logits(state, context, self.table, known_by, tile)

    @torch.inference_mode()
    def scores(
        self, output: ModelOutput, tile: slice, candidates: Tensor | None = None, seen: UserHistory | None = None
    ) -> Float[Tensor, "batch tile"]:
        """Probabilities of the items of one tile; -inf for those that are excluded.

        ``candidates`` [items] is the mask of items that may be ranked, ``seen`` the visits whose items are excluded.
        """
        logits = self._logits(output.state, output.context, tile)
        score = self.model.prob(output.state, logits - output.log_partition[:, None], _pointer(output, tile))
        score = score.masked_fill(logits == -torch.inf, -torch.inf)
        return mask_scores(score, tile, candidates, seen)

    @torch.inference_mode()
    def scores_of(
        self,
        output: ModelOutput,
        item: Int64[Tensor, " batch"],
        candidates: Tensor | None = None,
        seen: UserHistory | None = None,
    ) -> Float[Tensor, " batch"]:
        """Probability of one item per query; -inf for one that is excluded."""
        score = torch.full((len(item),), -torch.inf, device=item.device)
        for tile in self._tiles():
            inside = (item >= tile.start) & (item < tile.stop)
            if bool(inside.any()):
                column = (item - tile.start).clamp(0, tile.stop - tile.start - 1)
                found = self.scores(output, tile, candidates, seen).gather(1, column[:, None])[:, 0]
                score = torch.where(inside, found, score)
        return score

    @torch.inference_mode()
    def top(self, queries: Queries, k: int, *, candidates: Tensor | None = None, novel: bool = False) -> Ranking:
        """The ``k`` best items of each query; ``novel`` excludes those that its user has visited."""
        parts = [
            self._top(self.forward(batch), k, candidates, seen)
            for _, batch, seen in query_batches(self.graph, queries, BATCH, novel=novel)
        ]
        if not parts:
            return Ranking(torch.zeros(0, k, dtype=torch.int64), torch.zeros(0, k), torch.zeros(0))
        return Ranking(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def _top(
        self, output: ModelOutput, k: int, candidates: Tensor | None, seen: UserHistory | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Codes and scores of the best items of a batch, and the sum of all scores."""
        batch, device = len(output.state.z), output.state.z.device
        total = torch.zeros(batch, device=device)
        best = torch.full((batch, k), -torch.inf, device=device)
        code = torch.full((batch, k), -1, device=device)
        for tile in self._tiles():
            score = self.scores(output, tile, candidates, seen)
            total += score.clamp(min=0).sum(1)
            of_tile = score.topk(min(k, tile.stop - tile.start), dim=1)
            best, order = torch.cat((best, of_tile.values), 1).topk(k, dim=1)
            code = torch.cat((code, of_tile.indices + tile.start), 1).gather(1, order)
        return torch.where(best > -torch.inf, code, -1), best.clamp(min=0), total

    @torch.inference_mode()
    def expected_ranks(
        self, queries: Queries, target: Int64[Tensor, " n"], *, candidates: Tensor | None = None, novel: bool = False
    ) -> Float64[Tensor, " n"]:
        """Expected rank of each query's target among the candidates; inf for one that is excluded."""
        ranks, tiles = [], list(self._tiles())
        for rows, batch, seen in query_batches(self.graph, queries, BATCH, novel=novel):
            output, item = self.forward(batch), target[rows]
            if len(tiles) == 1:
                ranks.append(expected_rank(self.scores(output, tiles[0], candidates, seen), item))
                continue
            counts = RankCounts.start(self.scores_of(output, item, candidates, seen))
            for tile in tiles:
                counts.add(self.scores(output, tile, candidates, seen))
            ranks.append(counts.rank())
        return torch.cat(ranks) if ranks else torch.zeros(0, dtype=torch.float64)


def _pointer(output: ModelOutput, tile: slice) -> Float[Tensor, "batch tile"]:
    """Sum of the events' probabilities for each item of a tile."""
    item, probability = output.event_item - tile.start, output.event_probability
    pointer = probability.new_zeros(len(item), tile.stop - tile.start)
    inside = (item >= 0) & (item < pointer.shape[1])
    return pointer.scatter_add(1, item.clamp(0, pointer.shape[1] - 1), probability * inside)


STGAT = ModelEntry(
    ModelConfig,
    create=Stgat,
    loss=lambda model, graph, options: MixtureNLL(
        model, graph, options.negatives, options.full_softmax, novel=options.novel
    ),
    training_set=lambda model, graph, protocol: QueryDataset(graph, protocol),
    ranker=StgatRanker,
)
