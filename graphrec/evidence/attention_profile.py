"""What the network's attention rests on, over many questions: relations, how long ago, hours, weekdays, distances.

Each question spreads a probability of one over the semantic space and the events that it sees. The share of a value,
such as "same weekday", is the part of a question's event mass that falls on such events, mean over questions; that
of a relation is its part of the whole probability. Beside it stands what was *available*: for a relation, its part of
the events seen; for any other value, the share it would have if each relation gave its mass to all of its events
alike. Share over available is the lift: what the gate chose among relations, and the pointers among their events.

Intervals are percentile bootstraps over users (Efron and Tibshirani 1993): questions of one user are not independent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
from graphrec.progress import NoProgress, Progress
from graphrec.queries.protocol import EvaluationProtocol, is_repeat
from graphrec.queries.query import Queries
from graphrec.queries.sampling import Context, event_coordinates
from graphrec.runs.run import Run
from graphrec.time_units import DAY, HOUR

QUESTIONS = 1_000
"""Questions at most, drawn by the run's seed."""
RESAMPLES = 1_000
"""Draws of the bootstrap."""
AGES = {
    "within 6 hours": 6 * HOUR,
    "6 to 24 hours": DAY,
    "1 to 3 days": 3 * DAY,
    "3 to 7 days": 7 * DAY,
    "1 to 4 weeks": 28 * DAY,
    "1 to 3 months": 91 * DAY,
    "longer ago": None,
}
"""How long before the question an event happened, each up to (and without) so many seconds."""
HOURS_APART = {"within 1 hour": 1 * HOUR, "1 to 3 hours": 3 * HOUR, "3 to 6 hours": 6 * HOUR, "6 to 12 hours": None}
"""How far apart event and question are on the clock of the day, in local time."""
WEEKDAYS = {"same weekday": 1, "another weekday": None}
DISTANCES = {"under 200 m": 0.2, "200 m to 1 km": 1.0, "1 to 3 km": 3.0, "3 to 10 km": 10.0, "over 10 km": None}
"""Kilometres from the place of the question."""
UNKNOWN = "unknown"
"""Where the event or the question has no place."""


@dataclass(frozen=True)
class Share:
    """How much of the attention one value of one aspect has, in one segment."""

    segment: str
    """Which questions: ``all``, ``many events``, ``new item``, ``weekend``, ``evenings``, ..."""
    questions: int
    """How many of them say something on the aspect."""
    aspect: str
    """``relation``, ``how long ago``, ``hours apart``, ``weekday`` or ``distance``."""
    value: str
    """``my history``, ``1 to 3 days``, ..."""
    share: float
    """Part of the attention, in 0..1; the values of an aspect sum to 1."""
    low: float | None
    """Lower end of the 95% interval of the share; None for a segment of fewer than two users."""
    high: float | None
    """Upper end."""
    available: float | None
    """Share without a choice (see above); None for the semantic space, which has no events."""

    @property
    def lift(self) -> float | None:
        """Share over available: 1 where the network takes what comes; None where nothing was available."""
        return self.share / self.available if self.available else None


@dataclass(frozen=True)
class AttentionProfile:
    """Shares by segment, aspect and value."""

    questions: int
    """How many questions were asked."""
    shares: tuple[Share, ...]
    """By segment, the whole first; within it by aspect and value."""

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
        """One record a share, with its lift: for JSON and for tables."""
        return [{**asdict(one), "lift": one.lift} for one in self.shares]

    def write(self, path: str | Path) -> None:
        """Write the shares to a Parquet file."""
        with atomic_write(Path(path)) as temporary:
            pq.write_table(pa.Table.from_pylist(self.rows()), temporary)


def profile_attention(
    run: Run,
    split: str = "val",
    questions: int = QUESTIONS,
    groups: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    protocol: EvaluationProtocol | None = None,
) -> AttentionProfile:
    """Ask the questions of a split and sum up where the attention went.

    What came next decides only whether a question is of a new or a known item; no question sees it.

    Parameters
    ----------
    run
        A trained run of ``stgat``.
    split
        ``train``, ``val`` or ``test``.
    questions
        How many at most, drawn by the run's seed.
    groups
        Segments of one's own: a name for each user id, such as a column of a table of users; others have none.
    protocol
        How to ask; as the run was judged in training where None.

    Raises RunError for a run of another model.
    """
    graph, asked_by, ranker = run.graph, protocol or run.protocol, run.ranker
    if not isinstance(ranker, StgatRanker):
        raise RunError(f"{run.path}: {run.config.model.name} pays no attention to profile; stgat does")
    rows = asked_by.target_rows(graph, split)
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(run.config.seed))[:questions]
    rows = rows[drawn.sort().values.to(rows.device)]
    segments: dict[str, NDArray[np.bool_]] = {}
    if asked_by.task == "next-item":
        known = is_repeat(graph, rows).cpu().numpy()
        segments |= {"known item": known, "new item": ~known}
    if groups:
        names = [groups.get(str(graph.nodes["user"].ids[code].as_py())) for code in graph.log.user[rows].tolist()]
        segments |= {name: np.array([one == name for one in names]) for name in dict.fromkeys(filter(None, names))}
    return profile(ranker, asked_by.queries(graph, rows), segments, progress)


@dataclass(frozen=True)
class _Looked:
    """What a batch of questions looked at; NaN where a question says nothing."""

    share: Float64[Tensor, "batch values"]
    """Part of its attention on each value of each aspect, side by side."""
    available: Float64[Tensor, "batch values"]
    """The same without a choice."""
    user: Int64[Tensor, " batch"]
    """Who asked, -1 for a stranger."""
    past: Int64[Tensor, " batch"]
    """Events of the user's before the question."""
    local_time: Int64[Tensor, " batch"]
    """When the question was asked, local seconds."""


@torch.inference_mode()
def profile(
    ranker: StgatRanker,
    queries: Queries,
    segments: Mapping[str, NDArray[np.bool_]] | None = None,
    progress: Progress | None = None,
) -> AttentionProfile:
    """Sum up where the attention of questions went: all of them, by what they know themselves, and by ``segments``."""
    listener, aspects, looked = progress or NoProgress(), _aspects(ranker), []
    listener.start("following attention", len(queries))
    for start in range(0, len(queries), BATCH):
        batch = queries.rows(slice(start, start + BATCH))
        looked.append(_look(ranker, ranker.forward(batch), aspects))
        listener.advance(len(batch))
    listener.finish()
    if not looked:
        return AttentionProfile(0, ())
    every = _Looked(*(torch.cat([getattr(part, name) for part in looked]).cpu() for name in _Looked.__annotations__))
    chosen = {**_own_segments(every, ranker.graph), **(segments or {})}
    whole = np.ones(len(queries), dtype=bool)
    parted = {name: rows for name, rows in chosen.items() if 0 < rows.sum() < len(rows)}
    shares = [one for name, rows in {"all": whole, **parted}.items() for one in _shares(every, aspects, name, rows)]
    return AttentionProfile(len(queries), tuple(shares))


def _aspects(ranker: StgatRanker) -> dict[str, list[str]]:
    """Names of the values of each aspect that the graph knows of."""
    graph = ranker.graph
    aspects = {
        "relation": [
            *(SHARE_LABELS.get(name, name) for name in ranker.model.relation_attention),
            SHARE_LABELS["semantic"],
        ]
    }
    if not graph.timeless:
        aspects |= {"how long ago": [*AGES], "hours apart": [*HOURS_APART], "weekday": [*WEEKDAYS]}
    if any(graph.nodes[kind].coordinates is not None for kind in ("item", "location")):
        aspects["distance"] = [*DISTANCES, UNKNOWN]
    return aspects


def _look(ranker: StgatRanker, answer: ModelOutput, aspects: Mapping[str, Sequence[str]]) -> _Looked:
    context, graph = answer.context, ranker.graph
    around = [context.neighbourhoods[name] for name in answer.state.attention]
    nothing = answer.event_item[:, :0]
    event = torch.cat((nothing, *(near.event for near in around)), 1)
    real = torch.cat((nothing.bool(), *(near.mask for near in around)), 1).double()
    relation = [torch.full_like(near.event, place) for place, near in enumerate(around)]
    value = {"relation": torch.cat((nothing, *relation), 1), **_values(graph, context, event)}
    mass = answer.event_probability.double() * real
    shares = [
        _relations(answer, ranker.model.config.heads),
        *(_parts(value[name], mass, len(aspects[name])) for name in [*aspects][1:]),
    ]
    count = _parts(value["relation"], real, len(aspects["relation"]))
    count[:, -1] = torch.nan  # the semantic space has no events
    alike = real * _level(value["relation"], mass, real, len(around))
    available = [count, *(_parts(value[name], alike, len(aspects[name])) for name in [*aspects][1:])]
    user, time = context.queries.user, context.queries.time
    past = graph.relation("user->item").count_before(user, time)
    return _Looked(torch.cat(shares, 1), torch.cat(available, 1), user, past, context.local_time)


def _relations(answer: ModelOutput, heads: int) -> Float64[Tensor, "batch relations_plus_one"]:
    """Part of the whole probability of each relation, and of the semantic space."""
    gate = answer.state.log_mixture_weights.double().exp()
    relations = gate[:, 1:].reshape(len(gate), -1, heads).sum(2)
    return torch.cat((relations, gate[:, :1]), 1)


def _level(
    relation: Int64[Tensor, "batch events"], mass: Tensor, real: Tensor, relations: int
) -> Float64[Tensor, "batch events"]:
    """Mean mass of the events of each event's relation."""
    whole, count = (
        mass.new_zeros(len(mass), relations).scatter_add(1, relation, weight).gather(1, relation)
        for weight in (mass, real)
    )
    return whole / count.clamp(min=1)


def _values(graph: TemporalGraph, context: Context, event: Int64[Tensor, "batch events"]) -> dict[str, Tensor]:
    """Place of each event among the values of each aspect."""
    asked = context.local_time[:, None]
    local = graph.log.local_time(event)
    around_the_clock = (local - asked) % DAY
    away = distance_km(context.coordinates[:, None], event_coordinates(graph, event))
    return {
        "how long ago": _within(context.queries.time[:, None] - graph.log.time[event], AGES),
        "hours apart": _within(torch.minimum(around_the_clock, DAY - around_the_clock), HOURS_APART),
        "weekday": _within((local // DAY - asked // DAY) % 7, WEEKDAYS),
        "distance": torch.where(away.isnan(), len(DISTANCES), _within(away.nan_to_num(), DISTANCES)),
    }


def _within(amount: Tensor, values: Mapping[str, int | float | None]) -> Int64[Tensor, "batch events"]:
    """Which of the values each amount is: the first whose end lies above it."""
    ends = torch.tensor([end for end in values.values() if end is not None], device=amount.device, dtype=amount.dtype)
    return torch.bucketize(amount, ends, right=True)


def _parts(value: Tensor, weight: Float64[Tensor, "batch events"], values: int) -> Float64[Tensor, "batch values"]:
    """Part of each row's weight on each value; NaN for a row without any."""
    amount = weight.new_zeros(len(weight), values).scatter_add(1, value, weight)
    whole = weight.sum(1, keepdim=True)
    return torch.where(whole > 0, amount / whole, torch.nan)


def _own_segments(looked: _Looked, graph: TemporalGraph) -> dict[str, NDArray[np.bool_]]:
    """Segments by how much the users had done, and by when the questions were asked."""
    past = looked.past.numpy()
    segments = {"few events": past <= np.median(past), "many events": past > np.median(past)}
    if graph.timeless:
        return segments
    local = looked.local_time.numpy()
    weekend = (local // DAY + 3) % 7 >= DAYS.index("Saturday")
    hour = local % DAY // HOUR
    part = np.searchsorted([end for end, _ in PARTS_OF_DAY], hour, side="right")
    times = {name: part == place for place, (_, name) in enumerate(PARTS_OF_DAY)}
    return {**segments, "workday": ~weekend, "weekend": weekend, **times}


def _shares(
    looked: _Looked, aspects: Mapping[str, Sequence[str]], segment: str, rows: Bool[np.ndarray, " questions"]
) -> Iterator[Share]:
    """The shares of one segment."""
    share, available = looked.share.numpy()[rows], looked.available.numpy()[rows]
    low, high = _interval(share, looked.user.numpy()[rows])
    said = ~np.isnan(share)
    mean, base = _mean(share), _mean(available)
    place = 0
    for aspect, values in aspects.items():
        for value in values:
            if mean[place] > 0 or base[place] > 0:
                asked = int(said[:, place].sum())
                lowest, highest, seen = (_or_none(column[place]) for column in (low, high, base))
                yield Share(segment, asked, aspect, value, float(mean[place]), lowest, highest, seen)
            place += 1


def _or_none(number: float) -> float | None:
    return None if np.isnan(number) else float(number)


def _mean(values: Float64[np.ndarray, "rows values"]) -> Float64[np.ndarray, " values"]:
    """Mean of each column over the rows that have one; NaN for a column without any."""
    count = (~np.isnan(values)).sum(0)
    return np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)


def _interval(
    values: Float64[np.ndarray, "rows values"], user: Int64[np.ndarray, " rows"]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap over users of the mean of each column, 95%; NaN below two users.

    Each stranger, of user -1, stands alone.
    """
    group = np.where(user >= 0, user, -1 - np.arange(len(user)))
    ends = np.full((2, values.shape[1]), np.nan)
    if len(np.unique(group)) < 2:
        return ends[0], ends[1]
    said = ~np.isnan(values)
    columns = torch.from_numpy(np.concatenate((np.nan_to_num(values), said), axis=1))
    total, count = resampled_means(columns, torch.from_numpy(group), RESAMPLES).numpy().T.reshape(2, -1, RESAMPLES)
    known = said.any(0)
    means = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    ends[:, known] = np.nanpercentile(means[known], [2.5, 97.5], axis=1)
    return ends[0], ends[1]
