"""Which locations are near each other, as of any time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from scipy.spatial import cKDTree

EARTH_RADIUS = 6_371_008.8
"""Mean radius in metres."""
NEAREST, NEAR_METRES = 6, 5_000.0
"""A location is near at most so many others at a time, none farther than this."""


def near(lat: np.ndarray, lon: np.ndarray, first_seen: np.ndarray) -> pa.Table:
    """Locations near each other: ``source``, ``target`` int32, ``valid_from`` int64, ``metres`` float32.

    An edge leads to every location that was among the nearest ``NEAREST`` when it came to be known (``first_seen``,
    UTC seconds). So the nearest ones as of any time are among the edges valid by then, and no place of the future
    takes the place of one of today. Locations without coordinates (NaN) have no edge.
    """
    known = np.flatnonzero(~np.isnan(lat))
    source, target, metres = _neighbours(_unit_vectors(lat[known], lon[known]), first_seen[known])
    return pa.table(
        {
            "source": pa.array(known[source], pa.int32()),
            "target": pa.array(known[target], pa.int32()),
            "valid_from": pa.array(first_seen[known[target]], pa.int64()),
            "metres": pa.array(metres, pa.float32()),
        }
    )


def _unit_vectors(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    phi, theta = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=1)  # [n, 3]


def _neighbours(points: np.ndarray, first_seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, targets and metres of the edges, of each source the nearest first."""
    source, target, apart = _candidates(points, np.argsort(first_seen, kind="stable"))
    order = np.lexsort((apart, source))
    source, target, apart = source[order], target[order], apart[order]
    begin = np.searchsorted(source, np.arange(len(points) + 1))
    earliest = np.full((len(points), NEAREST), np.iinfo(np.int64).max)  # when the nearer ones came to be known, rising
    kept = np.zeros(len(source), bool)
    for rank in range(int(np.diff(begin).max(initial=0))):
        rows = np.flatnonzero(begin[:-1] + rank < begin[1:])
        edge = begin[rows] + rank
        when = first_seen[target[edge]]
        kept[edge] = new = when < earliest[rows, -1]
        earliest[rows[new]] = np.sort(np.column_stack((earliest[rows[new], :-1], when[new])), axis=1)
    metres = 2 * EARTH_RADIUS * np.arcsin(apart[kept] / 2)
    return source[kept], target[kept], metres


def _candidates(points: np.ndarray, by_time: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of which one may have been among the nearest of the other when it came to be known, and their chords.

    Points arrive in groups that double what is there. One of a group counts only if it is nearer than the nearest of
    the groups before: about as many in each group, so that the pairs grow with the logarithm of the points.
    """
    reach = np.full((len(points), NEAREST), 2 * np.sin(NEAR_METRES / EARTH_RADIUS / 2))  # the nearest so far, rising
    found, begin = [np.empty((3, 0))], 0
    while begin < len(points):
        group = by_time[begin : 2 * begin + 64]
        near_each = cKDTree(points[group]).query_ball_point(points, reach[:, -1])
        source = np.repeat(np.arange(len(points)), [len(near) for near in near_each])
        target = group[np.concatenate([*near_each, []]).astype(np.int64)]
        source, target = source[source != target], target[source != target]
        apart = np.linalg.norm(points[source] - points[target], axis=1)
        found.append(np.stack((source, target, apart)))
        reach = _smallest(reach, source, apart)
        begin += len(group)
    source, target, apart = np.concatenate(found, axis=1)
    return source.astype(np.int64), target.astype(np.int64), apart


def _smallest(reach: np.ndarray, source: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """The ``NEAREST`` smallest distances of each source, old and new, rising."""
    rows = np.concatenate((np.repeat(np.arange(len(reach)), NEAREST), source))
    distance = np.concatenate((reach.ravel(), apart))
    order = np.lexsort((distance, rows))
    begin = np.searchsorted(rows[order], np.arange(len(reach)))
    smallest: np.ndarray = distance[order][begin[:, None] + np.arange(NEAREST)]
    return smallest
