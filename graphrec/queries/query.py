"""Queries: which item next, for this user, as of this time, at this place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from graphrec.errors import InputError
from graphrec.graph import TIME_MAX, TemporalGraph
from graphrec.graph.tensor_record import TensorColumns
from graphrec.progress import NoProgress, Progress

FIRST, LAST = -62_135_596_800, 253_402_300_799
"""UTC seconds of the first and the last moment of the calendar, years 1 to 9999."""


@dataclass(frozen=True)
class Queries(TensorColumns):
    """A batch of queries. Only events strictly before ``time`` can be used to answer."""

    user: Int64[Tensor, " batch"]
    """Code of the user; -1 for one the graph has never seen."""
    time: Int64[Tensor, " batch"]
    """UTC seconds as of which the query is answered."""
    coordinates: Float32[Tensor, "batch 2"]
    """Latitude and longitude of the user, degrees; NaN: those of the last visible event."""
    session: Int64[Tensor, " batch"]
    """Session of the query, -1 for none; used by a frozen history only."""
    history_cutoff: int = TIME_MAX
    """Frozen history: events at or after this time are visible within the query's own session only."""
    masked_event: Int64[Tensor, " batch"] | None = None
    """Row of one event of the user's own that is not visible; for a log without times."""

    def __len__(self) -> int:
        return len(self.time)

    def batches(self, size: int, title: str, progress: Progress | None = None) -> Iterator[Queries]:
        """Batches of ``size`` queries, reported to ``progress`` as a task of this title."""
        listener = progress or NoProgress()
        listener.start(title, len(self))
        for start in range(0, len(self), size):
            batch = self.rows(slice(start, start + size))
            yield batch
            listener.advance(len(batch))
        listener.finish()

    @staticmethod
    def from_users(user: Tensor, time: Tensor, *, coordinates: Tensor | None = None) -> Queries:
        """Queries with a full history; without coordinates those of the user's last event count."""
        user = user.long()
        if coordinates is None:
            coordinates = torch.full((len(user), 2), torch.nan, device=user.device)
        return Queries(user, time.long(), coordinates, torch.full_like(user, -1))

    @staticmethod
    def from_user_ids(
        graph: TemporalGraph, users: Sequence[str], *, at: int | None = None, near: tuple[float, float] | None = None
    ) -> Queries:
        """One query per user id; an id that the graph does not have gets the code -1.

        ``at`` is in UTC seconds, one second after the last event where None; ``near`` is a latitude and longitude in
        degrees, the place of the user's last event where None. Raises InputError for a time off the calendar and for a
        place off the globe.
        """
        if at is not None and not FIRST <= at <= LAST:
            raise InputError(f"--at {at}: UTC seconds of the years 1 to 9999 expected (not milliseconds)")
        latitude, longitude = near or (torch.nan, torch.nan)
        if near and not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            raise InputError(f"--near {latitude},{longitude}: latitude in -90..90 and longitude in -180..180 expected")
        device = graph.log.time.device
        user = torch.tensor([graph.nodes["user"].code(user) for user in users], dtype=torch.int64, device=device)
        time = torch.full_like(user, end_of_log(graph) if at is None else at)
        place = torch.tensor((latitude, longitude), dtype=torch.float32, device=device)
        return Queries.from_users(user, time, coordinates=place.expand(len(user), 2))


def queries_for_events(
    graph: TemporalGraph, rows: Int64[Tensor, " batch"], query_time: str = "last-event", history_cutoff: int = TIME_MAX
) -> Queries:
    """The query that each event answers, without anything of the event itself but, on ``request``, its time.

    ``last-event``: one second after the user's preceding event of an earlier second, with that event visible and
    nothing later; the event's time for a user without one. ``request``: the event's own time (events of the same
    second are not visible).
    """
    log = graph.log
    user, time = log.user[rows].long(), log.time[rows]
    if query_time == "last-event":
        relation = graph.relation("user->item")
        last, mask = relation.before(user, time, 1)
        time = torch.where(mask[:, 0], relation.time[last[:, 0]] + 1, time) if len(relation) else time
    session = log.session[rows].long()
    return replace(Queries.from_users(user, time), session=session, history_cutoff=history_cutoff)


def end_of_log(graph: TemporalGraph) -> int:
    """UTC seconds, one after the last visible event: as of then, all events are visible."""
    times = graph.events.time
    return int(times[-1]) + 1 if len(times) else 0
