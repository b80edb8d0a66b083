"""What training minimises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from graphrec.graph.events import TRAIN
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.event_features import previous_events
from graphrec.models.stgat import Stgat, UserState
from graphrec.queries.query import Queries
from graphrec.queries.sampling import Context, sample
from graphrec.queries.user_history import UserHistory

EPSILON = 1e-9
"""Pointer mass of an item that has none, so that its logarithm is finite."""


class Negatives(nn.Module):
    """Items drawn to stand for all, by the square root of popularity in the train split.

    They are corrected by their log-probability (log-Q), so that the partition function is estimated without bias:
    Bengio and Senecal 2008; Yi et al. 2019, RecSys.
    """

    sampling_weight: Tensor

    def __init__(self, graph: TemporalGraph, count: int, full_softmax: int) -> None:
        """``count`` items are drawn from a catalogue larger than ``full_softmax``."""
        super().__init__()
        items = len(graph.nodes["item"])
        self.count = count if items > full_softmax else 0
        visits = torch.bincount(graph.log.item[graph.log.split == TRAIN].long(), minlength=items).float()
        visible = (graph.nodes["item"].first_seen < end_of_training(graph)).float()
        self.register_buffer("sampling_weight", visible * (visits + 1).sqrt(), persistent=False)

    def sample(self) -> Int64[Tensor, " drawn"]:
        """Codes of so many items, each drawn anew."""
        return torch.multinomial(self.sampling_weight, self.count, replacement=True)

    def sampled_logits(
        self, own: Float[Tensor, "n 1"], other: Float[Tensor, "n drawn"], target: Int64[Tensor, " n"], drawn: Tensor
    ) -> Float[Tensor, "n drawn_plus_one"]:
        """Logits whose partition function estimates that of all items: the target's and those of the drawn."""
        log_q = (self.sampling_weight[drawn] / self.sampling_weight.sum()).log() + torch.tensor(float(self.count)).log()
        return torch.cat((own, (other - log_q).masked_fill(drawn == target[:, None], -torch.inf)), 1)


@runtime_checkable
class FactoredModel(Protocol):
    """A model whose logits are products of query vectors and item vectors."""

    @property
    def logit_factors(self) -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
        """From samples of its training set to query vectors [n, d], target items [n] and item vectors [items, d]."""


class SoftmaxNLL(nn.Module):
    """Negative log-likelihood of the item that came, for models that score by a product of vectors."""

    unseen: Tensor

    def __init__(self, model: FactoredModel, graph: TemporalGraph, negatives: int, full_softmax: int) -> None:
        super().__init__()
        self.model = model
        self.negatives = Negatives(graph, negatives, full_softmax)
        self.register_buffer("unseen", self.negatives.sampling_weight == 0, persistent=False)

    def forward(self, *unit: Tensor) -> Float[Tensor, ""]:
        """Mean loss of a batch of what the model learns from."""
        state, target, items = self.model.logit_factors(*unit)
        if not self.negatives.count:
            logits = (state @ items.T).float().masked_fill(self.unseen, -torch.inf)
            return nn.functional.cross_entropy(logits, target)
        drawn = self.negatives.sample()
        own = (state * items[target]).sum(1, keepdim=True).float()
        logits = self.negatives.sampled_logits(own, (state @ items[drawn].T).float(), target, drawn)
        return nn.functional.cross_entropy(logits, torch.zeros_like(target))


class MixtureNLL(nn.Module):
    """Negative log-likelihood of the event that happened, over all items or a sample of them."""

    def __init__(
        self, model: Stgat, graph: TemporalGraph, negatives: int, full_softmax: int, novel: bool = False
    ) -> None:
        """``novel``: the answer is known to be an item that the user had not visited, so none of these competes."""
        super().__init__()
        self.model = model
        self.graph = graph
        self.novel = novel
        self.known_by = end_of_training(graph)
        self.negatives = Negatives(graph, negatives, full_softmax)

    def forward(self, queries: Queries, target: Int64[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Mean loss of a batch of questions whose answers are known."""
        context = sample(self.graph, queries, self.model.config.fan_out, self.model.config.second_hop)
        if not self.negatives.count:
            table = self.model.item_vectors()
            state: UserState = self.model(self.graph, context, table)
            logits = self.model.item_logits(state, context, table, self.known_by)
            own, offered = logits.gather(1, target[:, None]), torch.arange(logits.shape[1], device=target.device)
        else:
            drawn = self.negatives.sample()
            table = self.model.item_vectors(self.batch_items(context, target, drawn))
            state = self.model(self.graph, context, table)
            logits = self.model.item_logits(state, context, table, self.known_by)
            own = logits.gather(1, table.row(target)[:, None])
            logits = self.negatives.sampled_logits(own, logits[:, table.row(drawn)], target, drawn)
            offered = torch.cat((target[:, None], drawn.expand(len(target), -1)), 1)
        log_partition = logits.logsumexp(1, keepdim=True)
        mass = self.model.pointer_mass(self.graph, context, state, lambda item: item == target[:, None])
        log_chance = _mixture(state, own - log_partition, mass)
        if self.novel:
            new = self._new(queries)
            among = logits.masked_fill(~new.gather(1, offered.expand(len(new), -1)), -torch.inf)
            mass = self.model.pointer_mass(self.graph, context, state, lambda item: new.gather(1, item.long()))
            log_new = among.logsumexp(1, keepdim=True) - log_partition
            log_chance = log_chance - _mixture(state, log_new, mass, items=new.shape[1])
        return -log_chance.mean()

    def _new(self, queries: Queries) -> Bool[Tensor, "batch items"]:
        """Items that the user had not visited."""
        seen = UserHistory.before(self.graph, queries)
        new = torch.ones(seen.shape, dtype=torch.bool, device=seen.item.device)
        new[seen.question, seen.item] = False
        return new

    def batch_items(self, context: Context, target: Tensor, drawn: Tensor) -> Int64[Tensor, " items"]:
        """Codes of all items that a batch touches."""
        log = self.graph.log
        touched: list[Tensor] = [target, drawn, context.last_item]
        for around in context.neighbourhoods.values():
            before = previous_events(self.graph, context, around.event, self.model.config.path)
            touched += [log.item[around.event].flatten(), log.item[before.clamp(min=0)].flatten()]
            touched += [log.item[near.event].flatten() for near in around.beyond.values()]
        codes: Tensor = torch.unique(torch.cat([code.long() for code in touched]).clamp(min=0))
        return codes


def _mixture(
    state: UserState, log_semantic: Float[Tensor, "n 1"], mass: Float[Tensor, "n heads"], items: int = 1
) -> Float[Tensor, " n"]:
    """Log of what the semantic space and the pointers give one item, or so many items, together."""
    parts = torch.cat((log_semantic, (mass + items * EPSILON).log()), 1)
    return (parts + state.log_mixture_weights).logsumexp(1)


def end_of_training(graph: TemporalGraph) -> Int64[Tensor, ""]:
    """One second after the last train event: items first seen later do not exist for training."""
    times = graph.log.time[graph.log.split == TRAIN]
    return times.max() + 1 if len(times) else torch.tensor(0, device=graph.log.time.device)
