"""Numbers, sizes, durations and times: one spelling for the terminal and the report."""

from __future__ import annotations

import math

import pytest

from graphrec.formatting import (
    DAY,
    HOUR,
    MINUTE,
    format_ago,
    format_bytes,
    format_count,
    format_date,
    format_delta,
    format_duration,
    format_number,
    format_percent,
    format_time,
    format_utc,
    metric_label,
    ordinal,
    plural,
    pluralize,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (12, "12 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3_599.6, "1 h 00 min"),
        (7_620, "2 h 07 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(512, "512 Bytes"), (2**20, "1.0 MiB"), (3 * 2**29, "1.5 GiB"), (2e13, "18.2 TiB")]
)
def test_sizes_are_powers_of_1024(size: float, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "1 minute ago"),
        (90 * MINUTE, "2 hours ago"),
        (HOUR, "1 hour ago"),
        (59 * MINUTE, "59 minutes ago"),
        (3 * DAY, "3 days ago"),
        (DAY - 1, "24 hours ago"),
        (13 * DAY, "13 days ago"),
        (14 * DAY, "2 weeks ago"),
        (59 * DAY, "8 weeks ago"),
        (60 * DAY, "2 months ago"),
        (400 * DAY, "13 months ago"),
        (730 * DAY, "2 years ago"),
    ],
)
def test_time_spans_before_now(seconds: int, text: str) -> None:
    assert format_ago(seconds) == text


def test_numbers() -> None:
    assert format_count(1_234_567) == "1,234,567"
    assert [format_number(value) for value in (0.12345, None, math.nan)] == ["0.123", "–", "–"]
    assert [format_delta(value) for value in (0.0621, -0.5, 1.25)] == ["+.062", "-.500", "+1.250"]
    assert format_percent(0.3162) == "31.6%"
    assert [ordinal(number) for number in (1, 12, 1_002)] == ["1st", "12th", "1,002nd"]


def test_nouns() -> None:
    assert [plural(noun) for noun in ("user", "entity", "day")] == ["users", "entities", "days"]
    assert [pluralize(number, "entity") for number in (0, 1, 2_000)] == ["0 entities", "1 entity", "2,000 entities"]
    assert [metric_label(name) for name in ("ndcg@10", "acc@1", "mrr")] == ["NDCG@10", "Acc@1", "MRR"]


def test_times_inside_and_outside_the_calendar() -> None:
    assert format_utc(0) == "1970-01-01 00:00:00 UTC"
    assert (format_date(0), format_date(0, "%b")) == ("1 January 1970", "1 Jan 1970")
    assert format_utc(2**62) == format_date(2**62) == str(2**62)
    assert format_time("2013-01-18T18:20:00+00:00") == "Friday 18 January 2013, 18:20 UTC"
    assert format_time("soon") == "soon"
