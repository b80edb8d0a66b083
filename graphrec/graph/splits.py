"""Splits of a log: training, validation, test."""

TRAIN, VAL, TEST = 0, 1, 2
SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}
"""Codes of the splits by name."""
