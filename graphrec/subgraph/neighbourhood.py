"""What a model looks at to answer one question, as a networkx graph: its events, and what it gives each of them."""

from __future__ import annotations

import networkx as nx
import torch
from torch import Tensor

from graphrec.errors import InputError, RunError
from graphrec.graph.conversion import Node, add_nodes, ids_of, known_user
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.ranker import Ranker
from graphrec.models.ranking import ModelOutput, StgatRanker
from graphrec.queries.query import Queries

PLACE = "place"
"""Edge from the user to the location of the query; it has no event."""


def model_neighbourhood(
    ranker: Ranker, user: str, *, time: int, near: tuple[float, float] | None = None
) -> nx.MultiDiGraph[Node]:
    """What the model looks at for a user as of ``time`` (UTC seconds); see :func:`neighbourhood_of`.

    ``near`` is a latitude and longitude in degrees; without it the user is where they last were.
    Raises InputError for a user whom the graph does not know before ``time``, RunError for a model without events.
    """
    known_user(ranker.graph.as_of(time), user)
    return neighbourhood_of(ranker, Queries.from_user_ids(ranker.graph, [user], at=time, near=near))


def neighbourhood_of(ranker: Ranker, queries: Queries) -> nx.MultiDiGraph[Node]:
    """The neighbourhood of one question: the events of ``graphrec.sample`` with the model's fan-outs, and no other.

    A graph like that of :func:`graphrec.ego`. Each event is an edge to its item, with the key ``(relation, event)``
    and ``relation``, ``time``, ``event``, ``weight`` and ``mass``: the probability that gate and attention give it.
    Its source is where the model came from: ``own_history`` the user, ``transitions`` the user's last item, ``nearby``
    the event's location, a declared relation the linked user or location, or the last item. An event that two relations
    bring is two edges. Masses of all edges and the share of the semantic space add up to 1. Edges without an event
    lead from the user to the place of the query (``place``) and on to the linked nodes. (As a feature of each event
    the network also reads the item before it, and propagation the interactions of the train split: weights, and no
    neighbourhood.)

    Raises InputError for more than one question or an unknown user, RunError for a model without events.
    """
    if not isinstance(ranker, StgatRanker):
        raise RunError("a model that reads events ('stgat') expected; this one scores items without")
    if len(queries) != 1:
        raise InputError(f"neighbourhood_of: one question expected, got {len(queries)}")
    graph, answer = ranker.graph, ranker.forward(queries)
    queries = answer.context.queries
    user = int(queries.user[0])
    if user < 0:
        raise InputError("neighbourhood_of: a user whom the graph knows before the time of the question expected")
    network: nx.MultiDiGraph[Node] = nx.MultiDiGraph(
        user=graph.nodes["user"].ids[user].as_py(), time=int(queries.time[0]), fan_out=dict(ranker.model.config.fan_out)
    )
    add_nodes(network, graph, "user", queries.user)
    for name, mass in answer.state.event_probabilities().items():
        _add_events(network, graph, answer, name, mass[0])
    hops = nx.single_source_shortest_path_length(network, ("user", network.graph["user"]))
    nx.set_node_attributes(network, {node: {"hop": hop} for node, hop in hops.items()})
    return network


def _add_events(
    network: nx.MultiDiGraph[Node], graph: TemporalGraph, answer: ModelOutput, name: str, mass: Tensor
) -> None:
    """Add an edge per event of one relation, from where the model came from to its item, and what leads to it."""
    log, neighbourhood = graph.log, answer.context.neighbourhoods[name]
    mask = neighbourhood.mask[0]
    rows = neighbourhood.event[0][mask]
    if not len(rows):
        return
    item = log.item[rows].long()
    kind, start = _start(graph, name, rows, answer.context.last_item.expand(len(rows)))
    add_nodes(network, graph, kind, torch.unique(start))
    add_nodes(network, graph, "item", torch.unique(item))
    ends = (ids_of(graph, kind, start), ids_of(graph, "item", item))
    columns = (column.tolist() for column in (rows, log.time[rows], log.weight[rows], mass[mask]))
    for source, target, row, time, weight, share in zip(*ends, *columns, strict=True):
        facts = {"relation": name, "time": time, "event": row, "weight": weight, "mass": share}
        network.add_edge((kind, source), ("item", target), key=(name, row), **facts)
    _add_links(network, graph, answer, name, kind, torch.unique(start))


def _start(graph: TemporalGraph, name: str, rows: Tensor, item: Tensor) -> tuple[str, Tensor]:
    """Type and codes of the nodes from which the model came to each event, ``item`` where it came from an item."""
    origins = {"own_history": "user", "transitions": "item", "nearby": "location"}
    kind = origins.get(name) or graph.edges[name].source_type
    return kind, item if kind == "item" else getattr(graph.log, kind)[rows].long()


def _add_links(
    network: nx.MultiDiGraph[Node], graph: TemporalGraph, answer: ModelOutput, name: str, kind: str, start: Tensor
) -> None:
    """Lead from the user to the nodes that a relation starts from: the last item, the place, what is linked to them."""
    context = answer.context
    anchor = {"user": context.queries.user, "item": context.last_item, "location": context.location}[kind]
    add_nodes(network, graph, kind, anchor)
    user, here = ("user", network.graph["user"]), (kind, ids_of(graph, kind, anchor)[0])
    if kind == "location":
        network.add_edge(user, here, key=(PLACE, int(anchor)), relation=PLACE, weight=1.0)
    if kind == "item" and not network.has_edge(user, here):  # a model that does not read the user's own events
        last = int(context.last_event)
        facts = {"relation": "own_history", "time": int(graph.log.time[last]), "event": last, "mass": 0.0}
        network.add_edge(user, here, key=("own_history", last), weight=float(graph.log.weight[last]), **facts)
    link = "near" if name == "nearby" else name
    for identity, code in zip(ids_of(graph, kind, start), start.tolist(), strict=True):
        if (kind, identity) != here:
            network.add_edge(here, (kind, identity), key=(link, code), relation=link, weight=1.0)
