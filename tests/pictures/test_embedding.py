"""The embedding map: planted groups lie apart, and what is drawn was visited before the time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba

from graphrec.errors import InputError, MissingPackage, RunError
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.models.baselines import Nearest
from graphrec.models.ranking import StgatRanker
from graphrec.models.score_ranker import ScoreRanker
from graphrec.pictures.embedding import MAX_LABELS, draw_embedding, principal_plane
from graphrec.pictures.palette import THEMES
from tests.networks import untrained
from tests.worlds import alone, events, graph, town


@pytest.fixture(autouse=True)
def no_figure_left_open() -> Iterator[None]:
    plt.switch_backend("agg")
    yield
    plt.close("all")


def two_kinds(count: int = 10) -> StgatRanker:
    """Items of even code are cafes and those of odd code gyms, in text and in vector; the last of ten comes at 100."""
    rng = np.random.default_rng(0)
    items = [*range(count - 1), *range(count - 1), count - 1]
    world = graph(events([0] * len(items), items, [*range(1, len(items)), 80 + 2 * count]), 1, count, seed=0)
    kinds = ["Cafe" if code % 2 == 0 else "Gym" for code in range(count)]
    vectors = torch.tensor([[1.0, 0] if kind == "Cafe" else [0, 1.0] for kind in kinds])
    vectors = (vectors + 0.01 * torch.tensor(rng.normal(size=(count, 2)))).half()
    names = pa.array([f"number {code}" for code in range(count)])
    item = replace(world.nodes["item"], texts=pa.array(kinds), vectors=vectors, labels=names, coordinates=None)
    world = alone(world, item=item)
    return StgatRanker(world, untrained(world, 0, spread=0.02, ids=False))


def test_groups_lie_apart_in_their_colours() -> None:
    figure = draw_embedding(two_kinds(), 50)
    points = figure.axes[0].collections[0]
    place, colour = np.asarray(points.get_offsets()), points.get_facecolor()
    assert len(place) == 9  # the tenth is not visited yet
    cafes = np.isclose(colour[:, :3], to_rgba(THEMES[0])[:3]).all(axis=1)
    assert cafes.sum() == 5
    centres = place[cafes].mean(axis=0), place[~cafes].mean(axis=0)
    spread = max(np.ptp(place[group], axis=0).max() for group in (cafes, ~cafes))
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * spread
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["Cafe", "Gym"]
    words = {text.get_text() for text in figure.axes[0].texts}
    assert any(word.startswith("number ") for word in words)


def test_no_names_run_into_each_other() -> None:
    """Sixty items in two crowds, as often visited, so that the names of the first eighteen would."""
    figure = draw_embedding(two_kinds(60), TIME_MAX)
    figure.canvas.draw()
    names = [text for text in figure.axes[0].texts if text.get_text().startswith("number ")]
    boxes = [name.get_window_extent() for name in names]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert 2 <= len(names) <= MAX_LABELS
    assert names[0].get_text() == "number 0"  # the most visited come first
    assert {name.get_text() for name in names} != {f"number {code}" for code in range(MAX_LABELS)}


def test_the_plane_is_that_of_the_singular_values() -> None:
    vectors = np.random.default_rng(1).normal(size=(40, 6)) * [5, 3, 1, 1, 1, 1]
    place, share = principal_plane(vectors)
    centred = vectors - vectors.mean(axis=0)
    left, strength, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(place), np.abs(left[:, :2] * strength[:2]))
    np.testing.assert_allclose(share, strength[:2] ** 2 / (strength**2).sum())


def test_what_cannot_be_drawn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ranker = two_kinds()
    with pytest.raises(InputError, match="3 visited items expected before 1970-01-01 00:00:03 UTC, got 2"):
        draw_embedding(ranker, 3)
    with pytest.raises(InputError, match="a method of pca or umap expected, got 'tsne'"):
        draw_embedding(ranker, TIME_MAX, method="tsne")
    with pytest.raises(RunError, match="a model with item vectors"):
        draw_embedding(ScoreRanker(ranker.graph, Nearest(town(1))), TIME_MAX)
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingPackage, match=r"pip install 'graphrec\[umap\]'"):
        draw_embedding(ranker, TIME_MAX, method="umap")
