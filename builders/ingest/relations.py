"""Relations that a mapping declares: social ties, knowledge graph triples, and links from their ids to items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
from ibis import _

from builders.engine.backend import Engine, engine_errors
from builders.engine.rows import Rows, scan
from builders.ingest.parts import Part, read_parts, source_rows
from builders.ingest.quarantine import CheckedRows, check_rows
from builders.ingest.row_checks import Check, json_line, nullify_missing, time_checks
from builders.mapping.column_names import SYNONYMS, check_column
from builders.mapping.relation_mapping import RelationMapping
from builders.mapping.timestamps import detect_format, to_seconds
from builders.sources.source import Layout, detect_source
from graphrec.errors import InputError, MappingError
from graphrec.suggestion import normalize

TEXTS = ("relation", "source_type", "source_id", "target_type", "target_id")
ROWS = pa.schema({"file": "string", "row": "int64", **dict.fromkeys(TEXTS, "string"), "valid_from": "int64"})
"""Columns of the rows of a declared relation: source file and row, predicate or null, types and ids of both endpoints,
and start of validity in UTC seconds, null for always."""
COLUMNS = ("source_id", "target_id", "relation", "valid_from")
PREDICATE = {"relation", "relationid", "predicate", "rel", "edgetype", "relationship"}
SINCE = {"validfrom", "since", "fromtime", "starttime", "established", *map(normalize, SYNONYMS["time"])}
ENDPOINTS = {
    "source", "target", "from", "to", "head", "tail", "headid", "tailid", "subject", "object", "follower", "followed",
    "friend", "friendid", "entity", "entityid",
}  # fmt: skip
COLUMN_NAMES = {*(normalize(name) for names in SYNONYMS.values() for name in names), *PREDICATE, *SINCE, *ENDPOINTS}
"""Normalized names of columns: a first line that has one is a header."""
NODE_TYPES = ("user", "item", "location")
"""The node types of a log; links map only other types to items."""


def ingest_relation(
    engine: Engine, name: str, declared: RelationMapping, part: Path, before: int = 0
) -> tuple[CheckedRows, RelationMapping]:
    """Write the file of a declared relation to a part; returns its rows and its mapping with guessed columns.

    ``before`` is the number of rows of the relation's earlier parts.

    Raises
    ------
    InputError
        If the file cannot be read; MappingError if a mapped column is missing.
    """
    path = _existing_file(declared.file, name)
    rows = _scan(engine, path, declared, part.stem, [getattr(declared, key) for key in COLUMNS])
    mapping = _complete(engine, name, rows, declared)
    with engine_errors(str(path)):
        table, checks = _typed(engine, f"{part.stem}_typed", rows, mapping)
        part_columns = {column: _[column] for column in COLUMNS}
        return check_rows(engine, f"{part.stem}_part", rows, table, part_columns, checks, part, before), mapping


def ingest_links(engine: Engine, name: str, declared: RelationMapping, part: Path) -> CheckedRows:
    """Write the file that maps the nodes of a declared relation to items to a part, see `ingest_relation`."""
    path = _existing_file(str(declared.links), name)
    rows = _scan(engine, path, Layout(), part.stem)
    names = rows.source.columns
    if len(names) < 2:
        raise MappingError(
            f"relations: {name}: {path}: two columns expected, an item's id and its id in {declared.file}"
        )
    item, entity = names[:2] if not normalize(names[0]).startswith("entity") else (names[1], names[0])
    with engine_errors(str(path)):
        table = rows.table.select(
            item=nullify_missing(rows[item]), entity=nullify_missing(rows[entity]), **json_line(rows)
        )
        table = engine.view(f"{part.stem}_typed", table)
        checks = [
            Check("missing item", item, table.item.isnull(), _.item),
            Check("missing entity", entity, table.entity.isnull(), _.entity),
        ]
        return check_rows(engine, f"{part.stem}_part", rows, table, {"item": _.item, "entity": _.entity}, checks, part)


def _existing_file(file: str, name: str) -> Path:
    path = Path(file).expanduser()
    if not path.exists():
        raise InputError(f"relations: {name}: there is no file {path}")
    return path


def _scan(engine: Engine, path: Path, layout: Layout, name: str, columns: Sequence[str | None] = ()) -> Rows:
    """The rows of a file; its first line is a row, not a header, if it has ids of further rows.

    The first line of ties between words (``ann,bob``) looks like a header. It is one if the mapping names one of its
    columns, or if it has one of `COLUMN_NAMES`.
    """
    is_open = layout.header is None and not layout.columns
    headless = layout.model_copy(update={"header": False}) if is_open else layout
    try:
        rows = scan(engine, detect_source(path, layout, engine.workspace), name)
        names = {*rows.source.columns}
        if rows.source.format != "csv" or headless == layout or not rows.source.header:
            return rows
        if names & {*columns} or {*map(normalize, names)} & COLUMN_NAMES:
            return rows
        if not any(names & {*values} for values in rows.sample(engine).values()):
            return rows
    except InputError:  # such as for two columns of one name, which are no names then
        pass
    return scan(engine, detect_source(path, headless, engine.workspace), name)


def relation_rows(
    engine: Engine, name: str, mapping: RelationMapping, parts: Sequence[Part], links: Sequence[Part] = ()
) -> pa.Table:
    """The usable rows of a declared relation, in file order; columns as in `ROWS`.

    An endpoint that ``links`` map to an item is replaced by the item.
    """
    rows = read_parts(engine, f"relation_{name}_rows", parts)
    types = {"source": mapping.source, "target": mapping.target}
    if links:
        pairs = read_parts(engine, f"links_{name}_rows", links)
        linked = engine.materialise(f"links_{name}_items", pairs.select("item", "entity").distinct())
        for end in (end for end, kind in types.items() if kind not in NODE_TYPES):
            renamed = linked.select(**{f"{end}_item": linked.item, "entity": linked.entity})
            rows = rows.left_join(renamed, rows[f"{end}_id"] == renamed.entity).drop("entity")
    columns = {}
    for end, kind in types.items():
        item = rows[f"{end}_item"] if f"{end}_item" in rows.columns else ibis.null("string")
        columns[f"{end}_type"] = item.notnull().ifelse("item", kind)
        columns[f"{end}_id"] = ibis.coalesce(item, rows[f"{end}_id"])
    order = ("log_row", "source_id", "target_id")
    table = engine.to_pyarrow(rows.select("log_row", "relation", "valid_from", **columns).order_by(*order))
    file, row = source_rows(parts, table["log_row"].to_numpy())
    return pa.table([file, row, *(table[column] for column in ROWS.names[2:])], schema=ROWS)


def _complete(engine: Engine, name: str, rows: Rows, declared: RelationMapping) -> RelationMapping:
    """The mapping with guessed columns; MappingError if a column is missing."""
    names, where = rows.source.columns, str(rows.source.path)
    mapped = declared.model_dump(include=set(COLUMNS), exclude_none=True)
    for key, column in mapped.items():
        check_column(column, names, f"relations: {name}: {key}", where)
    sample = rows.sample(engine)
    for key, synonyms in (("relation", PREDICATE), ("valid_from", SINCE)):
        free = (column for column in names if column not in mapped.values() and normalize(column) in synonyms)
        column = next((column for column in free if key == "relation" or detect_format(engine, sample[column])), None)
        if column is not None:
            mapped.setdefault(key, column)
    ids = [column for column in names if column not in mapped.values()]
    unmapped = [key for key in ("source_id", "target_id") if key not in mapped]
    if len(ids) < len(unmapped):
        raise MappingError(f"relations: {name}: {where}: two columns with ids expected, it has {', '.join(names)}")
    return declared.model_copy(update={**mapped, **dict(zip(unmapped, ids, strict=False))})


def _typed(engine: Engine, name: str, rows: Rows, mapping: RelationMapping) -> tuple[Any, list[Check]]:
    columns = {key: getattr(mapping, key) for key in COLUMNS}
    text = {key: nullify_missing(rows[column]) if column else ibis.null("string") for key, column in columns.items()}
    text["text_valid_from"] = text.pop("valid_from")
    written = engine.view(f"{name}_written", rows.table.select(**text, **json_line(rows)))
    time_format = mapping.time_format
    if time_format == "auto":
        sample = rows.sample(engine)[mapping.valid_from] if mapping.valid_from else []
        time_format = detect_format(engine, sample) or "iso"
    table = engine.view(name, written.mutate(valid_from=to_seconds(written.text_valid_from, time_format)))
    reasons = {"source_id": "missing source", "target_id": "missing target", "relation": "missing relation"}
    checks = [Check(reasons[key], columns[key], table[key].isnull(), _[key]) for key in reasons if columns[key]]
    return table, checks + (time_checks(table, "valid_from", mapping.valid_from) if mapping.valid_from else [])
