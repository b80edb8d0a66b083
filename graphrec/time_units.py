"""Units of time in seconds."""

MINUTE, HOUR, DAY, WEEK = 60, 3_600, 86_400, 604_800
FIRST_MONDAY = 4 * DAY
"""UTC seconds of the first Monday after 1970-01-01, which was a Thursday."""
