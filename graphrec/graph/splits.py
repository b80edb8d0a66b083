"""The parts of a log that are learned from, chosen with and judged on."""

from __future__ import annotations

TRAIN, VAL, TEST = 0, 1, 2
SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}
"""Codes of the splits by name."""
