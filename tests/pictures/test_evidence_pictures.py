"""Pictures of evidence draw the numbers that they are given, for odd ones too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graphrec.evidence.attention_profile import AttentionProfile, Share
from graphrec.evidence.faithfulness import STEPS, Faithfulness
from graphrec.evidence.flow import AttentionFlow, flow_to
from graphrec.models.ranking import StgatRanker
from graphrec.pictures.attention_profile import draw_attention_profile
from graphrec.pictures.faithfulness import draw_faithfulness
from graphrec.pictures.flow import MAX_EVENTS, draw_flow
from graphrec.queries.query import Queries
from tests.networks import untrained
from tests.worlds import events, graph, town

DAY = 86_400


@pytest.fixture(autouse=True)
def no_figure_left_open() -> Iterator[None]:
    plt.switch_backend("agg")
    yield
    plt.close("all")


def planted(visits: int, timeless: bool = False) -> AttentionFlow:
    """One item that the user had so often, and a network of zeros: half of the gate each way."""
    world = graph(events([0] * visits, [0] * visits, [DAY * day for day in range(visits)]), 1, 5)
    world = replace(world, manifest=world.manifest.model_copy(update={"mapping": {"timeless": timeless}}))
    model = untrained(world, 0, spread=0.0, fan_out={"own_history": 40}, heads=1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    return flow_to(StgatRanker(world, model), Queries.from_users(torch.tensor([0]), torch.tensor([99 * DAY])), 0)


def words(ax: Axes) -> list[str]:
    return [text.get_text().strip() for text in ax.texts]


def panels(figure: Figure) -> list[Axes]:
    return list(figure.axes)


def test_bands_are_as_wide_as_the_masses() -> None:
    flow = planted(2)
    bands, strips = panels(draw_flow(flow))
    widths = []
    for band in bands.collections:
        x, y = band.get_paths()[0].vertices.T
        left, right = (np.ptp(y[np.isclose(x, end)]) for end in (x.min(), x.max()))
        assert left == pytest.approx(right)
        widths.append(left)
    # user to two parts, history to two events, semantic space to itself, and all three to the item
    history, semantic = 0.5 / flow.score, flow.semantic / flow.score
    each = history / 2
    assert sorted(widths) == pytest.approx(sorted([history, semantic, each, each, semantic, each, each, semantic]))
    assert f"{flow.score:.3f}" in words(bands)
    assert "0.500, gate 50%" in words(bands)
    assert any("after item-0" in text for text in words(bands))
    assert [label.get_text() for label in strips.get_yticklabels()] == [
        "read in my history",
        "remembered by propagation",
    ]
    assert sum(bar.get_width() for container in strips.containers for bar in container) == pytest.approx(2)


def test_many_events_are_drawn_as_one() -> None:
    bands = panels(draw_flow(planted(MAX_EVENTS + 3)))[0]
    assert "3 more events" in words(bands)
    assert sum("Jan 1970" in text for text in words(bands)) == MAX_EVENTS


def test_slivers_are_drawn_as_one() -> None:
    """Of ten events of a history five carry 0.4% of the score each; of its items five weigh 2% each."""
    flow = planted(10)
    rows = [
        replace(one, mass=0.004 * flow.score, summary_weight=0.02, label=f"a rare item {row}")
        for row, one in enumerate(flow.events[:5])
    ]
    rows += [
        replace(one, mass=0.12 * flow.score, summary_weight=0.18, label=f"MOST WANTED {row}")
        for row, one in enumerate(flow.events[5:])
    ]
    figure = draw_flow(replace(flow, events=tuple(rows)))
    bands, strips = panels(figure)
    assert "5 more events" in words(bands)
    assert sum("Jan 1970" in text for text in words(bands)) == 5
    assert words(strips)[:6] == [*(f"MOST WANTED {row}" for row in range(5)), "5 more items"]
    widths = [bar.get_width() for container in strips.containers[:6] for bar in container]
    assert widths == pytest.approx([0.18] * 5 + [0.1])


def test_no_words_of_a_flow_run_into_others() -> None:
    flow = planted(10)
    rows = [replace(one, summary_weight=0.1, label=f"WWW {row} of a long name") for row, one in enumerate(flow.events)]
    figure = draw_flow(replace(flow, events=tuple(rows)))
    figure.canvas.draw()
    for ax in panels(figure):
        boxes = [text.get_window_extent().padded(-0.5) for text in ax.texts]  # a note touches the name above it
        assert len(boxes) >= 10
        assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_a_log_without_times_shows_no_date() -> None:
    bands = panels(draw_flow(planted(3, timeless=True)))[0]
    assert not any("1970" in text for text in words(bands))
    assert any(text == "after item-0" for text in words(bands))


def test_a_stranger_has_a_picture(tmp_path: Path) -> None:
    world = town(7, dated=False, locations=0)
    nobody = Queries.from_users(torch.tensor([-1]), world.log.time[-1:] + 1)
    figure = draw_flow(flow_to(StgatRanker(world, untrained(world, 7, spread=0.2)), nobody, 1))
    figure.savefig(tmp_path / "flow.png")
    assert (tmp_path / "flow.png").stat().st_size > 5_000


def share(aspect: str, value: str, part: float, available: float | None, segment: str = "all") -> Share:
    return Share(segment, 40, aspect, value, part, part - 0.02, part + 0.02, available)


def test_a_panel_an_aspect() -> None:
    profile = AttentionProfile(
        40,
        (
            share("relation", "my history", 0.6, 0.5),
            share("relation", "semantic space", 0.4, None),
            share("weekday", "same weekday", 0.3, 0.25),
            share("weekday", "another weekday", 0.7, 0.75),
            replace(share("weekday", "same weekday", 1.0, 1.0, "weekend"), low=None, high=None),
        ),
    )
    relation, weekday = panels(draw_attention_profile(profile))[:2]
    assert [bar.get_width() for bar in weekday.containers[0]] == pytest.approx([0.3, 0.7])
    assert [label.get_text() for label in relation.get_yticklabels()] == ["my history", "semantic space"]
    assert [text for text in words(weekday) if text] == ["×1.20", "×0.93"]
    assert [text for text in words(relation) if text] == ["×1.20"]
    figure = draw_attention_profile(profile, "weekend")
    assert [bar.get_width() for bar in panels(figure)[0].containers[0]] == [1.0]
    figure.canvas.draw()


def test_a_profile_of_nothing_is_an_empty_picture() -> None:
    draw_attention_profile(AttentionProfile(0, ())).canvas.draw()


def test_curves_are_those_measured() -> None:
    deletion, insertion = (1.0, 0.7, 0.5, 0.3, 0.1), (0.1, 0.5, 0.8, 1.2, 1.5)
    found = Faithfulness(9, 3.0, STEPS, deletion, (1.0,) * 5, insertion, (0.1, 0.2, 0.3, 0.4, 0.5), 0.6, 0.01)
    figure = draw_faithfulness(found)
    left, right = panels(figure)
    drawn = [line.get_ydata() for line in left.lines if len(line.get_ydata()) == len(STEPS)]
    np.testing.assert_allclose(drawn, [found.deletion, found.deletion_at_random])
    assert words(right) == ["the evidence  1.50", "as many at random  0.50"]
    assert "falls 0.600 ± 0.010 farther" in figure.get_supxlabel()


def test_curves_of_nothing_say_so() -> None:
    figure = draw_faithfulness(Faithfulness(0, 0.0, STEPS, (), (), (), (), None, None))
    figure.canvas.draw()
    assert "no question's best item has events behind it" in figure.get_supxlabel()
