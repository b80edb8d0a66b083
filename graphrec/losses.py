"""What training minimises."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from graphrec.events import TRAIN
from graphrec.graph import TemporalGraph
from graphrec.model import ItemTable, State, Stgat
from graphrec.query import Queries
from graphrec.sampling import Context, sample

SMALLEST = 1e-9
"""Pointer mass that stands for none, so that its logarithm is finite."""


class NextEvent(nn.Module):
    """Negative log-likelihood of the event that happened, over all items or a sample of them.

    The sample is drawn by the square root of popularity and corrected by its log-probability (log-Q), so that the
    partition function is estimated without bias: Bengio and Senecal 2008; Yi et al. 2019, RecSys.
    """

    chance: Tensor

    def __init__(self, model: Stgat, graph: TemporalGraph, negatives: int, full_softmax: int) -> None:
        super().__init__()
        self.model = model
        self.graph = graph
        self.known_by = _end_of_training(graph)
        items = len(graph.nodes["item"])
        self.negatives = negatives if items > full_softmax else 0
        count = torch.bincount(graph.log.item[graph.log.split == TRAIN].long(), minlength=items).float()
        visible = (graph.nodes["item"].first_seen < self.known_by).float()
        self.register_buffer("chance", visible * (count + 1).sqrt(), persistent=False)

    def forward(self, queries: Queries, target: Int64[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Mean loss of a batch of questions whose answers are known."""
        context = sample(self.graph, queries, self.model.config.fan_out)
        if not self.negatives:
            table = self.model.table()
            state: State = self.model(self.graph, context, table)
            logits = self.model.semantic(state, context, table, self.known_by)
            log_semantic = logits.log_softmax(-1).gather(1, target[:, None])
        else:
            drawn = torch.multinomial(self.chance, self.negatives, replacement=True)
            table = self.model.table(self._at_play(context, target, drawn))
            state = self.model(self.graph, context, table)
            logits = self.model.semantic(state, context, table, self.known_by)
            log_semantic = self._sampled(logits, table, target, drawn)
        mass = self.model.pointer_mass(self.graph, context, state, target)
        parts = torch.cat((log_semantic, (mass + SMALLEST).log()), 1)
        return -(parts + state.log_gate).logsumexp(1).mean()

    def _at_play(self, context: Context, target: Tensor, drawn: Tensor) -> Int64[Tensor, " items"]:
        """Codes of all items that a batch touches."""
        log = self.graph.log
        touched: list[Tensor] = [target, drawn, context.last_item]
        for around in context.around.values():
            previous = self.graph.previous[around.event]
            touched += [log.item[around.event].flatten(), log.item[previous.clamp(min=0)].flatten()]
        codes: Tensor = torch.unique(torch.cat([code.long() for code in touched]).clamp(min=0))
        return codes

    def _sampled(self, logits: Tensor, table: ItemTable, target: Tensor, drawn: Tensor) -> Float[Tensor, "batch 1"]:
        """Log softmax at the target, the partition estimated from the drawn items."""
        own = logits.gather(1, table.row(target)[:, None])
        log_q = (self.chance[drawn] / self.chance.sum()).log() + torch.tensor(float(self.negatives)).log()
        other = logits[:, table.row(drawn)] - log_q
        other = other.masked_fill(drawn == target[:, None], -torch.inf)
        log_softmax: Tensor = own - torch.cat((own, other), 1).logsumexp(1, keepdim=True)
        return log_softmax


def _end_of_training(graph: TemporalGraph) -> Int64[Tensor, ""]:
    """One second after the last train event: items first seen later do not exist for training."""
    times = graph.log.time[graph.log.split == TRAIN]
    return times.max() + 1 if len(times) else torch.tensor(0, device=graph.log.time.device)
