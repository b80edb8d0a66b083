"""From questions to ranked items: full catalogue, in tiles, never a whole user x item matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import RankCounts
from graphrec.models.ranker import Ranking, mask_scores
from graphrec.models.stgat import ItemTable, Stgat, UserState
from graphrec.queries.query import Queries
from graphrec.queries.sampling import Context, sample
from graphrec.queries.user_history import UserHistory

BATCH, TILE = 256, 32_768


@dataclass(frozen=True)
class ModelOutput:
    """What the model says to a batch of questions, ready to be spread over the catalogue."""

    context: Context
    state: UserState
    log_partition: Float[Tensor, " batch"]
    """Log of the sum of exponentiated semantic logits over the items known to each question."""
    event_item: Int64[Tensor, "batch events"]
    """Item of every event in every neighbourhood."""
    event_probability: Float[Tensor, "batch events"]
    """What the gate and the attention give that event."""


class StgatRanker:
    """A trained model over a graph, asked for scores, ranks and the best items.

    Asked as of a time, it sees nothing at or after it: neither events nor items.
    """

    def __init__(self, graph: TemporalGraph, model: Stgat) -> None:
        self.graph = graph
        self.model = model.eval()
        with torch.inference_mode():
            self.table: ItemTable = model.item_vectors()

    @torch.inference_mode()
    def forward(self, queries: Queries) -> ModelOutput:
        """Ask one batch."""
        return self.forward_context(self.context(queries))

    def context(self, queries: Queries) -> Context:
        """All that the model looks at to answer a batch."""
        return sample(self.graph, queries, self.model.config.fan_out)

    @torch.inference_mode()
    def forward_context(self, context: Context) -> ModelOutput:
        """Ask one batch whose neighbourhoods are given, all that there are or some of them."""
        state = self.model(self.graph, context, self.table)
        partition = [self._logits(state, context, tile).logsumexp(1) for tile in self._tiles()]
        log_partition = torch.stack(partition, 1).logsumexp(1) if partition else state.z.new_zeros(len(state.z))
        mass = state.event_probabilities()
        nothing = state.z.new_zeros(len(state.z), 0)
        pointed = [self.graph.log.item[context.neighbourhoods[name].event].long() for name in mass]
        return ModelOutput(
            context,
            state,
            log_partition,
            torch.cat((nothing.long(), *pointed), 1),
            torch.cat((nothing, *mass.values()), 1),
        )

    def _tiles(self) -> Iterator[slice]:
        items = len(self.graph.nodes["item"])
        yield from (slice(start, min(start + TILE, items)) for start in range(0, items, TILE))

    def item_logits(self, state: UserState, context: Context) -> Float[Tensor, "batch items"]:
        """Logits of the whole catalogue in the semantic space."""
        return torch.cat([self._logits(state, context, tile) for tile in self._tiles()], 1)

    def _logits(self, state: UserState, context: Context, tile: slice) -> Float[Tensor, "batch tile"]:
        known_by = context.queries.time.clamp(max=self.graph.horizon)
        return self.model.item_logits(state, context, self.table, known_by, tile)

    @torch.inference_mode()
    def scores(
        self, answer: ModelOutput, tile: slice, candidates: Tensor | None = None, seen: UserHistory | None = None
    ) -> Float[Tensor, "batch tile"]:
        """Probabilities of the items of one tile; -inf for those that are no candidates.

        ``candidates`` [items] says which may be ranked, ``seen`` takes out what each question's user has visited.
        """
        logits = self._logits(answer.state, answer.context, tile)
        pointer = _by_item(answer, tile)
        score = self.model.prob(answer.state, logits - answer.log_partition[:, None], pointer)
        score = score.masked_fill(logits == -torch.inf, -torch.inf)
        return mask_scores(score, tile, candidates, seen)

    @torch.inference_mode()
    def scores_of(self, answer: ModelOutput, item: Int64[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """Probability of one item for each question."""
        score = torch.full((len(item),), -torch.inf, device=item.device)
        for tile in self._tiles():
            inside = (item >= tile.start) & (item < tile.stop)
            if bool(inside.any()):
                found = self.scores(answer, tile)
                there = found.gather(1, (item - tile.start).clamp(0, found.shape[1] - 1)[:, None])[:, 0]
                score = torch.where(inside, there, score)
        return score

    @torch.inference_mode()
    def top(self, queries: Queries, k: int, candidates: Tensor | None = None, novel: bool = False) -> Ranking:
        """The ``k`` best items of each question; ``novel`` leaves out what the user has visited."""
        items, scores, whole = [], [], []
        for start in range(0, len(queries), BATCH):
            batch = queries.rows(slice(start, start + BATCH))
            answer = self.forward(batch)
            seen = UserHistory.before(self.graph, batch) if novel else None
            mass = torch.zeros(len(batch), device=batch.time.device)
            best = torch.full((len(batch), k), -torch.inf, device=batch.time.device)
            code = torch.full((len(batch), k), -1, device=batch.time.device)
            for tile in self._tiles():
                score = self.scores(answer, tile, candidates, seen)
                mass += score.clamp(min=0).sum(1)
                found = score.topk(min(k, tile.stop - tile.start), dim=1)
                joined = torch.cat((best, found.values), 1)
                best, place = joined.topk(k, dim=1)
                code = torch.cat((code, found.indices + tile.start), 1).gather(1, place)
            items.append(torch.where(best > -torch.inf, code, -1))
            scores.append(best.clamp(min=0))
            whole.append(mass)
        if not items:
            return Ranking(torch.zeros(0, k, dtype=torch.int64), torch.zeros(0, k), torch.zeros(0))
        return Ranking(torch.cat(items), torch.cat(scores), torch.cat(whole))

    @torch.inference_mode()
    def expected_ranks(
        self, queries: Queries, target: Int64[Tensor, " n"], candidates: Tensor | None = None, novel: bool = False
    ) -> Float64[Tensor, " n"]:
        """Expected rank of the target among the candidates; inf for a target that is none."""
        ranks = []
        for start in range(0, len(queries), BATCH):
            batch, wanted = queries.rows(slice(start, start + BATCH)), target[start : start + BATCH]
            answer = self.forward(batch)
            seen = UserHistory.before(self.graph, batch) if novel else None
            tiles = list(self._tiles())
            kept = self.scores(answer, tiles[0], candidates, seen) if len(tiles) == 1 else None
            level = torch.full((len(batch),), torch.nan, device=batch.time.device)
            for tile in tiles:
                inside = (wanted >= tile.start) & (wanted < tile.stop)
                scores = kept if kept is not None else self.scores(answer, tile, candidates, seen)
                mine = scores.gather(1, (wanted - tile.start).clamp(0, scores.shape[1] - 1)[:, None])[:, 0]
                level = torch.where(inside, mine, level)
            counts = RankCounts.start(level)
            for tile in tiles:
                counts.add(kept if kept is not None else self.scores(answer, tile, candidates, seen))
            ranks.append(counts.rank())
        return torch.cat(ranks) if ranks else torch.zeros(0, dtype=torch.float64)


def _by_item(answer: ModelOutput, tile: slice) -> Float[Tensor, "batch tile"]:
    """Sum of the events' probabilities for each item of a tile."""
    item, probability = answer.event_item - tile.start, answer.event_probability
    pointer = probability.new_zeros(len(item), tile.stop - tile.start)
    inside = (item >= 0) & (item < pointer.shape[1])
    return pointer.scatter_add(1, item.clamp(0, max(pointer.shape[1] - 1, 0)), probability * inside)
