"""Data issues of a log whose rows can all be used, found in the tables of its graph, each with advice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.assemble.data_issue import MAX_EXAMPLES, DataIssue, Example, node_examples
from builders.assemble.event_codes import NODE_TYPES
from builders.assemble.split import split_method
from builders.assemble.tables import Tables
from builders.assemble.time_zone import solar_mismatch, zone_mismatch
from builders.ingest.inputs import BuildInputs
from graphrec.graph.splits import SPLITS

SLASHED_DATE = re.compile(r"\s*(\d{1,2})/(\d{1,2})/")
"""A date that begins with a day and a month, in either order."""
MIN_EVENTS = 10
"""Events of a log below which no share of one user is unusual."""
_TAIL = "[\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2122]"
"""The second byte of a character of UTF-8, decoded as Latin-1 or Windows-1252."""
MOJIBAKE = f"\ufffd|[\u0080-\u009f]|[\u00c2\u00c3]{_TAIL}|\u00e2\u20ac|([\u00c2-\u00df]{_TAIL}){{2}}"
"""UTF-8 that was decoded in another encoding (``CafÃ©``), and the replacement character."""
_pc: Any = pc  # its functions are generated at run time, so type checkers do not know them


def data_issues(inputs: BuildInputs, tables: Tables) -> tuple[DataIssue, ...]:
    """The data issues of a log with at least one event, from the tables of its graph.

    No row of the log is read again: a million events take a quarter of a second.
    """
    checks = (
        _dominant_user,
        _missing_text,
        _wrong_encoding,
        _similar_ids,
        zone_mismatch,
        solar_mismatch,
        _unused_columns,
        _empty_splits,
    )
    return tuple(issue for check in checks for issue in check(inputs, tables))


def ambiguous_dates(sample: Sequence[str], time_format: str) -> Iterator[DataIssue]:
    """Dates such as 03/04/2024 whose day and month could be exchanged, in a sample of times of a format."""
    pairs = [match.groups() for text in sample if (match := SLASHED_DATE.match(text))]
    if not pairs or time_format[:5] not in ("%d/%m", "%m/%d") or max(int(part) for pair in pairs for part in pair) > 12:
        return
    other = {"%d/%m": "%m/%d", "%m/%d": "%d/%m"}[time_format[:5]] + time_format[5:]
    yield DataIssue(
        "days and months that could be the other way round",
        len(pairs),
        tuple(Example(text) for text in sample[:MAX_EXAMPLES]),
        f"if they are, say so with 'time_format: {other}'",
    )


def _dominant_user(inputs: BuildInputs, tables: Tables) -> Iterator[DataIssue]:
    events = np.bincount(tables.events["user"].to_numpy())
    user = int(events.argmax())
    if 2 * events[user] >= len(tables.events) >= MIN_EVENTS:
        yield DataIssue(
            "one user has at least half of all events",
            int(events[user]),
            node_examples(inputs, tables, "user", [user]),
            "see whether it is a bot, a default id or a missing one, and leave its rows out: it dominates training",
        )


def _missing_text(inputs: BuildInputs, tables: Tables) -> Iterator[DataIssue]:
    text = tables.nodes["item"]["text"]
    if 0 < text.null_count < len(text):
        yield DataIssue(
            "items without text",
            text.null_count,
            node_examples(inputs, tables, "item", np.flatnonzero(_pc.is_null(text).to_numpy())),
            "add their text to the table of items (--items): without it they are known by their events alone",
        )


def _wrong_encoding(inputs: BuildInputs, tables: Tables) -> Iterator[DataIssue]:
    count, examples = 0, list[Example]()
    for kind in NODE_TYPES:
        for column in (tables.nodes[kind][name].combine_chunks() for name in ("id", "label", "text")):
            non_ascii = np.flatnonzero(~_pc.string_is_ascii(column.fill_null("")).to_numpy(zero_copy_only=False))
            texts = column.take(pa.array(non_ascii))
            broken = _pc.match_substring_regex(texts, MOJIBAKE).to_numpy(zero_copy_only=False)
            count += int(broken.sum())
            if len(examples) < MAX_EXAMPLES:
                values = [text[:60] for text in texts.filter(pa.array(broken))[:MAX_EXAMPLES].to_pylist()]
                examples += node_examples(inputs, tables, kind, non_ascii[broken], values)
    if count:
        yield DataIssue(
            "text in another encoding",
            count,
            tuple(examples[:MAX_EXAMPLES]),
            "name the file's encoding in the mapping ('encoding: cp1252'); text that was broken before the file was "
            "written must be corrected in its source",
        )


def _similar_ids(inputs: BuildInputs, tables: Tables) -> Iterator[DataIssue]:
    kinds = NODE_TYPES if tables.location_method == "log" else ("user", "item")
    columns = {kind: (f"{kind} ids", tables.nodes[kind]["id"].combine_chunks()) for kind in kinds}
    columns["kind"] = "kinds of event", pa.array(tables.kinds, pa.string())
    for kind, (name, column) in columns.items():
        count, groups = _similar(column)
        if count:
            values = [" | ".join(column.take(pa.array(group)).to_pylist()) for group in groups]
            yield DataIssue(
                f"{name} that differ only by case or spaces",
                count,
                node_examples(inputs, tables, kind, [group[1] for group in groups], values),
                "write them alike before the build if they mean the same: each is a node of its own",
            )


def _similar(ids: pa.Array) -> tuple[int, list[np.ndarray]]:
    """Number of groups of ids that are equal without case and spaces, and the positions of some groups."""
    folded = _pc.utf8_lower(ids)
    if _pc.any(_pc.match_substring(folded, " ")).as_py():
        folded = _pc.replace_substring(folded, " ", "")
    encoded = folded.dictionary_encode()
    if len(encoded.dictionary) == len(ids):
        return 0, []
    codes = encoded.indices.to_numpy()
    several = np.bincount(codes, minlength=len(encoded.dictionary)) > 1
    several &= _pc.not_equal(encoded.dictionary, "").to_numpy(zero_copy_only=False)  # the id of forgotten nodes
    groups = [np.flatnonzero(codes == code)[:MAX_EXAMPLES] for code in np.flatnonzero(several)[:MAX_EXAMPLES]]
    return int(several.sum()), groups


def _unused_columns(inputs: BuildInputs, tables: Tables) -> Iterator[DataIssue]:
    files: dict[tuple[str, str], str] = {}  # of each column, once for all files of a role
    for source in inputs.sources:
        for column in source.get("unused", ()):
            files.setdefault((source["role"], column), source["name"])
    if files:
        yield DataIssue(
            "columns that are not used",
            len(files),
            tuple(Example(column, file) for (_, column), file in [*files.items()][:MAX_EXAMPLES]),
            "map informative ones to a role or use them in a template of text (docs/mapping.md)",
        )


def _empty_splits(inputs: BuildInputs, tables: Tables) -> Iterator[DataIssue]:
    events = np.bincount(tables.events["split"].to_numpy(), minlength=len(SPLITS))
    method = split_method(inputs.mapping)
    for name, code in SPLITS.items():
        if not events[code]:
            yield DataIssue(f"no {name} events", 0, (Example(f"split by {method}"),), _split_advice(name, method))


def _split_advice(name: str, method: str) -> str:
    if name == "val" and method in ("column", "files"):
        return "take it from the end of train with 'val_from_train: 0.1', or train without validation"
    if method == "time":
        return "set 'split_dates' or 'split_fractions' to moments between the first event and the last"
    return f"see the values of '{method}' ('split_values' translates), or split by time with 'split_by: time'"
