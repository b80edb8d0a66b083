"""Flow of attention from one query to one item, hop by hop.

It has two kinds of numbers, which are never added to each other:

- **masses** are parts of the score: the probability that gate and pointer attention give each event, and that of the
  item in the semantic space. They add up to the score; at every node the outflow equals the inflow.
- **weights** belong to the computation of the state and the logits: the summary attention ("read"), the learned weight
  of the previous event in an event's key ("before", the path decay), and the recency weights of the user's own events
  in propagation ("remember"). They are no part of the score.

All of them are captured in one forward pass of the network.
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
"""Label of a user that the graph does not know at the time of the query."""


@dataclass(frozen=True)
class AttendedEvent:
    """One event of a neighbourhood with its attention."""

    relation: str
    """Relation of the neighbourhood: ``own_history``, ``transitions``, ``nearby`` or a declared relation."""
    event: int
    """Row of the event in the log."""
    item: int
    """Code of its item."""
    label: str
    """Name of the item for people."""
    local_time: int | None
    """Local time of the event, seconds since 1970; None in a log without times."""
    own: bool
    """True for an event of the query's user."""
    mass: float
    """Probability that it gives its item: a part of that item's score."""
    summary_weight: float
    """Summary attention, mean over heads; it sums to 1 over the events of the relation."""
    recency_weight: float
    """Recency attention of the propagation, mean over heads; it sums to 1 over ``own_history``, 0 elsewhere."""
    previous: int | None
    """Row of the same user's event before it, whose item is a part of its key; None where there is none."""
    previous_label: str | None
    """Name of that event's item."""


@dataclass(frozen=True)
class AttentionFlow:
    """Flow from a user over relations and events to an item, and the attention behind the user's state."""

    user: str
    """The user's own id."""
    item: str
    """The item's own id."""
    code: int
    """Its code."""
    label: str
    """Its name for people."""
    time: int
    """Time of the query, UTC seconds."""
    score: float
    """Probability that the item comes next: the masses of ``supporting_events`` and ``semantic`` add up to it."""
    semantic: float
    """Probability of the item in the semantic space, times its gate."""
    logit: dict[str, float]
    """Terms of the item's logit in the semantic space, in nats: ``state``, ``bias``, ``cf``, ``distance``."""
    gates: dict[str, float]
    """Mixture weights of the semantic space and of each relation; they sum to 1."""
    events: tuple[AttendedEvent, ...]
    """All events of the query, by relation, the latest first."""
    path_decay: dict[str, float]
    """Learned weight of the previous event's item in an event's key, by relation."""

    @property
    def supporting_events(self) -> tuple[AttendedEvent, ...]:
        """The events with the item, the largest mass first."""
        supporting = [one for one in self.events if one.mass > 0 and one.item == self.code]
        return tuple(sorted(supporting, key=lambda one: -one.mass))

    def share_by_relation(self) -> dict[str, float]:
        """Mass of the item by the semantic space and each relation."""
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
        network.add_edge(node, ("read", one.relation), layer="read", weight=one.summary_weight)
        if one.recency_weight:
            network.add_edge(node, ("propagation", "cf"), layer="remember", weight=one.recency_weight)

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
    *,
    at: int | None = None,
    item: str | None = None,
    near: tuple[float, float] | None = None,
) -> AttentionFlow:
    """Flow of attention to one item for one user.

    Parameters
    ----------
    run
        A trained run of ``stgat``.
    user
        Id as in the log; an unknown user is answered from time and position alone.
    at
        Time of the query, UTC seconds; one second after the last event of the log where None.
    item
        Id of the item; the first of the ranking under the run's protocol where None.
    near
        Latitude and longitude, degrees; the position of the user's last event where None.

    Raises RunError for a run of another model, InputError for an item that is not known by then.
    """
    graph, ranker = run.graph, run.ranker
    if not isinstance(ranker, StgatRanker):
        raise RunError(f"{run.path}: only stgat can take its scores apart, and this is {run.config.model.name}")
    query = Queries.from_user_ids(graph, [user], at=at, near=near)
    if item is None:
        code = int(ranker.top(query, 1, candidates=run.protocol.candidate_mask(graph), novel=run.protocol.novel).items)
        if code < 0:
            raise InputError(f"no item may be ranked as of {format_utc(int(query.time))}; ask a later time")
    elif (code := graph.nodes["item"].code(item)) < 0:
        raise InputError(f"item {item!r} is not among the {len(graph.nodes['item']):,} items of this graph")
    return flow_to(ranker, query, code)


@torch.inference_mode()
def flow_to(ranker: StgatRanker, query: Queries, item: int) -> AttentionFlow:
    """Flow of attention to one item (its code) for one query.

    Raises InputError for more or less than one query, and for an item that is not known by then.
    """
    if len(query) != 1:
        raise InputError(f"attention flow: one question expected, got {len(query)}")
    with capture_attention(ranker.model) as weights:
        answer = ranker.forward(query)
    table = ranker.graph.nodes["item"]
    if not bool(table.first_seen[item] < answer.context.queries.time):
        seen, time = format_utc(int(table.first_seen[item])), format_utc(int(answer.context.queries.time))
        raise InputError(f"item {table.ids[item].as_py()!r} is first seen at {seen}, so not before {time}")
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
        logit=_logit_terms(ranker, answer, item),
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
    modules: dict[str, nn.Module] = {
        f"read {name}": model.attention(name).summary_attention for name in model.relation_attention
    }
    if model.cf is not None:
        modules["remember"] = model.cf.recency_attention
    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: weights.update({name: output}))
        for name, module in modules.items()
    ]
    try:
        yield weights
    finally:
        for handle in handles:
            handle.remove()


def _events(
    ranker: StgatRanker, context: Context, name: str, mass: Float[Tensor, " k"], weights: dict[str, Tensor]
) -> Iterator[AttendedEvent]:
    """The events of one neighbourhood of the only query."""
    graph, neighbourhood = ranker.graph, context.neighbourhoods[name]
    log, mask, label = graph.log, neighbourhood.mask[0], graph.nodes["item"].label
    event = neighbourhood.event[0][mask]
    previous = previous_event(graph, context.queries, neighbourhood.event)[0][mask]
    summary = weights[f"read {name}"][0].mean(-1)[mask]
    recent = name == "own_history" and "remember" in weights
    recency = weights["remember"][0].mean(-1)[mask] if recent else summary * 0
    own = log.user[event] == context.queries.user
    columns = (event, log.item[event].long(), log.local_time(event), own, mass[mask], summary, recency, previous)
    for row, code, local_time, *numbers, before in zip(*(column.tolist() for column in columns), strict=True):
        time = None if graph.timeless else local_time
        labelled = (before, label(int(log.item[before]))) if before >= 0 else (None, None)
        yield AttendedEvent(name, row, code, label(code), time, *numbers, *labelled)


def _gates(answer: ModelOutput) -> dict[str, float]:
    """Mixture weights by part, summed over heads."""
    gate = answer.state.log_mixture_weights[0].exp()
    parts = gate[1:].view(len(answer.state.attention), -1).sum(1) if len(answer.state.attention) else gate[1:]
    return {"semantic": float(gate[0]), **dict(zip(answer.state.attention, parts.tolist(), strict=True))}


def _logit_terms(ranker: StgatRanker, answer: ModelOutput, item: int) -> dict[str, float]:
    """The terms of the item's logit in the semantic space; they add up to it."""
    state, code = answer.state, torch.tensor([item], device=answer.state.z.device)
    total = float(ranker.item_logits(state, answer.context)[0, item])
    terms = {
        "state": float(state.z[0] @ ranker.table.vector[item]),
        "bias": float(ranker.model.item_bias(code)),
        "cf": 0.0 if state.cf_logits is None else float(state.cf_logits[0, item]),
    }
    return {**terms, "distance": total - sum(terms.values()) if ranker.model.place is not None else 0.0}
