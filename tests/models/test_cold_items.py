"""An item that nobody visited stands where the visited items beside it do."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrec.graph.events import TRAIN
from graphrec.graph.nodes import Edges
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MIN
from graphrec.models.cold_items import NEAR, ColdItemSmoothing
from graphrec.models.ranking import StgatRanker
from tests.models.test_ranking import questions
from tests.networks import again, scores, untrained
from tests.worlds import alone, town

SEEDS = st.integers(0, 10_000)


def placed(seed: int) -> TemporalGraph:
    """A town with few events whose items lie at a location each, some from a time on, besides its other relations."""
    world = town(seed, count=25, declared=True)
    draw = torch.Generator().manual_seed(seed)
    item = torch.arange(15)
    since = torch.where(torch.rand(15, generator=draw) < 0.7, TIME_MIN, int(world.log.time[12]) + 600 * item)
    at = Edges("item", "location", item, torch.randint(0, 9, (15,), generator=draw), since, None)
    return alone(replace(world, edges={**world.edges, "at": at}))


def slow(world: TemporalGraph, value: list[float], visited: list[bool]) -> list[float]:
    """The same item by item: the mean over its groups of the mean over their visited members."""
    end = int(world.log.time[world.log.split == TRAIN].max())

    def links(name: str) -> set[tuple[int, int]]:
        edges = world.edges[name]
        rows = zip(edges.source.tolist(), edges.target.tolist(), edges.valid_from.tolist(), strict=True)
        return {(source, target) for source, target, since in rows if since <= end}

    groups: dict[tuple[str, int], dict[int, float]] = {}
    own: dict[int, set[tuple[str, int]]] = {}
    for name in ("made_by", "goes_with", "at"):
        for source, target in links(name):
            groups.setdefault((name, target), {}).setdefault(source, 0.0)
            groups[name, target][source] += 1.0
            own.setdefault(source, set()).add((name, target))
    for item in range(15):
        beside = groups.setdefault(("goes_with", item), {})
        beside[item] = beside.get(item, 0.0) + 1.0
    for source, target in links("near"):
        for item, place in links("at"):
            if place == target:
                beside = groups.setdefault(("at", source), {})
                beside[item] = beside.get(item, 0.0) + NEAR
    found = []
    for item in range(15):
        means = []
        for group in own.get(item, ()) if not visited[item] else ():
            members = {other: share for other, share in groups[group].items() if visited[other]}
            if members:
                means.append(sum(value[other] * share for other, share in members.items()) / sum(members.values()))
        found.append(sum(means) / len(means) if means else 0.0)
    return found


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_equals_a_slow_reference(seed: int) -> None:
    world = placed(seed)
    visited = torch.zeros(15, dtype=torch.bool)
    visited[world.log.item[world.log.split == TRAIN].long()] = True
    value = torch.randn(3, 15, generator=torch.Generator().manual_seed(seed)) * visited
    expected = torch.tensor([slow(world, row, visited.tolist()) for row in value.tolist()])
    torch.testing.assert_close(ColdItemSmoothing(world, visited)(value), expected, rtol=1e-4, atol=1e-5)


def test_nothing_is_beside_where_items_are_linked_to_nothing() -> None:
    world = town(3)
    assert torch.equal(ColdItemSmoothing(world, torch.ones(15) > 0)(torch.ones(2, 15)), torch.zeros(2, 15))


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_it_is_kept_with_the_weights(seed: int) -> None:
    """Edges that come after the training move nothing."""
    world = placed(seed)
    model, asked = untrained(world, seed, spread=0.1, beside=True), questions(world, seed)
    moved = {name: replace(edges, target=edges.target.flip(0)) for name, edges in world.edges.items() if name != "near"}
    other = alone(replace(world, edges={**world.edges, **moved}))
    torch.testing.assert_close(scores(other, again(model, other), asked), scores(world, model, asked))


def test_a_place_nobody_visited_is_reached_as_its_neighbours_are() -> None:
    """Items 13 and 14 are never visited and differ in nothing but where they lie."""
    world = town(5, count=60, texts=0, places=False, dated=False)
    kept = world.log.item < 13
    log = replace(world.log, **{name: column[kept] for name, column in vars(world.log).items()})
    item = torch.arange(15)
    side = torch.where(item < 13, item % 2, item - 13)
    world = replace(world, edges={"at": Edges("item", "location", item, side, torch.full((15,), TIME_MIN), None)})
    world = alone(world, log)
    asked = questions(world, 5)
    kin = StgatRanker(world, untrained(world, 5, spread=0.1, beside=True)).forward(asked).state.cf_logits
    assert kin is not None
    visited = torch.isin(item, log.item[log.split == TRAIN])
    for new in (13, 14):
        torch.testing.assert_close(kin[:, new], kin[:, visited & (side == new - 13)].mean(1))
    assert not torch.allclose(kin[:, 13], kin[:, 14])
