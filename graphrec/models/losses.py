"""Losses: negative log-likelihood of the target, over all items or a sample of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from graphrec.graph import TRAIN, TemporalGraph
from graphrec.models.stgat import Stgat, UserState
from graphrec.queries import Queries, UserHistory
from graphrec.queries.sampling import Context, previous_event, sample


class Negatives(nn.Module):
    """Sampled items in place of the catalogue, drawn by the square root of popularity in the train split.

    Their logits are corrected by log-Q, so that the partition function is estimated without bias: Bengio and Senecal
    2008; Yi et al. 2019, RecSys.
    """

    sampling_weight: Tensor

    def __init__(self, graph: TemporalGraph, count: int, full_softmax: int) -> None:
        """``count`` items are sampled from a catalogue larger than ``full_softmax``."""
        super().__init__()
        items = len(graph.nodes["item"])
        self.count = count if items > full_softmax else 0
        visits = torch.bincount(graph.log.item[graph.log.split == TRAIN].long(), minlength=items).float()
        visible = (graph.nodes["item"].first_seen < end_of_training(graph)).float()
        self.register_buffer("sampling_weight", visible * (visits + 1).sqrt(), persistent=False)

    def sample(self) -> Int64[Tensor, " sampled"]:
        """Codes of ``count`` items, with replacement."""
        return torch.multinomial(self.sampling_weight, self.count, replacement=True)

    def sampled_logits(
        self,
        positive: Float[Tensor, "n 1"],
        negative: Float[Tensor, "n sampled"],
        target: Int64[Tensor, " n"],
        sampled: Int64[Tensor, " sampled"],
    ) -> Float[Tensor, "n sampled_plus_one"]:
        """Logits of the target and the sampled items; their partition function estimates that of all items."""
        log_q = (self.sampling_weight[sampled] / self.sampling_weight.sum() * self.count).log()
        return torch.cat((positive, (negative - log_q).masked_fill(sampled == target[:, None], -torch.inf)), 1)


@runtime_checkable
class FactoredModel(Protocol):
    """A model whose logits are products of query vectors and item vectors."""

    @property
    def logit_factors(self) -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
        """From samples of its training set to query vectors [n, d], target items [n] and item vectors [items, d]."""


class SoftmaxNLL(nn.Module):
    """Softmax loss of models whose logits are products of vectors."""

    unseen: Tensor

    def __init__(self, model: FactoredModel, graph: TemporalGraph, negatives: int, full_softmax: int) -> None:
        super().__init__()
        self.model = model
        self.negatives = Negatives(graph, negatives, full_softmax)
        self.register_buffer("unseen", self.negatives.sampling_weight == 0, persistent=False)

    def forward(self, *unit: Tensor) -> Float[Tensor, ""]:
        """Mean loss of a batch of training samples."""
        state, target, items = self.model.logit_factors(*unit)
        if not self.negatives.count:
            logits = (state @ items.T).float().masked_fill(self.unseen, -torch.inf)
            return nn.functional.cross_entropy(logits, target)
        sampled = self.negatives.sample()
        positive = (state * items[target]).sum(1, keepdim=True).float()
        logits = self.negatives.sampled_logits(positive, (state @ items[sampled].T).float(), target, sampled)
        return nn.functional.cross_entropy(logits, torch.zeros_like(target))


class MixtureNLL(nn.Module):
    """Negative log-likelihood of ``stgat``'s mixture."""

    def __init__(
        self, model: Stgat, graph: TemporalGraph, negatives: int, full_softmax: int, *, novel: bool = False
    ) -> None:
        """``novel``: targets are items that the user had not visited, and only such items compete."""
        super().__init__()
        self.model = model
        self.graph = graph
        self.novel = novel
        self.known_by = end_of_training(graph)
        self.negatives = Negatives(graph, negatives, full_softmax)

    def forward(self, queries: Queries, target: Int64[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Mean loss of a batch of queries with known targets."""
        model, context = self.model, sample(self.graph, queries, fan_out=self.model.config.fan_out)
        sampled = self.negatives.sample() if self.negatives.count else None
        items = model.item_vectors(None if sampled is None else self.batch_items(context, target, sampled))
        state: UserState = model(self.graph, context, items)
        logits = model.item_logits(state, context, items, self.known_by)
        positive = logits.gather(1, items.row(target)[:, None])
        if sampled is None:
            candidates = torch.arange(logits.shape[1], device=target.device).expand_as(logits)
        else:
            logits = self.negatives.sampled_logits(positive, logits[:, items.row(sampled)], target, sampled)
            candidates = torch.cat((target[:, None], sampled.expand(len(target), -1)), 1)
        log_partition = logits.logsumexp(1, keepdim=True)
        pointer = self._pointer(context, state, lambda item: item == target[:, None])
        log_prob = model.log_prob(state, positive - log_partition, pointer)
        if self.novel:  # given that the target is a new item
            seen = UserHistory.before(self.graph, queries)
            new = torch.ones(seen.shape, dtype=torch.bool, device=target.device)
            new[seen.question, seen.item] = False
            log_new = logits.masked_fill(~new.gather(1, candidates), -torch.inf).logsumexp(1, keepdim=True)
            pointer = self._pointer(context, state, lambda item: new.gather(1, item))
            log_prob = log_prob - model.log_prob(state, log_new - log_partition, pointer, items=new.shape[1])
        return -log_prob.mean()

    def _pointer(
        self, context: Context, state: UserState, selected: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "batch 1"]:
        """Sum of the probabilities of the events whose items, [batch, k], are ``selected``."""
        pointer = state.z.new_zeros(len(state.z), 1, dtype=torch.float32)
        for name, probability in state.event_probabilities().items():
            item = self.graph.log.item[context.neighbourhoods[name].event].long()
            pointer = pointer + (probability * selected(item)).sum(1, keepdim=True)
        return pointer

    def batch_items(self, context: Context, target: Tensor, sampled: Tensor) -> Int64[Tensor, " items"]:
        """Codes of all items that a batch needs, ascending."""
        log = self.graph.log
        codes = [target, sampled, context.last_item]
        for near in context.neighbourhoods.values():
            previous = previous_event(self.graph, context.queries, near.event)
            codes += [log.item[near.event].flatten(), log.item[previous.clamp(min=0)].flatten()]
        needed: Tensor = torch.unique(torch.cat([code.long() for code in codes]).clamp(min=0))
        return needed


def end_of_training(graph: TemporalGraph) -> Int64[Tensor, ""]:
    """One second after the last train event: items first seen later do not exist for training."""
    times = graph.log.time[graph.log.split == TRAIN]
    return times.max() + 1 if len(times) else torch.tensor(0, device=graph.log.time.device)
