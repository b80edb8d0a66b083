"""The benchmark's variants of ``stgat``: what is left out counts for nothing, and they train as registered models."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.ranking import StgatRanker
from graphrec.models.registry import model_entry
from graphrec.queries.query import Queries
from graphrec.runs.config import RunConfig
from graphrec.training.trainer import train
from tests.networks import settings
from tests.worlds import alone, town

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
variants = pytest.importorskip("variants")
variants.register_variants()


def flipped(world: TemporalGraph, column: str) -> TemporalGraph:
    """Another node's text or coordinates for each node."""
    tables = {kind: getattr(table, column) for kind, table in world.nodes.items()}
    return alone(
        world,
        **{
            kind: replace(world.nodes[kind], **{column: None if values is None else values.flip(0)})
            for kind, values in tables.items()
        },
    )


def shifted(world: TemporalGraph) -> TemporalGraph:
    """The same events in the same order, on other days and at other hours."""
    return alone(world, replace(world.log, utc_offset=world.log.utc_offset + 137))


@pytest.mark.parametrize("name", variants.VARIANTS)
def test_what_is_left_out_counts_for_nothing(name: str) -> None:
    world = town(16)
    torch.manual_seed(16)
    model = variants.VARIANTS[name](world, settings())
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    others = {
        "stgat-no-text": flipped(world, "vectors"),
        "stgat-no-place": flipped(world, "coordinates"),
        "stgat-no-time": shifted(world),
    }
    user = torch.arange(8)
    asked = Queries.from_users(user, torch.full_like(user, int(world.log.time[-1]) + 1))

    def scores(graph: TemporalGraph) -> torch.Tensor:
        again = type(model)(graph, model.config, model.state_dict())
        again.load_state_dict(model.state_dict())
        ranker = StgatRanker(graph, again.eval())
        return ranker.scores(ranker.forward(asked), slice(0, 15))

    found = scores(world)
    assert found.clamp(min=0).sum(1).tolist() == pytest.approx([1.0] * 8, abs=1e-5)
    for other, graph in others.items():
        assert torch.allclose(scores(graph), found, atol=1e-6) == (other == name), other
    if name == "stgat-no-pointers":
        ranker = StgatRanker(world, model.eval())
        assert not ranker.forward(asked).event_probability.any()
    if name == "stgat-no-ids":
        with torch.no_grad():
            for kind in model.nodes:
                model.encoder(kind).identity.weight.add_(1.0)
            model.bias.weight.add_(1.0)
        torch.testing.assert_close(scores(world), found)


def test_a_variant_trains_as_a_registered_model(city_graph: Path, tmp_path: Path) -> None:
    small = ["model.name=stgat-no-time", "dimension=16", "heads=2", "epochs=1", "samples_per_epoch=64", "min_steps=1"]
    config = RunConfig.load(settings=small)
    assert model_entry("stgat-no-time").config is type(config.model)
    manifest = train(city_graph, tmp_path / "run", config=config, device="cpu")
    assert manifest.history[0]["mrr"] > 0
