"""Files with several kinds of line end, or blank lines before the first: the same rows as with one kind and none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.inspection import inspect_log
from builders.sources.line_endings import LineEndings, normalize_line_endings, split_lines

TEXTS = st.text(st.sampled_from('ab"\r\n'), max_size=40)
ENDPOINTS = ("\n", "\r\n", "\r")


def one_kind(text: str, quote: str) -> str:
    """What `normalize_line_endings` must write, one character at a time."""
    written, inside, place = [], False, 0
    while place < len(text):
        inside ^= text[place] == quote
        if text[place] == "\r" and not inside:
            place += text[place : place + 2] == "\r\n"
            written.append("\n")
        else:
            written.append(text[place])
        place += 1
    return "".join(written)


@given(text=TEXTS, quote=st.sampled_from(['"', ""]), size=st.integers(1, 5))
def test_each_end_outside_of_quotes_becomes_a_line_feed(text: str, quote: str, size: int) -> None:
    content = b"x" + text.encode()
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    assert b"".join(normalize_line_endings(pieces, quote)).decode() == "x" + one_kind(text, quote)


@given(TEXTS, st.integers(1, 5))
def test_mixed_ends_are_seen_wherever_the_pieces_end(text: str, size: int) -> None:
    pieces = [text.encode()[begin : begin + size] for begin in range(0, len(text), size)]
    ends = LineEndings()
    assert list(ends.watch(pieces)) == pieces
    bare = text.replace("\r\n", "")
    assert ends.mixed == (("\n" in bare) + ("\r" in bare) + ("\r\n" in text) > 1)


def test_only_line_ends_end_lines() -> None:
    assert split_lines("a\u2028b\x0bc\r\nd\re\nf\x85") == ["a\u2028b\x0bc", "d", "e", "f\x85"]


@pytest.mark.parametrize("first", ENDPOINTS)
@pytest.mark.parametrize("second", ENDPOINTS)
@pytest.mark.parametrize("packed", [False, True])
def test_exports_of_several_systems_can_be_joined(first: str, second: str, packed: bool, tmp_path: Path) -> None:
    text = f'user,item,time{first}u1,"i\r1\n",2024-01-01{first}u2,i2,2024-01-02{second}u3,i3,2024-01-03{second}'
    (tmp_path / "log.csv").write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    found = inspect_log([tmp_path / "log.csv"])
    assert (found.rows, found.events, found.row_issues) == (3, 3, ())
    assert found.columns[1].examples == ("i\r1\n", "i2", "i3")


@pytest.mark.parametrize("before", ["\n\n", " \r\n\t\n", "\ufeff\n"])
def test_blank_lines_before_the_header_are_passed_over(before: str, tmp_path: Path) -> None:
    text = f"{before}user,item,time\nu1,i1,2024-01-01\nu2,i2,soon\n"
    (tmp_path / "log.csv").write_bytes(text.encode())
    found = inspect_log([tmp_path / "log.csv"])
    assert (found.rows, found.events, found.row_issues[0].row) == (2, 1, 2)
    (tmp_path / "log.jsonl").write_bytes(f'{before}{{"user": 1, "item": 2, "time": "2024-01-01"}}\r\n\n'.encode())
    assert inspect_log([tmp_path / "log.jsonl"]).events == 1
