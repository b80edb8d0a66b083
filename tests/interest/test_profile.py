"""A user in words: every sentence is true of the rows it names, and none of them is of the future."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from graphrec.errors import InputError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX
from graphrec.interest.profile import Profile, Sentence, user_profile
from tests import worlds
from tests.conftest import Ended

DAY = 86_400
MONDAY = 1_599_436_800  # 2020-09-07 00:00 UTC


def reader() -> TemporalGraph:
    """An hour with crime every evening of ten weeks, then ten weeks of poetry, at two places."""
    item = [0 if day < 70 else 1 for day in range(140)]
    log = worlds.events([0] * 140, item, [MONDAY + 20 * 3600 + day * DAY for day in range(140)], item)
    graph = worlds.graph(log, 1, 2, 2, seed=0)
    tables = {
        "item": replace(graph.nodes["item"], texts=pa.array(["One. crime.", "Two. poetry."])),
        "location": replace(graph.nodes["location"], labels=pa.array(["Hill", "Shore"])),
    }
    return replace(graph, nodes={**graph.nodes, **tables})


def told(profile: Profile, about: str) -> Sentence:
    return next(sentence for sentence in profile.sentences if sentence.topic == about)


def test_each_sentence_says_what_the_log_says() -> None:
    profile = user_profile(reader(), "user-0", until=TIME_MAX)
    assert told(profile, "activity").description == "140 events on 140 days, from 7 September 2020 to 24 January 2021."
    assert told(profile, "hours").description == "Active always evenings."
    assert told(profile, "returns").numbers == {"events": 140, "returns": 138, "items": 2}
    assert "Shore: seen there on 70 of 140 such days" in told(profile, "home").description
    change = told(profile, "change")
    assert "in the week of 16 November 2020" in change.description
    assert "from 100.0% to 0.0%" in change.description
    assert change.rows.tolist() == list(range(70, 140))
    assert str(profile).startswith("140 events")


def test_every_figure_of_a_sentence_is_among_its_numbers() -> None:
    """But for dates: the words are filled from the numbers, so none can be in one and not in the other."""
    for sentence in user_profile(reader(), "user-0", until=TIME_MAX).sentences:
        if sentence.topic in ("home", "work", "forecast", "returns"):
            numbers = [value for value in sentence.numbers.values() if isinstance(value, int | float)]
            shown = {f"{value:,}" for value in numbers} | {f"{100 * value:.1f}%" for value in numbers}
            shown |= {f"{value:.0%}" for value in numbers} | {f"{100 * 138 / 140:.1f}%", "7"}
            assert set(re.findall(r"[\d.,]*\d%?", sentence.description)) <= shown, sentence


def test_what_the_log_does_not_say_is_left_out() -> None:
    graph = worlds.graph(worlds.events([0], [0], [MONDAY]), 1, 1)
    profile = user_profile(graph, "user-0", until=TIME_MAX)
    assert [sentence.topic for sentence in profile.sentences] == ["activity", "hours", "themes", "returns", "forecast"]
    assert told(profile, "activity").description == "1 event on 1 day, from 7 September 2020 to 7 September 2020."


def test_a_log_without_times_tells_of_no_day_hour_or_week() -> None:
    graph = reader()
    timeless = graph.manifest.model_copy(update={"mapping": {"timeless": True}})
    graph = replace(graph, manifest=timeless, log=replace(graph.log, time=graph.log.time * 0), _cache={})
    assert [sentence.topic for sentence in user_profile(graph, "user-0", until=TIME_MAX).sentences] == [
        "themes",
        "returns",
    ]


def test_a_user_of_other_things_has_no_themes_to_tell() -> None:
    texts = pa.array([*["crime"] * 6, *["poetry"] * 6, "cooking"])
    log = worlds.events([*[0] * 12, 1], list(range(13)), [MONDAY + step for step in range(13)])
    graph = worlds.graph(log, 2, 13)
    graph = replace(graph, nodes={**graph.nodes, "item": replace(graph.nodes["item"], texts=texts)})
    assert "themes" not in [sentence.topic for sentence in user_profile(graph, "user-1", until=TIME_MAX).sentences]
    assert told(user_profile(graph, "user-0", until=TIME_MAX), "themes").numbers["crime"] == 0.5


def test_themes_of_few_events_are_not_called_those_of_most() -> None:
    log = worlds.events([0] * 7, list(range(7)), [MONDAY + step for step in range(7)])  # a theme each
    words = told(user_profile(worlds.graph(log, 1, 7), "user-0", until=TIME_MAX), "themes").description
    assert words == "Most often about item-0 (14.3%), item-1 (14.3%), item-2 (14.3%)."


def test_what_comes_later_changes_nothing() -> None:
    graph, until = reader(), MONDAY + 100 * DAY
    later = graph.log.time >= until
    poisoned = {name: torch.where(later, 0, getattr(graph.log, name)).int() for name in ("item", "location")}
    other = replace(graph, log=replace(graph.log, **poisoned), _cache={})
    mine, same = (user_profile(world, "user-0", until=until) for world in (graph, other))
    assert str(mine) == str(same)
    assert all((graph.log.time[torch.from_numpy(one.rows)] < until).all() for one in mine.sentences)
    assert not np.array_equal(
        told(mine, "activity").rows, told(user_profile(graph, "user-0", until=TIME_MAX), "activity").rows
    )


def test_a_user_of_whom_nothing_is_known_is_refused() -> None:
    with pytest.raises(InputError, match="has no event before"):
        user_profile(reader(), "user-0", until=MONDAY)


def test_the_command_says_it_and_prints_json(graphrec: Callable[..., Ended], city_graph: Path, city_run: Path) -> None:
    said = graphrec("profile", city_graph, "--user", "u0001", "--at", "2024-03-14")
    assert said.code == 0
    assert re.search(r"activity +\d+ events on \d+ days, from \d+ March 2024 to 1[0-3] March 2024", said.out)
    answer = json.loads(graphrec("profile", city_run, "-u", "u0001", "--at", "2024-03-14", "--json").out)
    assert answer["sentences"][0]["words"] in said.out
    assert len(answer["sentences"][0]["rows"]) == answer["sentences"][0]["numbers"]["events"]
    assert "user 'x' is not among" in graphrec("profile", city_graph, "-u", "x").refusal
