"""Ranking metrics: expected ranks under ties, metrics at k, standard errors and bootstrap intervals.

``docs/metrics.md`` has each formula with its source, and where other libraries differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from graphrec.errors import ConfigError, InputError

__all__ = [
    "bootstrap_interval",
    "expected_rank",
    "means",
    "query_metrics",
    "ranked_metrics",
    "standard_error",
    "summarise",
]
DEPTHS = (1, 5, 10, 20)
"""Default k of every metric at k."""


@dataclass
class RankCounts:
    """Counts of candidates that score above or equal to each target, over the catalogue in tiles.

    Every candidate must be counted exactly once, the target included. ``target_score`` must be the very float of the
    tile: a score computed another way may differ in its last bit, and then the target ties with nothing and counts as
    not ranked.
    """

    target_score: Float[Tensor, " batch"]
    """Score of each query's target; NaN or -inf for one that is not a candidate."""
    above: Int64[Tensor, " batch"]
    """Candidates so far that score higher than the target."""
    equal: Int64[Tensor, " batch"]
    """Candidates so far that score the same, the target included."""

    @staticmethod
    def start(target_score: Float[Tensor, " batch"]) -> RankCounts:
        """Counts of zero."""
        zero = torch.zeros(len(target_score), dtype=torch.int64, device=target_score.device)
        return RankCounts(target_score, zero, zero)

    def add(self, scores: Float[Tensor, "batch tile"]) -> None:
        """Count one tile of candidates; -inf marks an item that is no candidate.

        A NaN candidate counts as above, so that a broken model gains nothing by it.
        """
        level = self.target_score[:, None]
        self.above = self.above + (~(scores <= level)).sum(1)
        self.equal = self.equal + (scores == level).sum(1)

    def rank(self) -> Float64[Tensor, " batch"]:
        """Expected rank of each target, 1 the best; inf for one that was not among the candidates."""
        ranked = (self.equal > 0) & (self.target_score > -torch.inf)
        return torch.where(ranked, self.above + (self.equal.double() + 1) / 2, torch.inf)


def expected_rank(scores: Float[Tensor, "batch items"], target: Int64[Tensor, " batch"]) -> Float64[Tensor, " batch"]:
    """Rank of each target, averaged over all orders of the items that tie with it.

    ``(s > s*).sum() + ((s == s*).sum() + 1) / 2``: a constant model gets the rank of chance, not the first.

    Parameters
    ----------
    scores : higher is better; -inf for an item that is no candidate.
    target : code of the relevant item; -1 for one without a score.

    Returns
    -------
    Ranks from 1, halves possible; inf for a target that is -1, masked (-inf) or NaN.
    """
    held = target >= 0
    if not scores.shape[1]:
        return torch.full(target.shape, torch.inf, dtype=torch.float64, device=scores.device)
    target_score = scores.gather(1, target.clamp(min=0)[:, None])[:, 0]
    counts = RankCounts.start(torch.where(held, target_score, torch.nan))
    counts.add(scores)
    return counts.rank()


def query_metrics(rank: Float64[Tensor, " n"], k: Sequence[int] = DEPTHS) -> dict[str, Float64[Tensor, " n"]]:
    """Every metric of every query with one relevant item, from its expected rank.

    A half rank is used as it is: a target at 10.5 (tied across the boundary of 10) is outside the first 10, and
    its reciprocal rank is 1 / 10.5.

    Parameters
    ----------
    rank : from 1; inf for a target that was not ranked, with 0 in every metric.
    k : depths.

    Returns
    -------
    ``acc@k``, ``hit_rate@k``, ``recall@k``, ``precision@k``, ``f1@k``, ``dcg@k``, ``ndcg@k``, ``map@k`` for each k,
    and ``mrr`` over the whole ranking; [n] each.
    """
    if not bool((rank >= 1).all()):
        raise InputError(f"ranks from 1 expected, got {float(rank[~(rank >= 1)][0])}; use expected_rank to make them")
    values = {}
    for depth in _depths(k):
        hit = (rank <= depth).double()
        gain = hit / torch.log2(1 + rank)  # the ideal DCG of one relevant item is 1
        for name in ("acc", "hit_rate", "recall"):
            values[f"{name}@{depth}"] = hit
        values[f"precision@{depth}"] = hit / depth
        values[f"f1@{depth}"] = 2 * hit / (depth + 1)
        values[f"dcg@{depth}"] = values[f"ndcg@{depth}"] = gain
        values[f"map@{depth}"] = hit / rank
    values["mrr"] = 1 / rank
    return values


def summarise(rank: Float64[Tensor, " n"], k: Sequence[int] = DEPTHS) -> dict[str, float]:
    """The mean of every metric of ``query_metrics``; NaN throughout when there is no query."""
    return means(query_metrics(rank, k))


def ranked_metrics(
    relevance: Bool[Tensor, "n depth"], relevant: Int64[Tensor, " n"], *, k: Sequence[int] = DEPTHS
) -> dict[str, Float64[Tensor, " n"]]:
    """Every metric of every query with a set of relevant items, from its ranked list.

    Parameters
    ----------
    relevance : whether the item at each rank of the list is relevant, rank 1 first. A list shorter than k
        has no item beyond its end.
    relevant : size of the whole relevant set, in the list or not; at least 1.
    k : depths.

    Returns
    -------
    ``hit_rate@k``, ``recall@k``, ``precision@k``, ``f1@k``, ``dcg@k``, ``ndcg@k``, ``map@k`` for each k, and ``mrr``
    over the list; [n] each.
    """
    _check_sets(relevance, relevant)
    deepest = max(_depths(k), default=0)
    gain = relevance.double()  # [n, depth]
    place = torch.arange(1, relevance.shape[1] + 1, dtype=torch.float64, device=relevance.device)
    precision_here = gain.cumsum(1) / place  # [n, depth]
    discount = torch.log2(torch.arange(2, deepest + 2).to(place))
    ideal = torch.cat([place.new_zeros(1), (1 / discount).cumsum(0)])  # of a perfect list, by its length
    values = {}
    for depth in k:
        top, hits = gain[:, :depth], gain[:, :depth].sum(1)
        reachable = relevant.clamp(max=depth)
        values[f"hit_rate@{depth}"] = (hits > 0).double()
        values[f"recall@{depth}"] = hits / relevant
        values[f"precision@{depth}"] = hits / depth
        values[f"f1@{depth}"] = 2 * hits / (depth + relevant)  # harmonic mean of hits / depth and hits / relevant
        values[f"dcg@{depth}"] = (top / discount[: top.shape[1]]).sum(1)
        values[f"ndcg@{depth}"] = values[f"dcg@{depth}"] / ideal[reachable]
        values[f"map@{depth}"] = (top * precision_here[:, :depth]).sum(1) / reachable
    values["mrr"] = (gain / place).max(1).values if relevance.shape[1] else gain.sum(1)
    return values


def means(values: Mapping[str, Float64[Tensor, " n"]]) -> dict[str, float]:
    """Mean of each metric over its queries."""
    return {name: float(value.mean()) for name, value in values.items()}


def standard_error(values: Float[Tensor, " n"]) -> float:
    """Standard error of the mean, ``std / sqrt(n)`` with n - 1 in the variance; NaN below two values.

    Queries are treated as independent; those of the same user are not quite, so it is a lower bound.
    """
    return float(values.double().std() / len(values) ** 0.5) if len(values) > 1 else float("nan")


def bootstrap_interval(
    values: Float[Tensor, " n"],
    confidence: float = 0.95,
    *,
    resamples: int = 1000,
    seed: int = 0,
    group: Int64[Tensor, " n"] | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron and Tibshirani 1993); NaN below two groups.

    ``group`` is the group of each value, such as the user of a query: groups are resampled whole, because queries of
    one user are correlated. None resamples single values.
    """
    groups = len(values) if group is None else len(torch.unique(group))
    if groups < 2:
        return float("nan"), float("nan")
    drawn = resampled_means(values.double()[:, None], group, resamples, seed)
    return interval(drawn[:, 0], confidence)


def interval(drawn: Float64[Tensor, " resamples"], confidence: float = 0.95) -> tuple[float, float]:
    """Percentile interval of resampled means, with equal tails."""
    low, high = drawn.quantile(drawn.new_tensor([(1 - confidence) / 2, (1 + confidence) / 2])).tolist()
    return low, high


def resampled_means(
    values: Float64[Tensor, "n columns"], group: Int64[Tensor, " n"] | None = None, resamples: int = 1000, seed: int = 0
) -> Float64[Tensor, "resamples columns"]:
    """Means of each column over groups drawn with replacement, the same draws for every column.

    The draws are shared, so the difference of two columns is paired. Each mean is the sum over the drawn groups divided
    by the number of values in them, so groups weigh by their size.
    """
    values = values.cpu()
    place = torch.arange(len(values)) if group is None else torch.unique(group.cpu(), return_inverse=True)[1]
    groups = int(place.max()) + 1 if len(place) else 0
    held = torch.cat([values, torch.ones(len(values), 1, dtype=torch.float64)], 1)
    sums = torch.zeros(groups, held.shape[1], dtype=torch.float64).index_add_(0, place, held)  # [groups, columns + 1]
    generator = torch.Generator().manual_seed(seed)
    batch = max(1, 1_000_000 // max(groups, 1))  # at most 8 MB of draws at a time
    totals = []
    for start in range(0, resamples, batch):
        drawn = torch.randint(max(groups, 1), (min(batch, resamples - start), groups), generator=generator)
        times = torch.zeros(drawn.shape, dtype=torch.float64).scatter_add_(1, drawn, torch.ones_like(drawn).double())
        totals.append(times @ sums)
    total = torch.cat(totals)
    return total[:, :-1] / total[:, -1:]


def _depths(k: Sequence[int]) -> Sequence[int]:
    if any(depth < 1 for depth in k):
        raise ConfigError(f"k of at least 1 expected, got {list(k)}")
    return k


def _check_sets(relevance: Tensor, relevant: Tensor) -> None:
    if len(rows := (relevant < 1).nonzero()):
        raise InputError(f"query {int(rows[0])} has no relevant item, so nothing can be measured; leave it out")
    if len(rows := (relevance.sum(1) > relevant).nonzero()):
        row = int(rows[0])
        raise InputError(
            f"query {row}: at most {int(relevant[row])} relevant items expected in the list, "
            f"got {int(relevance[row].sum())}; is an item listed twice?"
        )
