"""The relation ``near``: nearest locations as of any time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from scipy.spatial import cKDTree

from graphrec.graph.time_bounds import TIME_MAX

EARTH_RADIUS = 6_371_008.8  # equals graphrec.graph.geography, which imports torch; a build does not
"""Mean radius in metres."""
MAX_NEIGHBOURS, MAX_METRES = 6, 5_000.0
"""Number of nearest locations at a time, and the largest distance to them."""
NEAR = pa.schema({"source": "int32", "target": "int32", "valid_from": "int64", "metres": "float32"})
"""Columns of relations/near.parquet."""


def near(lat: np.ndarray, lon: np.ndarray, first_seen: np.ndarray) -> pa.Table:
    """Edges between near locations: ``source``, ``target`` int32, ``valid_from`` int64, ``metres`` float32.

    A location has an edge to every other one that was among its ``MAX_NEIGHBOURS`` nearest at that one's
    ``first_seen`` (UTC seconds). So the nearest locations as of any time are among the edges valid by then, and no
    later location replaces an earlier one. Locations without coordinates (NaN) have no edges.
    """
    known = np.flatnonzero(~np.isnan(lat))
    source, target, metres = _neighbours(_unit_vectors(lat[known], lon[known]), first_seen[known])
    return pa.table([known[source], known[target], first_seen[known[target]], metres], schema=NEAR)


def _unit_vectors(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    phi, theta = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=1)  # [n, 3]


def _neighbours(points: np.ndarray, first_seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, targets and metres of the edges, sorted by source, then by distance."""
    source, target, chord = _candidates(points, np.argsort(first_seen, kind="stable"))
    order = np.lexsort((chord, source))
    source, target, chord = source[order], target[order], chord[order]
    begin = np.searchsorted(source, np.arange(len(points) + 1))
    earliest = np.full((len(points), MAX_NEIGHBOURS), TIME_MAX)  # first_seen of the nearer ones, ascending
    kept = np.zeros(len(source), bool)
    for rank in range(int(np.diff(begin).max(initial=0))):
        rows = np.flatnonzero(begin[:-1] + rank < begin[1:])
        edge = begin[rows] + rank
        seen = first_seen[target[edge]]
        kept[edge] = new = seen < earliest[rows, -1]
        earliest[rows[new]] = np.sort(np.column_stack((earliest[rows[new], :-1], seen[new])), axis=1)
    metres = 2 * EARTH_RADIUS * np.arcsin(chord[kept] / 2)
    return source[kept], target[kept], metres


def _candidates(points: np.ndarray, by_time: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, targets and chords of pairs whose target may be among the nearest of its source when first seen.

    Points are added in groups that double the total. A point of a group is a candidate only if it is nearer than the
    ``MAX_NEIGHBOURS`` nearest of the groups before: about equally many in each group, so that the number of pairs
    grows with the logarithm of the number of points.
    """
    reach = np.full((len(points), MAX_NEIGHBOURS), 2 * np.sin(MAX_METRES / EARTH_RADIUS / 2))  # [n, k], ascending
    pairs, begin = [np.empty((3, 0))], 0
    while begin < len(points):
        group = by_time[begin : 2 * begin + 64]
        neighbours = cKDTree(points[group]).query_ball_point(points, reach[:, -1])
        source = np.repeat(np.arange(len(points)), [len(near) for near in neighbours])
        target = group[np.concatenate([*neighbours, []]).astype(np.int64)]
        source, target = source[source != target], target[source != target]
        chord = np.linalg.norm(points[source] - points[target], axis=1)
        pairs.append(np.stack((source, target, chord)))
        reach = _smallest(reach, source, chord)
        begin += len(group)
    source, target, chord = np.concatenate(pairs, axis=1)
    return source.astype(np.int64), target.astype(np.int64), chord


def _smallest(reach: np.ndarray, source: np.ndarray, chord: np.ndarray) -> np.ndarray:
    """The ``MAX_NEIGHBOURS`` smallest chords of each source, old and new, ascending."""
    rows = np.concatenate((np.repeat(np.arange(len(reach)), MAX_NEIGHBOURS), source))
    distance = np.concatenate((reach.ravel(), chord))
    order = np.lexsort((distance, rows))
    begin = np.searchsorted(rows[order], np.arange(len(reach)))
    return np.asarray(distance[order][begin[:, None] + np.arange(MAX_NEIGHBOURS)])
