"""Declared relations: read from files, turned into edges, opened in a graph and hidden before their time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from builders.assemble.edges import DeclaredEdges, edges
from builders.assemble.nodes import SCHEMA
from builders.engine.backend import Engine
from builders.engine.connect import connect
from builders.ingest.parts import Part
from builders.ingest.relations import ROWS, ingest_links, ingest_relation, relation_rows
from builders.mapping.relation_mapping import RelationMapping, check_relation_name
from graphrec.errors import InputError, MappingError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX, TIME_MIN

FRIENDS = "0\t1\n1\t0\n1\t2\n2\t1\n0\t9\n"
"""As Gowalla's: no header, both directions, and a user (9) who never checked in."""
KG = """head_id:token\trelation_id:token\ttail_id:token
m.heat\tfilm.film.director\tm.mann
m.ronin\tfilm.film.director\tm.frank
m.mann\tpeople.person.sibling\tm.frank
m.heat\tfilm.film.sequel\tm.ronin
m.heat\tfilm.film.director\tm.mann
m.other\tfilm.film.director\tm.mann
\tfilm.film.director\tm.mann
"""
LINK = "item_id:token\tentity_id:token\nheat\tm.heat\nronin\tm.ronin\ncasino\tm.other\n"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    (tmp_path / "engine").mkdir()
    return connect(tmp_path / "engine")


def nodes(**ids: dict[str, int] | list[str]) -> dict[str, pa.Table]:
    """Node tables from ids, with ``first_seen`` by id or TIME_MIN."""
    tables = {}
    for kind in ("user", "item", "location"):
        known = ids.get(kind, [])
        since = known if isinstance(known, dict) else dict.fromkeys(known, TIME_MIN)
        columns = {"id": list(since), "first_seen": list(since.values())}
        empty = {name: [None] * len(since) for name in SCHEMA.names}
        tables[kind] = pa.table({**empty, **columns}, schema=SCHEMA)
    return tables


def rows(*ties: tuple[Any, ...], relation: str | None = None) -> pa.Table:
    """Rows of a relation from ``(source type, id, target type, id[, valid from[, predicate]])``."""
    padded = [(*tie, *[None, relation][len(tie) - 4 :]) for tie in ties]
    records = [
        {"file": "ties.csv", "row": row, "relation": predicate, "source_type": source, "source_id": head,
         "target_type": target, "target_id": tail, "valid_from": since}
        for row, (source, head, target, tail, since, predicate) in enumerate(padded, start=1)
    ]  # fmt: skip
    return pa.Table.from_pylist(records, ROWS)


def found(table: pa.Table, tables: dict[str, pa.Table], ends: list[str]) -> list[tuple[str, str, int | None]]:
    """The edges of a relation by their ids."""
    source, target = (tables[kind]["id"].to_pylist() for kind in ends)
    return [(source[row["source"]], target[row["target"]], row["valid_from"]) for row in table.to_pylist()]


def by_ids(added: DeclaredEdges, tables: dict[str, pa.Table]) -> dict[str, list[tuple[str, str, int | None]]]:
    every = {**tables, **added.nodes}
    return {name: found(table, every, added.endpoints[name]) for name, table in added.relations.items()}


def directory(folder: Path, tables: dict[str, pa.Table], added: DeclaredEdges, times: list[int]) -> Path:
    """A graph directory with the declared edges and one event of the first user and item at each time."""
    (folder / "nodes").mkdir(parents=True)
    (folder / "relations").mkdir()
    every = {**tables, **added.nodes}
    for kind, table in every.items():
        pq.write_table(table, folder / "nodes" / f"{kind}.parquet")
    for name, table in added.relations.items():
        pq.write_table(table, folder / "relations" / f"{name}.parquet")
    zero = [0] * len(times)
    types = {"user": pa.int32(), "item": pa.int32(), "location": pa.int32(), "time": pa.int64(), "kind": pa.int8(),
             "utc_offset": pa.int16(), "weight": pa.float32(), "split": pa.int8(), "session": pa.int32()}  # fmt: skip
    columns = {"time": times, "location": [-1] * len(times), "session": [-1] * len(times)}
    log = pa.table({name: pa.array(columns.get(name, zero), dtype) for name, dtype in types.items()})
    pq.write_table(log, folder / "events.parquet")
    manifest = {"format": 1, "node_types": list(every), "relations": added.endpoints}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


# --- reading -------------------------------------------------------------------------------------------------------


def read(
    engine: Engine, folder: Path, text: str, mapping: dict[str, Any], links: str | None = None
) -> tuple[pa.Table, RelationMapping, pa.Table]:
    """Write and read a relation's file: its rows, the settled mapping, what was set aside."""
    (folder / "ties.txt").write_text(text)
    if links is not None:
        (folder / "ties.link").write_text(links)
        mapping = {**mapping, "links": str(folder / "ties.link")}
    given = RelationMapping.model_validate({"file": str(folder / "ties.txt"), **mapping})
    rows, complete = ingest_relation(engine, "kg", given, folder / "relation.parquet")
    linked = [ingest_links(engine, "kg", given, folder / "links.parquet").part] if links else []
    table = relation_rows(engine, "kg", complete, [rows.part], linked)
    assert table.schema == ROWS
    return table, complete, rows.quarantine


def test_social_ties_without_a_header(engine: Engine, tmp_path: Path) -> None:
    table, mapping, bad = read(engine, tmp_path, FRIENDS, {"both_ways": True})
    assert (mapping.source, mapping.target, mapping.source_id, mapping.target_id) == (
        "user", "user", "column1", "column2"
    )  # fmt: skip
    assert len(bad) == 0
    tables = nodes(user=["2", "0", "1"])
    added = edges({"friends": table}, {"friends": mapping}, tables, {})
    assert added.endpoints == {"friends": ["user", "user"]}
    assert by_ids(added, tables) == {
        "friends": [("2", "1", None), ("0", "1", None), ("1", "2", None), ("1", "0", None)]
    }
    assert added.unknown.to_pylist() == [
        {"file": "ties.txt", "row": 5, "column": None, "reason": "unknown user", "value": "9"}
    ]


def test_triples_and_links_as_recbole_has_them(engine: Engine, tmp_path: Path) -> None:
    table, mapping, bad = read(engine, tmp_path, KG, {}, LINK)
    assert mapping.relation == "relation_id"
    assert [(row["row"], row["reason"]) for row in bad.to_pylist()] == [(7, "missing source")]
    tables = nodes(item=["ronin", "heat"])
    added = edges({"kg": table}, {"kg": mapping}, tables, {})
    assert by_ids(added, tables) == {
        "kg:film.film.director:item->entity": [("ronin", "m.frank", None), ("heat", "m.mann", None)],
        "kg:people.person.sibling:entity->entity": [("m.mann", "m.frank", None)],
        "kg:film.film.sequel:item->item": [("heat", "ronin", None)],
    }
    assert added.endpoints["kg:film.film.director:item->entity"] == ["item", "entity"]
    assert added.nodes["entity"]["id"].to_pylist() == ["m.mann", "m.frank"]
    assert [row["reason"] for row in added.unknown.to_pylist()] == ["unknown item"]


@pytest.mark.parametrize("since", ["1704067200", "2024-01-01", "2024-01-01T01:00:00+01:00"])
def test_times_in_any_format_and_from_an_obvious_column(engine: Engine, tmp_path: Path, since: str) -> None:
    table, mapping, bad = read(engine, tmp_path, f"follower,since,followed\na,{since},b\nc,,d\ne,soon,f\n", {})
    assert (mapping.source_id, mapping.target_id, mapping.valid_from) == ("follower", "followed", "since")
    assert table["valid_from"].to_pylist() == [1_704_067_200, None]
    assert [(row["column"], row["reason"], row["value"]) for row in bad.to_pylist()] == [
        ("since", "unparsable time", "soon")
    ]


@pytest.mark.parametrize(
    ("text", "mapping", "heads"),
    [
        ("ann,bob\nbob,eve\n", {}, ["ann", "bob"]),  # bob is somebody, so the first line names no columns
        ("ann,ann\nbob,eve\n", {}, ["ann", "bob"]),
        ("ann,bob\nbob,eve\n", {"header": True}, ["bob"]),
        ("person,chum\nbob,eve\n", {}, ["bob"]),
        ("person,chum\nchum,person\n", {"target_id": "chum"}, ["chum"]),
        ("follower,followed\nfollower,eve\n", {}, ["follower"]),
    ],
)
def test_a_first_line_of_ids_is_no_header(
    text: str, mapping: dict[str, Any], heads: list[str], engine: Engine, tmp_path: Path
) -> None:
    assert read(engine, tmp_path, text, mapping)[0]["source_id"].to_pylist() == heads


def test_ids_stay_as_they_were_written(engine: Engine, tmp_path: Path) -> None:
    table, _, _ = read(engine, tmp_path, "sku;brand\n007;Ä & Co\n8 ;\\N\n", {"source": "item", "target": "brand"})
    assert table.select(["source_id", "target_id"]).to_pylist() == [{"source_id": "007", "target_id": "Ä & Co"}]


def test_json_lines_and_a_line_that_is_none(engine: Engine, tmp_path: Path) -> None:
    table, _, bad = read(engine, tmp_path, '{"a": "x", "b": "y"}\nnonsense\n\n{"a": "z", "b": "x"}\n', {})
    assert table.select(["row", "source_id"]).to_pylist() == [
        {"row": 1, "source_id": "x"},
        {"row": 4, "source_id": "z"},
    ]
    assert bad["reason"].to_pylist() == ["not a JSON object"]


def test_rows_of_several_parts_keep_their_files(engine: Engine, tmp_path: Path) -> None:
    parts: list[Part] = []
    for place, text in enumerate(("a,b\nc,d\n", "e,f\n")):
        (tmp_path / f"{place}.csv").write_text(text)
        given = RelationMapping(file=str(tmp_path / f"{place}.csv"), header=False)
        before = sum(part.rows for part in parts)
        rows, mapping = ingest_relation(engine, "friends", given, tmp_path / f"{place}.parquet", before)
        parts.append(rows.part)
    table = relation_rows(engine, "friends", mapping, parts)
    assert table.select(["file", "row", "source_id"]).to_pylist() == [
        {"file": "0.csv", "row": 1, "source_id": "a"},
        {"file": "0.csv", "row": 2, "source_id": "c"},
        {"file": "1.csv", "row": 1, "source_id": "e"},
    ]


@pytest.mark.parametrize(
    ("mapping", "text", "message"),
    [
        (
            {"target_id": "frend"},
            "user,friend\na,b\n",
            "kg: target_id: .* has no column 'frend', did you mean 'friend'",
        ),
        ({}, "user\na\n", "two columns with ids expected, it has user"),
        ({"file": "nothing.csv"}, "a,b\nc,d\n", "kg: there is no file nothing.csv"),
    ],
)
def test_what_cannot_be_read_is_said(
    mapping: dict[str, Any], text: str, message: str, engine: Engine, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        read(engine, tmp_path, text, mapping)


def test_names_and_types_that_cannot_be_files_are_refused() -> None:
    with pytest.raises(ValidationError, match="a node type such as"):
        RelationMapping(file="x", target="../brand")
    for name in ("at", "near", "a/b", "", "x" * 41):
        with pytest.raises(MappingError, match="relations: a name of letters"):
            check_relation_name(name)
    check_relation_name("knowledge-graph_2")


def test_types_that_are_not_said_follow_from_what_is() -> None:
    types = [
        (mapping.source, mapping.target)
        for mapping in (
            RelationMapping(file="x"),
            RelationMapping(file="x", relation="predicate"),
            RelationMapping(file="x", links="y"),
            RelationMapping(file="x", relation="predicate", source="user"),
        )
    ]
    assert types == [("user", "user"), ("item", "entity"), ("entity", "entity"), ("user", "entity")]


@pytest.mark.parametrize("relation", [None, "predicate"])
@pytest.mark.parametrize("source", ["user", "item", "entity"])
def test_a_saved_mapping_keeps_its_types(relation: str | None, source: str) -> None:
    mapping = RelationMapping(file="x", source=source, target="user").model_copy(update={"relation": relation})
    assert RelationMapping.model_validate(mapping.model_dump(exclude_defaults=True)) == mapping


# --- edges ---------------------------------------------------------------------------------------------------------

TIES = RelationMapping(file="ties.csv")
BRANDS = RelationMapping(file="ties.csv", source="item", target="brand")


def test_an_edge_that_is_told_twice_holds_from_its_earliest_time() -> None:
    table = rows(("user", "a", "user", "b", 50), ("user", "a", "user", "b", 20), ("user", "b", "user", "a", 9))
    tables = nodes(user=["a", "b"])
    assert by_ids(edges({"t": table}, {"t": TIES}, tables, {}), tables) == {"t": [("a", "b", 20), ("b", "a", 9)]}


def test_an_edge_is_not_known_before_its_ends() -> None:
    table = rows(("user", "a", "user", "b"), ("user", "b", "user", "a", 170))
    tables = nodes(user={"a": TIME_MIN, "b": 100})
    table = pa.concat_tables([table, rows(("user", "b", "user", "b"))])
    assert by_ids(edges({"t": table}, {"t": TIES}, tables, {}), tables) == {
        "t": [("a", "b", 100), ("b", "b", 100), ("b", "a", 170)]
    }


def test_a_declared_node_is_known_from_its_first_edge_whose_other_end_is_known() -> None:
    table = rows(
        ("item", "i", "brand", "early", 10), ("item", "i", "brand", "early", 30), ("item", "late", "brand", "later"),
        ("item", "i", "brand", "always"),
    )  # fmt: skip
    tables = nodes(item={"i": TIME_MIN, "late": 500})
    brands = edges({"b": table}, {"b": BRANDS}, tables, {}).nodes["brand"]
    assert brands.schema == SCHEMA
    assert dict(zip(brands["id"].to_pylist(), brands["first_seen"].to_pylist(), strict=True)) == {
        "early": 10, "later": 500, "always": TIME_MIN
    }  # fmt: skip


def test_both_ways_between_types_is_two_relations() -> None:
    both = BRANDS.model_copy(update={"both_ways": True})
    tables = nodes(item=["i"])
    added = edges({"b": rows(("item", "i", "brand", "x", 5))}, {"b": both}, tables, {})
    assert by_ids(added, tables) == {"b:item->brand": [("i", "x", 5)], "b:brand->item": [("x", "i", 5)]}


def test_more_predicates_than_relations_can_be_are_one_relation() -> None:
    def names(count: int) -> list[str]:
        table = rows(*(("item", "i", "brand", "x", None, f"p{number}") for number in range(count)))
        return list(edges({"kg": table}, {"kg": BRANDS}, nodes(item=["i"]), {}).relations)

    assert names(32) == [f"kg:p{number}" for number in range(32)]
    assert names(33) == ["kg"]


def test_a_predicate_becomes_a_name_that_a_file_can_have() -> None:
    predicates = ["http://dbpedia.org/ontology/director", "../up", "is in", "режиссёр", "x" * 500, "y" * 500]
    table = rows(*(("item", "i", "brand", "x", None, predicate) for predicate in predicates))
    names = list(edges({"kg": table}, {"kg": BRANDS}, nodes(item=["i"]), {}).relations)
    assert names[:4] == ["kg:http%3A%2F%2Fdbpedia.org%2Fontology%2Fdirector", "kg:..%2Fup", "kg:is%20in", "kg:режиссёр"]
    assert len(set(names)) == 6
    assert all(len(name.encode()) <= 120 and "/" not in name for name in names)


def test_a_relation_of_strangers_is_refused() -> None:
    with pytest.raises(InputError, match=r"relations: t: no row of ties.csv .* unknown user 'x' in row 1; say"):
        edges({"t": rows(("user", "x", "user", "b"))}, {"t": TIES}, nodes(user=["a", "b"]), {})


def test_no_relations_and_no_rows_are_fine() -> None:
    assert edges({}, {}, nodes(), {}).relations == {}
    assert edges({"t": rows()}, {"t": TIES}, nodes(user=["a"]), {}).relations == {}


def test_old_codes_stay_and_a_node_without_a_row_is_never_known() -> None:
    table = rows(("item", "i", "brand", "new"), ("item", "i", "brand", "old"))
    old = {"brand": pa.array(["", "gone", "", "old"])}  # '' is what forgotten nodes are called
    added = edges({"b": table}, {"b": BRANDS}, nodes(item=["i"]), old)
    assert added.nodes["brand"]["id"].to_pylist() == ["", "gone", "", "old", "new"]
    assert added.nodes["brand"]["first_seen"].to_pylist() == [TIME_MAX, TIME_MAX, TIME_MAX, TIME_MIN, TIME_MIN]
    assert by_ids(added, nodes(item=["i"])) == {"b": [("i", "old", None), ("i", "new", None)]}


TYPES = st.sampled_from(["user", "item", "brand"])
TIMES = st.one_of(st.none(), st.integers(0, 9))
TRIPLES = st.lists(
    st.tuples(TYPES, st.sampled_from("abcd"), TYPES, st.sampled_from("abcd"), TIMES, st.sampled_from("pq")), max_size=25
)
SINCE = st.dictionaries(st.sampled_from("abc"), st.one_of(st.just(TIME_MIN), st.integers(0, 9)), min_size=1)
TRIPLE = RelationMapping(file="ties.csv", links="ties.link")


def slowly(triples: list[tuple[Any, ...]], users: dict[str, int], items: dict[str, int], both_ways: bool) -> Any:
    """Edges and first sights of brands, one row at a time."""
    first: dict[tuple[str, str], int] = {("user", key): time for key, time in users.items()}
    first |= {("item", key): time for key, time in items.items()}
    kept = [row for row in triples if all(end[0] == "brand" or end in first for end in (row[:2], row[2:4]))]
    brands: dict[str, int] = {}
    for row in kept:
        valid = TIME_MIN if row[4] is None else row[4]
        for end, other in ((row[:2], row[2:4]), (row[2:4], row[:2])):
            if end[0] == "brand":
                known = max(valid, first.get(other, TIME_MIN))
                brands[end[1]] = min(brands.get(end[1], TIME_MAX), known)
    first |= {("brand", key): time for key, time in brands.items()}
    best: dict[tuple[str, str, str], int] = {}
    for row in kept + [(*row[2:4], *row[:2], *row[4:]) for row in kept if both_ways]:
        key = (f"t:{row[5]}:{row[0]}->{row[2]}", row[1], row[3])
        best[key] = min(
            best.get(key, TIME_MAX), max(TIME_MIN if row[4] is None else row[4], first[row[:2]], first[row[2:4]])
        )
    return best, brands, len(triples) - len(kept)


@settings(deadline=None, max_examples=150)
@given(TRIPLES, SINCE, SINCE, st.booleans())
def test_edges_equal_a_slow_reference(
    triples: list[tuple[Any, ...]], users: dict[str, int], items: dict[str, int], both_ways: bool
) -> None:
    tables, mapping = nodes(user=users, item=items), TRIPLE.model_copy(update={"both_ways": both_ways})
    best, brands, unknown = slowly(triples, users, items, both_ways)
    if unknown and unknown == len(triples):
        with pytest.raises(InputError, match="no row of"):
            edges({"t": rows(*triples)}, {"t": mapping}, tables, {})
        return
    added = edges({"t": rows(*triples)}, {"t": mapping}, tables, {})
    ways = by_ids(added, tables)
    assert {(name, a, b): TIME_MIN if t is None else t for name, ties in ways.items() for a, b, t in ties} == best
    assert sum(map(len, ways.values())) == len(best)
    assert len(added.unknown) == unknown
    for table in added.relations.values():
        order = [
            (row["source"], TIME_MIN if row["valid_from"] is None else row["valid_from"]) for row in table.to_pylist()
        ]
        assert order == sorted(order)
    known = added.nodes.get("brand", SCHEMA.empty_table())
    assert dict(zip(known["id"].to_pylist(), known["first_seen"].to_pylist(), strict=True)) == brands
    ids = [(kind, written) for row in triples for kind, written in (row[:2], row[2:4])]
    named = [written for kind, written in ids if kind == "brand" and written in brands]
    if not unknown:
        assert known["id"].to_pylist() == list(dict.fromkeys(named))


@settings(deadline=None, max_examples=60)
@given(TRIPLES, TRIPLES, SINCE)
def test_more_rows_keep_the_codes_and_equal_a_rebuild(
    before: list[tuple[Any, ...]], after: list[tuple[Any, ...]], items: dict[str, int]
) -> None:
    tables = nodes(user=dict.fromkeys("abcd", 3), item={**dict.fromkeys("abcd", 5), **items})
    first = edges({"t": rows(*before)}, {"t": TRIPLE}, tables, {})
    old = {kind: table["id"].combine_chunks() for kind, table in first.nodes.items()}
    grown = edges({"t": rows(*before, *after)}, {"t": TRIPLE}, tables, old)
    rebuilt = edges({"t": rows(*before, *after)}, {"t": TRIPLE}, tables, {})
    for kind, table in first.nodes.items():
        assert grown.nodes[kind]["id"].to_pylist()[: len(table)] == table["id"].to_pylist()
    assert by_ids(grown, tables) == by_ids(rebuilt, tables)
    assert grown.nodes == rebuilt.nodes  # rows that come later name their new nodes later, too


# --- in a graph, as of a time --------------------------------------------------------------------------------------


def seen_before(time: int, triples: list[tuple[Any, ...]], users: dict[str, int], items: dict[str, int]) -> Any:
    """Ids of the edges and brands that are known before a time."""
    tables = nodes(user=users, item=items)
    try:
        added = edges({"t": rows(*triples)}, {"t": TRIPLE}, tables, {})
    except InputError:
        return set(), set()
    ways = by_ids(added, tables)
    ties = {(name, a, b, t) for name, found in ways.items() for a, b, t in found if t is None or t < time}
    since = {kind: dict(zip(table["id"].to_pylist(), table["first_seen"].to_pylist(), strict=True))
             for kind, table in {**tables, **added.nodes}.items()}  # fmt: skip
    return ties, {brand for brand, first in since.get("brand", {}).items() if first < time}


@settings(deadline=None, max_examples=100)
@given(TRIPLES, SINCE, SINCE, st.integers(1, 9), st.data())
def test_what_comes_at_a_time_or_later_decides_nothing_before_it(
    triples: list[tuple[Any, ...]], users: dict[str, int], items: dict[str, int], time: int, data: st.DataObject
) -> None:
    def rewritten(known: dict[str, int]) -> dict[str, int]:
        kept = {key: first for key, first in known.items() if first < time}
        return kept | {key: time + 5 for key in data.draw(st.sets(st.sampled_from("abcd"))) if key not in kept}

    as_it_was = seen_before(time, triples, users, items)
    assert seen_before(time, triples, rewritten(users), rewritten(items)) == as_it_was


@pytest.fixture
def world(tmp_path: Path) -> TemporalGraph:
    """Friends a - b from 50 on; item i of brand x always, j of brand y from 70 on; events at 10 and 90."""
    tables = nodes(user=["a", "b"], item=["i", "j"])
    brand = rows(("item", "i", "brand", "x"), ("item", "j", "brand", "y", 70))
    friend = rows(("user", "a", "user", "b", 50))
    mappings = {"friends": TIES.model_copy(update={"both_ways": True}), "brand": BRANDS}
    added = edges({"friends": friend, "brand": brand}, mappings, tables, {})
    return TemporalGraph.open(directory(tmp_path / "graph", tables, added, [10, 90]))


def test_a_graph_opens_with_node_types_of_its_own(world: TemporalGraph) -> None:
    assert list(world.nodes) == ["user", "item", "location", "brand"]
    assert world.nodes["brand"].ids.to_pylist() == ["x", "y"]
    assert world.as_of(70).visible("brand").tolist() == [True, False]
    assert world.as_of(71).visible("brand").tolist() == [True, True]


def test_an_edge_shows_from_its_second_on_and_not_before(world: TemporalGraph) -> None:
    assert world.to_scipy("friends", 50).toarray().tolist() == [[0, 0], [0, 0]]
    assert world.to_scipy("friends", 51).toarray().tolist() == [[0, 1], [1, 0]]
    assert world.to_scipy("brand", 70).toarray().tolist() == [[1, 0], [0, 0]]
    assert world.to_scipy("brand", TIME_MAX).toarray().tolist() == [[1, 0], [0, 1]]
    import torch

    sources, times = torch.tensor([0, 1]), torch.tensor([70, 71])
    assert world.relation("brand").before(sources, times, 1)[1].tolist() == [[True], [True]]
    assert world.relation("brand").before(sources, times - 1, 1)[1].tolist() == [[True], [False]]


def test_heterogeneous_data_and_networkx_have_them(world: TemporalGraph) -> None:
    early, late = world.to_hetero_data(60), world.to_hetero_data(TIME_MAX)
    assert early["user", "friends", "user"].edge_index.tolist() == [[0, 1], [1, 0]]
    assert early["item", "brand", "brand"].edge_index.tolist() == [[0], [0]]
    assert (early["brand"].num_nodes, late["brand"].num_nodes) == (1, 2)
    assert late["item", "brand", "brand"].time.tolist() == [TIME_MIN, 70]
    network = world.to_networkx(60)
    assert ("brand", "x") in network
    assert ("brand", "y") not in network
    assert network.has_edge(("item", "i"), ("brand", "x"))
