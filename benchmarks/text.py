"""Texts a second against sentence-transformers: the same model, texts and threads, in turns, in one run.

    GRAPHREC_DATA=/data python benchmarks/text.py [--texts 3000] [--turn 500]

They take turns of some hundred texts, each in one call, the other one first every second time; each puts like
lengths together as it sees fit, and sentence-transformers keeps its default batch. CPU time is that of all threads:
it stays the same when other programs want the same cores. The page beside this file is rewritten between its marks.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from page import rewrite

from builders.text.encode import TextEncoder, encode_texts, estimate_seconds, load_encoder
from builders.text.model_files import find_model

PAGE = Path(__file__).with_suffix(".md")
TEXTS = {
    "name and category": "{name}. {category}.",
    "name, category and description": "{name}. {category}. {description}",
}
"""What a venue says; the first is what the preset nyc-getnext takes."""


def main() -> None:
    """Measure both kinds of text, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=3000)
    parser.add_argument("--turn", type=int, default=250, help="texts a turn")
    arguments = parser.parse_args()
    if "GRAPHREC_DATA" not in os.environ:
        print("skipped: set GRAPHREC_DATA to the folder that holds nyc-getnext/")
        return
    venues = Path(os.environ["GRAPHREC_DATA"]) / "nyc-getnext" / "venues.csv.gz"
    encoder = load_encoder("minilm", device="cpu")
    rows = [_measure(kind, _read(venues, TEXTS[kind], arguments.texts), encoder, arguments.turn) for kind in TEXTS]
    _write(rows)


def _read(venues: Path, template: str, count: int) -> list[str]:
    """The first ``count`` texts that differ."""
    with gzip.open(venues, "rt", encoding="utf-8", newline="") as file:
        texts = dict.fromkeys(template.format(**row) for row in csv.DictReader(file))
    return list(texts)[:count]


def _measure(kind: str, texts: list[str], encoder: TextEncoder, turn: int) -> str:
    """One row of the table."""
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(find_model("minilm").path), device="cpu")
    ways: dict[str, Callable[[list[str]], np.ndarray]] = {
        "peer": lambda part: np.asarray(peer.encode(part, show_progress_bar=False)),
        "ours": lambda part: encode_texts(part, encoder, cache=None),
    }
    estimate = estimate_seconds(texts, encoder, cache=None)
    peer.encode(texts[:1], show_progress_bar=False)  # the first call of all is slow
    wall: dict[str, list[float]] = {name: [] for name in ways}
    processor: dict[str, list[float]] = {name: [] for name in ways}
    apart = 0.0
    for place, start in enumerate(range(0, len(texts), turn)):
        vectors = {}
        for name in list(ways)[:: -1 if place % 2 else 1]:
            before = time.perf_counter(), time.process_time()
            vectors[name] = ways[name](texts[start : start + turn])
            wall[name].append(time.perf_counter() - before[0])
            processor[name].append(time.process_time() - before[1])
        apart = max(apart, float(np.abs(vectors["ours"] - vectors["peer"]).max()))
    rates = [len(texts) / sum(times[name]) for times in (wall, processor) for name in ways]
    ratios = [theirs / ours for theirs, ours in zip(processor["peer"], processor["ours"], strict=True)]
    return (
        f"| {kind} | {statistics.mean(map(len, texts)):.0f} | {rates[0]:.0f} | {rates[1]:.0f} | "
        f"**{rates[1] / rates[0]:.2f}** | {rates[2]:.0f} | {rates[3]:.0f} | **{rates[3] / rates[2]:.2f}** | "
        f"{min(ratios):.2f} to {max(ratios):.2f} | {estimate / sum(wall['ours']):.2f} | {apart:.4f} |"
    )


def _write(rows: list[str]) -> None:
    columns = (
        "a venue's text",
        "letters",
        "sentence-transformers, texts/s",
        "graphrec, texts/s",
        "ratio",
        "sentence-transformers, texts/CPU s",
        "graphrec, texts/CPU s",
        "ratio",
        "ratios of the turns",
        "estimated / real time",
        "largest difference of a number",
    )
    head = f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|"
    facts = (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} "
        f"threads, torch {torch.__version__}, sentence-transformers {version('sentence-transformers')}."
    )
    table = "\n".join([facts, "", head, *rows])
    print(table)
    rewrite(PAGE, table)


if __name__ == "__main__":
    sys.exit(main())
