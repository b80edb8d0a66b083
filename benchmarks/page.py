"""The pages beside the benchmarks: what was measured stands between two marks and is written anew."""

from __future__ import annotations

from pathlib import Path

BEGIN, END = "<!-- measured -->", "<!-- end -->"


def rewrite(page: Path, measured: str) -> None:
    """Put what was measured into its place on a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{measured}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
