#!/usr/bin/env bash
# One NaN in a column of scores: in DuckDB 2.0.0 and polars 2.1.0 its row is the best of a descending order, in pandas 3.1.1 and pyarrow
# 26.0.1 the last. polars' own max() passes it over, so that its largest score and its first row disagree.
#
# Expected: one order for one Parquet file, whatever reads it. Each is documented (DuckDB follows PostgreSQL: NaN is greater than any number;
# pandas takes NaN for missing), and null is not NaN: DuckDB puts a null last.
# What to do: no row without a score in a table of recommendations; `WHERE NOT isnan(score)`. Run on 2026-11-30.
source "$(dirname "$0")/run.bash"

program=$(cat <<'PYTHON'
import math

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

scores = pa.table({"item": ["tea", "bar", "zoo"], "score": [0.5, math.nan, 0.9]})
frame, columns = scores.to_pandas(), pl.from_arrow(scores)
print("duckdb", duckdb.__version__, "polars", pl.__version__, "pandas", pd.__version__, "pyarrow", pa.__version__)
items = [item for (item,) in duckdb.sql("SELECT item FROM scores ORDER BY score DESC").fetchall()]
((largest,),) = duckdb.sql("SELECT max(score) FROM scores").fetchall()
print("duckdb ", *items, "largest", largest)
print("polars ", *columns.sort("score", descending=True)["item"], "largest", columns["score"].max())
print("pandas ", *frame.sort_values("score", ascending=False)["item"], "largest", frame["score"].max())
print("pyarrow", *scores.sort_by([("score", "descending")])["item"].to_pylist(), "largest", pc.max(scores["score"]))
PYTHON
)

expected=$(cat <<'TEXT'
duckdb 2.0.0 polars 2.1.0 pandas 3.1.1 pyarrow 26.0.1
duckdb  bar zoo tea largest nan
polars  bar zoo tea largest 0.9
pandas  zoo tea bar largest 0.9
pyarrow zoo tea bar largest 0.9
TEXT
)

finding "duckdb==2.0.0 polars==2.1.0 pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6" "$program" "$expected"
