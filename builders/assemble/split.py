"""The split of events into train, val and test."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from builders.mapping.column_mapping import ColumnMapping
from builders.mapping.column_types import SPLIT_WORDS
from builders.mapping.timestamps import parse_date
from graphrec.errors import InputError
from graphrec.graph.splits import SPLITS, TEST, TRAIN, VAL

TEST_SHARE, VAL_SHARE = 0.2, 0.1
"""Split by user: share of test events of each user, and share of val events of the remaining ones."""


def split_method(mapping: ColumnMapping) -> str:
    """``time``, ``files``, ``column`` or ``user``: that of the mapping, else by column if one is mapped, else time."""
    return mapping.split_by or ("column" if mapping.split else "time")


def split_events(
    mapping: ColumnMapping,
    time: np.ndarray,
    user: np.ndarray,
    file: np.ndarray,
    column: np.ndarray,
    row: np.ndarray,
    names: Sequence[str],
) -> tuple[np.ndarray, dict[str, Any]]:
    """The split of every event, and its description for the manifest.

    Parameters
    ----------
    mapping
        Its ``split_*`` keys are the method.
    time, user, file, column, row
        Of each event, [n], sorted by time: UTC seconds, user code, index of its file (only for a split by files),
        code in the split column, row number in the log.
    names
        Names of the files.

    Returns
    -------
    Codes [n] int8 (0 train, 1 val, 2 test) and ``{"method", "t_val", "t_test"}``.
    """
    method = split_method(mapping)
    if method == "time":
        t_val, t_test = _cuts(mapping, time)
        split = np.where(time < t_val, TRAIN, np.where(time < t_test, VAL, TEST))
        return split.astype(np.int8), {"method": method, "t_val": t_val, "t_test": t_test}
    split_of_event = column if method == "column" else file_splits(names)[file] if method == "files" else _by_user(user)
    split = split_of_event.astype(np.int8)
    if mapping.val_from_train and not (split == VAL).any():
        share = mapping.val_from_train
        split = _sample_val(split, user, row, share) if mapping.timeless else _val_from_train_end(split, time, share)
    time = split if mapping.timeless else time  # the time of such events, see `builders.assemble.assembly`
    return split, {"method": method, "t_val": _border(split, time, VAL), "t_test": _border(split, time, TEST)}


def file_splits(names: Sequence[str]) -> np.ndarray:
    """The split of each file by the word in its name; three files without such words are train, val, test in order."""
    words = [re.search(r"(?<![a-z])(train|val|dev|test)", name.lower()) for name in names]
    if all(words):
        return np.array([SPLIT_WORDS[word.group()] for word in words if word], np.int8)
    if len(names) == len(SPLITS):
        return np.arange(len(SPLITS), dtype=np.int8)
    raise InputError(
        "split_by: files: names with train, val and test in them expected, or three files in this order, "
        f"got {', '.join(names)}"
    )


def _cuts(mapping: ColumnMapping, time: np.ndarray) -> tuple[int, int]:
    """First second of val and of test; a log with all events in one second is train."""
    if mapping.split_dates is not None:
        t_val, t_test = (parse_date(text) for text in mapping.split_dates)
        if not time[0] < t_val <= t_test:
            raise InputError(
                "split_dates: the first moment of val, after the first event, and the first moment of test, not before "
                f"that, expected, got {' and '.join(mapping.split_dates)}"
            )
        return t_val, t_test
    train, val, _ = mapping.split_fractions
    t_val, t_test = (_cut_after(time, share) for share in (train, train + val))
    return t_val, t_test


def _cut_after(time: np.ndarray, share: float) -> int:
    row = math.floor(share * len(time) + 1e-9)
    cut = int(time[row]) if row < len(time) else int(time[-1]) + 1
    return cut if cut > time[0] else int(time[-1]) + 1


def _by_user(user: np.ndarray) -> np.ndarray:
    """The last events of each user are test, those before them val; each user's first event is train."""
    order = np.argsort(user, kind="stable")  # by (user, time)
    count = np.bincount(user)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    rank = np.empty(len(user), np.int64)
    rank[order] = np.arange(len(user)) - np.repeat(start, count)
    test_from = count - np.floor(count * TEST_SHARE).astype(np.int64)
    val_from = test_from - np.floor(test_from * VAL_SHARE).astype(np.int64)
    return np.where(rank < val_from[user], TRAIN, np.where(rank < test_from[user], VAL, TEST))


def _val_from_train_end(split: np.ndarray, time: np.ndarray, share: float) -> np.ndarray:
    train = time[split == TRAIN]
    if not len(train):
        return split
    return np.where((split == TRAIN) & (time >= _cut_after(train, 1 - share)), VAL, split).astype(np.int8)


def _sample_val(split: np.ndarray, user: np.ndarray, row: np.ndarray, share: float) -> np.ndarray:
    """A share of the train events becomes val whatever their time, but no user's first event.

    The sample depends on the row number alone, by multiples of the golden ratio, whose fractions are equidistributed:
    an appended log keeps its sample, and every range of rows, such as those of a user, has the same share.
    """
    train = np.flatnonzero(split == TRAIN)
    fraction = (row[train].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(11)) / 2.0**53
    first = np.zeros(len(train), bool)
    first[np.unique(user[train], return_index=True)[1]] = True
    sampled = split.copy()
    sampled[train[(fraction < share) & ~first]] = VAL
    return sampled


def _border(split: np.ndarray, time: np.ndarray, first: int) -> int | None:
    """The first second of the splits from ``first`` on; None where earlier splits overlap them."""
    before, after = time[split < first], time[split >= first]
    if not len(before) or not len(after) or before.max() >= after.min():
        return None
    return int(after.min())
