"""How attention flows from one question to one item, hop by hop.

Two sorts of numbers stand here, and are never added to each other:

- **masses** are parts of the score: what the gate and the second asking (the pointer) give each event, and what the
  semantic space gives the item. They are the score, split; at every node as much goes out as came in.
- **weights** are what the network used on the way to the state and the logits, before anything was scored: the
  summary attention ("read"), how strongly the event before each event enters its key ("before", the learned path
  decay), and the recency weights of the user's own events in propagation ("remember"). No part of the score is theirs.

All of them are captured from the network while it answers; nothing is computed a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import networkx as nx
import torch
from jaxtyping import Float
from torch import Tensor, nn

from graphrec.errors import InputError, RunError
from graphrec.evidence.shares import semantic_share
from graphrec.formatting import format_utc
from graphrec.graph.conversion import Node
from graphrec.models.ranking import ModelOutput, StgatRanker
from graphrec.models.stgat import Stgat
from graphrec.queries.query import Queries
from graphrec.queries.sampling import Context, previous_event
from graphrec.runs.run import Run

UNKNOWN_USER = "(a stranger)"
"""A user that the graph does not know at the question's time."""


@dataclass(frozen=True)
class AttendedEvent:
    """One event of a neighbourhood, as the network read it."""

    relation: str
    """The neighbourhood: ``own_history``, ``transitions``, ``nearby`` or a declared relation."""
    event: int
    """Row of the event in the log."""
    item: int
    """Code of its item."""
    label: str
    """Name of the item for people."""
    local_time: int | None
    """When it happened, seconds since 1970 on the clock of its place; None in a log without times."""
    own: bool
    """Whether the asking user did it."""
    mass: float
    """What it gives its item: exactly a part of that item's score."""
    read: float
    """Weight in the first asking, mean over heads; 1 over all events of the relation."""
    remembered: float
    """Weight as a signal of propagation, mean over heads; 1 over all of ``own_history``, 0 in other relations."""
    previous: int | None
    """Row of the same user's event before it, whose item is a part of its key; None where there is none."""
    previous_label: str | None
    """Name of that event's item."""


@dataclass(frozen=True)
class AttentionFlow:
    """From a user over relations and events to an item, and what made the state that asked."""

    user: str
    """The user's own id."""
    item: str
    """The item's own id."""
    code: int
    """Its code."""
    label: str
    """Its name for people."""
    time: int
    """UTC seconds as of which the question was asked."""
    score: float
    """Probability that the item comes next: the masses of ``supporting_events`` and ``semantic`` add up to it."""
    semantic: float
    """What the semantic space gives the item."""
    logit: dict[str, float]
    """Terms of the item's logit in the semantic space, in nats: ``state``, ``bias``, ``cf``, ``distance``."""
    gates: dict[str, float]
    """Part of the whole probability that goes through the semantic space and through each relation; they sum to 1."""
    events: tuple[AttendedEvent, ...]
    """Every event that the question saw, by relation, the latest first."""
    path_decay: dict[str, float]
    """By relation, the learned weight of the previous event's item in an event's key."""

    @property
    def supporting_events(self) -> tuple[AttendedEvent, ...]:
        """The events that speak for the item, the strongest first."""
        speaking = [one for one in self.events if one.mass > 0 and one.item == self.code]
        return tuple(sorted(speaking, key=lambda one: -one.mass))

    def share_by_relation(self) -> dict[str, float]:
        """Mass that reaches the item through the semantic space and each relation."""
        mass = dict.fromkeys(self.gates, 0.0) | {"semantic": self.semantic}
        for one in self.supporting_events:
            mass[one.relation] += one.mass
        return mass

    def to_networkx(self) -> nx.DiGraph[Node]:
        """The flow as a graph; each edge has ``layer`` and either ``mass`` or ``weight``.

        Layer ``score`` (``mass``): ``("user", id)`` to ``("relation", name)`` to ``(name, row)``, the events, to
        ``("item", id)``; what leaves a node is what entered it. The others have ``weight``: ``before`` leads from
        the previous event, ``("before", row)``, to each event that supports the item; ``read`` from all events to
        ``("read", relation)``, ``remember`` to ``("propagation", "cf")``.
        """
        network: nx.DiGraph[Node] = nx.DiGraph(user=self.user, item=self.item, time=self.time, score=self.score)
        user, item = ("user", self.user), ("item", self.item)
        network.add_node(user, label=self.user)
        network.add_node(item, label=self.label)
        for name, mass in self.share_by_relation().items():
            network.add_node(("relation", name), label=name, gate=self.gates[name])
            network.add_edge(user, ("relation", name), layer="score", mass=mass)
        network.nodes["relation", "semantic"]["logit"] = self.logit
        network.add_edge(("relation", "semantic"), item, layer="score", mass=self.semantic)
        for one in self.events:
            self._add_weights(network, one)
        for one in self.supporting_events:
            self._add_supporting_event(network, one)
        return network

    def _add_weights(self, network: nx.DiGraph[Node], one: AttendedEvent) -> None:
        node = (one.relation, str(one.event))
        network.add_node(node, label=one.label, event=one.event, own=one.own, local_time=one.local_time)
        network.add_edge(node, ("read", one.relation), layer="read", weight=one.read)
        if one.remembered:
            network.add_edge(node, ("propagation", "cf"), layer="remember", weight=one.remembered)

    def _add_supporting_event(self, network: nx.DiGraph[Node], one: AttendedEvent) -> None:
        node = (one.relation, str(one.event))
        network.add_edge(("relation", one.relation), node, layer="score", mass=one.mass)
        network.add_edge(node, ("item", self.item), layer="score", mass=one.mass)
        if one.previous is not None:
            previous = ("before", str(one.previous))
            network.add_node(previous, label=one.previous_label, event=one.previous)
            network.add_edge(previous, node, layer="before", weight=self.path_decay[one.relation])


def attention_flow(
    run: Run,
    user: str,
    at: int | None = None,
    item: str | None = None,
    near: tuple[float, float] | None = None,
) -> AttentionFlow:
    """Follow the attention behind one item of one user.

    Parameters
    ----------
    run
        A trained run of ``stgat``.
    user
        Id as the log writes it; one that the graph has never seen is answered from time and place alone.
    at
        UTC seconds as of which to ask; one second after the last event of the log where None.
    item
        Id of the item to ask about; the one that ranks first, as the run is judged, where None.
    near
        Latitude and longitude, degrees; the place of the user's last event where None.

    Raises RunError for a run of another model, InputError for an item that is not known by then.
    """
    graph, ranker = run.graph, run.ranker
    if not isinstance(ranker, StgatRanker):
        raise RunError(f"{run.path}: only stgat can take its scores apart, and this is {run.config.model.name}")
    asked = Queries.from_user_ids(graph, [user], at, near)
    if item is None:
        wanted = int(ranker.top(asked, 1, run.protocol.candidate_mask(graph), run.protocol.novel).items)
        if wanted < 0:
            raise InputError(f"no item may be ranked as of {format_utc(int(asked.time))}; ask a later time")
    elif (wanted := graph.nodes["item"].code(item)) < 0:
        raise InputError(f"item {item!r} is not among the {len(graph.nodes['item']):,} items of this graph")
    return flow_to(ranker, asked, wanted)


@torch.inference_mode()
def flow_to(ranker: StgatRanker, query: Queries, item: int) -> AttentionFlow:
    """Follow the attention behind one item (its code) of one question.

    Raises InputError for more or less than one question, and for an item that is not known by then.
    """
    if len(query) != 1:
        raise InputError(f"attention flow: one question expected, got {len(query)}")
    with capture_attention(ranker.model) as weights:
        answer = ranker.forward(query)
    table = ranker.graph.nodes["item"]
    if not bool(table.first_seen[item] < answer.context.queries.time):
        seen, asked = format_utc(int(table.first_seen[item])), format_utc(int(answer.context.queries.time))
        raise InputError(f"item {table.ids[item].as_py()!r} is first seen at {seen}, so not before {asked}")
    semantic = float(semantic_share(ranker, answer, 0, [item]))
    mass = answer.state.event_probabilities()
    events = tuple(one for name in mass for one in _events(ranker, answer.context, name, mass[name][0], weights))
    user = int(answer.context.queries.user)
    return AttentionFlow(
        user=str(ranker.graph.nodes["user"].ids[user].as_py()) if user >= 0 else UNKNOWN_USER,
        item=str(table.ids[item].as_py()),
        code=item,
        label=table.label(item),
        time=int(answer.context.queries.time),
        score=semantic + sum(one.mass for one in events if one.item == item),
        semantic=semantic,
        logit=_logit(ranker, answer, item),
        gates=_gates(answer),
        events=events,
        path_decay={name: ranker.model.attention(name).path_decay.item() for name in mass},
    )


@contextmanager
def capture_attention(model: Stgat) -> Iterator[dict[str, Tensor]]:
    """Attention weights that are no part of the score, [batch, k, heads] by name, of each forward pass meanwhile.

    ``read RELATION`` is the summary attention of each relation, ``remember`` the recency attention of the propagation.
    """
    weights: dict[str, Tensor] = {}
    asking: dict[str, nn.Module] = {
        f"read {name}": model.attention(name).summary_attention for name in model.relation_attention
    }
    if model.cf is not None:
        asking["remember"] = model.cf.recency_attention
    handles = [
        scorer.register_forward_hook(lambda _, __, given, name=name: weights.update({name: given}))
        for name, scorer in asking.items()
    ]
    try:
        yield weights
    finally:
        for handle in handles:
            handle.remove()


def _events(
    ranker: StgatRanker, context: Context, name: str, mass: Float[Tensor, " k"], weights: dict[str, Tensor]
) -> Iterator[AttendedEvent]:
    """The events of one neighbourhood of the only question."""
    graph, around = ranker.graph, context.neighbourhoods[name]
    log, real = graph.log, around.mask[0]
    event = around.event[0][real]
    previous = previous_event(graph, context.queries, around.event)[0][real]
    read = weights[f"read {name}"][0].mean(-1)[real]
    remembered = weights["remember"][0].mean(-1)[real] if name == "own_history" and "remember" in weights else read * 0
    item = log.item[event].long()
    local = log.local_time(event)
    own = log.user[event] == context.queries.user
    columns = (event, item, local, own, mass[real], read, remembered, previous)
    label = graph.nodes["item"].label
    for row, code, moment, *weights_of, before in zip(*(column.tolist() for column in columns), strict=True):
        when = None if graph.timeless else moment
        labelled = (before, label(int(log.item[before]))) if before >= 0 else (None, None)
        yield AttendedEvent(name, row, code, label(code), when, *weights_of, *labelled)


def _gates(answer: ModelOutput) -> dict[str, float]:
    """Part of the whole probability that goes through each part of the mixture."""
    gate = answer.state.log_mixture_weights[0].exp()
    parts = gate[1:].view(len(answer.state.attention), -1).sum(1) if len(answer.state.attention) else gate[1:]
    return {"semantic": float(gate[0]), **dict(zip(answer.state.attention, parts.tolist(), strict=True))}


def _logit(ranker: StgatRanker, answer: ModelOutput, item: int) -> dict[str, float]:
    """The terms of the item's logit in the semantic space; they add up to it."""
    state, code = answer.state, torch.tensor([item], device=answer.state.z.device)
    whole = float(ranker.item_logits(state, answer.context)[0, item])
    terms = {
        "state": float(state.z[0] @ ranker.table.vector[item]),
        "bias": float(ranker.model.item_bias(code)),
        "cf": 0.0 if state.cf_logits is None else float(state.cf_logits[0, item]),
    }
    return {**terms, "distance": whole - sum(terms.values()) if ranker.model.place is not None else 0.0}
