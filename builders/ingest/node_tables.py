"""Tables of items, users or locations: text, label and coordinates of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
from ibis import _

from builders.engine.backend import Engine, engine_errors
from builders.engine.rows import Rows, scan
from builders.ingest.parts import Part, read_parts, source_rows
from builders.ingest.quarantine import CheckedRows, check_rows, quarantine
from builders.ingest.row_checks import Check, coordinate_checks, json_line, nullify_missing, number, time_checks
from builders.mapping.column_mapping import ColumnMapping
from builders.mapping.column_names import READABLE, SYNONYMS, check_column, match_role
from builders.mapping.column_types import is_text
from builders.mapping.table_mapping import TableMapping
from builders.mapping.templates import check_fields, render
from builders.mapping.timestamps import detect_format, to_seconds
from builders.sources.source import detect_source
from graphrec.errors import MappingError
from graphrec.suggestion import normalize

LISTED_TWICE = "id is listed twice"
COLUMNS = ("id", "label", "lat", "lon", "location", "since")
"""The columns of a table of nodes, besides ``text``, which is a template."""


def ingest_table(
    engine: Engine, kind: str, path: Path, declared: TableMapping, mapping: ColumnMapping, part: Path, before: int = 0,
    display_name: str = "",
) -> tuple[CheckedRows, TableMapping]:  # fmt: skip
    """Write a table of nodes to a part; returns its rows (`COLUMNS` and ``text``) and its mapping with guessed columns.

    Raises MappingError if no column looks like the id or a mapped column is missing.
    """
    source = replace(detect_source(path, declared, engine.workspace), display_name=display_name)
    rows = scan(engine, source, f"{kind}_rows")
    columns = _complete(engine, kind, rows, declared, mapping)
    with engine_errors(str(path)):
        table, checks = _typed(engine, f"{kind}_typed", rows, columns)
        part_columns = {name: _[name] for name in (*COLUMNS, "text")}
        return check_rows(engine, f"{kind}_table", rows, table, part_columns, checks, part, before), columns


def _complete(engine: Engine, kind: str, rows: Rows, declared: TableMapping, mapping: ColumnMapping) -> TableMapping:
    names, where = rows.source.columns, str(rows.source.path)
    guess = {
        "id": _id_column(kind, names, mapping),
        "label": match_role("label", names) if kind != "user" or "name" in map(normalize, names) else None,
        "lat": match_role("lat", names),
        "lon": match_role("lon", names),
        "location": mapping.location if kind == "item" and mapping.location in names else None,
    }
    full = declared.model_copy(update={key: value for key, value in guess.items() if getattr(declared, key) is None})
    for key in COLUMNS:
        if getattr(full, key) is not None:
            check_column(getattr(full, key), names, f"{kind}_{key}", where)
    if full.text:
        check_fields(full.text, f"{kind}_text", names, where)
    if full.id is None:
        raise MappingError(
            f"{where}: no column looks like the {kind}'s id; it has {', '.join(names)}; "
            f"name it in a mapping, such as '{kind}_id: {names[0]}'"
        )
    half = (full.lat is None) != (full.lon is None)
    text = default_template(rows.sample(engine), full.id) if full.text is None else full.text
    return full.model_copy(update={"text": text, **({"lat": None, "lon": None} if half else {})})


def _id_column(kind: str, names: Sequence[str], mapping: ColumnMapping) -> str | None:
    column = getattr(mapping, kind)
    if column in names:
        return str(column)
    by_name = {normalize(name): name for name in reversed(names)}
    synonyms = [f"{kind}id", kind, "id", *map(normalize, SYNONYMS[kind])]
    return next((by_name[name] for name in synonyms if name in by_name), None)


def default_template(sample: dict[str, list[str]], id_column: str) -> str | None:
    """A template of the columns that hold text, in the order of `READABLE`; None without any."""
    by_name = {normalize(name): name for name in reversed(list(sample)) if name != id_column}
    readable = [by_name[normalize(name)] for name in READABLE if normalize(name) in by_name]
    texts = [name for name in readable if is_text(sample[name])]
    return ". ".join(f"{{{name}}}" for name in texts) + "." if texts else None


def _typed(engine: Engine, name: str, rows: Rows, columns: TableMapping) -> tuple[Any, list[Check]]:
    missing = ibis.null("string")
    values = {name: nullify_missing(column) for name, column in rows.columns.items()}
    text = {key: values.get(getattr(columns, key), missing) for key in COLUMNS}
    written = rows.table.select(
        text=render(columns.text, values) if columns.text else missing,
        **{key: text[key] for key in ("id", "label", "location")},
        **{f"text_{key}": text[key] for key in ("lat", "lon", "since")},
        **json_line(rows),
    )
    written = engine.view(f"{name}_written", written)
    since = ibis.literal(None, type="int64")
    if columns.since is not None:
        since = to_seconds(written.text_since, detect_format(engine, rows.sample(engine)[columns.since]) or "iso")
    table = engine.view(name, written.mutate(lat=number(written.text_lat), lon=number(written.text_lon), since=since))
    checks = [Check("missing id", columns.id or "", table.id.isnull(), _.id)]
    if columns.lat is not None and columns.lon is not None:
        checks += coordinate_checks(table, columns.lat, columns.lon)
    if columns.since is not None:
        checks += time_checks(table, "since", columns.since)[:1]  # nodes may be older than any log
    return table, checks


def listed_nodes(engine: Engine, kind: str, parts: Sequence[Part]) -> tuple[Any, pa.Table]:
    """The nodes of one type that tables list, and the rows that repeat another one.

    Returns
    -------
    Table ``{kind}_listed`` with ``row`` (number over all parts), `COLUMNS`, ``text`` and ``first`` (whether it is the
    first row of its id: label and text are taken from that row, coordinates and locations from all rows); and the
    quarantined rows.
    """
    rows = read_parts(engine, f"{kind}_parts", parts).rename(row="log_row")
    by_id = ibis.window(group_by="id", order_by="row")
    by_location = ibis.window(group_by=["id", "location", "lat", "lon", "since"], order_by="row")
    named = rows.mutate(name=ibis.coalesce(rows.label, "") + "\n" + ibis.coalesce(rows.text, ""))
    ranked = named.mutate(
        first=ibis.row_number().over(by_id) == 0,
        again=(ibis.row_number().over(by_location) > 0) | (named.name != named.name.first().over(by_id)),
    )
    table = engine.materialise(f"{kind}_listed", ranked.drop("name"))
    again = engine.to_pyarrow(table.filter(table.again).select("row", "id").order_by("row"))
    file, row = source_rows(parts, again["row"].to_numpy())
    return table.filter(~table.again).drop("again"), quarantine(file, row, None, LISTED_TWICE, again["id"])
