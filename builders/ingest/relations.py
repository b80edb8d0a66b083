"""Relations that a mapping declares: social ties, knowledge graph triples, and links from their ids to items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
from ibis import _

from builders.engine.backend import Engine, engine_errors
from builders.engine.rows import Rows, scan
from builders.ingest.parts import Part, read_parts, source_rows
from builders.ingest.quarantine import CheckedRows, check_rows
from builders.ingest.row_checks import Check, nullify_missing
from builders.mapping.column_names import SYNONYMS, check_column
from builders.mapping.relation_mapping import RelationMapping
from builders.mapping.timestamps import EARLIEST, LATEST, detect_format, to_seconds
from builders.sources.source import Layout, Source, detect_source
from graphrec.errors import InputError, MappingError
from graphrec.suggestion import normalize

ROWS = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("relation", pa.string()),
        ("source_type", pa.string()),
        ("source_id", pa.string()),
        ("target_type", pa.string()),
        ("target_id", pa.string()),
        ("valid_from", pa.int64()),
    ]
)
"""Columns of a declared relation's rows: where each was read, its predicate or null, the types and ids of its ends,
and UTC seconds from which it is known, null for always."""
COLUMNS = ("source_id", "target_id", "relation", "valid_from")
PREDICATE = ("relation", "relation_id", "predicate", "rel", "edge_type", "relationship")
SINCE = ("valid_from", "since", "from_time", "start_time", "established", *SYNONYMS["time"])
ENDS = (
    "source", "target", "from", "to", "head", "tail", "head_id", "tail_id", "subject", "object", "follower", "followed",
    "friend", "friend_id", "entity", "entity_id",
)  # fmt: skip
USUAL_NAMES = {normalize(name) for names in (*SYNONYMS.values(), PREDICATE, SINCE, ENDS) for name in names}
"""Names of columns that are no ids."""
NODE_TYPES = ("user", "item", "location")
"""The types of nodes that a log brings; links lead to items only from others."""


@dataclass(frozen=True)
class IngestedRelation:
    """A file of a declared relation, checked."""

    source: Source
    """The file."""
    mapping: RelationMapping
    """Its columns, given and guessed."""
    sifted: CheckedRows
    """Its rows: ``source_id``, ``target_id``, ``relation``, ``valid_from``; of links ``item``, ``entity``."""


def ingest_relation(
    engine: Engine, name: str, given: RelationMapping, part: Path, folder: Path | None = None, before: int = 0
) -> IngestedRelation:
    """Read the file of a declared relation into a part; rows that cannot be used are set aside.

    Parameters
    ----------
    folder
        Folder of the mapping's file, where ``given.file`` is looked for first.
    before
        Rows of the relation's parts before this one.

    Raises
    ------
    InputError
        If the file cannot be read; MappingError if a column that was named is not there.
    """
    path = find_file(given.file, name, folder)
    rows = _scan(engine, path, given, part.stem, [getattr(given, key) for key in COLUMNS])
    mapping = _complete(engine, name, rows, given)
    with engine_errors(str(path)):
        table, checks = _typed(engine, f"{part.stem}_typed", rows, mapping)
        kept = {column: _[column] for column in COLUMNS}
        sifted = check_rows(engine, f"{part.stem}_part", rows, table, kept, checks, part, before)
    return IngestedRelation(rows.source, mapping, sifted)


def ingest_links(
    engine: Engine, name: str, given: RelationMapping, part: Path, folder: Path | None = None, before: int = 0
) -> IngestedRelation:
    """Read the file that says which items the nodes of a declared relation are; see `ingest_relation`."""
    path = find_file(str(given.links), name, folder)
    rows = _scan(engine, path, Layout(), part.stem)
    names = rows.source.columns
    if len(names) < 2:
        raise MappingError(f"relations: {name}: {path}: two columns expected, an item's id and its id in {given.file}")
    entity = next((column for column in names[:2] if normalize(column).startswith("entity")), names[1])
    item = names[0] if entity == names[1] else names[1]
    with engine_errors(str(path)):
        table = rows.table.select(item=nullify_missing(rows[item]), entity=nullify_missing(rows[entity]), **_line(rows))
        table = engine.view(f"{part.stem}_typed", table)
        checks = [
            Check("missing item", item, table.item.isnull(), _.item),
            Check("missing entity", entity, table.entity.isnull(), _.entity),
        ]
        sifted = check_rows(
            engine, f"{part.stem}_part", rows, table, {"item": _.item, "entity": _.entity}, checks, part, before
        )
    return IngestedRelation(rows.source, given, sifted)


def find_file(given: str, name: str, folder: Path | None) -> Path:
    """A file that a relation names, beside the mapping or in the working folder; InputError if it is in neither."""
    wanted = Path(given).expanduser()
    tried = [wanted if place is None else place / wanted for place in (folder, None)]
    for path in tried:
        if path.exists():
            return path
    raise InputError(f"relations: {name}: there is no file {' or '.join(dict.fromkeys(map(str, tried)))}")


def _scan(engine: Engine, path: Path, layout: Layout, name: str, columns: Sequence[str | None] = ()) -> Rows:
    """The rows of a file, whose first line is taken as ids where these come again further down.

    A file of ties between words (``ann,bob``) looks as if its first line named the columns. It does where the mapping
    names one of them so, or where one is a usual name.
    """
    try:
        rows = scan(engine, detect_source(path, layout, engine.workspace), name)
    except InputError:  # such as for two columns of one name, which are no names then
        return scan(engine, detect_source(path, _headless(layout), engine.workspace), name)
    names = rows.source.columns
    if rows.source.format != "csv" or _headless(layout) == layout or not rows.source.header:
        return rows
    if {*columns} & {*names} or {*map(normalize, names)} & USUAL_NAMES:
        return rows
    if not any({*names} & {*values} for values in rows.sample(engine).values()):
        return rows
    return scan(engine, detect_source(path, _headless(layout), engine.workspace), name)


def _headless(layout: Layout) -> Layout:
    """The layout without a header, where it leaves open whether there is one."""
    return layout if layout.header is not None or layout.columns else layout.model_copy(update={"header": False})


def relation_rows(
    engine: Engine, name: str, mapping: RelationMapping, parts: Sequence[Part], links: Sequence[Part] = ()
) -> pa.Table:
    """The usable rows of a declared relation, from its parts; columns as in `ROWS`, in the order of the files.

    An end that the ``links`` lead to an item is that item.
    """
    rows = read_parts(engine, f"relation_{name}_rows", parts)
    types = {"source": mapping.source, "target": mapping.target}
    if links:
        read = read_parts(engine, f"links_{name}_rows", links)
        linked = engine.materialise(f"links_{name}_items", read.select("item", "entity").distinct())
        for end in (end for end, kind in types.items() if kind not in NODE_TYPES):
            renamed = linked.select(**{f"{end}_item": linked.item, "entity": linked.entity})
            rows = rows.left_join(renamed, rows[f"{end}_id"] == renamed.entity).drop("entity")
    columns = {}
    for end, kind in types.items():
        item = rows[f"{end}_item"] if f"{end}_item" in rows.columns else ibis.null("string")
        columns[f"{end}_type"] = item.notnull().ifelse("item", kind)
        columns[f"{end}_id"] = ibis.coalesce(item, rows[f"{end}_id"])
    order = ("place", "source_id", "target_id")
    found = engine.to_pyarrow(rows.select("place", "relation", "valid_from", **columns).order_by(*order))
    file, row = source_rows(parts, found["place"].to_numpy())
    known = {"file": file, "row": row}
    return pa.table(
        [known.get(column, found[column] if column in found.column_names else None) for column in ROWS.names],
        schema=ROWS,
    )


def _complete(engine: Engine, name: str, rows: Rows, given: RelationMapping) -> RelationMapping:
    """The mapping with the columns that can be guessed; MappingError if a column is missing."""
    names, where = rows.source.columns, str(rows.source.path)
    found = given.model_dump(include=set(COLUMNS), exclude_none=True)
    for key, column in found.items():
        check_column(column, names, f"relations: {name}: {key}", where)
    sample = rows.sample(engine)
    for key, synonyms in (("relation", {*map(normalize, PREDICATE)}), ("valid_from", {*map(normalize, SINCE)})):
        free = (column for column in names if column not in found.values() and normalize(column) in synonyms)
        column = next((column for column in free if key == "relation" or detect_format(engine, sample[column])), None)
        if column is not None:
            found.setdefault(key, column)
    ids = [column for column in names if column not in found.values()]
    wanted = [key for key in ("source_id", "target_id") if key not in found]
    if len(ids) < len(wanted):
        raise MappingError(f"relations: {name}: {where}: two columns with ids expected, it has {', '.join(names)}")
    return given.model_copy(update={**found, **dict(zip(wanted, ids, strict=False))})


def _typed(engine: Engine, name: str, rows: Rows, mapping: RelationMapping) -> tuple[Any, list[Check]]:
    nothing = ibis.null("string")
    text = {key: nullify_missing(rows[column]) if (column := getattr(mapping, key)) else nothing for key in COLUMNS}
    ids = {key: text[key] for key in COLUMNS[:3]}
    written = engine.view(
        f"{name}_written", rows.table.select(**ids, text_valid_from=text["valid_from"], **_line(rows))
    )
    time_format = mapping.time_format
    if time_format == "auto":
        sample = rows.sample(engine)[mapping.valid_from] if mapping.valid_from else []
        time_format = detect_format(engine, sample) or "iso"
    table = engine.view(name, written.mutate(valid_from=to_seconds(written.text_valid_from, time_format)))
    checks = [
        Check("missing source", mapping.source_id, table.source_id.isnull(), _.source_id),
        Check("missing target", mapping.target_id, table.target_id.isnull(), _.target_id),
    ]
    if mapping.relation is not None:
        checks.append(Check("missing relation", mapping.relation, table.relation.isnull(), _.relation))
    if mapping.valid_from is not None:
        when, text_when = table.valid_from, table.text_valid_from
        unparsable = text_when.notnull() & when.isnull()
        checks += [
            Check("unparsable time", mapping.valid_from, unparsable, _.text_valid_from),
            Check("time out of range", mapping.valid_from, ~when.between(EARLIEST, LATEST), _.text_valid_from),
        ]
    return table, checks


def _line(rows: Rows) -> dict[str, Any]:
    """The line of JSON that a row comes from, which its checks look at."""
    return {"line": rows.table.line} if rows.source.format == "jsonl" else {}
