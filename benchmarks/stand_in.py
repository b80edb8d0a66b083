"""A validation split for logs whose published split has none and does not hold out items at random.

    python benchmarks/stand_in.py /data/gowalla-cf /tmp/stand-in/gowalla-cf
    GRAPHREC_DATA=/tmp/stand-in python benchmarks/network.py --tasks gowalla --seeds 0 --out /tmp/stand-in/runs

Gowalla's held-out items are more similar to each other than to the rest of their list. This holds out a fifth of each
*train* list in the same way, a random item and those most similar to it, with noise, and writes it as ``test.txt.gz``
beside the remainder. The published test lists are read only to print their mean similarity.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import svds

SHARE, NOISE, FACTORS = 0.2, 0.4, 128


def main() -> None:
    """Write the split; print the mean similarity within its held-out part and within the published one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with train.txt.gz and test.txt.gz")
    parser.add_argument("out", type=Path, help="folder to write")
    arguments = parser.parse_args()
    user, item = _lists(arguments.data / "train.txt.gz")
    held_out = _lists(arguments.data / "test.txt.gz")
    items = 1 + max(item.max(), held_out[1].max())
    print("published: within, to the rest", _mean_similarity((user, item), held_out, items))
    held = _most_similar(user, _factors(user, item, items)[item])
    rest, drawn = (user[~held], item[~held]), (user[held], item[held])
    print("stand-in:  within, to the rest", _mean_similarity(rest, drawn, items))
    arguments.out.mkdir(parents=True)
    _write(arguments.out / "train.txt.gz", *rest)
    _write(arguments.out / "test.txt.gz", *drawn)


def _lists(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with gzip.open(path, "rt") as stream:
        rows = [np.array(line.split(), np.int64) for line in stream]
    return np.repeat([row[0] for row in rows], [len(row) - 1 for row in rows]), np.concatenate(
        [row[1:] for row in rows]
    )


def _write(path: Path, user: np.ndarray, item: np.ndarray) -> None:
    with gzip.open(path, "wt") as stream:
        for one in np.unique(user):
            stream.write(
                " ".join(map(str, [one, *item[user.searchsorted(one) : user.searchsorted(one, "right")]])) + "\n"
            )


def _factors(user: np.ndarray, item: np.ndarray, items: int) -> np.ndarray:
    """Unit vectors of the items from their users, [items, FACTORS]."""
    visits = csr_matrix((np.ones(len(user), np.float32), (user, item)), (user.max() + 1, items))
    by_user, by_item = (np.maximum(np.asarray(visits.sum(axis)).ravel(), 1) ** -0.5 for axis in (1, 0))
    _, size, axes = svds(diags(by_user) @ visits @ diags(by_item), FACTORS, random_state=0)
    vector = axes.T * size
    return vector / np.maximum(np.linalg.norm(vector, axis=1, keepdims=True), 1e-9)


def _most_similar(user: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Mask of the held-out events: of each user, the fifth most similar to an event drawn at random."""
    random = np.random.default_rng(0)
    count = np.bincount(user)
    start = np.cumsum(count) - count
    seed = start + (random.random(len(count)) * count).astype(int)
    similarity = (vector * vector[np.minimum(seed, len(user) - 1)[user]]).sum(1) + NOISE * random.gumbel(size=len(user))
    order = np.lexsort((-similarity, user))
    rank = np.empty(len(user), int)
    rank[order] = np.arange(len(user)) - start[user[order]]
    return rank < np.maximum(1, np.round(count * SHARE).astype(int))[user]


def _mean_similarity(
    rest: tuple[np.ndarray, np.ndarray], held: tuple[np.ndarray, np.ndarray], items: int
) -> tuple[float, float]:
    """Mean cosine between held-out items of a user, and between them and the rest; users with four or more."""
    vector = _factors(*rest, items)
    within, across = [], []
    for one in np.unique(held[0])[::5]:
        own, others = vector[held[1][held[0] == one]], vector[rest[1][rest[0] == one]]
        if len(own) >= 4:
            within.append(((own @ own.T).sum() - len(own)) / (len(own) * (len(own) - 1)))
            across.append((own @ others.T).mean())
    return round(float(np.mean(within)), 3), round(float(np.mean(across)), 3)


if __name__ == "__main__":
    main()
