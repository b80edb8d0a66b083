"""Files that Spark reads itself, each machine a piece of them: those whose rows are their lines, and plain Parquet."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from builders.engine.duckdb_scan import MAX_REJECT_CHARACTERS
from builders.sources.compression import unpack
from builders.sources.source import Source

PLAIN = ("tinyint", "smallint", "int", "bigint", "string", "boolean", "date", "timestamp_ntz")
"""Types of Parquet columns that Spark writes as text in the way of DuckDB."""
ROW_NUMBERS_PER_PARTITION = 1 << 33
"""Spark numbers the rows of each piece of a file from a multiple of this."""


@dataclass(frozen=True)
class SparkTable:
    """A file as Spark reads it."""

    rows: DataFrame
    """Its rows, not yet read, see `builders.engine.duckdb_scan.Scan`."""
    rejects: pa.Table | None
    """Its lines that are no rows."""


def read_with_spark(session: Any, source: Source, workspace: Path) -> SparkTable | None:
    """The rows of a file; None for one that only DuckDB reads: with a line break in a field, or lists in a column."""
    if source.format == "parquet":
        return _read_parquet(session, source)
    if source.packed != "none":  # Spark would read such a file in one piece
        target = workspace / f"{source.sha256[:16]}.unpacked"
        source = replace(source, readable=unpack(source.path, source.packed, target))
    lines = _lines(session, source.readable)
    return _read_json(lines, source) if source.format == "jsonl" else _read_csv(lines, source)


def address(path: Path) -> str:
    """A path as Spark takes it: that of a file system which all machines share."""
    return path.absolute().as_uri()


def _lines(session: Any, path: Path) -> DataFrame:
    """The lines of a text file: ``line``, ``number`` (rising, see `ROW_NUMBERS_PER_PARTITION`) and ``begin`` of their piece."""
    read = session.read.option("lineSep", "\n").text(address(path))
    read = read.select("value", F.monotonically_increasing_id().alias("number"), F.col("_metadata.file_block_start"))
    line = F.regexp_replace("value", "\r$", "")
    line = F.when(F.col("number") == 0, F.regexp_replace(line, "^\ufeff", "")).otherwise(line)
    return read.select("number", line.alias("line"), F.col("file_block_start").alias("begin"))


def _read_csv(lines: DataFrame, source: Source) -> SparkTable | None:
    count = len(source.columns)
    if count == 1:
        return None  # a blank line may be a row then
    fields, is_open = _fields(source)
    is_row = ((F.col("number") > 0) | F.lit(not source.header)) & (F.col("line") != "")
    cut = lines.select("*", fields.alias("fields"), is_row.alias("is_row"))
    broken = F.coalesce(F.size("fields") != count, F.lit(True))
    rejects = _rejects(cut.select("*", (F.col("is_row") & broken).alias("broken"), is_open.alias("open")))
    if rejects is None:
        return None
    columns = (F.nullif(F.get("fields", F.lit(place)), F.lit("")).alias(f"c{place}") for place in range(count))
    return SparkTable(cut.filter(F.col("is_row") & ~broken).select(*columns), rejects)


def _fields(source: Source) -> tuple[Column, Column]:
    """The fields of a line, null where its quotes are wrong; and whether it ends within quotes."""
    line, delimiter = F.col("line"), str(source.delimiter)
    cut, break_inside = re.escape(delimiter), F.contains(line, F.lit("\r"))
    plain = F.split(line, cut, -1)
    if not source.quote:
        return plain, break_inside
    quote = re.escape(source.quote)
    inner = f"[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+"
    quoted = f" *{quote}{inner}{quote} *"
    bare = f"(?! *{quote})" + (f"[^{cut}]*+" if len(delimiter) == 1 else f"(?:(?!{cut}).)*+")
    field, count = f"(?:{quoted}|{bare})", len(source.columns)
    found = F.slice(F.regexp_extract_all(line, F.lit(f"({field})(?:{cut}|$)"), F.lit(1)), 1, count)
    whole = F.rlike(line, F.lit(f"^{field}(?:{cut}{field}){{{count - 1}}}$"))
    unquoted = F.when(whole, F.transform(found, lambda text: _unquoted(text, source.quote)))
    is_open = F.rlike(line, F.lit(f"^(?:{field}{cut})*+ *{quote}{inner}$"))
    has_quote = F.contains(line, F.lit(source.quote))
    return F.when(has_quote, unquoted).otherwise(plain), break_inside | F.when(has_quote, is_open).otherwise(False)


def _unquoted(text: Column, quote: str) -> Column:
    bare = F.regexp_replace(text, f"^ *{re.escape(quote)}|{re.escape(quote)} *$", "")
    is_quoted = F.startswith(F.ltrim(text), F.lit(quote))
    return F.when(is_quoted, F.replace(bare, F.lit(quote + quote), F.lit(quote))).otherwise(text)


def _rejects(lines: DataFrame) -> pa.Table | None:
    """Lines that are no rows, by their numbers in the file; None where one of them goes on in the next line."""
    piece = F.floor(F.col("number") / ROW_NUMBERS_PER_PARTITION).alias("piece")
    goes_on = F.max(F.col("broken") & F.col("open"))
    pieces = sorted(tuple(row) for row in lines.groupBy(piece).agg(F.count("*"), F.min("begin"), goes_on).collect())
    begins = [begin for _, _, begin, _ in pieces]
    if begins != sorted(begins) or any(goes_on for *_, goes_on in pieces):
        return None
    before, lines_before = {}, 0
    for number, count, *_ in pieces:
        before[number] = lines_before
        lines_before += count
    broken = lines.filter("broken").select("number", F.substring("line", 1, MAX_REJECT_CHARACTERS))
    found = [(row[0], row[1]) for row in broken.collect()]
    rows = sorted(
        (before[number // ROW_NUMBERS_PER_PARTITION] + number % ROW_NUMBERS_PER_PARTITION + 1, text)
        for number, text in found
    )
    columns = {"line": [row for row, _ in rows], "csv_line": [text for _, text in rows]}
    types = {"line": pa.int64(), "csv_line": pa.string()}
    table = pa.table({name: pa.array(columns[name], types[name]) for name in columns})
    return table.append_column("error_type", pa.array(["BROKEN"] * len(table), pa.string()))


def _read_json(lines: DataFrame, source: Source) -> SparkTable:
    schema = ", ".join(f"`{name.replace('`', '``')}` string" for name in source.columns)
    objects = F.when(F.startswith(F.ltrim("line"), F.lit("{")), F.col("line"))
    read = lines.select(F.nullif("line", F.lit("")).alias("line"), F.from_json(objects, schema).alias("object"))
    names = [f"c{place}" for place in range(len(source.columns))]
    flat = read.select("line", "object.*").toDF("line", *names)
    return SparkTable(flat.select("line", *(_decimal(F.col(name)).alias(name) for name in names)), None)


def _decimal(text: Column) -> Column:
    """A number that Java wrote with an exponent, with all its digits: ``1.7E9`` as ``1700000000.0``."""
    exponent = F.rlike(text, F.lit(r"^-?\d\.\d+E([7-9]|1[0-5])$"))
    digits = F.rtrim(text.try_cast("double").try_cast("decimal(38,12)").cast("string"), F.lit("0"))
    return F.when(exponent, F.regexp_replace(digits, r"\.$", ".0")).otherwise(text)


def _read_parquet(session: Any, source: Source) -> SparkTable | None:
    try:
        table = session.read.parquet(address(source.readable))
    except AnalysisException:  # a type that Spark does not have, such as times in nanoseconds
        return None
    types = [field.dataType.simpleString() for field in table.schema.fields]
    if not {*types} <= {*PLAIN, "timestamp", "double"}:
        return None
    table = table.toDF(*(f"c{place}" for place in range(len(types))))
    return SparkTable(table.select(*(_as_text(f"c{place}", type_) for place, type_ in enumerate(types))), None)


def _as_text(name: str, type_: str) -> Column:
    text = F.col(name).cast("string")
    if type_ == "timestamp":
        text = F.concat(text, F.lit("+00"))
    return (_decimal(text) if type_ == "double" else text).alias(name)
