"""Logs that are known by name: small files in their very format, and the real ones where they are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from builders.build import build_graph
from builders.mapping.column_mapping import ColumnMapping
from builders.mapping.editions import check_counts, editions, recognise
from builders.mapping.presets import find_files, load_preset, presets
from builders.mapping.relation_mapping import RelationMapping
from builders.mapping.table_mapping import TableMapping
from builders.sources.source import detect_source
from graphrec.errors import GraphrecError
from graphrec.graph.manifest import GraphManifest
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.queries.protocol import EvaluationProtocol
from tests.known_logs import KNOWN, write

DOCS = Path(__file__).parents[2] / "docs" / "presets.md"


def build(folder: Path, name: str, files: list[Path] | None = None) -> tuple[GraphManifest, TemporalGraph]:
    manifest = build_graph(files or [folder], folder / "graph", preset=name, text_model="none", max_bad=0.6)
    return manifest, TemporalGraph.open(folder / "graph")


class Built(NamedTuple):
    """A known log, built."""

    folder: Path
    manifest: GraphManifest
    graph: TemporalGraph


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Built]:
    @cache
    def built(form: str) -> Built:
        folder = write(tmp_path_factory.mktemp("known"), form)
        return Built(folder, *build(folder, form.split("/")[0]))

    return built


COUNTS = {
    "foursquare-tsmc/TSMC2014": (2, 2, 2),
    "foursquare-global/TIST2015": (2, 2, 3),
    "gowalla/SNAP": (3, 2, 2),
    "brightkite/SNAP": (2, 2, 2),
    "nyc-getnext/GETNext": (9, 1, 3),
    "sthgcn/sample": (30, 1, 4),
    "sthgcn/California": (36, 1, 2),
    "nyc-chrono/blocks": (30, 1, 3),
    "phoenix-malls/PHO": (1, 1, 1),
    "movielens/latest": (2, 1, 3),
    "movielens/1M": (2, 1, 3),
    "movielens/100K": (2, 1, 3),
    "amazon-2014/5-core": (2, 1, 2),
    "amazon-2014/ratings": (2, 2, 2),
    "amazon-2018/reviews": (1, 1, 1),
    "amazon-2023/reviews": (1, 1, 1),
    "amazon-2023/split": (3, 1, 3),
    "yelp/2022": (2, 2, 2),
    "steam/reviews": (2, 2, 3),
    "lightgcn/gowalla": (9, 3, 5),
    "recbole/ratings": (2, 2, 2),
    "recbole/check-ins": (2, 2, 2),
    "recbole/no times": (3, 2, 2),
    "recbole/split": (3, 1, 3),
}
"""Events of known logs, users in them, and items, those that a table alone lists among them."""
ALIKE = {
    "foursquare-tsmc/Kaggle": "foursquare-tsmc/TSMC2014",
    "foursquare-global/WWW2019": "foursquare-global/TIST2015",
    "tky-getnext/GETNext": "nyc-getnext/GETNext",
    "ca-getnext/GETNext": "nyc-getnext/GETNext",
    "movielens/Kaggle": "movielens/latest",
    "movielens/10M": "movielens/1M",
    "amazon-2018/ratings": "amazon-2018/reviews",
    "amazon-2023/ratings": "amazon-2023/reviews",
}
"""Known logs that are made like another, which is built in their place."""


@pytest.mark.parametrize("form", COUNTS)
def test_every_form_is_built_and_has_its_counts(form: str, known: Callable[[str], Built]) -> None:
    _, manifest, graph = known(form)
    assert (len(graph.log), len(graph.log.user.unique()), manifest.counts["item"]) == COUNTS[form]


@pytest.mark.parametrize("form", ALIKE)
def test_what_is_made_alike_has_the_columns_that_its_preset_names(form: str, tmp_path: Path) -> None:
    found = find_files(form.split("/")[0], [write(tmp_path, form)])
    for path in found.logs:
        found.mapping.check_columns(detect_source(path, found.mapping, tmp_path).columns, path.name)
    path, table = found.tables.get("item", (found.logs[0], TableMapping()))
    columns = {table.id, table.label, table.lat, table.lon} - {None}
    assert columns <= set(detect_source(path, table, tmp_path).columns)


def test_every_form_of_every_preset_has_a_log_here(tmp_path: Path) -> None:
    built = set()
    for place, form in enumerate(KNOWN):
        name, folder = form.split("/")[0], tmp_path / str(place)
        folder.mkdir()
        found = find_files(name, [write(folder, form)])
        built.add((name, load_preset(name).layouts.index(found.layout)))
    assert KNOWN.keys() == COUNTS.keys() | ALIKE.keys()
    assert built == {(name, index) for name, preset in presets().items() for index in range(len(preset.layouts))}


def test_foursquare(tmp_path: Path, known: Callable[[str], Built]) -> None:
    _, manifest, graph = known("foursquare-tsmc/TSMC2014")
    assert graph.nodes["user"].ids.to_pylist() == ["470", "979"]
    assert graph.nodes["item"].texts.to_pylist() == ["Café", 'Bridge "old"']
    assert graph.log.time.tolist() == [1333476009, 1333476025]
    assert graph.log.utc_offset.tolist() == [-240, -240]
    assert manifest.kinds == ["check-in"]
    mine = (write(tmp_path, "foursquare-tsmc/TSMC2014") / "dataset_TSMC2014_NYC.txt").rename(tmp_path / "mine.txt")
    assert len(build(tmp_path, "foursquare-tsmc", [mine])[1].log) == 2  # a single log has any name


def test_foursquare_global(known: Callable[[str], Built]) -> None:
    graph = known("foursquare-global/TIST2015").graph
    assert graph.log.utc_offset.tolist() == [240, 180]
    assert graph.nodes["item"].texts.to_pylist() == ["Café.", "Turkish Restaurant.", "Jazz Club."]
    assert graph.nodes["item"].coordinates[:2].flatten().tolist() == pytest.approx(
        [55.696132, 37.557842, 41.029717, 28.97442]
    )


def test_snap(known: Callable[[str], Built]) -> None:
    folder, manifest, graph = known("gowalla/SNAP")
    assert graph.nodes["item"].ids.to_pylist() == ["22847", "420315"]
    assert graph.log.time.tolist() == [1287358923, 1287440263, 1287532527]
    assert manifest.relations["friend"] == ["user", "user"]
    path, friends = find_files("gowalla", [folder]).relations["friend"]
    assert path == folder / "loc-gowalla_edges.txt.gz"
    assert RelationMapping.model_validate(friends).columns == ("user", "friend")


def test_rows_without_a_place_are_set_aside(known: Callable[[str], Built]) -> None:
    _, manifest, graph = known("brightkite/SNAP")
    assert sum(manifest.quarantined.values()) == 2
    assert graph.nodes["user"].ids.to_pylist() == ["7", "0"]


def test_getnext(known: Callable[[str], Built]) -> None:
    _, manifest, graph = known("nyc-getnext/GETNext")
    assert graph.log.split.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert graph.nodes["item"].texts.to_pylist() == ["Joe's. Bar.", "Ann's. Café.", "Bar"]
    assert (manifest.split["t_val"], manifest.split["t_test"]) == (1328090400, 1330596000)
    protocol = EvaluationProtocol(**manifest.protocol)
    assert protocol.target_rows(graph, "test").tolist() == [8]
    assert protocol.training_rows(graph).tolist() == [0, 1, 2]


def test_sthgcn(known: Callable[[str], Built]) -> None:
    _, manifest, graph = known("sthgcn/sample")
    assert graph.log.utc_offset.tolist() == [540] * 30
    assert manifest.protocol["targets"] == "session-last"
    assert [manifest.counts[split] for split in ("train", "val", "test")] == [24, 3, 3]


def test_chrono(known: Callable[[str], Built]) -> None:
    assert known("nyc-chrono/blocks").graph.log.split.tolist() == [0] * 18 + [1] * 2 + [2] * 10


USERS = {"latest": [None], "1M": ["F, 1.", "M, 56."], "100K": ["M, 24, technician."]}


@pytest.mark.parametrize("edition", USERS)
def test_movielens(edition: str, known: Callable[[str], Built]) -> None:
    _, manifest, graph = known(f"movielens/{edition}")
    heat = "Heat" if edition == "latest" else "Misérables, Les"
    assert graph.nodes["item"].ids.to_pylist() == ["31", "10", "5"]
    assert graph.nodes["item"].labels.to_pylist() == ["Dangerous Minds (1995)", None, heat]
    genres = "Crime Drama" if edition == "100K" else "Drama, Crime."
    assert graph.nodes["item"].texts.to_pylist()[0] == f"Dangerous Minds (1995). {genres}"
    assert graph.log.weight.tolist() == [2.5, 4.0]
    assert graph.log.time.tolist() == [1260759144, 1260759179]
    assert graph.nodes["user"].texts.to_pylist() == USERS[edition]
    assert manifest.protocol["novel"]


@pytest.mark.parametrize(
    ("form", "time", "weight"),
    [
        ("amazon-2014/5-core", [1252800000, 1252900000], [5, 3]),
        ("amazon-2014/ratings", [1355443200, 1369699200], [3, 5]),
        ("amazon-2018/reviews", [1514764800], [5]),
        ("amazon-2023/reviews", [1588687728], [5]),
        ("amazon-2023/split", [1452647380, 1452647381, 1452647382], [3, 3, 3]),
    ],
)
def test_amazon(form: str, time: list[int], weight: list[float], known: Callable[[str], Built]) -> None:
    graph = known(form).graph
    assert (graph.log.time.tolist(), graph.log.weight.tolist()) == (time, weight)


def test_amazons_metadata_are_literals_of_python(known: Callable[[str], Built]) -> None:
    graph = known("amazon-2014/5-core").graph
    assert dict(zip(graph.nodes["item"].ids.to_pylist(), graph.nodes["item"].labels.to_pylist(), strict=True)) == {
        "0000031852": "Girls' Ballet Tutu",
        "0000013714": "Hymns",
    }
    text = dict(zip(graph.nodes["item"].ids.to_pylist(), graph.nodes["item"].texts.to_pylist(), strict=True))
    assert text["0000031852"].startswith("Girls' Ballet Tutu. Coxlures. ")


def test_yelp(known: Callable[[str], Built]) -> None:
    graph = known("yelp/2022").graph
    texts = ["Body Cycle. Philadelphia, PA.", "Turning Point. Restaurants, Breakfast & Brunch, Food. North Wales, PA."]
    assert graph.nodes["item"].texts.to_pylist() == texts
    assert graph.log.time.tolist() == [1325604498, 1531001351]
    assert graph.nodes["user"].labels.to_pylist() == [None, "Walker"]
    assert graph.nodes["user"].texts.to_pylist() == [None, None]  # a first name says nothing
    assert graph.nodes["item"].coordinates[1].tolist() == pytest.approx([40.2101961875, -75.2236385919])


def test_steam(known: Callable[[str], Built]) -> None:
    graph = known("steam/reviews").graph
    assert graph.nodes["user"].ids.to_pylist() == ["♥ Ariman ♥", "Chaos Syren"]
    assert "Lost Summoner Kitty" in graph.nodes["item"].labels.to_pylist()
    assert graph.log.time.tolist() == [1501632000, 1513468800]


def test_lightgcn(known: Callable[[str], Built]) -> None:
    graph = known("lightgcn/gowalla").graph
    assert graph.log.split.tolist() == [0] * 5 + [1] + [2] * 3  # no user's first event is val
    assert graph.log.time.tolist() == graph.log.split.tolist()
    items = graph.nodes["item"].ids.take(graph.log.item.tolist()).to_pylist()
    assert items == ["0", "1", "2", "2", "4", "3", "3", "4", "0"]
    assert graph.nodes["item"].labels.to_pylist()[0] == "22847"
    assert graph.nodes["user"].ids.to_pylist() == ["0", "1", "2", "3"]  # one of them has no item


def test_recbole(known: Callable[[str], Built]) -> None:
    folder, manifest, graph = known("recbole/ratings")
    assert ["item", "entity"] in manifest.relations.values()
    assert graph.nodes["user"].texts.to_pylist() == ["writer.", None]
    assert graph.nodes["item"].labels.to_pylist() == ['Kolya "the" film', "L.A. Confidential"]
    assert graph.log.weight.tolist() == [3, 3]
    _, triples = find_files("recbole", [folder]).relations["kg"]
    mapping = RelationMapping.model_validate(triples)
    assert (mapping.source, mapping.target, mapping.relation) == ("entity", "entity", "relation_id")
    assert (mapping.file, mapping.links) == (str(folder / "ml-100k.kg"), str(folder / "ml-100k.link"))


def test_recbole_with_places_and_without_times(known: Callable[[str], Built]) -> None:
    for form in ("recbole/check-ins", "recbole/no times", "recbole/split"):
        folder, _, graph = known(form)
        mapping = find_files("recbole", [folder]).mapping
        assert (mapping.lat == "latitude") == (form == "recbole/check-ins")
        assert (mapping.weight == "rating") == mapping.timeless == (form == "recbole/no times")
        assert (graph.log.split.tolist() == [0, 1, 2]) == (form == "recbole/split")


def test_phoenix(known: Callable[[str], Built]) -> None:
    graph = known("phoenix-malls/PHO").graph
    assert [graph.nodes[kind].ids.to_pylist() for kind in ("user", "item", "location")] == [["8"], ["1275"], ["77"]]
    assert graph.log.time.tolist() == [1370271821]


def test_the_files_of_a_split_are_known_by_name_whatever_their_order(tmp_path: Path) -> None:
    write(tmp_path, "nyc-getnext/GETNext")
    files = [tmp_path / f"NYC_{name}.csv" for name in ("test", "val", "train")]
    found = find_files("nyc-getnext", files)
    assert [path.name for path in found.logs] == ["NYC_train.csv", "NYC_val.csv", "NYC_test.csv"]
    assert found.tables["item"][0] == tmp_path / "venues.csv"
    with pytest.raises(GraphrecError, match=r"NYC_train.csv, .* expected, got NYC_test.csv"):
        find_files("nyc-getnext", files[:1])


def test_a_table_goes_with_the_log_of_its_name(tmp_path: Path) -> None:
    write(tmp_path, "amazon-2014/5-core")
    (tmp_path / "meta_Beauty_and_more.json.gz").touch()
    (tmp_path / "meta_Books.json.gz").touch()
    assert find_files("amazon-2014", [tmp_path]).tables["item"][0] == tmp_path / "meta_Beauty.json.gz"
    (tmp_path / "meta_Beauty.json.gz").unlink()
    assert find_files("amazon-2014", [tmp_path]).tables == {}


def test_a_log_packed_and_unpacked_is_one(tmp_path: Path) -> None:
    write(tmp_path, "movielens/latest")
    (tmp_path / "ratings.csv.zst").write_bytes(b"not read")
    assert find_files("movielens", [tmp_path]).logs == [tmp_path / "ratings.csv"]


def test_two_logs_where_one_is_meant_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "foursquare-tsmc/TSMC2014")
    content = (tmp_path / "dataset_TSMC2014_NYC.txt").read_bytes()
    (tmp_path / "dataset_TSMC2014_TKY.txt").write_bytes(content)
    with pytest.raises(
        GraphrecError, match=r"got 2 \(dataset_TSMC2014_NYC.txt, dataset_TSMC2014_TKY.txt\); give the one"
    ):
        find_files("foursquare-tsmc", [tmp_path])
    assert len(find_files("foursquare-tsmc", [tmp_path / "dataset_TSMC2014_TKY.txt"]).logs) == 1


def test_a_file_that_only_has_the_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("user,film,stars\n1,2,3\n")
    with pytest.raises(GraphrecError, match=r"ratings.csv does not begin as this log does .'user,film,stars'"):
        find_files("movielens", [tmp_path])
    (tmp_path / "ratings.csv").rename(tmp_path / "ml-1m.zip")
    with pytest.raises(GraphrecError, match=r"got ml-1m.zip; unpack the archive first"):
        find_files("movielens", [tmp_path])


def test_a_key_of_ones_own_goes_before_the_presets(tmp_path: Path) -> None:
    write(tmp_path, "nyc-getnext/GETNext")
    mapping = {"split_by": "time", "h3_resolution": 5}
    manifest = build_graph([tmp_path], tmp_path / "graph", preset="nyc-getnext", mapping=mapping, text_model="none")
    assert manifest.split["method"] == "time"
    assert manifest.locations["resolution"] == 5


def test_presets_are_listed_when_one_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(GraphrecError, match=r"did you mean 'movielens'\?; there are foursquare-tsmc, "):
        load_preset("movie-lens")
    with pytest.raises(GraphrecError, match=r"files named .* expected, got an empty folder"):
        find_files("movielens", [tmp_path])


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_documented_with_its_files_columns_and_counts(name: str) -> None:
    section = re.search(rf"^## {name}$(.*?)(?=^## |\Z)", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert section is not None
    words = [pattern for layout in presets()[name].layouts for logs in layout.logs for pattern in logs.split("|")]
    for layout in presets()[name].layouts:
        tables = [table.file for table in (layout.items, layout.users, layout.locations) if table]
        words += [
            file
            for files in (*tables, *(edge["file"] for edge in layout.relations.values()))
            for file in files.split("|")
        ]
        words += ColumnMapping.of(layout.mapping).roles().values()
    assert [word for word in words if f"`{word}`" not in section[1]] == []
    if not name.startswith("amazon"):  # too many to list
        numbers = [f"{edition.rows[0]:,}" for edition in editions().get(name, ())]
        assert [number for number in numbers if number not in section[1]] == []


def test_editions_are_known_by_their_counts() -> None:
    found = recognise("movielens", {"rows": 100_004, "users": 671, "listed": 9_125})
    assert found is not None
    assert found.name == "MovieLens latest-small of October 2016"
    assert check_counts("movielens", {"rows": 100_004, "users": 671}) == []
    assert check_counts("brightkite", {"rows": 4_747_290, "events": 4_491_143}) == []  # those that can be used
    assert check_counts("recbole", {"rows": 3}) == []  # nothing is known
    assert set(editions()) <= set(presets())


@pytest.mark.parametrize(
    ("preset", "counts", "sentence"),
    [
        (
            "gowalla",
            {"rows": 50, "users": 3},
            "gowalla: 6,442,892 rows, 107,092 users expected, got 50 rows, 3 users: "
            "this is another version or a part of it",
        ),
        (
            "movielens",
            {"rows": 20_000_263, "users": 7},
            "movielens: MovieLens 20M (the nearest of 10 editions) has 20,000,263 rows, 138,493 users, "
            "got 20,000,263 rows, 7 users: this is another version or a part of it",
        ),
    ],
)
def test_another_version_is_told(preset: str, counts: dict[str, int], sentence: str) -> None:
    assert check_counts(preset, counts) == [sentence]


def test_editions_with_names_of_their_own_are_told_by_them() -> None:
    [sentence] = check_counts("amazon-2014", {"rows": 7}, ["reviews_Beauty_5.json.gz"])
    assert sentence.startswith("amazon-2014: 198,502 rows expected, got 7 rows")
    assert check_counts("amazon-2014", {"rows": 7}, ["reviews_Another.json.gz"]) == []


REAL = {
    "nyc-getnext": ("nyc-getnext", {"events": 104_850, "user": 1_075, "item": 5_134}, {"val": 1_410, "test": 1_348}),
    "nyc-chrono": ("nyc-chrono", {"events": 113_344, "user": 1_082, "item": 4_988}, {}),
    "movielens": ("ml-latest-small", {"events": 100_004, "user": 671, "item": 9_125, "location": 0}, {}),
    "lightgcn": ("gowalla-cf", {"events": 1_027_370, "user": 29_858, "item": 40_981, "location": 0}, {}),
    "phoenix-malls": ("phoenix-malls", {"events": 22_610, "user": 1_623, "item": 3_413, "location": 2_441}, {}),
}


@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_real_logs_have_their_known_counts(name: str, tmp_path: Path) -> None:
    folder, counts, targets = REAL[name]
    root = os.environ.get("GRAPHREC_DATA")
    if root is None or not (Path(root) / folder).is_dir():
        pytest.skip(f"GRAPHREC_DATA does not lead to a folder with {folder}")
    manifest = build_graph([Path(root) / folder], tmp_path / "graph", preset=name, text_model="none")
    assert {key: manifest.counts[key] for key in counts} == counts
    graph, protocol = TemporalGraph.open(tmp_path / "graph"), EvaluationProtocol(**manifest.protocol)
    assert {split: len(protocol.target_rows(graph, split)) for split in targets} == targets
