"""How long a build will take and how much memory it will need, told before it begins, within a factor of two.

The constants are fitted to builds without text of simulated logs, on the machine of benchmarks/build.md, by
``python benchmarks/build.py``; its last table but one holds what is expected here against what came.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from builders.engine.backend import Engine
from builders.sources.compression import open_bytes
from builders.sources.source import Source
from graphrec.formatting import format_bytes

SAMPLE_BYTES = 1 << 20
"""How much of a text file is looked at to see how long its lines are."""
PACKED_SAMPLE_BYTES = 1 << 23
"""How much of a packed file is unpacked to see how well it is packed."""
BENCHMARK_QUERY = (
    "SELECT max(n) FROM (SELECT 'u' || (hash(i) % 20000) AS k, count(*) AS n FROM range(500000) AS t (i) GROUP BY k)"
)
BENCHMARK_SECONDS, BENCHMARK_TIME_LIMIT = 0.035, 0.2
"""What the query takes where the constants below were measured; for so many seconds it is asked again and again."""
START_SECONDS, SECONDS_PER_VALUE = 5.0, 0.36e-6
"""Seconds of one processor for starting and looking at the files, and for each value of a column that has a role."""
SECONDS_PER_BYTE = {"csv": 3e-9, "jsonl": 3e-8, "parquet": 3e-9}
"""Seconds of one processor for each unpacked byte, by format."""
UNPACKING_SECONDS_PER_BYTE = 2e-8
"""What each of them takes besides in a packed file."""
SERIAL_SHARE = 0.5
"""The share of the work that one processor does while the others wait."""
START_BYTES, BYTES_PER_ROW, BYTES_PER_VALUE = 450e6, 60, 7
"""Memory of the process and of the engine's buffers, what each row adds, and each value with a role."""


@dataclass(frozen=True)
class FileSize:
    """What a file holds."""

    rows: int
    """Rows; of a text file, as many as its first lines let expect."""
    bytes: int
    """Bytes, unpacked."""
    format: str
    """``csv``, ``jsonl`` or ``parquet``."""
    packed: bool = False
    """Whether the engine has to unpack it."""

    @property
    def reading_seconds(self) -> float:
        """Seconds of one processor that its bytes take."""
        return self.bytes * (SECONDS_PER_BYTE[self.format] + self.packed * UNPACKING_SECONDS_PER_BYTE)


@dataclass(frozen=True)
class Estimate:
    """What a piece of work will take."""

    seconds: float
    """By the clock."""
    peak_bytes: int
    """Memory of the process, at most."""

    def __str__(self) -> str:
        return f"about {_duration(self.seconds)} and {format_bytes(self.peak_bytes)} of memory"

    def then(self, other: Estimate) -> Estimate:
        """This work and another one after it, such as encoding text."""
        return Estimate(self.seconds + other.seconds, max(self.peak_bytes, other.peak_bytes))


def estimate_build(engine: Engine, sources: Sequence[Source], columns: int) -> Estimate:
    """What a build without text will take; looks at the files' beginnings and, for a fifth of a second, at the machine.

    ``columns`` are those of the log that have a role.
    """
    return estimate([file_size(source) for source in sources], columns, machine_slowdown(engine), threads(engine))


def estimate(amounts: Sequence[FileSize], columns: int, machine_slowdown: float, threads: int) -> Estimate:
    """What a build of files without text will take.

    Parameters
    ----------
    columns
        Of each file, those that have a role.
    machine_slowdown
        How many times as long as the machine of benchmarks/build.md this one takes for the same work.
    threads
        On how many the engine runs.
    """
    rows = sum(file_size.rows for file_size in amounts)
    alone = START_SECONDS + SECONDS_PER_VALUE * rows * columns + sum(file_size.reading_seconds for file_size in amounts)
    seconds = machine_slowdown * alone * (SERIAL_SHARE + (1 - SERIAL_SHARE) / threads)
    return Estimate(seconds, int(START_BYTES + (BYTES_PER_ROW + BYTES_PER_VALUE * columns) * rows))


def file_size(source: Source) -> FileSize:
    """What a file holds, by its footer or its first lines."""
    if source.format == "parquet":
        footer = pq.read_metadata(source.readable)
        unpacked = sum(footer.row_group(group).total_byte_size for group in range(footer.num_row_groups))
        return FileSize(footer.num_rows, unpacked, source.format)
    with open_bytes(source.readable, source.packed) as file:
        sample = file.read(SAMPLE_BYTES)
    packed = source.packed != "none"
    share = _unpacked_share(source.readable, source.packed) if packed else 1.0
    unpacked = round(source.readable.stat().st_size * share)
    return FileSize(round(unpacked * sample.count(b"\n") / max(len(sample), 1)), unpacked, source.format, packed)


def _unpacked_share(path: Path, packed: str) -> float:
    """Bytes that come out of each byte of a packed file, at its beginning."""
    with pa.OSFile(str(path)) as file, pa.CompressedInputStream(file, packed) as stream:
        unpacked = len(stream.read(PACKED_SAMPLE_BYTES))
        return unpacked / max(int(file.tell()), 1)


def machine_slowdown(engine: Engine) -> float:
    """How many times as long this machine takes now as that of benchmarks/build.md did, busy as it may be."""
    engine.run(BENCHMARK_QUERY)  # the first is slow
    count, began, elapsed = 0, time.perf_counter(), 0.0
    while elapsed < BENCHMARK_TIME_LIMIT:
        engine.run(BENCHMARK_QUERY)
        count, elapsed = count + 1, time.perf_counter() - began
    return elapsed / count / BENCHMARK_SECONDS


def threads(engine: Engine) -> int:
    """On how many threads the engine runs."""
    return int(engine.run("SELECT current_setting('threads')")[0][0])


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5_400 else f"{seconds / 3_600:.1f} hours"
