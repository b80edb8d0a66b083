"""Estimates of the time and memory of a build before it begins, within a factor of two.

The constants are fitted to builds without text of simulated logs, on the machine of benchmarks/build.md, by
``python benchmarks/build.py``; its last table but one compares estimates with measurements.
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
from graphrec.formatting import format_bytes, format_duration

SAMPLE_BYTES = 1 << 20
"""Bytes of a text file by which its line length is estimated."""
PACKED_SAMPLE_BYTES = 1 << 23
"""Bytes of a compressed file by which its compression ratio is estimated."""
BENCHMARK_QUERY = (
    "SELECT max(n) FROM (SELECT 'u' || (hash(i) % 20000) AS k, count(*) AS n FROM range(500000) AS t (i) GROUP BY k)"
)
BENCHMARK_SECONDS, BENCHMARK_TIME_LIMIT = 0.035, 0.2
"""Seconds of the query on the machine of the constants below; seconds for which it is repeated on this one."""
START_SECONDS, SECONDS_PER_VALUE = 5.0, 0.36e-6
"""Processor seconds of start and file detection, and of each value of a mapped column."""
SECONDS_PER_BYTE = {"csv": 3e-9, "jsonl": 3e-8, "parquet": 3e-9}
"""Processor seconds per uncompressed byte, by format."""
UNPACKING_SECONDS_PER_BYTE = 2e-8
"""Additional processor seconds per uncompressed byte of a compressed file."""
SERIAL_SHARE = 0.5
"""Share of the work that does not run in parallel (Amdahl's law)."""
START_BYTES, BYTES_PER_ROW, BYTES_PER_VALUE = 450e6, 60, 7
"""Memory of the process and the engine's buffers, of each row, and of each value of a mapped column."""


@dataclass(frozen=True)
class FileSize:
    """Estimated size of a file."""

    rows: int
    """Rows; of a text file, extrapolated from its first lines."""
    bytes: int
    """Uncompressed bytes."""
    format: str
    """``csv``, ``jsonl`` or ``parquet``."""
    packed: bool = False
    """Whether the engine decompresses it."""

    @property
    def reading_seconds(self) -> float:
        """Processor seconds of its bytes."""
        return self.bytes * (SECONDS_PER_BYTE[self.format] + self.packed * UNPACKING_SECONDS_PER_BYTE)


@dataclass(frozen=True)
class Estimate:
    """Estimated cost of a build."""

    seconds: float
    """Wall-clock time."""
    peak_bytes: int
    """Peak memory of the process."""

    def __str__(self) -> str:
        return f"about {format_duration(self.seconds)} and {format_bytes(self.peak_bytes)} of memory"


def estimate_build(engine: Engine, sources: Sequence[Source], columns: int) -> Estimate:
    """Estimate of a build without text, from the first bytes of the files and a fifth of a second of benchmark.

    ``columns`` is the number of mapped columns.
    """
    return estimate([file_size(source) for source in sources], columns, machine_slowdown(engine), threads(engine))


def estimate(sizes: Sequence[FileSize], columns: int, machine_slowdown: float, threads: int) -> Estimate:
    """Estimate of a build without text.

    Parameters
    ----------
    columns
        Number of mapped columns of each file.
    machine_slowdown
        Time of this machine relative to that of benchmarks/build.md, for the same work.
    threads
        Number of threads of the engine.
    """
    rows = sum(size.rows for size in sizes)
    processor = START_SECONDS + SECONDS_PER_VALUE * rows * columns + sum(size.reading_seconds for size in sizes)
    seconds = machine_slowdown * processor * (SERIAL_SHARE + (1 - SERIAL_SHARE) / threads)
    return Estimate(seconds, int(START_BYTES + (BYTES_PER_ROW + BYTES_PER_VALUE * columns) * rows))


def file_size(source: Source) -> FileSize:
    """Size of a file, by its Parquet footer or its first lines."""
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
    """Compression ratio of the first bytes of a file."""
    with pa.OSFile(str(path)) as file, pa.CompressedInputStream(file, packed) as stream:
        unpacked = len(stream.read(PACKED_SAMPLE_BYTES))
        return unpacked / max(int(file.tell()), 1)


def machine_slowdown(engine: Engine) -> float:
    """Time of this machine, under its current load, relative to that of benchmarks/build.md."""
    engine.run(BENCHMARK_QUERY)  # warm-up
    count, start, elapsed = 0, time.perf_counter(), 0.0
    while elapsed < BENCHMARK_TIME_LIMIT:
        engine.run(BENCHMARK_QUERY)
        count, elapsed = count + 1, time.perf_counter() - start
    return elapsed / count / BENCHMARK_SECONDS


def threads(engine: Engine) -> int:
    """Number of threads of the engine."""
    return int(engine.run("SELECT current_setting('threads')")[0][0])
