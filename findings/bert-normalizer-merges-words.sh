#!/usr/bin/env bash
# tokenizers 0.23.3: BertNormalizer with lowercase=True, as uncased BERT models (MiniLM among them) have it, also drops
# every combining mark, and so merges different words of other scripts before a token is looked up.
#
# Expected: lower case. Documented: strip_accents "if not specified, is determined by lowercase". In Latin script that
# costs little (schön, schon); in Japanese it takes the marks that tell ba from pa, in Hindi the vowels e and u, in
# Russian й becomes и. Two places then have one text vector, to the last digit.
# What to do: a multilingual model, or strip_accents=False with a model trained so. Run on 2026-11-30.
source "$(dirname "$0")/run.bash"

program=$(cat <<'PYTHON'
import tokenizers
from tokenizers.normalizers import BertNormalizer

normalize = BertNormalizer(lowercase=True).normalize_str
print("tokenizers", tokenizers.__version__)
for meanings, words in {
    "Paris, Bali": ("パリ", "バリ"),
    "bus, pass": ("バス", "パス"),
    "harmony, dirt": ("मेल", "मल"),
    "my (one), my (many)": ("мой", "мои"),
    "already, beautiful": ("schon", "schön"),
}.items():
    first, second = map(normalize, words)
    print(f"{meanings}: {' '.join(words)} ->", first if first == second else f"{first} {second}")
keep = BertNormalizer(lowercase=True, strip_accents=False).normalize_str
print("strip_accents=False:", keep("パリ"), keep("バリ"))
PYTHON
)

expected=$(cat <<'TEXT'
tokenizers 0.23.3
Paris, Bali: パリ バリ -> ハリ
bus, pass: バス パス -> ハス
harmony, dirt: मेल मल -> मल
my (one), my (many): мой мои -> мои
already, beautiful: schon schön -> schon
strip_accents=False: パリ バリ
TEXT
)

finding "tokenizers==0.23.3" "$program" "$expected"
