"""Filters of checked events: by kind, date and coordinates, by session, by repeat, by number of events.

The filters run in this order, each on the events that the ones before it kept:

1. ``kinds``, ``dates``, ``box``, each on one event alone.
2. ``session_gap`` makes sessions. It runs before the repeats are dropped, since a repeat continues a session.
3. ``collapse_repeats`` keeps the first of a user's consecutive events on one item, whatever the session.
4. ``least_session``, ``user_core`` and ``item_core`` are applied in turn until all hold. The result is the largest
   subset of the log in which they hold, whatever their order: the union of two such subsets is one too.
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
NO_COORDINATES = "no coordinates"
BOX = "outside the box"
REPEAT = "repeated at once"
SESSION = "session too short"
USER = "user with too few events"
ITEM = "item with too few events"
"""Reasons to drop an event, in the order of the filters."""
TOO_FEW = {"visit": SESSION, "user": USER, "item": ITEM}


def filter_events(engine: Engine, events: Any, mapping: ColumnMapping) -> tuple[Any, dict[str, int]]:
    """Drop the events that the mapping's filters exclude.

    Parameters
    ----------
    events
        Table with ``key`` (int64, unique, orders the events by time), ``user``, ``item``, ``session``, ``kind``
        (strings, null only in the last two), ``time`` (int64 UTC seconds), ``lat``, ``lon`` (float64 or null),
        ``weight``, and others, which stay as they are.

    Returns
    -------
    The expression of the kept events with the columns of ``events``, ``weight`` times that of its kind and
    ``session`` filled where ``session_gap`` makes sessions; and the number of dropped events by reason.

    Raises
    ------
    MappingError
        If a filter is contradictory.
    InputError
        If no event is left.
    """
    check_filters(mapping)
    dropped = _count_by_row(engine, events, mapping)
    kept = _weighted(events, mapping)
    if mapping.collapse_repeats or mapping.session_gap is not None or _min_counts(mapping):
        selected, more = _select(engine, events, mapping)
        dropped.update(more)
        own_sessions = kept.semi_join(selected, "key")
        new_sessions = kept.drop("session").inner_join(selected, "key").select(*kept.columns)
        kept = own_sessions if mapping.session_gap is None else new_sessions
    elif dropped:
        kept = kept.filter(_row_reason(events, mapping).isnull())
    _check_not_empty(engine, events, dropped)
    return kept, dropped


def _row_reason(events: Any, mapping: ColumnMapping) -> Any:
    """Reason to drop an event for its own values; null for one that is kept."""
    cases = []
    if mapping.kinds is not None:
        cases.append((~events.kind.isin([*mapping.kinds]).fill_null(ibis.literal(False)), KIND))
    if mapping.dates is not None:
        first, end = date_bounds(mapping.dates)
        cases.append(((events.time < first) | (events.time >= end), DATES))
    if mapping.box is not None:
        cases.append((events.lat.isnull() | events.lon.isnull(), NO_COORDINATES))
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
    counted = {row["reason"]: row["count"] for row in counts}
    return {reason: counted[reason] for reason in (KIND, DATES, NO_COORDINATES, BOX) if reason in counted}


def _weighted(events: Any, mapping: ColumnMapping) -> Any:
    if mapping.kinds is None:
        return events
    factor = ibis.cases(*((events.kind == kind, float(times)) for kind, times in mapping.kinds.items()), else_=1.0)
    return events.mutate(weight=(events.weight * factor).cast(events.weight.type()))


def _min_counts(mapping: ColumnMapping) -> dict[str, int]:
    """Minimum number of events per value, by counted column."""
    counts = {"visit": mapping.least_session, "user": mapping.user_core, "item": mapping.item_core}
    return {column: count for column, count in counts.items() if count > 1}


def _select(engine: Engine, events: Any, mapping: ColumnMapping) -> tuple[Any, dict[str, int]]:
    """``key`` and ``session`` of the events that the filters over several events keep; dropped events by reason."""
    narrow = events.filter(_row_reason(events, mapping).isnull()).select("key", "user", "item", "session", "time")
    dropped: dict[str, int] = {}
    if mapping.collapse_repeats or mapping.session_gap is not None:
        narrow, dropped = _walk(engine, narrow, mapping)
    if _min_counts(mapping):
        keys, more = _core(engine, narrow, _min_counts(mapping))
        return narrow.select("key", "session").semi_join(keys, "key"), {**dropped, **more}
    return narrow.select("key", "session"), dropped


def _walk(engine: Engine, narrow: Any, mapping: ColumnMapping) -> tuple[Any, dict[str, int]]:
    """Sessions by gap, and without the events that repeat the user's previous one."""
    own = ibis.window(group_by="user", order_by="key")
    last = {f"last_{name}": narrow[name].lag().over(own) for name in ("item", "time", "session")}
    walked = narrow.mutate(**last)
    if mapping.session_gap is not None:
        walked = _with_sessions(walked, mapping.session_gap)
    is_repeat = (walked.item == walked.last_item).fill_null(ibis.literal(False))
    repeated = is_repeat if mapping.collapse_repeats else ibis.literal(False)
    walked = engine.materialise("filter_walk", walked.select("key", "user", "item", "session", repeated=repeated))
    repeats = int(engine.to_pyarrow(walked.repeated.cast("int64").sum()).as_py() or 0)
    return walked.filter(~walked.repeated), {REPEAT: repeats} if repeats else {}


def _with_sessions(walked: Any, hours: float) -> Any:
    """Sessions for the events without one: a session ends before a longer gap or an event with its own session."""
    late = walked.time - walked.last_time > hours * 3600
    begins = (walked.last_time.isnull() | walked.last_session.notnull() | late).cast("int64")
    number = begins.sum().over(group_by="user", order_by="key", rows=(None, 0))
    return walked.mutate(session=ibis.coalesce(walked.session, ibis.literal("by gap ") + number.cast("string")))


def _core(engine: Engine, narrow: Any, min_counts: dict[str, int]) -> tuple[Any, dict[str, int]]:
    """Keys of the largest subset of the events in which every value of a column has its minimum number of events."""
    table, dropped, unchanged, step = _encoded(engine, narrow, min_counts), dict.fromkeys(min_counts, 0), 0, 0
    while unchanged < len(min_counts):  # until a round over all columns removes nothing
        column = [*min_counts][step % len(min_counts)]
        known = table.filter(table[column].notnull())
        sizes = known.group_by(column).aggregate(size=known.count())
        small = engine.materialise("filter_small", sizes.filter(sizes["size"] < min_counts[column]))
        removed = int(engine.to_pyarrow(small["size"].sum()).as_py() or 0)
        unchanged, step = (0 if removed else unchanged + 1), step + 1
        if removed:
            dropped[column] += removed
            table = engine.materialise(f"filter_core{step}", table.anti_join(small, column))
    return table.select("key"), {TOO_FEW[column]: count for column, count in dropped.items() if count}


def _encoded(engine: Engine, narrow: Any, min_counts: dict[str, int]) -> Any:
    """The events as ``key`` and an integer code per counted column, so that the rounds compare no text."""
    ids = {"visit": ["user", "session"], "user": ["user"], "item": ["item"]}
    for column in min_counts:
        known = narrow.filter(narrow[ids[column][-1]].notnull()).select(*ids[column]).distinct()
        number = ibis.row_number().over(order_by=ids[column])
        codes = engine.materialise(f"filter_{column}", known.mutate(code=number).rename({f"{column}_code": "code"}))
        narrow = narrow.left_join(codes, ids[column]).drop(*(f"{name}_right" for name in ids[column]))
    codes = {column: narrow[f"{column}_code"].cast("int64") for column in min_counts}
    return engine.materialise("filter_core0", narrow.select("key", **codes))


def _check_not_empty(engine: Engine, events: Any, dropped: dict[str, int]) -> None:
    if not dropped or sum(dropped.values()) < int(engine.to_pyarrow(events.count()).as_py()):
        return
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in dropped.items())
    kinds = engine.to_pyarrow(events.select("kind").distinct().order_by("kind").limit(8))["kind"].to_pylist()
    about = f"; its kinds are {', '.join(map(repr, kinds))}" if KIND in dropped else ""
    raise InputError(f"filters: not one event of the log is left: {reasons}{about}; loosen the filters of the mapping")
