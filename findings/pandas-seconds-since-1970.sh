#!/usr/bin/env bash
# pandas 3.1.1: times parsed from text are datetime64[us], no longer [ns], so that the widespread
# `.astype("int64") // 10**9` gives thousands of seconds, and a log of 2026 lies in January 1970.
#
# Expected: seconds since 1970, as with pandas 2. Documented in the notes of pandas 3 (the unit is inferred); Timestamp.value
# is still nanoseconds, so that one value and a column disagree. Nothing is raised: the numbers are valid times.
# What to do: divide by a Timedelta, or write the times as text. Run on 2026-11-30.
source "$(dirname "$0")/run.bash"

program=$(cat <<'PYTHON'
import pandas as pd

text = "2026-03-02 08:10"
times = pd.to_datetime(pd.Series([text]))
print("pandas", pd.__version__)
print("unit of a column", times.dtype)
seconds = int((times.astype("int64") // 10**9).iloc[0])
print("column, astype // 10**9:", seconds, "=", pd.Timestamp(seconds, unit="s"))
seconds = pd.Timestamp(text).value // 10**9
print("one value, value // 10**9:", seconds, "=", pd.Timestamp(seconds, unit="s"))
seconds = int(((times - pd.Timestamp(0)) // pd.Timedelta("1s")).iloc[0])
print("column, divided by a Timedelta:", seconds, "=", pd.Timestamp(seconds, unit="s"))
PYTHON
)

expected=$(cat <<'TEXT'
pandas 3.1.1
unit of a column datetime64[us]
column, astype // 10**9: 1772439 = 1970-01-21 12:20:39
one value, value // 10**9: 1772439000 = 2026-03-02 08:10:00
column, divided by a Timedelta: 1772439000 = 2026-03-02 08:10:00
TEXT
)

finding "pandas==3.1.1 numpy==2.4.6" "$program" "$expected"
