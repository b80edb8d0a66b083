"""A few named themes of a set of items: categories, text clusters, or the items themselves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from graphrec.graph.temporal_graph import TemporalGraph

MAX_THEMES = 8
"""Themes at most, the last one "other": as many as a reader can distinguish."""
MAX_CATEGORIES = 40
"""Distinct values of a text field at most for it to be a category."""
MAX_SAMPLE = 2_000
"""Items whose texts decide which field is the category; items at most that make the clusters and their names."""
OTHER = "other"


@dataclass(frozen=True)
class Themes:
    """Named themes and the membership of each item in them."""

    names: tuple[str, ...]
    """Names for people, the most frequent theme first, "other" last."""
    membership: NDArray[np.float64]
    """[items, themes], each row sums to 1."""


def themes_of(graph: TemporalGraph, items: NDArray[np.int64], counts: NDArray[np.int64]) -> Themes:
    """Themes of ``items`` (codes, [m]) that occur ``counts`` times each ([m]).

    Categories if the item texts have them: a field, between full stops, of few distinct values. Otherwise Ward
    clusters of the text vectors, named by their distinctive words. Otherwise the items themselves.
    """
    categories = _categories(graph, items)
    if categories is None and len(items) > MAX_THEMES:
        categories = _clusters(graph, items, counts)
    if categories is None:
        categories = [(graph.nodes["item"].label(int(code)),) for code in items]
    return _most_frequent(categories, counts)


def _most_frequent(categories: Sequence[tuple[str, ...]], counts: NDArray[np.int64]) -> Themes:
    """The most frequent categories; the rest become "other", and an item of several counts evenly for each."""
    total: Counter[str] = Counter()
    for values, count in zip(categories, counts.tolist(), strict=True):
        total.update({value: count / len(values) for value in values})
    total.pop(OTHER, None)
    ranked = sorted(total, key=lambda value: (-total[value], value))
    names = ranked if len(ranked) <= MAX_THEMES else ranked[: MAX_THEMES - 1]
    if len(names) < len(ranked) or any(OTHER in values for values in categories):
        names = [*names, OTHER]
    column = {name: index for index, name in enumerate(names)}
    membership = np.zeros((len(categories), len(names)))
    for row, values in enumerate(categories):
        for value in values:
            membership[row, column.get(value, len(names) - 1)] += 1 / len(values)
    return Themes(tuple(names), membership)


def _categories(graph: TemporalGraph, items: NDArray[np.int64]) -> list[tuple[str, ...]] | None:
    """Category values of each item, or None if no field of the texts is a category."""
    known = graph.visible("item").nonzero()[:, 0].cpu().numpy()
    sample = known[np.linspace(0, len(known) - 1, min(len(known), MAX_SAMPLE)).astype(np.int64)]
    catalogue = [text.split(". ") for text in _texts(graph, sample) if text]
    for field in range(max(map(len, catalogue), default=0)):
        for depth in (None, 2, 1):  # "Food > Restaurant > Thai" as a whole, or only its upper levels
            values = [_values(text[field], depth) if len(text) > field else () for text in catalogue]
            count = Counter(value for several in values for value in several)
            repeated = {value for value, times in count.items() if times > 1}
            covered = sum(not repeated.isdisjoint(several) for several in values)
            if 2 <= len(repeated) <= MAX_CATEGORIES and covered >= 0.8 * len(catalogue):
                return [_known_values(text, depth, repeated) for text in _texts(graph, items)]
    return None


def _known_values(text: str | None, depth: int | None, known: set[str]) -> tuple[str, ...]:
    """Values of the first field with known ones: a full stop within a title shifts the fields."""
    fields = ([value for value in _values(field, depth) if value in known] for field in (text or "").split(". "))
    return next((tuple(values) for values in fields if values), (OTHER,))


def _values(text: str, depth: int | None) -> tuple[str, ...]:
    """Categories in one field: ``A|B`` are two, ``A > B > C`` is one path, cut at ``depth``."""
    paths = (" > ".join(path.split(" > ")[:depth]).strip(" .") for path in text.split("|"))
    return tuple(dict.fromkeys(path for path in paths if path))


def _clusters(
    graph: TemporalGraph, items: NDArray[np.int64], counts: NDArray[np.int64]
) -> list[tuple[str, ...]] | None:
    """The name of each item's cluster of text vectors; None without vectors."""
    vectors = unit_vectors_of(graph, items)
    if vectors is None or not vectors.any():
        return None
    has_text = np.abs(vectors).sum(axis=1) > 0
    frequent = np.flatnonzero(has_text)[np.argsort(-counts[has_text], kind="stable")][:MAX_SAMPLE]
    if len(frequent) <= MAX_THEMES:
        return None
    label = fcluster(linkage(vectors[frequent], "ward"), MAX_THEMES - 1, "maxclust")
    centres = np.stack([vectors[frequent[label == value]].mean(axis=0) for value in np.unique(label)])
    nearest = (vectors @ centres.T - (centres**2).sum(axis=1) / 2).argmax(axis=1)  # least squared distance
    names = [
        _name(graph, items[frequent], nearest[frequent] == c, vectors[frequent] @ centres[c])
        for c in range(len(centres))
    ]
    return [(names[cluster],) if known else (OTHER,) for cluster, known in zip(nearest, has_text, strict=True)]


def _name(
    graph: TemporalGraph, items: NDArray[np.int64], inside: NDArray[np.bool_], similarity: NDArray[np.float64]
) -> str:
    """The words that most members have and others do not, or the label of the most typical member."""
    words = [set(re.findall(r"[^\W\d_]{4,}", (text or "").lower())) for text in _texts(graph, items)]
    within, outside = (
        Counter(word for text, member in zip(words, mask, strict=True) if member for word in text)
        for mask in (inside, ~inside)
    )
    members, others = int(inside.sum()), max(int((~inside).sum()), 1)
    contrast = {word: n / members - outside[word] / others for word, n in within.items() if n >= members / 2}
    distinctive = sorted((word for word in contrast if contrast[word] > 0.25), key=lambda word: (-contrast[word], word))
    if distinctive:
        return ", ".join(distinctive[:2])
    typical = int(np.where(inside, similarity, -np.inf).argmax())
    return f"like {graph.nodes['item'].label(int(items[typical]))}"


def unit_vectors_of(graph: TemporalGraph, items: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Text vectors of ``items`` scaled to length 1, [m, d_text]; zero rows without text; None without a text model."""
    table = graph.nodes["item"].vectors
    if table is None:
        return None
    vectors = table[torch.from_numpy(items).to(table.device)].double().cpu().numpy()
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), dtype=np.float64)


def _texts(graph: TemporalGraph, items: NDArray[np.int64]) -> list[str | None]:
    texts: list[str | None] = graph.nodes["item"].texts.take(items).to_pylist()
    return texts
