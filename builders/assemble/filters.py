"""Which checked events become the graph: by kind, date and place, by session, by repeat, by how many there are.

The filters run in this order, each on what the ones before it left:

1. ``kinds``, ``dates``, ``box`` say what the log is about; each looks at one event alone.
2. ``session_gap`` makes sessions of that. It goes before the repeats, since a repeat is a sign of life too.
3. ``collapse_repeats`` keeps the first of a user's consecutive events on one item, whatever the session.
4. ``least_session``, ``user_core`` and ``item_core`` repeat until all three hold at once. What is left then is the
   largest part of the log in which they hold, and does not depend on which of them goes first: two parts in which
   they hold are together one in which they hold.
"""

from __future__ import annotations

from typing import Any

import ibis

from builders.engine.backend import Engine
from builders.mapping.column_mapping import ColumnMapping
from builders.mapping.filter_checks import check_filters, date_bounds
from graphrec.errors import InputError

KIND = "kind left out"
DATES = "outside the dates"
NOWHERE = "no coordinates"
BOX = "outside the box"
REPEAT = "repeated at once"
SESSION = "session too short"
USER = "user with too few events"
ITEM = "item with too few events"
"""Why an event is dropped, in the order in which the reasons are looked at."""
TOO_FEW = {"visit": SESSION, "user": USER, "item": ITEM}


def filter_events(engine: Engine, events: Any, mapping: ColumnMapping) -> tuple[Any, dict[str, int]]:
    """Keep the events that the mapping's filters let through.

    Parameters
    ----------
    events
        Table with ``key`` (int64, unique, orders the events by time), ``user``, ``item``, ``session``, ``kind``
        (strings, null only in the last two), ``time`` (int64 UTC seconds), ``lat``, ``lon`` (float64 or null),
        ``weight``, and any others, which go through as they are.

    Returns
    -------
    The expression of the kept events with the columns of ``events``, ``weight`` times that of its kind and
    ``session`` filled where ``session_gap`` makes sessions; and how many were dropped for each reason.

    Raises
    ------
    MappingError
        If a filter cannot be meant as it is written.
    InputError
        If no event is left.
    """
    check_filters(mapping)
    dropped = _count_by_row(engine, events, mapping)
    kept = _weighted(events, mapping)
    if _looks_at_several(mapping):
        chosen, more = _choose(engine, events, mapping)
        dropped.update(more)
        kept = _only(kept, chosen, mapping)
    elif dropped:
        kept = kept.filter(_row_reason(events, mapping).isnull())
    _refuse_nothing_left(engine, events, dropped)
    return kept, dropped


def _row_reason(events: Any, mapping: ColumnMapping) -> Any:
    """Why an event is dropped for what stands in it; null for one that is kept."""
    cases = []
    if mapping.kinds is not None:
        cases.append((~events.kind.isin([*mapping.kinds]).fill_null(False), KIND))
    if mapping.dates is not None:
        first, end = date_bounds(mapping.dates)
        cases.append(((events.time < first) | (events.time >= end), DATES))
    if mapping.box is not None:
        cases.append((events.lat.isnull() | events.lon.isnull(), NOWHERE))
        cases.append((~_inside(events.lat, events.lon, mapping.box), BOX))
    return ibis.cases(*cases, else_=ibis.null("string")) if cases else ibis.null("string")


def _inside(lat: Any, lon: Any, box: tuple[float, float, float, float]) -> Any:
    """Whether coordinates lie in a box, its edges included; one with west > east goes over the date line."""
    south, west, north, east = box
    between = lon.between(west, east) if west <= east else (lon >= west) | (lon <= east)
    return lat.between(south, north) & between


def _count_by_row(engine: Engine, events: Any, mapping: ColumnMapping) -> dict[str, int]:
    if mapping.kinds is None and mapping.dates is None and mapping.box is None:
        return {}
    reasons = events.select(reason=_row_reason(events, mapping))
    counts = engine.to_pyarrow(reasons.group_by("reason").aggregate(count=reasons.count())).to_pylist()
    found = {row["reason"]: row["count"] for row in counts}
    return {reason: found[reason] for reason in (KIND, DATES, NOWHERE, BOX) if reason in found}


def _weighted(events: Any, mapping: ColumnMapping) -> Any:
    if mapping.kinds is None:
        return events
    factor = ibis.cases(*((events.kind == kind, float(times)) for kind, times in mapping.kinds.items()), else_=1.0)
    return events.mutate(weight=(events.weight * factor).cast(events.weight.type()))


def _only(kept: Any, chosen: Any, mapping: ColumnMapping) -> Any:
    """The kept events that were chosen, with the sessions that were made on the way."""
    if mapping.session_gap is None:
        return kept.semi_join(chosen, "key")
    return kept.drop("session").inner_join(chosen, "key").select(*kept.columns)


def _looks_at_several(mapping: ColumnMapping) -> bool:
    return bool(mapping.collapse_repeats or mapping.session_gap is not None or _least(mapping))


def _least(mapping: ColumnMapping) -> dict[str, int]:
    """The columns by which events are counted, and how many each value needs."""
    least = {"visit": mapping.least_session, "user": mapping.user_core, "item": mapping.item_core}
    return {column: count for column, count in least.items() if count > 1}


def _choose(engine: Engine, events: Any, mapping: ColumnMapping) -> tuple[Any, dict[str, int]]:
    """The ``key`` and ``session`` of the kept events, by the filters that look at several events at once."""
    narrow = events.filter(_row_reason(events, mapping).isnull()).select("key", "user", "item", "session", "time")
    dropped: dict[str, int] = {}
    if mapping.collapse_repeats or mapping.session_gap is not None:
        narrow, dropped = _walk(engine, narrow, mapping)
    if _least(mapping):
        keys, more = _core(engine, narrow, _least(mapping))
        return narrow.select("key", "session").semi_join(keys, "key"), {**dropped, **more}
    return narrow.select("key", "session"), dropped


def _walk(engine: Engine, narrow: Any, mapping: ColumnMapping) -> tuple[Any, dict[str, int]]:
    """Go along each user's events: sessions by gap, and the events that only repeat the one before."""
    own = ibis.window(group_by="user", order_by="key")
    last = {f"last_{name}": narrow[name].lag().over(own) for name in ("item", "time", "session")}
    walked = narrow.mutate(**last)
    if mapping.session_gap is not None:
        walked = _with_sessions(walked, mapping.session_gap)
    repeated = (walked.item == walked.last_item).fill_null(False) if mapping.collapse_repeats else ibis.literal(False)
    walked = walked.select("key", "user", "item", "session", repeated=repeated)
    walked = engine.materialise("filter_walk", walked)
    repeats = int(engine.to_pyarrow(walked.repeated.cast("int64").sum()).as_py() or 0)
    return walked.filter(~walked.repeated), {REPEAT: repeats} if repeats else {}


def _with_sessions(walked: Any, hours: float) -> Any:
    """Sessions for the events that have none: one goes on until the next event is too late or has its own."""
    late = walked.time - walked.last_time > hours * 3600
    begins = (walked.last_time.isnull() | walked.last_session.notnull() | late).cast("int64")
    number = begins.sum().over(group_by="user", order_by="key", rows=(None, 0))
    return walked.mutate(session=ibis.coalesce(walked.session, ibis.literal("by gap ") + number.cast("string")))


def _core(engine: Engine, narrow: Any, least: dict[str, int]) -> tuple[Any, dict[str, int]]:
    """The keys of the largest part of the events in which every value of a column has its least count of events."""
    table, dropped, held, step = _encoded(engine, narrow, least), dict.fromkeys(least, 0), 0, 0
    while held < len(least):  # until every column has been looked at without a change
        column = [*least][step % len(least)]
        known = table.filter(table[column].notnull())
        sizes = known.group_by(column).aggregate(size=known.count())
        small = engine.materialise("filter_small", sizes.filter(sizes["size"] < least[column]))
        lost = int(engine.to_pyarrow(small["size"].sum()).as_py() or 0)
        held, step = (0 if lost else held + 1), step + 1
        if lost:
            dropped[column] += lost
            table = engine.materialise(f"filter_core{step}", table.anti_join(small, column))
    return table.select("key"), {TOO_FEW[column]: count for column, count in dropped.items() if count}


def _encoded(engine: Engine, narrow: Any, least: dict[str, int]) -> Any:
    """The events as ``key`` and a number for each counted column, so that the rounds compare no text."""
    ids = {"visit": ["user", "session"], "user": ["user"], "item": ["item"]}
    for column in least:
        known = narrow.filter(narrow[ids[column][-1]].notnull()).select(*ids[column]).distinct()
        number = ibis.row_number().over(order_by=ids[column])
        codes = engine.materialise(f"filter_{column}", known.mutate(code=number).rename({f"{column}_code": "code"}))
        narrow = narrow.left_join(codes, ids[column]).drop(*(f"{name}_right" for name in ids[column]))
    codes = {column: narrow[f"{column}_code"].cast("int64") for column in least}
    return engine.materialise("filter_core0", narrow.select("key", **codes))


def _refuse_nothing_left(engine: Engine, events: Any, dropped: dict[str, int]) -> None:
    if not dropped or sum(dropped.values()) < int(engine.to_pyarrow(events.count()).as_py()):
        return
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in dropped.items())
    kinds = engine.to_pyarrow(events.select("kind").distinct().order_by("kind").limit(8))["kind"].to_pylist()
    about = f"; its kinds are {', '.join(map(repr, kinds))}" if KIND in dropped else ""
    raise InputError(f"filters: not one event of the log is left: {reasons}{about}; loosen the filters of the mapping")
