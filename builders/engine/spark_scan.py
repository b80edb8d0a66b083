"""Spark's own scans, distributed over its machines: text files with one row per line, and flat Parquet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from builders.engine.duckdb_scan import MAX_REJECT_CHARACTERS
from builders.sources.compression import chunks
from builders.sources.source import Source, rewritten

PLAIN = ("tinyint", "smallint", "int", "bigint", "string", "boolean", "date", "timestamp_ntz")
"""Types of Parquet columns that Spark casts to the same text as DuckDB."""
ROW_NUMBERS_PER_PARTITION = 1 << 33
"""Spark numbers the rows of each partition of a file from a multiple of this."""


@dataclass(frozen=True)
class SparkTable:
    """A file read by Spark."""

    rows: DataFrame
    """Its rows, read lazily, see `builders.engine.duckdb_scan.Scan`."""
    rejects: pa.Table | None
    """Its rejected lines."""


def read_with_spark(session: Any, source: Source, workspace: Path) -> SparkTable | None:
    """The rows of a file; None if only DuckDB can read it: with line breaks in fields, or nested columns."""
    if source.format == "parquet":
        return _read_parquet(session, source)
    if source.packed != "none":  # Spark would not split it
        source = rewritten(source, workspace, "unpacked", chunks(source.path, source.packed))
    lines = _lines(session, source.readable)
    return _read_json(lines, source) if source.format == "jsonl" else _read_csv(lines, source)


def address(path: Path) -> str:
    """A path as a URI for Spark; all machines share the file system."""
    return path.absolute().as_uri()


def _lines(session: Any, path: Path) -> DataFrame:
    """Lines of a text file: ``line``, ``number`` (see `ROW_NUMBERS_PER_PARTITION`), ``begin`` of their partition."""
    read = session.read.option("lineSep", "\n").text(address(path))
    read = read.select("value", F.monotonically_increasing_id().alias("number"), F.col("_metadata.file_block_start"))
    line = F.regexp_replace("value", "\r$", "")
    line = F.when(F.col("number") == 0, F.regexp_replace(line, "^\ufeff", "")).otherwise(line)
    return read.select("number", line.alias("line"), F.col("file_block_start").alias("begin"))


def _read_csv(lines: DataFrame, source: Source) -> SparkTable | None:
    count = len(source.columns)
    if count == 1:
        return None  # a blank line may be a row
    fields, is_open = _fields(source)
    is_row = ((F.col("number") > 0) | F.lit(not source.header)) & (F.col("line") != "")
    cut = lines.select("*", fields.alias("fields"), is_row.alias("is_row"))
    broken = F.coalesce(F.size("fields") != count, F.lit(True))
    rejects = _rejects(cut.select("*", (F.col("is_row") & broken).alias("broken"), is_open.alias("open")))
    if rejects is None:
        return None
    columns = (F.nullif(F.get("fields", F.lit(index)), F.lit("")).alias(f"c{index}") for index in range(count))
    return SparkTable(cut.filter(F.col("is_row") & ~broken).select(*columns), rejects)


def _fields(source: Source) -> tuple[Column, Column]:
    """The fields of a line, null if its quotes are invalid; and whether its end is quoted."""
    line, delimiter = F.col("line"), str(source.delimiter)
    separator, has_break = re.escape(delimiter), F.contains(line, F.lit("\r"))
    plain = F.split(line, separator, -1)
    if not source.quote:
        return plain, has_break
    quote = re.escape(source.quote)
    inner = f"[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+"
    quoted = f" *{quote}{inner}{quote} *"
    bare = f"(?! *{quote})" + (f"[^{separator}]*+" if len(delimiter) == 1 else f"(?:(?!{separator}).)*+")
    field, count = f"(?:{quoted}|{bare})", len(source.columns)
    values = F.slice(F.regexp_extract_all(line, F.lit(f"({field})(?:{separator}|$)"), F.lit(1)), 1, count)
    is_valid = F.rlike(line, F.lit(f"^{field}(?:{separator}{field}){{{count - 1}}}$"))
    unquoted = F.when(is_valid, F.transform(values, lambda text: _unquoted(text, source.quote)))
    is_open = F.rlike(line, F.lit(f"^(?:{field}{separator})*+ *{quote}{inner}$"))
    has_quote = F.contains(line, F.lit(source.quote))
    return F.when(has_quote, unquoted).otherwise(plain), has_break | F.when(has_quote, is_open).otherwise(F.lit(False))


def _unquoted(text: Column, quote: str) -> Column:
    bare = F.regexp_replace(text, f"^ *{re.escape(quote)}|{re.escape(quote)} *$", "")
    is_quoted = F.startswith(F.ltrim(text), F.lit(quote))
    return F.when(is_quoted, F.replace(bare, F.lit(quote + quote), F.lit(quote))).otherwise(text)


def _rejects(lines: DataFrame) -> pa.Table | None:
    """Rejected lines with their numbers in the file; None if one of them continues in the next line."""
    partition = F.floor(F.col("number") / ROW_NUMBERS_PER_PARTITION).alias("partition")
    continues = F.max(F.col("broken") & F.col("open"))
    counts = lines.groupBy(partition).agg(F.count("*"), F.min("begin"), continues)
    partitions = sorted(tuple(row) for row in counts.collect())
    begins = [begin for _, _, begin, _ in partitions]
    if begins != sorted(begins) or any(is_open for *_, is_open in partitions):
        return None
    totals = accumulate((count for _, count, *_ in partitions), initial=0)
    before = {number: total for (number, *_), total in zip(partitions, totals, strict=False)}
    broken = lines.filter("broken").select("number", F.substring("line", 1, MAX_REJECT_CHARACTERS))
    rows = []
    for number, text in broken.collect():
        partition_number, index = divmod(number, ROW_NUMBERS_PER_PARTITION)
        rows.append({"line": before[partition_number] + index + 1, "csv_line": text, "error_type": "BROKEN"})
    schema = pa.schema([("line", pa.int64()), ("csv_line", pa.string()), ("error_type", pa.string())])
    return pa.Table.from_pylist(rows, schema).sort_by("line")


def _read_json(lines: DataFrame, source: Source) -> SparkTable:
    schema = ", ".join(f"`{name.replace('`', '``')}` string" for name in source.columns)
    objects = F.when(F.startswith(F.ltrim("line"), F.lit("{")), F.col("line"))
    read = lines.select(F.nullif("line", F.lit("")).alias("line"), F.from_json(objects, schema).alias("object"))
    names = [f"c{index}" for index in range(len(source.columns))]
    flat = read.select("line", "object.*").toDF("line", *names)
    return SparkTable(flat.select("line", *(_decimal(F.col(name)).alias(name) for name in names)), None)


def _decimal(text: Column) -> Column:
    """A number in Java's exponent notation with all its digits: ``1.7E9`` as ``1700000000.0``."""
    exponent = F.rlike(text, F.lit(r"^-?\d\.\d+E([7-9]|1[0-5])$"))
    digits = F.rtrim(text.try_cast("double").try_cast("decimal(38,12)").cast("string"), F.lit("0"))
    return F.when(exponent, F.regexp_replace(digits, r"\.$", ".0")).otherwise(text)


def _read_parquet(session: Any, source: Source) -> SparkTable | None:
    try:
        table = session.read.parquet(address(source.readable))
    except AnalysisException:  # an unsupported type, such as times in nanoseconds
        return None
    types = [field.dataType.simpleString() for field in table.schema.fields]
    if not {*types} <= {*PLAIN, "timestamp", "double"}:
        return None
    table = table.toDF(*(f"c{index}" for index in range(len(types))))
    return SparkTable(table.select(*(_as_text(f"c{index}", type_) for index, type_ in enumerate(types))), None)


def _as_text(name: str, type_: str) -> Column:
    text = F.col(name).cast("string")
    if type_ == "timestamp":
        text = F.concat(text, F.lit("+00"))
    return (_decimal(text) if type_ == "double" else text).alias(name)
