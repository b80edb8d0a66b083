"""Logs that are known by name: small files in their very format, and the real ones where they are."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from builders.editions import check_counts, editions, recognise
from builders.graph import build_graph
from builders.mapping import Mapping
from builders.presets import find_files, load_preset, presets
from builders.relation_mapping import RelationMapping
from graphrec.errors import GraphrecError
from graphrec.graph import TemporalGraph
from graphrec.protocol import Protocol
from tests.known_logs import KNOWN, write

DOCS = Path(__file__).parents[1] / "docs" / "presets.md"


def build(folder: Path, name: str, files: list[Path] | None = None) -> tuple[dict[str, Any], TemporalGraph]:
    manifest = build_graph(files or [folder], folder / "graph", preset=name, text_model="none", max_bad=0.6)
    return manifest, TemporalGraph.open(folder / "graph")


def known(folder: Path, form: str) -> tuple[dict[str, Any], TemporalGraph]:
    return build(write(folder, form), form.split("/")[0])


COUNTS = {
    "foursquare-tsmc/TSMC2014": (2, 2, 2),
    "foursquare-tsmc/Kaggle": (1, 1, 1),
    "foursquare-global/TIST2015": (2, 2, 3),
    "foursquare-global/WWW2019": (2, 2, 3),
    "gowalla/SNAP": (3, 2, 2),
    "brightkite/SNAP": (2, 2, 2),
    "nyc-getnext/GETNext": (9, 1, 3),
    "tky-getnext/GETNext": (9, 1, 3),
    "ca-getnext/GETNext": (9, 1, 3),
    "sthgcn/sample": (30, 1, 4),
    "sthgcn/California": (36, 1, 2),
    "nyc-chrono/blocks": (30, 1, 3),
    "phoenix-malls/PHO": (1, 1, 1),
    "movielens/latest": (2, 1, 3),
    "movielens/Kaggle": (2, 1, 3),
    "movielens/1M": (2, 1, 3),
    "movielens/10M": (2, 1, 3),
    "movielens/100K": (2, 1, 3),
    "amazon-2014/5-core": (2, 1, 2),
    "amazon-2014/ratings": (2, 2, 2),
    "amazon-2018/reviews": (1, 1, 1),
    "amazon-2018/ratings": (1, 1, 1),
    "amazon-2023/reviews": (1, 1, 1),
    "amazon-2023/split": (3, 1, 3),
    "amazon-2023/ratings": (1, 1, 1),
    "yelp/2022": (2, 2, 2),
    "steam/reviews": (2, 2, 3),
    "lightgcn/gowalla": (9, 3, 5),
    "recbole/ratings": (2, 2, 2),
    "recbole/check-ins": (2, 1, 2),
    "recbole/no times": (3, 2, 2),
    "recbole/split": (3, 1, 3),
}
"""Events of each of the known logs, users in them, and items, those that a table alone lists among them."""


@pytest.mark.parametrize("form", KNOWN)
def test_every_form_is_built_and_has_its_counts(form: str, tmp_path: Path) -> None:
    manifest, graph = known(tmp_path, form)
    assert (len(graph.log), len(graph.log.user.unique()), manifest["counts"]["item"]) == COUNTS[form]


def test_every_form_of_every_preset_has_a_log_here(tmp_path: Path) -> None:
    built = set()
    for place, form in enumerate(KNOWN):
        name, folder = form.split("/")[0], tmp_path / str(place)
        folder.mkdir()
        found = find_files(name, [write(folder, form)])
        built.add((name, load_preset(name).forms.index(found.form)))
    assert built == {(name, place) for name, preset in presets().items() for place in range(len(preset.forms))}


def test_foursquare(tmp_path: Path) -> None:
    manifest, graph = known(tmp_path, "foursquare-tsmc/TSMC2014")
    assert graph.nodes["user"].ids.to_pylist() == ["470", "979"]
    assert graph.nodes["item"].texts.to_pylist() == ["Café", 'Bridge "old"']
    assert graph.log.time.tolist() == [1333476009, 1333476025]
    assert graph.log.utc_offset.tolist() == [-240, -240]
    assert manifest["kinds"] == ["check-in"]
    mine = (tmp_path / "dataset_TSMC2014_NYC.txt").rename(tmp_path / "mine.txt")
    assert len(build(tmp_path, "foursquare-tsmc", [mine])[1].log) == 2  # a single log has any name


def test_foursquare_global(tmp_path: Path) -> None:
    _, graph = known(tmp_path, "foursquare-global/TIST2015")
    assert graph.log.utc_offset.tolist() == [240, 180]
    assert graph.nodes["item"].texts.to_pylist() == ["Café.", "Turkish Restaurant.", "Jazz Club."]
    assert graph.nodes["item"].coordinates[:2].flatten().tolist() == pytest.approx(
        [55.696132, 37.557842, 41.029717, 28.97442]
    )


def test_snap(tmp_path: Path) -> None:
    _, graph = known(tmp_path, "gowalla/SNAP")
    assert graph.nodes["item"].ids.to_pylist() == ["22847", "420315"]
    assert graph.log.time.tolist() == [1287358923, 1287440263, 1287532527]
    path, friends = find_files("gowalla", [tmp_path]).relations["friend"]
    assert path == tmp_path / "loc-gowalla_edges.txt.gz"
    assert RelationMapping.model_validate(friends).columns == ("user", "friend")


def test_rows_without_a_place_are_set_aside(tmp_path: Path) -> None:
    manifest, graph = known(tmp_path, "brightkite/SNAP")
    assert sum(manifest["quarantined"].values()) == 2
    assert graph.nodes["user"].ids.to_pylist() == ["7", "0"]


def test_getnext(tmp_path: Path) -> None:
    manifest, graph = known(tmp_path, "nyc-getnext/GETNext")
    assert graph.log.split.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert graph.nodes["item"].texts.to_pylist() == ["Joe's. Bar.", "Ann's. Café.", "Bar"]
    assert (manifest["split"]["t_val"], manifest["split"]["t_test"]) == (1328090400, 1330596000)
    protocol = Protocol(**manifest["protocol"])
    assert protocol.target_rows(graph, "test").tolist() == [8]
    assert protocol.training_rows(graph).tolist() == [0, 1, 2]


def test_sthgcn(tmp_path: Path) -> None:
    manifest, graph = known(tmp_path, "sthgcn/sample")
    assert graph.log.utc_offset.tolist() == [540] * 30
    assert manifest["protocol"]["targets"] == "session-last"
    assert [manifest["counts"][split] for split in ("train", "val", "test")] == [24, 3, 3]


def test_chrono(tmp_path: Path) -> None:
    assert known(tmp_path, "nyc-chrono/blocks")[1].log.split.tolist() == [0] * 18 + [1] * 2 + [2] * 10


@pytest.mark.parametrize("edition", ["latest", "Kaggle", "1M", "10M", "100K"])
def test_movielens(edition: str, tmp_path: Path) -> None:
    manifest, graph = known(tmp_path, f"movielens/{edition}")
    heat = "Heat" if edition in ("latest", "Kaggle") else "Misérables, Les"
    assert graph.nodes["item"].ids.to_pylist() == ["31", "10", "5"]
    assert graph.nodes["item"].labels.to_pylist() == ["Dangerous Minds (1995)", None, heat]
    genres = "Crime Drama" if edition == "100K" else "Drama, Crime."
    assert graph.nodes["item"].texts.to_pylist()[0] == f"Dangerous Minds (1995). {genres}"
    assert graph.log.weight.tolist() == [2.5, 4.0]
    assert graph.log.time.tolist() == [1260759144, 1260759179]
    assert manifest["protocol"]["novel"]


@pytest.mark.parametrize(
    ("form", "time", "weight"),
    [
        ("amazon-2014/5-core", [1252800000, 1252900000], [5, 3]),
        ("amazon-2014/ratings", [1355443200, 1369699200], [3, 5]),
        ("amazon-2018/reviews", [1514764800], [5]),
        ("amazon-2018/ratings", [1514764800], [5]),
        ("amazon-2023/reviews", [1588687728], [5]),
        ("amazon-2023/ratings", [1452647382], [3]),
    ],
)
def test_amazon(form: str, time: list[int], weight: list[float], tmp_path: Path) -> None:
    _, graph = known(tmp_path, form)
    assert (graph.log.time.tolist(), graph.log.weight.tolist()) == (time, weight)


def test_amazons_metadata_are_literals_of_python(tmp_path: Path) -> None:
    _, graph = known(tmp_path, "amazon-2014/5-core")
    assert dict(zip(graph.nodes["item"].ids.to_pylist(), graph.nodes["item"].labels.to_pylist(), strict=True)) == {
        "0000031852": "Girls' Ballet Tutu",
        "0000013714": "Hymns",
    }
    text = dict(zip(graph.nodes["item"].ids.to_pylist(), graph.nodes["item"].texts.to_pylist(), strict=True))
    assert text["0000031852"].startswith("Girls' Ballet Tutu. Coxlures. ")


def test_yelp(tmp_path: Path) -> None:
    _, graph = known(tmp_path, "yelp/2022")
    texts = ["Body Cycle. Philadelphia, PA.", "Turning Point. Restaurants, Breakfast & Brunch, Food. North Wales, PA."]
    assert graph.nodes["item"].texts.to_pylist() == texts
    assert graph.log.time.tolist() == [1325604498, 1531001351]
    assert graph.nodes["item"].coordinates[1].tolist() == pytest.approx([40.2101961875, -75.2236385919])


def test_steam(tmp_path: Path) -> None:
    _, graph = known(tmp_path, "steam/reviews")
    assert graph.nodes["user"].ids.to_pylist() == ["♥ Ariman ♥", "Chaos Syren"]
    assert "Lost Summoner Kitty" in graph.nodes["item"].labels.to_pylist()
    assert graph.log.time.tolist() == [1501632000, 1513468800]


def test_lightgcn(tmp_path: Path) -> None:
    _, graph = known(tmp_path, "lightgcn/gowalla")
    assert graph.log.time.tolist() == [0] * 6 + [1] * 3
    assert graph.log.split.tolist() == [0] * 6 + [2] * 3
    items = graph.nodes["item"].ids.take(graph.log.item.tolist()).to_pylist()
    assert items == ["0", "1", "2", "2", "3", "4", "3", "4", "0"]
    assert graph.nodes["item"].labels.to_pylist()[0] == "22847"


def test_recbole(tmp_path: Path) -> None:
    _, graph = known(tmp_path, "recbole/ratings")
    assert graph.nodes["item"].labels.to_pylist() == ['Kolya "the" film', "L.A. Confidential"]
    assert graph.log.weight.tolist() == [3, 3]
    _, triples = find_files("recbole", [tmp_path]).relations["kg"]
    mapping = RelationMapping.model_validate(triples)
    assert (mapping.source, mapping.target, mapping.relation) == ("entity", "entity", "relation_id")
    assert (mapping.file, mapping.links) == (str(tmp_path / "ml-100k.kg"), str(tmp_path / "ml-100k.link"))


def test_recbole_with_places_and_without_times(tmp_path: Path) -> None:
    for form in ("recbole/check-ins", "recbole/no times", "recbole/split"):
        folder = tmp_path / form.replace("/", "-")
        folder.mkdir()
        _, graph = known(folder, form)
        mapping = find_files("recbole", [folder]).mapping
        assert (mapping.lat == "latitude") == (form == "recbole/check-ins")
        assert (mapping.weight == "rating") == mapping.timeless == (form == "recbole/no times")
        assert (graph.log.split.tolist() == [0, 1, 2]) == (form == "recbole/split")


def test_phoenix(tmp_path: Path) -> None:
    _, graph = known(tmp_path, "phoenix-malls/PHO")
    assert [graph.nodes[kind].ids.to_pylist() for kind in ("user", "item", "location")] == [["8"], ["1275"], ["77"]]
    assert graph.log.time.tolist() == [1370271821]


def test_the_files_of_a_split_are_known_by_name_whatever_their_order(tmp_path: Path) -> None:
    write(tmp_path, "nyc-getnext/GETNext")
    files = [tmp_path / f"NYC_{name}.csv" for name in ("test", "val", "train")]
    found = find_files("nyc-getnext", files)
    assert [path.name for path in found.logs] == ["NYC_train.csv", "NYC_val.csv", "NYC_test.csv"]
    assert found.items == tmp_path / "venues.csv"
    with pytest.raises(GraphrecError, match=r"NYC_train.csv, .* expected, got NYC_test.csv"):
        find_files("nyc-getnext", files[:1])


def test_a_table_goes_with_the_log_of_its_name(tmp_path: Path) -> None:
    write(tmp_path, "amazon-2014/5-core")
    (tmp_path / "meta_Beauty_and_more.json.gz").touch()
    (tmp_path / "meta_Books.json.gz").touch()
    assert find_files("amazon-2014", [tmp_path]).items == tmp_path / "meta_Beauty.json.gz"
    (tmp_path / "meta_Beauty.json.gz").unlink()
    assert find_files("amazon-2014", [tmp_path]).items is None


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
    assert manifest["split"]["method"] == "time"
    assert manifest["locations"]["resolution"] == 5


def test_presets_are_listed_when_one_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(GraphrecError, match=r"did you mean 'movielens'\?; there are foursquare-tsmc, "):
        load_preset("movie-lens")
    with pytest.raises(GraphrecError, match=r"files named .* expected, got an empty folder"):
        find_files("movielens", [tmp_path])


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_documented_with_its_files_columns_and_counts(name: str) -> None:
    section = re.search(rf"^## {name}$(.*?)(?=^## |\Z)", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert section is not None
    words = [pattern for form in presets()[name].forms for logs in form.logs for pattern in logs.split("|")]
    for form in presets()[name].forms:
        tables = [table.file for table in (form.items, form.users, form.locations) if table]
        words += [
            file
            for files in (*tables, *(edge["file"] for edge in form.relations.values()))
            for file in files.split("|")
        ]
        words += Mapping.of(form.mapping).roles().values()
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
    assert {key: manifest["counts"][key] for key in counts} == counts
    graph, protocol = TemporalGraph.open(tmp_path / "graph"), Protocol(**manifest["protocol"])
    assert {split: len(protocol.target_rows(graph, split)) for split in targets} == targets
