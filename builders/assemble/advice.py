"""Advice in one sentence for each reason to reject a row."""

from __future__ import annotations

IDS = "see whether the mapping names the right column; rows without an id stay out"
ONE_VALUE = "write one event per line, with one value; or map a column that has one"
NUMBER = "write numbers with a point and without a unit, or map another column, or none"
DEGREES = "degrees from -{0} to {0} are expected; see which column is which, and the unit"
ADVICE = {
    **{f"missing {name}": IDS for name in ("user", "item", "id", "source", "target", "entity", "relation")},
    **{f"{name} is a list or an object": ONE_VALUE for name in ("user", "item", "location", "kind", "session")},
    **{f"{name} is not a number": NUMBER for name in ("latitude", "longitude", "weight")},
    "UTC offset is not a number": "write minutes from UTC to local time, such as -300; names of zones are not read",
    "latitude out of range": DEGREES.format(90),
    "longitude out of range": DEGREES.format(180),
    "UTC offset out of range": "minutes from -900 to 900 are expected, not seconds or hours times 100",
    "weight out of range": "leave it out or make it smaller than 1e30",
    "missing time": "see whether the mapping names the right column; events without a time cannot be ordered",
    "unparsable time": "say how times are written with 'time_format', such as '%d/%m/%Y %H:%M'; rows in another format "
    "need correction",
    "time out of range": "times from 1900 to 2200 can be used; see whether 'time_format' has the right unit",
    "time in the future": "see whether 'time_format' has the right unit, and the order of day and month",
    "time is 1 January 1970, most likely a missing one": "put nothing where a time is missing; 0 is no time",
    "split is not known": "say what the values mean with 'split_values', such as {T0: train, T1: test}",
    "latitude and longitude seem to be swapped": "exchange the columns of 'lat' and 'lon' in the mapping",
    "half a coordinate": "give both latitude and longitude, or neither",
    "latitude and longitude are 0, most likely missing": "put nothing where a place is missing; 0, 0 is in the sea",
    "wrong number of fields": "see whether 'delimiter' and 'quote' are right; put fields with a delimiter in quotes",
    "not a JSON object": 'write one object such as {"user": 1} a line, each on one line',
    "duplicate row": "none is needed: the first of the rows is kept; see why they were written twice",
    "id is listed twice": "keep one row for each id; the first of them is used",
}
"""By reason, as in quarantine.parquet."""
UNKNOWN_NODE = "list it in a table of nodes, or leave the row out: an edge needs both of its nodes in the graph"


def advice(reason: str) -> str:
    """Advice for rows that were rejected for a reason."""
    return UNKNOWN_NODE if reason.startswith("unknown ") else ADVICE[reason]
