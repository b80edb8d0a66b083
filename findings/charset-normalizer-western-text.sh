#!/usr/bin/env bash
# charset-normalizer 3.5.2: a Windows-1252 log with French and Spanish names is taken for Windows-1250 (Central European), from 10 rows
# to 10,000: ê becomes ę, ñ becomes ń, and nothing is raised.
#
# Expected: the right one of two encodings that differ in a few letters, or no answer. The package promises a readable text, not the one that was written;
# the right encoding is among its candidates, behind the first. A log says little: names, numbers and dates, no sentences.
# What to do: name the encoding; UTF-8, which can be told for sure, before anything is guessed. Run on 2026-11-30.
source "$(dirname "$0")/run.bash"

program=$(cat <<'PYTHON'
import charset_normalizer

names = ["Crêperie Bretonne", "Señor Niño", "Café Müller", "Pâtisserie Noël", "Bar Central"]
print("charset-normalizer", charset_normalizer.__version__)
for rows in (10, 100, 10_000):
    lines = [f"u{row % 50},{names[row % 5]},2026-03-{1 + row % 28:02d} 08:10" for row in range(rows)]
    matches = charset_normalizer.from_bytes("\n".join(["user,item,time", *lines]).encode("cp1252"))
    best, also = matches.best(), "cp1252" in [match.encoding for match in matches]
    print(rows, "rows:", best.encoding, "cp1252 a candidate:", also, "read as", str(best).split(",")[3], "and", str(best).split(",")[5])
PYTHON
)

expected=$(cat <<'TEXT'
charset-normalizer 3.5.2
10 rows: cp1250 cp1252 a candidate: True read as Cręperie Bretonne and Seńor Nińo
100 rows: cp1250 cp1252 a candidate: True read as Cręperie Bretonne and Seńor Nińo
10000 rows: cp1250 cp1252 a candidate: True read as Cręperie Bretonne and Seńor Nińo
TEXT
)

finding "charset-normalizer==3.5.2" "$program" "$expected"
