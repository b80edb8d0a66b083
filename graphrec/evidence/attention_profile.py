"""Attention over many queries by relation, age, hour, weekday and distance of the events.

A query distributes a probability of one over the semantic space and its events. The share of a value, such as "same
weekday", is the part of the query's event probability on such events, mean over queries; that of a relation is its part
of the total probability. *Available* is the expected share: for a relation, its part of the events; for any other
value, the share if each relation distributed its probability evenly over its events. The lift is share over available:
the preference of the gate among relations, and of the pointers among their events.

Intervals are percentile bootstraps over users (Efron and Tibshirani 1993): queries of one user are not independent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from graphrec.errors import RunError
from graphrec.evidence.shares import SHARE_LABELS
from graphrec.files import atomic_write
from graphrec.formatting import DAYS, PARTS_OF_DAY
from graphrec.graph.geography import distance_km
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.metrics import resampled_means
from graphrec.models.ranking import BATCH, ModelOutput, StgatRanker
from graphrec.progress import Progress
from graphrec.queries.protocol import EvaluationProtocol, is_repeat, sample_rows
from graphrec.queries.query import Queries
from graphrec.queries.sampling import Context, event_coordinates
from graphrec.runs.run import Run
from graphrec.time_units import DAY, HOUR

MAX_QUERIES = 1_000
"""Queries at most, drawn by the run's seed."""
RESAMPLES = 1_000
"""Resamples of the bootstrap."""
AGES = {
    "within 6 hours": 6 * HOUR,
    "6 to 24 hours": DAY,
    "1 to 3 days": 3 * DAY,
    "3 to 7 days": 7 * DAY,
    "1 to 4 weeks": 28 * DAY,
    "1 to 3 months": 91 * DAY,
    "longer ago": None,
}
"""Age of an event at the time of the query, by its upper bound (exclusive) in seconds."""
HOURS_APART = {"within 1 hour": 1 * HOUR, "1 to 3 hours": 3 * HOUR, "3 to 6 hours": 6 * HOUR, "6 to 12 hours": None}
"""Difference in local time of day between event and query, by its upper bound in seconds."""
WEEKDAYS = {"same weekday": 1, "another weekday": None}
DISTANCES = {"under 200 m": 0.2, "200 m to 1 km": 1.0, "1 to 3 km": 3.0, "3 to 10 km": 10.0, "over 10 km": None}
"""Distance from the position of the query, by its upper bound in kilometres."""
UNKNOWN = "unknown"
"""Distance of an event or a query without coordinates."""


@dataclass(frozen=True)
class Share:
    """Share of the attention of one value of one aspect, in one segment."""

    segment: str
    """Segment of the queries: ``all``, ``many events``, ``new item``, ``weekend``, ``evenings``, ..."""
    questions: int
    """Number of queries with a value of the aspect."""
    aspect: str
    """``relation``, ``how long ago``, ``hours apart``, ``weekday`` or ``distance``."""
    value: str
    """``my history``, ``1 to 3 days``, ..."""
    share: float
    """Share of the attention, in 0..1; the values of an aspect sum to 1."""
    low: float | None
    """Lower end of the 95% interval of the share; None for a segment of fewer than two users."""
    high: float | None
    """Upper end."""
    available: float | None
    """Expected share (see above); None for the semantic space, which has no events."""

    @property
    def lift(self) -> float | None:
        """Share over available: 1 without a preference; None where nothing was available."""
        return self.share / self.available if self.available else None


@dataclass(frozen=True)
class AttentionProfile:
    """Shares by segment, aspect and value."""

    questions: int
    """Number of queries."""
    shares: tuple[Share, ...]
    """By segment, ``all`` first; within it by aspect and value."""

    @property
    def segments(self) -> tuple[str, ...]:
        """Names of the segments, ``all`` first."""
        return tuple(dict.fromkeys(share.segment for share in self.shares))

    @property
    def aspects(self) -> tuple[str, ...]:
        """Names of the aspects that the graph has."""
        return tuple(dict.fromkeys(share.aspect for share in self.shares))

    def of(self, aspect: str, segment: str = "all") -> tuple[Share, ...]:
        """The shares of one aspect in one segment; empty where there are none."""
        return tuple(one for one in self.shares if (one.aspect, one.segment) == (aspect, segment))

    def rows(self) -> list[dict[str, Any]]:
        """One record per share, with its lift: for JSON and for tables."""
        return [{**asdict(one), "lift": one.lift} for one in self.shares]

    def write(self, path: str | Path) -> None:
        """Write the shares to a Parquet file."""
        with atomic_write(Path(path)) as temporary:
            pq.write_table(pa.Table.from_pylist(self.rows()), temporary)


def profile_attention(
    run: Run,
    split: str = "val",
    *,
    questions: int = MAX_QUERIES,
    groups: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    protocol: EvaluationProtocol | None = None,
) -> AttentionProfile:
    """Attention profile of the queries of a split.

    The relevant item decides only whether a query belongs to the segment of new or of known items.

    Parameters
    ----------
    run
        A trained run of ``stgat``.
    split
        ``train``, ``val`` or ``test``.
    questions
        Queries at most, drawn by the run's seed.
    groups
        Further segments: a name by user id, such as a column of a table of users; other users have none.
    protocol
        Evaluation protocol; that of the training where None.

    Raises RunError for a run of another model.
    """
    graph, protocol, ranker = run.graph, protocol or run.protocol, run.ranker
    if not isinstance(ranker, StgatRanker):
        raise RunError(f"{run.path}: {run.config.model.name} pays no attention to profile; stgat does")
    rows = sample_rows(protocol.target_rows(graph, split), questions, run.config.seed)
    segments: dict[str, NDArray[np.bool_]] = {}
    if protocol.task == "next-item":
        known = is_repeat(graph, rows).cpu().numpy()
        segments |= {"known item": known, "new item": ~known}
    if groups:
        names = [groups.get(str(graph.nodes["user"].ids[code].as_py())) for code in graph.log.user[rows].tolist()]
        segments |= {name: np.array([one == name for one in names]) for name in dict.fromkeys(filter(None, names))}
    return profile(ranker, protocol.queries(graph, rows), segments, progress)


class _Attention(NamedTuple):
    """Attention of a batch of queries; NaN for a query without a value of an aspect."""

    share: Float64[Tensor, "batch values"]
    """Share of each value, aspect by aspect."""
    available: Float64[Tensor, "batch values"]
    """Expected share of each value."""
    user: Int64[Tensor, " batch"]
    """Code of the user, -1 for an unknown one."""
    history: Int64[Tensor, " batch"]
    """Number of the user's events before the query."""
    local_time: Int64[Tensor, " batch"]
    """Local time of the query, seconds."""


@torch.inference_mode()
def profile(
    ranker: StgatRanker,
    queries: Queries,
    segments: Mapping[str, NDArray[np.bool_]] | None = None,
    progress: Progress | None = None,
) -> AttentionProfile:
    """Attention profile of queries: of all, of segments by history and time, and of the given ``segments``."""
    if not len(queries):
        return AttentionProfile(0, ())
    aspects, batches = _aspects(ranker), queries.batches(BATCH, "following attention", progress)
    attention = [_attention(ranker, ranker.forward(batch), aspects) for batch in batches]
    every = _Attention(*(torch.cat(column).cpu() for column in zip(*attention, strict=True)))
    parts = {**_segments(every, ranker.graph), **(segments or {})}
    chosen = {"all": np.ones(len(queries), dtype=bool)}
    chosen |= {name: rows for name, rows in parts.items() if 0 < rows.sum() < len(rows)}
    shares = [one for name, rows in chosen.items() for one in _shares(every, aspects, name, rows)]
    return AttentionProfile(len(queries), tuple(shares))


def _aspects(ranker: StgatRanker) -> dict[str, list[str]]:
    """Values of each aspect that the graph supports."""
    graph, relations = ranker.graph, [*ranker.model.relation_attention, "semantic"]
    aspects = {"relation": [SHARE_LABELS.get(name, name) for name in relations]}
    if not graph.timeless:
        aspects |= {"how long ago": [*AGES], "hours apart": [*HOURS_APART], "weekday": [*WEEKDAYS]}
    if any(graph.nodes[kind].coordinates is not None for kind in ("item", "location")):
        aspects["distance"] = [*DISTANCES, UNKNOWN]
    return aspects


def _attention(ranker: StgatRanker, answer: ModelOutput, aspects: Mapping[str, Sequence[str]]) -> _Attention:
    context, events, (relation_aspect, *others) = answer.context, answer.context.all_events(), aspects
    mask, probability = events.mask.double(), answer.event_probability.double() * events.mask
    sizes = [near.event.shape[1] for near in context.neighbourhoods.values()]
    relation = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes, dtype=torch.int64))
    relation = relation.to(mask.device).expand(mask.shape)  # [batch, events]
    value = _values(ranker.graph, context, events.event)
    gate = answer.state.log_mixture_weights.double().exp()
    gates = torch.cat((gate[:, 1:].reshape(len(gate), -1, ranker.model.config.heads).sum(2), gate[:, :1]), 1)
    shares = [gates, *(_distribution(value[name], probability, len(aspects[name])) for name in others)]
    counts = _distribution(relation, mask, len(aspects[relation_aspect]))
    counts[:, -1] = torch.nan  # the semantic space has no events
    even = mask * _relation_mean(relation, probability, mask, len(sizes))
    available = [counts, *(_distribution(value[name], even, len(aspects[name])) for name in others)]
    user = context.queries.user
    history = ranker.graph.relation("user->item").count_before(user, context.queries.time)
    return _Attention(torch.cat(shares, 1), torch.cat(available, 1), user, history, context.local_time)


def _relation_mean(
    relation: Int64[Tensor, "batch events"], probability: Tensor, mask: Tensor, relations: int
) -> Float64[Tensor, "batch events"]:
    """Mean probability of the events of each event's relation."""
    total, count = (
        weight.new_zeros(len(weight), relations).scatter_add(1, relation, weight).gather(1, relation)
        for weight in (probability, mask)
    )
    return total / count.clamp(min=1)


def _values(graph: TemporalGraph, context: Context, event: Int64[Tensor, "batch events"]) -> dict[str, Tensor]:
    """Index of each event's value by aspect, [batch, events]."""
    query = context.local_time[:, None]
    local = graph.log.local_time(event)
    difference = (local - query) % DAY
    distance = distance_km(context.coordinates[:, None], event_coordinates(graph, event))
    return {
        "how long ago": _bucket(context.queries.time[:, None] - graph.log.time[event], AGES),
        "hours apart": _bucket(torch.minimum(difference, DAY - difference), HOURS_APART),
        "weekday": _bucket((local // DAY - query // DAY) % 7, WEEKDAYS),
        "distance": torch.where(distance.isnan(), len(DISTANCES), _bucket(distance.nan_to_num(), DISTANCES)),
    }


def _bucket(amount: Tensor, values: Mapping[str, int | float | None]) -> Int64[Tensor, "batch events"]:
    """Index of the first value whose upper bound is above each amount."""
    ends = torch.tensor([end for end in values.values() if end is not None], device=amount.device, dtype=amount.dtype)
    return torch.bucketize(amount, ends, right=True)


def _distribution(
    value: Tensor, weight: Float64[Tensor, "batch events"], values: int
) -> Float64[Tensor, "batch values"]:
    """Share of each value in a row's weight; NaN for a row without weight."""
    amount = weight.new_zeros(len(weight), values).scatter_add(1, value, weight)
    total = weight.sum(1, keepdim=True)
    return torch.where(total > 0, amount / total, torch.nan)


def _segments(attention: _Attention, graph: TemporalGraph) -> dict[str, NDArray[np.bool_]]:
    """Segments by the length of the user's history, and by the local time of the query."""
    history, local = attention.history.numpy(), attention.local_time.numpy()
    segments = {"few events": history <= np.median(history), "many events": history > np.median(history)}
    if graph.timeless:
        return segments
    weekend = (local // DAY + 3) % 7 >= DAYS.index("Saturday")
    part = np.searchsorted([end for end, _ in PARTS_OF_DAY], local % DAY // HOUR, side="right")
    times = {name: part == index for index, (_, name) in enumerate(PARTS_OF_DAY)}
    return {**segments, "workday": ~weekend, "weekend": weekend, **times}


def _shares(
    attention: _Attention, aspects: Mapping[str, Sequence[str]], segment: str, rows: Bool[np.ndarray, " questions"]
) -> Iterator[Share]:
    """The shares of one segment."""
    share, available = attention.share.numpy()[rows], attention.available.numpy()[rows]
    columns = (_mean(share), *_interval(share, attention.user.numpy()[rows]), _mean(available))
    counts = (~np.isnan(share)).sum(0).tolist()
    names = [(aspect, value) for aspect, values in aspects.items() for value in values]
    for (aspect, value), count, (mean, *others) in zip(names, counts, np.transpose(columns).tolist(), strict=True):
        low, high, expected = (None if np.isnan(number) else number for number in others)
        if mean > 0 or (expected or 0) > 0:
            yield Share(segment, count, aspect, value, mean, low, high, expected)


def _mean(values: Float64[np.ndarray, "rows values"]) -> Float64[np.ndarray, " values"]:
    """Mean of each column without its NaN; NaN for a column without numbers."""
    return np.asarray(np.ma.masked_invalid(values).mean(0).filled(np.nan))


def _interval(
    values: Float64[np.ndarray, "rows values"], user: Int64[np.ndarray, " rows"]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap over users of the mean of each column, 95%; NaN below two users.

    Each query of an unknown user, of code -1, is a group of its own.
    """
    group = np.where(user >= 0, user, -1 - np.arange(len(user)))
    ends = np.full((2, values.shape[1]), np.nan)
    if len(np.unique(group)) < 2:
        return ends[0], ends[1]
    known = ~np.isnan(values)
    columns = torch.from_numpy(np.concatenate((np.nan_to_num(values), known), axis=1))
    total, count = resampled_means(columns, torch.from_numpy(group), RESAMPLES).numpy().T.reshape(2, -1, RESAMPLES)
    means = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    ends[:, known.any(0)] = np.nanpercentile(means[known.any(0)], [2.5, 97.5], axis=1)
    return ends[0], ends[1]
