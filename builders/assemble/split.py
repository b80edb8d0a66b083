"""Which events are learned from, chosen with and judged on."""

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

TEST_OF_USER, VAL_OF_REST = 0.2, 0.1
"""By user: the share of each user's events that is test, and of the remaining ones that is val."""


def split_method(mapping: ColumnMapping) -> str:
    """``time``, ``files``, ``column`` or ``user``: what the mapping says, else by column if there is one, else time."""
    return mapping.split_by or ("column" if mapping.split else "time")


def split_events(
    mapping: ColumnMapping,
    time: np.ndarray,
    user: np.ndarray,
    file: np.ndarray,
    column: np.ndarray,
    place: np.ndarray,
    names: Sequence[str],
) -> tuple[np.ndarray, dict[str, Any]]:
    """The split of every event and what the manifest says of it.

    Parameters
    ----------
    mapping
        Says how; see its ``split_*`` keys.
    time, user, file, column, place
        Of each event, [n], sorted by time: UTC seconds, user code, place of its file (looked at where files are the
        split), code in the split column, number of its row in the log.
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
        split = _draw_val(split, user, place, share) if mapping.timeless else _carve_val(split, time, share)
    time = split if mapping.timeless else time  # which is when its events happen, see `builders.assemble.assembly`
    return split, {"method": method, "t_val": _border(split, time, VAL), "t_test": _border(split, time, TEST)}


def file_splits(names: Sequence[str]) -> np.ndarray:
    """The split of each file by the word in its name; of three files without, in the order train, val, test."""
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
    """First second of val and of test; a log that no second cuts is train as a whole."""
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
    """The last events of each user are test, the last of those before are val; a user's first stays in train."""
    order = np.argsort(user, kind="stable")  # by (user, time)
    count = np.bincount(user)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    place = np.empty(len(user), np.int64)
    place[order] = np.arange(len(user)) - np.repeat(start, count)
    test_from = count - np.floor(count * TEST_OF_USER).astype(np.int64)
    val_from = test_from - np.floor(test_from * VAL_OF_REST).astype(np.int64)
    return np.where(place < val_from[user], TRAIN, np.where(place < test_from[user], VAL, TEST))


def _carve_val(split: np.ndarray, time: np.ndarray, share: float) -> np.ndarray:
    train = time[split == TRAIN]
    if not len(train):
        return split
    return np.where((split == TRAIN) & (time >= _cut_after(train, 1 - share)), VAL, split).astype(np.int8)


def _draw_val(split: np.ndarray, user: np.ndarray, place: np.ndarray, share: float) -> np.ndarray:
    """Make val of a share of the train events whatever their time, but of no user's first.

    Multiples of the golden ratio, whose fractions lie evenly however many there are, draw it by the row in the log: a
    log that grows keeps what was drawn, and of neighbouring rows, such as those of a user, the share is the same.
    """
    train = np.flatnonzero(split == TRAIN)
    fraction = (place[train].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(11)) / 2.0**53
    first = np.zeros(len(train), bool)
    first[np.unique(user[train], return_index=True)[1]] = True
    drawn = split.copy()
    drawn[train[(fraction < share) & ~first]] = VAL
    return drawn


def _border(split: np.ndarray, time: np.ndarray, first: int) -> int | None:
    """The second that parts the splits before ``first`` from it and later ones; None where they overlap."""
    before, after = time[split < first], time[split >= first]
    if not len(before) or not len(after) or before.max() >= after.min():
        return None
    return int(after.min())
