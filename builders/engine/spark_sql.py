"""Spark's SQL for the builders' expressions, where it differs from DuckDB's."""

from __future__ import annotations

import re
from typing import Any

import ibis
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.pyspark import Backend
from ibis.backends.sql.compilers.pyspark import PySparkCompiler

from graphrec.errors import MappingError

NUMBER = (
    r"^\s*([+-]{0,2}(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)([eE][+-]?\d+(_\d+)*)?|[+-]?(?i:inf|infinity|nan))\s*$"
)
"""Numbers of DuckDB; Spark would also accept ``1d`` and ``0x1p3``."""
ISO = (
    r"^\d{1,4}(?:-\d{1,2}-|/\d{1,2}/| \d{1,2} )\d{1,2}"
    r"(?:(?:T| +)\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d*)?)?"
    r"(?:Z|[+-]\d{2}(?::?\d{2})?| [A-Za-z][A-Za-z_]+(?:/[A-Za-z_]+)*)?)?$"
)
"""ISO times of DuckDB, as written in logs; Spark would also accept a year alone or a time of day."""
SPARK_ISO = (
    (r"^(\d+)[/ ](\d+)[/ ](\d+)", "$1-$2-$3"),
    (r"^(\d+-\d+-\d+) +", "$1 "),
    (r"([+-]\d\d)(\d\d)$", "$1:$2"),
    (r"^([^:]*:\d+)(?=$|[Z+ -])", "$1:00"),
)
"""Replacements that make such a time valid for Spark."""
JAVA_OFFSET = (
    (r"(\s|:\d{1,2})([+-]\d\d)(\d\d)(?!\d)", "$1$2:$3"),
    (r"(\s|:\d{1,2})([+-]\d\d)(?![\d:])", "$1$2:00"),
)
"""Replacements that make a UTC offset valid for Java's ``XXX``: ``+05:30`` for ``+0530``."""
NO_NUMBER = r"([:\[,]\s*)-?(?i:nan|inf(?:inity)?)(?=\s*[,}\]])"
"""Numbers of Python's JSON that are invalid in JSON."""
JAVA = {
    "Y": "y", "m": "M", "d": "d", "H": "H", "M": "m", "S": "s", "I": "h", "p": "a", "b": "MMM", "B": "MMMM", "y": "yy",
    "f": "SSSSSS", "g": "SSS", "z": "XXX", "j": "D",
}  # fmt: skip
"""Java's letters for the directives of strptime; one letter parses any number of digits."""
WEEKDAY = re.compile(r"^%[aA][^%\w]*")


class SparkCompiler(PySparkCompiler):  # type: ignore[misc] # Ibis has no types
    """Compiles Ibis to Spark's SQL, with DuckDB's meaning of casts, nulls and functions."""

    __slots__ = ()

    def visit_TryCast(self, op: Any, *, arg: Any, to: Any) -> Any:  # noqa: N802 - Ibis's name
        """A cast that is null on failure; of text also where DuckDB's is null."""
        if not op.arg.dtype.is_string():
            return super().visit_TryCast(op, arg=arg, to=to)
        if to.is_timestamp():
            text, pattern = self._replaced(arg, *SPARK_ISO), ISO
            text = self.f.concat(self.f.repeat("0", 5 - self.f.instr(text, "-")), text)  # years of four digits
        else:
            text, pattern = self._replaced(arg, (r"_|^\s*[+](?=-)", "")), NUMBER
        read = sge.TryCast(this=text, to=self.type_mapper.from_ibis(to), safe=True)
        is_valid = sge.RegexpLike(this=arg, expression=sge.convert(pattern))
        return self.if_(is_valid, read, sge.null())

    def visit_ScalarUDF(self, op: Any, **arguments: Any) -> Any:  # noqa: N802
        """DuckDB's functions that the builders call."""
        values = list(arguments.values())
        functions = {"try_strptime": self._strptime, "epoch_us": self.f.unix_micros, "json_valid": self._is_json}
        function = functions.get(op.__func_name__)
        return function(*values) if function else super().visit_ScalarUDF(op, **arguments)

    def visit_FloorDivide(self, op: Any, *, left: Any, right: Any) -> Any:  # noqa: N802
        """Integer division in integers: keys have more digits than a float."""
        if not (op.left.dtype.is_integer() and op.right.dtype.is_integer()):
            return super().visit_FloorDivide(op, left=left, right=right)
        rest = self.f.pmod(left, right)
        return sge.paren(sge.IntDiv(this=sge.paren(sge.paren(left) - rest), expression=sge.paren(right)))

    def visit_IsNull(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """Of null alone; NaN is a number."""
        return arg.is_(sge.null())

    def visit_NotNull(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """See `visit_IsNull`."""
        return arg.is_(sg.not_(sge.null()))

    def _replaced(self, text: Any, *pairs: tuple[str, str]) -> Any:
        for pattern, replacement in pairs:
            text = self.f.regexp_replace(text, sge.convert(pattern), sge.convert(replacement))
        return text

    def _is_json(self, text: Any) -> Any:
        """Whether a text is one JSON value: Spark's parser reads the first and ignores the rest."""
        text = self._replaced(text, (NO_NUMBER, "$1null"))
        in_list, in_object = self.f.concat("[", text, "]"), self.f.concat('{"": ', text, "}")
        parsed = [self.f.anon.try_parse_json(wrapped).is_(sg.not_(sge.null())) for wrapped in (in_list, in_object)]
        return self.if_(text.is_(sge.null()), sge.null(), sge.paren(sg.and_(*parsed)))

    def _strptime(self, text: Any, pattern: Any) -> Any:
        directives = str(pattern.this)
        weekday = WEEKDAY.match(directives)
        if weekday:  # Spark formats names of days, but does not parse them
            directives = directives[weekday.end() :]
            text = self._replaced(text, (r"^[A-Za-z]+\W*", ""))
        if "%z" in directives:
            text = self._replaced(text, *JAVA_OFFSET)
        return self.f.anon.try_to_timestamp(text, sge.convert(java_pattern(directives)))


class SparkBackend(Backend):  # type: ignore[misc]
    """Ibis's backend of Spark with `SparkCompiler`."""

    compiler = SparkCompiler()


def java_pattern(pattern: str) -> str:
    """A pattern of strptime in Java's letters; MappingError for a directive that Spark cannot parse."""
    pieces = re.split(r"%-?(.)", pattern)
    java = ""
    for index, piece in enumerate(pieces):
        if index % 2 == 0:
            java += re.sub("([A-Za-z]+)", r"'\1'", piece.replace("'", "''"))
        elif piece not in JAVA:
            raise MappingError(
                f"time_format: Spark cannot parse {'%' + piece!r}; use '--engine duckdb' for {pattern!r}"
            )
        else:
            followed = index + 2 < len(pieces) and not pieces[index + 1]
            is_adjacent = followed or (index > 1 and not pieces[index - 1])
            fixed_width = "yyyy" if piece == "Y" else JAVA[piece] * 2
            java += fixed_width if is_adjacent and piece in "YmdHMSI" else JAVA[piece]
    return java


@ibis.udf.scalar.builtin
def conv(digits: str, base: int, to_base: int) -> str:
    """Digits of a number in another base (Spark's function)."""
