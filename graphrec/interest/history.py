"""One user's events before a time, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphrec.errors import InputError
from graphrec.formatting import format_utc
from graphrec.graph.conversion import known_user
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.queries.user_history import user_events
from graphrec.time_units import DAY, FIRST_MONDAY


@dataclass(frozen=True)
class History:
    """Events of a user strictly before a time, the oldest first."""

    user: str
    """The user's own id."""
    until: int
    """UTC seconds at which the history ends: the time of the query, or just after the log's last event if earlier."""
    row: NDArray[np.int64]
    """[n] row of each event in the log."""
    item: NDArray[np.int64]
    """[n] item codes."""
    location: NDArray[np.int64]
    """[n] location codes, -1 where unknown."""
    time: NDArray[np.int64]
    """[n] UTC seconds, never decreasing."""
    local_time: NDArray[np.int64]
    """[n] local time: UTC seconds plus the offset."""
    timeless: bool
    """Whether the log has only an order and no times."""
    offset: int
    """Offset of local time from UTC at the last event, seconds; 0 without events."""

    @staticmethod
    def before(graph: TemporalGraph, user: str, until: int) -> History:
        """A user's events strictly before ``until`` (UTC seconds); InputError for a user not known by then."""
        view = graph.as_of(until)
        rows = user_events(view, known_user(view, user), view.horizon)
        visible = view.log.count_before(view.horizon)
        return History(
            user=user,
            until=min(view.horizon, int(view.log.time[visible - 1]) + 1) if visible else view.horizon,
            row=rows.cpu().numpy(),
            item=view.log.item[rows].long().cpu().numpy(),
            location=view.log.location[rows].long().cpu().numpy(),
            time=view.log.time[rows].cpu().numpy(),
            local_time=view.log.local_time(rows).cpu().numpy(),
            timeless=view.timeless,
            offset=60 * int(view.log.utc_offset[rows[-1]]) if len(rows) else 0,
        )

    def __len__(self) -> int:
        return len(self.row)

    def check(self) -> History:
        """The same history; InputError for one without events."""
        if not len(self):
            raise InputError(f"user {self.user!r} has no event before {format_utc(self.until)}; ask for a later time")
        return self

    @property
    def local_until(self) -> int:
        """``until`` in local time."""
        return self.until + self.offset

    def steps(self, days: int = 7) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The step of time of each event, [n], and the first local second of each step from first to last event, [w].

        Steps of a week begin on Monday. Raises InputError for a step under one day or without events.
        """
        if days < 1:
            raise InputError(f"a step of at least 1 day expected, got {days}")
        self.check()
        step = (self.local_time - FIRST_MONDAY) // (days * DAY)
        first, count = int(step.min()), int(np.ptp(step)) + 1
        return step - first, (first + np.arange(count)) * days * DAY + FIRST_MONDAY

    def whole_steps(self, days: int = 7) -> NDArray[np.int64]:
        """Events in each step of ``days`` times 24 hours counted back from ``until``, the earliest first, [w].

        The step of the first event is left out: the user may have joined within it. Raises
        InputError for a step under one day, and in a log without times.
        """
        if self.timeless:
            raise InputError("a log with times expected: this one has no days to count events by")
        if days < 1:
            raise InputError(f"a step of at least 1 day expected, got {days}")
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        back = (self.until - 1 - self.time) // (days * DAY)
        return np.bincount(back)[-2::-1].astype(np.int64)
