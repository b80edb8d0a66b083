"""Splits of a log: training, validation, test."""

TRAIN = 0
"""Code of the training split."""
VAL = 1
"""Code of the validation split."""
TEST = 2
"""Code of the test split."""
SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}
"""Codes of the splits by name."""
