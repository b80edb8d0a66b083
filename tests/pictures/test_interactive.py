"""Pictures to move about in: they say what the data say, escape what the log says, and name their extra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from graphrec.errors import InputError, MissingPackage
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.pictures import interactive
from graphrec.pictures.interactive import draw_ego_interactive, draw_map_interactive
from graphrec.subgraph.ego_network import ego
from tests.worlds import alone, continued, events, graph, town

DAY = 86_400


def named() -> TemporalGraph:
    """A user who was at <b>0 three times and at item-1 once."""
    world = graph(events([0] * 4, [1, 0, 0, 0], [DAY, 2 * DAY, 3 * DAY, 10 * DAY]), 1, 2, seed=0)
    return alone(world, item=replace(world.nodes["item"], labels=pa.array(["<b>0", None])))


def test_the_neighbourhood_is_one_page_without_a_network(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    figure = draw_ego_interactive(ego(named(), "user-0", time=11 * DAY))
    words = {text for trace in figure.data if trace.text for text in trace.text}
    assert words == {
        "<b>user-0</b>",
        "<b>&lt;b&gt;0</b><br>3 events, last on 1970-01-11 00:00:00 UTC",
        "<b>item-1</b><br>1 event, last on 1970-01-02 00:00:00 UTC",
    }
    figure.write_html(tmp_path / "ego.html", include_plotlyjs=True)
    page = (tmp_path / "ego.html").read_text(encoding="utf-8")
    assert "<script src=" not in page


def test_a_model_s_mass_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("plotly")
    network = ego(named(), "user-0", time=11 * DAY)
    for _, _, data in network.edges(data=True):
        data["mass"] = 0.125
    (items,) = (trace for trace in draw_ego_interactive(network).data if trace.name == "item")
    assert [text.rsplit("<br>", 1)[1] for text in items.text] == ["mass 0.375", "mass 0.125"]


def test_the_map_has_each_place_once_and_no_later_one() -> None:
    pytest.importorskip("folium")
    world = named()
    markers = [
        child
        for name, child in draw_map_interactive(world, "user-0", time=10 * DAY)._children.items()
        if "circle" in name
    ]
    page = draw_map_interactive(world, "user-0", time=10 * DAY).get_root().render()
    assert len(markers) == 2
    assert "&lt;b&gt;0</b><br>2 times, last on 1970-01-04 00:00:00 UTC" in page
    assert "<b>item-1</b><br>on 1970-01-02 00:00:00 UTC" in page
    latitude, longitude = world.nodes["item"].coordinates[0].tolist()
    assert [latitude, longitude] in [marker.location for marker in markers]


def test_the_future_draws_nothing() -> None:
    pytest.importorskip("folium")
    world = town(3)
    time, user = int(world.log.time[80]), f"user-{int(world.log.user[0])}"

    def drawn(one: TemporalGraph) -> list[tuple[list[float], float]]:
        children = draw_map_interactive(one, user, time=time)._children
        return [(child.location, child.options["radius"]) for name, child in children.items() if "circle" in name]

    assert drawn(world) == drawn(continued(world, time, 1))


def test_a_user_without_places_has_no_map() -> None:
    pytest.importorskip("folium")
    world = graph(events([0], [0], [1]), 1, 1)
    with pytest.raises(InputError, match="no place of 'user-0' is known"):
        draw_map_interactive(world, "user-0", time=TIME_MAX)


@pytest.mark.parametrize(
    ("package", "draw"),
    [
        ("folium", lambda: draw_map_interactive(named(), "user-0", time=TIME_MAX)),
        ("plotly", lambda: draw_ego_interactive(ego(named(), "user-0", time=TIME_MAX))),
    ],
)
def test_what_is_missing_is_named(package: str, draw: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(interactive, "import_module", missing)
    with pytest.raises(MissingPackage, match=rf"{package} is not installed; pip install 'graphrec\[interactive\]'"):
        draw()
