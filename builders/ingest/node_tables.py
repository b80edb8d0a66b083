"""Tables of items, users or locations: what a node says, what it is called and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
from ibis import _

from builders.engine.backend import Engine, engine_errors
from builders.engine.rows import Rows, scan
from builders.ingest.parts import Part, read_parts, source_rows
from builders.ingest.quarantine import CheckedRows, check_rows, quarantine
from builders.ingest.row_checks import Check, coordinate_checks, nullify_missing, number
from builders.mapping.column_mapping import ColumnMapping
from builders.mapping.column_names import READABLE, SYNONYMS, check_column, match_role
from builders.mapping.column_types import is_text
from builders.mapping.table_mapping import TableMapping
from builders.mapping.templates import check_fields, render
from builders.mapping.timestamps import detect_format, to_seconds
from builders.sources.source import Source, detect_source
from graphrec.errors import MappingError
from graphrec.suggestion import normalize

LISTED_TWICE = "id is listed twice"


@dataclass(frozen=True)
class IngestedTable:
    """A table of nodes of one type, checked."""

    source: Source
    """The file that it comes from."""
    mapping: TableMapping
    """Its columns, given and guessed."""
    sifted: CheckedRows
    """Its rows: ``id``, ``label``, ``text``, ``lat``, ``lon``, ``location``, ``since``."""


def ingest_table(
    engine: Engine, kind: str, path: Path, given: TableMapping, mapping: ColumnMapping, part: Path, before: int = 0,
    shown: str = "",
) -> IngestedTable:  # fmt: skip
    """Read a table of nodes into a part; its rows that cannot be used are set aside.

    Raises MappingError when no column looks like the id or a column that was named is not there.
    """
    rows = scan(engine, replace(detect_source(path, given, engine.workspace), shown=shown), f"{kind}_rows")
    columns = _complete(engine, kind, rows, given, mapping)
    with engine_errors(str(path)):
        table, checks = _read(engine, f"{kind}_typed", rows, columns)
        kept = {name: _[name] for name in ("id", "label", "text", "lat", "lon", "location", "since")}
        sifted = check_rows(engine, f"{kind}_table", rows, table, kept, checks, part, before)
    return IngestedTable(rows.source, columns, sifted)


def _complete(engine: Engine, kind: str, rows: Rows, given: TableMapping, mapping: ColumnMapping) -> TableMapping:
    names, where = rows.source.columns, str(rows.source.path)
    guess = {
        "id": _id_column(kind, names, mapping),
        "label": match_role("label", names) if kind != "user" or "name" in map(normalize, names) else None,
        "lat": match_role("lat", names),
        "lon": match_role("lon", names),
        "location": mapping.location if kind == "item" and mapping.location in names else None,
    }
    found = given.model_copy(update={key: value for key, value in guess.items() if getattr(given, key) is None})
    for key in ("id", "label", "lat", "lon", "location", "since"):
        column = getattr(found, key)
        if column is not None:
            check_column(column, names, f"{kind}_{key}", where)
    if found.text:
        check_fields(found.text, f"{kind}_text", names, where)
    if found.id is None:
        raise MappingError(
            f"{where}: no column looks like the {kind}'s id; it has {', '.join(names)}; "
            f"say which in a mapping, such as '{kind}_id: {names[0]}'"
        )
    alone = (found.lat is None) != (found.lon is None)
    text = default_template(rows.sample(engine), found.id) if found.text is None else found.text
    return found.model_copy(update={"text": text, **({"lat": None, "lon": None} if alone else {})})


def _id_column(kind: str, names: Sequence[str], mapping: ColumnMapping) -> str | None:
    role = getattr(mapping, kind)
    if role in names:
        return str(role)
    by_name = {normalize(name): name for name in reversed(names)}
    wanted = [f"{kind}id", kind, "id", *(normalize(name) for name in SYNONYMS[kind])]
    return next((by_name[name] for name in wanted if name in by_name), None)


def default_template(sample: dict[str, list[str]], taken: str) -> str | None:
    """A template over the columns that hold words, in the order in which they read well; None without any."""
    by_name = {normalize(name): name for name in reversed(list(sample)) if name != taken}
    readable = [by_name[normalize(name)] for name in READABLE if normalize(name) in by_name]
    words = [name for name in readable if is_text(sample[name])]
    return ". ".join(f"{{{name}}}" for name in words) + "." if words else None


def _read(engine: Engine, name: str, rows: Rows, columns: TableMapping) -> tuple[Any, list[Check]]:
    nothing = ibis.null("string")
    values = {name: nullify_missing(column) for name, column in rows.columns.items()}
    text = {
        key: values.get(getattr(columns, key), nothing) for key in ("id", "label", "lat", "lon", "location", "since")
    }
    written = rows.table.select(
        id=text["id"],
        label=text["label"],
        text=render(columns.text, values) if columns.text else nothing,
        location=text["location"],
        **({"line": rows.table.line} if rows.source.format == "jsonl" else {}),
        **{f"text_{key}": text[key] for key in ("lat", "lon", "since")},
    )
    written = engine.view(f"{name}_written", written)
    since = ibis.literal(None, type="int64")
    if columns.since is not None:
        form = detect_format(engine, rows.sample(engine)[columns.since]) or "iso"
        since = to_seconds(written.text_since, form)
    table = engine.view(name, written.mutate(lat=number(written.text_lat), lon=number(written.text_lon), since=since))
    checks = [Check("missing id", columns.id or "", table.id.isnull(), _.id)]
    if columns.lat is not None and columns.lon is not None:
        checks += coordinate_checks(table, columns.lat, columns.lon)
    if columns.since is not None:
        unparsable = table.text_since.notnull() & table.since.isnull()
        checks.append(Check("unparsable time", columns.since, unparsable, _.text_since))
    return table, checks


def listed_nodes(engine: Engine, kind: str, parts: Sequence[Part]) -> tuple[Any, pa.Table]:
    """What parts say of the nodes of one type, and the rows that say nothing new.

    Returns
    -------
    Table ``{kind}_listed`` with ``row`` (its place over all parts), ``id``, ``label``, ``text``, ``lat``, ``lon``,
    ``location``, ``since``, ``first`` (whether it is the id's first row: a node says what its first row does, and is
    wherever any of its rows puts it), and what goes into quarantine.
    """
    rows = read_parts(engine, f"{kind}_parts", parts).rename(row="place")
    by_id = ibis.window(group_by="id", order_by="row")
    by_place = ibis.window(group_by=["id", "location", "lat", "lon", "since"], order_by="row")
    named = rows.mutate(name=ibis.coalesce(rows.label, "") + "\n" + ibis.coalesce(rows.text, ""))
    ranked = named.mutate(
        first=ibis.row_number().over(by_id) == 0,
        again=(ibis.row_number().over(by_place) > 0) | (named.name != named.name.first().over(by_id)),
    )
    table = engine.materialise(f"{kind}_listed", ranked.drop("name"))
    again = engine.to_pyarrow(table.filter(table.again).select("row", "id").order_by("row"))
    count = len(again)
    file, row = source_rows(parts, again["row"].to_numpy())
    reason = pa.array([LISTED_TWICE] * count, pa.string())
    bad = quarantine(file, row, pa.nulls(count, pa.string()), reason, again["id"])
    return table.filter(~table.again).drop("again"), bad
