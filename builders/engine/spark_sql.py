"""The builders' expressions in Spark's SQL: what Spark writes or understands otherwise than DuckDB."""

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
"""What DuckDB takes for a number; Spark would also take ``1d`` and ``0x1p3``."""
ISO = (
    r"^\d{1,4}(?:-\d{1,2}-|/\d{1,2}/| \d{1,2} )\d{1,2}"
    r"(?:(?:T| +)\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d*)?)?"
    r"(?:Z|[+-]\d{2}(?::?\d{2})?| [A-Za-z][A-Za-z_]+(?:/[A-Za-z_]+)*)?)?$"
)
"""What DuckDB takes for an ISO time, as far as logs write it: Spark would also take a year alone or a time of day."""
SPARK_ISO = (
    (r"^(\d+)[/ ](\d+)[/ ](\d+)", "$1-$2-$3"),
    (r"^(\d+-\d+-\d+) +", "$1 "),
    (r"([+-]\d\d)(\d\d)$", "$1:$2"),
    (r"^([^:]*:\d+)(?=$|[Z+ -])", "$1:00"),
)
"""What makes such a time one that Spark reads."""
JAVA_OFFSET = (
    (r"(\s|:\d{1,2})([+-]\d\d)(\d\d)(?!\d)", "$1$2:$3"),
    (r"(\s|:\d{1,2})([+-]\d\d)(?![\d:])", "$1$2:00"),
)
"""What makes an offset from UTC the one that Java's ``XXX`` reads: ``+0530`` and ``+05`` have a colon."""
NO_NUMBER = r"([:\[,]\s*)-?(?i:nan|inf(?:inity)?)(?=\s*[,}\]])"
"""What Python writes into JSON, and JSON does not know."""
JAVA = {
    "Y": "y", "m": "M", "d": "d", "H": "H", "M": "m", "S": "s", "I": "h", "p": "a", "b": "MMM", "B": "MMMM", "y": "yy",
    "f": "SSSSSS", "g": "SSS", "z": "XXX", "j": "D",
}  # fmt: skip
"""Java's letters for the directives of strptime; numbers in as many digits as there are."""
WEEKDAY = re.compile(r"^%[aA][^%\w]*")


class SparkCompiler(PySparkCompiler):  # type: ignore[misc] # Ibis has no types
    """Compiles Ibis to the SQL of Spark, with the meaning that DuckDB gives to casts, nulls and its own functions."""

    __slots__ = ()

    def visit_TryCast(self, op: Any, *, arg: Any, to: Any) -> Any:  # noqa: N802 - the name that Ibis calls
        """A cast that gives null; of text only where DuckDB gives a value, too."""
        if not op.arg.dtype.is_string():
            return super().visit_TryCast(op, arg=arg, to=to)
        if to.is_timestamp():
            written = self._replaced(arg, *SPARK_ISO)
            years = self.f.concat(self.f.repeat("0", 5 - self.f.instr(written, "-")), written)
            read = sge.TryCast(this=years, to=self.type_mapper.from_ibis(to), safe=True)
            return self.if_(self._matches(arg, ISO), read, sge.null())
        plain = self._replaced(arg, (r"_|^\s*[+](?=-)", ""))
        read = sge.TryCast(this=plain, to=self.type_mapper.from_ibis(to), safe=True)
        return self.if_(self._matches(arg, NUMBER), read, sge.null())

    def visit_ScalarUDF(self, op: Any, **arguments: Any) -> Any:  # noqa: N802
        """DuckDB's functions that the builders name."""
        values = list(arguments.values())
        known = {"try_strptime": self._strptime, "epoch_us": self.f.unix_micros, "json_valid": self._is_json}
        own = known.get(op.__func_name__)
        return own(*values) if own else super().visit_ScalarUDF(op, **arguments)

    def visit_FloorDivide(self, op: Any, *, left: Any, right: Any) -> Any:  # noqa: N802
        """Whole numbers stay whole: keys have more digits than a float."""
        if not (op.left.dtype.is_integer() and op.right.dtype.is_integer()):
            return super().visit_FloorDivide(op, left=left, right=right)
        rest = self.f.pmod(left, right)
        return sge.paren(sge.IntDiv(this=sge.paren(sge.paren(left) - rest), expression=sge.paren(right)))

    def visit_IsNull(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """Null is null; NaN is a number."""
        return arg.is_(sge.null())

    def visit_NotNull(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """See `visit_IsNull`."""
        return arg.is_(sg.not_(sge.null()))

    def _matches(self, text: Any, pattern: str) -> Any:
        return sge.RegexpLike(this=text, expression=sge.convert(pattern))

    def _replaced(self, text: Any, *pairs: tuple[str, str]) -> Any:
        for pattern, replacement in pairs:
            text = self.f.regexp_replace(text, sge.convert(pattern), sge.convert(replacement))
        return text

    def _is_json(self, text: Any) -> Any:
        """Whether a text is one value: Spark's parser reads the first and leaves what follows."""
        text = self._replaced(text, (NO_NUMBER, "$1null"))
        listed, named = self.f.concat("[", text, "]"), self.f.concat('{"": ', text, "}")
        parsed = [self.f.anon.try_parse_json(wrapped).is_(sg.not_(sge.null())) for wrapped in (listed, named)]
        return self.if_(text.is_(sge.null()), sge.null(), sge.paren(sg.and_(*parsed)))

    def _strptime(self, text: Any, pattern: Any) -> Any:
        written = str(pattern.this)
        weekday = WEEKDAY.match(written)
        if weekday:  # Spark writes names of days, but does not read them
            written = written[weekday.end() :]
            text = self._replaced(text, (r"^[A-Za-z]+\W*", ""))
        if "%z" in written:
            text = self._replaced(text, *JAVA_OFFSET)
        return self.f.anon.try_to_timestamp(text, sge.convert(java_pattern(written)))


class SparkBackend(Backend):  # type: ignore[misc]
    """Ibis on Spark, its SQL written by `SparkCompiler`."""

    compiler = SparkCompiler()


def java_pattern(pattern: str) -> str:
    """A pattern of strptime in Java's letters; MappingError for a directive that Spark cannot read."""
    pieces = re.split(r"%-?(.)", pattern)
    java = ""
    for place, piece in enumerate(pieces):
        if place % 2 == 0:
            java += re.sub("([A-Za-z]+)", r"'\1'", piece.replace("'", "''"))
        elif piece in JAVA:
            followed = place + 2 < len(pieces) and not pieces[place + 1]
            adjacent = followed or (place > 1 and not pieces[place - 1])
            java += {"y": "yyyy"}.get(JAVA[piece], JAVA[piece] * 2) if adjacent and piece in "YmdHMSI" else JAVA[piece]
        else:
            raise MappingError(f"time_format: Spark reads no {'%' + piece!r}; take '--engine duckdb' for {pattern!r}")
    return java


@ibis.udf.scalar.builtin
def conv(digits: str, base: int, to_base: int) -> str:
    """Digits of a number in another base (Spark's own function)."""
