"""The pages beside the benchmarks: what was measured stands between two marks and is written anew."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

END = "<!-- end -->"


def rewrite(page: Path, measured: str, section: str = "") -> None:
    """Put what was measured into its place on a page, or in the section of that name."""
    begin = f"<!-- measured {section}".rstrip() + " -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text(f"{before}{begin}\n{measured}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def spread(values: Sequence[float]) -> str:
    """Mean and, of more than one, standard deviation."""
    return f"{statistics.mean(values):.4f}" + (f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else "")
