"""A question: which item next, for this user, as of this time, at this place?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from graphrec.errors import InputError
from graphrec.graph.device import to_device
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MAX

FIRST, LAST = -62_135_596_800, 253_402_300_799
"""UTC seconds of the first and the last moment of the calendar, years 1 to 9999."""


@dataclass(frozen=True)
class Queries:
    """A batch of questions. Only what is strictly before ``time`` can be used to answer."""

    user: Int64[Tensor, " batch"]
    """Code of the user; -1 for one the graph has never seen."""
    time: Int64[Tensor, " batch"]
    """UTC seconds as of which the question is asked."""
    coordinates: Float32[Tensor, "batch 2"]
    """Where the user is, degrees; NaN: at the place of the last visible event."""
    session: Int64[Tensor, " batch"]
    """Session that the question belongs to, -1 for none; matters only to a frozen history."""
    history_cutoff: int = TIME_MAX
    """Frozen history: events at or after this time are visible only inside the question's own session."""
    masked_event: Int64[Tensor, " batch"] | None = None
    """Row of an event of the user's own that the question does not see; for a log without times."""

    def __len__(self) -> int:
        return len(self.time)

    def rows(self, index: slice | Tensor) -> Queries:
        """The questions at ``index``."""
        masked = None if self.masked_event is None else self.masked_event[index]
        columns = (self.user[index], self.time[index], self.coordinates[index], self.session[index])
        return Queries(*columns, self.history_cutoff, masked)

    def to(self, device: torch.device | str) -> Queries:
        """The same questions on another device."""
        return to_device(self, device)

    @staticmethod
    def from_users(user: Tensor, time: Tensor, coordinates: Tensor | None = None) -> Queries:
        """Questions with a full history; without coordinates the place is that of the last event."""
        nowhere = torch.full((len(user), 2), float("nan"), device=user.device)
        return Queries(
            user.long(), time.long(), nowhere if coordinates is None else coordinates, torch.full_like(user.long(), -1)
        )

    @staticmethod
    def from_user_ids(
        graph: TemporalGraph, users: Sequence[str], at: int | None = None, near: tuple[float, float] | None = None
    ) -> Queries:
        """One query per user id; an id that the graph does not have gets the code -1.

        ``at`` is in UTC seconds, one second after the last event where None; ``near`` is a latitude and longitude in
        degrees, the place of the user's last event where None. Raises InputError for a time off the calendar and for a
        place off the globe.
        """
        device = graph.log.time.device
        user = torch.tensor([graph.nodes["user"].code(user) for user in users], dtype=torch.int64, device=device)
        time = torch.full_like(user, end_of_log(graph) if at is None else check_time(at))
        place = torch.tensor(check_place(near) if near else (torch.nan, torch.nan), dtype=torch.float32, device=device)
        return Queries.from_users(user, time, place.expand(len(user), 2))


def queries_for_events(
    graph: TemporalGraph, rows: Int64[Tensor, " batch"], query_time: str = "last-event", history_cutoff: int = TIME_MAX
) -> Queries:
    """The question that each event answered, without anything of the event itself but, on ``request``, its time.

    ``last-event`` asks one second after the user's preceding event of an earlier second: everything known then,
    that event included, and nothing later. A user without one is asked at the event's time.
    ``request`` asks at the event's own time (events of the same second stay unseen).
    """
    log = graph.log
    user, time = log.user[rows].long(), log.time[rows]
    if query_time == "last-event":
        mine = graph.relation("user->item")
        last, real = mine.before(user, time, 1)
        time = torch.where(real[:, 0], mine.time[last[:, 0]] + 1, time) if len(mine) else time
    asked = Queries.from_users(user, time)
    return Queries(asked.user, asked.time, asked.coordinates, log.session[rows].long(), history_cutoff)


def end_of_log(graph: TemporalGraph) -> int:
    """One second after the last event that the graph shows, UTC seconds: as of then, all of it is known."""
    times = graph.events.time
    return int(times[-1]) + 1 if len(times) else 0


def check_time(time: int) -> int:
    """UTC seconds that a calendar reaches, or InputError."""
    if not FIRST <= time <= LAST:
        raise InputError(f"--at {time}: UTC seconds of the years 1 to 9999 expected (not milliseconds)")
    return time


def check_place(place: tuple[float, float]) -> tuple[float, float]:
    """Latitude and longitude on the globe, or InputError."""
    latitude, longitude = place
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise InputError(f"--near {latitude},{longitude}: latitude in -90..90 and longitude in -180..180 expected")
    return place
