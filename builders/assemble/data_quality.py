"""What is odd about a log though each of its rows can be used: found in the tables of a graph, told with a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.assemble.data_issue import EXAMPLES, Example, Finding, node_examples
from builders.assemble.event_codes import NODE_TYPES
from builders.assemble.split import split_method
from builders.assemble.tables import Tables
from builders.assemble.time_zone import far_from_sun, wrong_zone
from builders.ingest.inputs import BuildInputs
from graphrec.graph.splits import SPLITS

SLASHED = re.compile(r"\s*(\d{1,2})/(\d{1,2})/")
"""A date whose first two parts are a day and a month, in either order."""
LEAST_EVENTS = 10
"""Of fewer events, half are nothing to wonder about."""
_TAIL = "[\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2122]"
"""What the second byte of a character of UTF-8 looks like in Latin-1 and Windows-1252."""
MOJIBAKE = f"\ufffd|[\u0080-\u009f]|[\u00c2\u00c3]{_TAIL}|\u00e2\u20ac|([\u00c2-\u00df]{_TAIL}){{2}}"
"""How UTF-8 looks that was read as another encoding (``CafÃ©``), and what stands for a character that was lost."""
_pc: Any = pc  # its functions are made at run time, so that no checker knows them


def findings(origin: BuildInputs, found: Tables) -> tuple[Finding, ...]:
    """What is odd about a log, from the tables that were made of it; they have at least one event.

    No row of the log is read again: a million events take a quarter of a second.
    """
    looks = (_busiest_user, _no_text, _other_encoding, _alike_ids, wrong_zone, far_from_sun, _unused, _empty_splits)
    return tuple(finding for look in looks for finding in look(origin, found))


def either_way_round(sample: Sequence[str], time_format: str) -> Iterator[Finding]:
    """Whether dates such as 03/04/2024 could be meant the other way round, from some times and their format."""
    pairs = [found.groups() for text in sample if (found := SLASHED.match(text))]
    if not pairs or time_format[:5] not in ("%d/%m", "%m/%d") or max(int(part) for pair in pairs for part in pair) > 12:
        return
    other = {"%d/%m": "%m/%d", "%m/%d": "%d/%m"}[time_format[:5]] + time_format[5:]
    yield Finding(
        "days and months that could be the other way round",
        len(pairs),
        tuple(Example(text) for text in sample[:EXAMPLES]),
        f"if they are, say so with 'time_format: {other}'",
    )


def _busiest_user(origin: BuildInputs, found: Tables) -> Iterator[Finding]:
    events = np.bincount(found.events["user"].to_numpy())
    user = int(events.argmax())
    if 2 * events[user] >= len(found.events) >= LEAST_EVENTS:
        yield Finding(
            "one user has at least half of all events",
            int(events[user]),
            node_examples(origin, found, "user", [user]),
            "see whether it is a bot, a default id or a missing one, and leave its rows out: it drowns the others",
        )


def _no_text(origin: BuildInputs, found: Tables) -> Iterator[Finding]:
    text = found.nodes["item"]["text"]
    if 0 < text.null_count < len(text):
        yield Finding(
            "items without text",
            text.null_count,
            node_examples(origin, found, "item", np.flatnonzero(_pc.is_null(text).to_numpy())),
            "give their words in the table of items (--items): without them they are known by their events alone",
        )


def _other_encoding(origin: BuildInputs, found: Tables) -> Iterator[Finding]:
    count, examples = 0, list[Example]()
    for kind in NODE_TYPES:
        for column in (found.nodes[kind][name].combine_chunks() for name in ("id", "label", "text")):
            foreign = np.flatnonzero(~_pc.string_is_ascii(column.fill_null("")).to_numpy(False))
            texts = column.take(pa.array(foreign))
            broken = _pc.match_substring_regex(texts, MOJIBAKE).to_numpy(False)
            count += int(broken.sum())
            values = [text[:60] for text in texts.filter(pa.array(broken))[:EXAMPLES].to_pylist()]
            examples += node_examples(origin, found, kind, foreign[broken], values) if len(examples) < EXAMPLES else ()
    if count:
        yield Finding(
            "text in another encoding",
            count,
            tuple(examples[:EXAMPLES]),
            "name the file's encoding in the mapping ('encoding: cp1252'); what was broken when the file was written "
            "must be mended there",
        )


def _alike_ids(origin: BuildInputs, found: Tables) -> Iterator[Finding]:
    own = NODE_TYPES if found.location_method == "log" else ("user", "item")
    ids = {f"{kind} ids": found.nodes[kind]["id"].combine_chunks() for kind in own}
    for what, column in {**ids, "kinds of event": pa.array(found.kinds, pa.string())}.items():
        count, groups = _alike(column)
        if count:
            kind = what.split()[0]
            values = [" | ".join(column.take(pa.array(group)).to_pylist()) for group in groups]
            yield Finding(
                f"{what} that differ only by case or spaces",
                count,
                node_examples(
                    origin, found, "kind" if kind == "kinds" else kind, [group[1] for group in groups], values
                ),
                "write them alike before the build if they mean the same: now each is one of its own",
            )


def _alike(ids: pa.Array) -> tuple[int, list[np.ndarray]]:
    """How many groups of ids are the same in one case and without spaces, and the places of some of these."""
    folded = _pc.utf8_lower(ids)
    if _pc.any(_pc.match_substring(folded, " ")).as_py():
        folded = _pc.replace_substring(folded, " ", "")
    encoded = folded.dictionary_encode()
    if len(encoded.dictionary) == len(ids):
        return 0, []
    codes = encoded.indices.to_numpy()
    several = np.bincount(codes, minlength=len(encoded.dictionary)) > 1
    several &= _pc.not_equal(encoded.dictionary, "").to_numpy(False)  # the id of forgotten nodes
    return int(several.sum()), [np.flatnonzero(codes == code)[:EXAMPLES] for code in np.flatnonzero(several)[:EXAMPLES]]


def _unused(origin: BuildInputs, found: Tables) -> Iterator[Finding]:
    unused: dict[tuple[str, str], str] = {}  # the file of each column, once for all files of a role
    for source in origin.sources:
        for column in source.get("unused", ()):
            unused.setdefault((source["role"], column), source["name"])
    if unused:
        yield Finding(
            "columns that are not used",
            len(unused),
            tuple(Example(column, file) for (_, column), file in [*unused.items()][:EXAMPLES]),
            "map those that say something to a role or into a template of text (docs/mapping.md)",
        )


def _empty_splits(origin: BuildInputs, found: Tables) -> Iterator[Finding]:
    events = np.bincount(found.events["split"].to_numpy(), minlength=len(SPLITS))
    method = split_method(origin.mapping)
    for name, code in SPLITS.items():
        if not events[code]:
            yield Finding(f"no {name} events", 0, (Example(f"split by {method}"),), _split_remedy(name, method))


def _split_remedy(name: str, method: str) -> str:
    if name == "val" and method in ("column", "files"):
        return "take it from the end of train with 'val_from_train: 0.1', or choose nothing by it"
    if method == "time":
        return "set 'split_dates' or 'split_fractions' to moments between the first event and the last"
    return f"see what '{method}' calls it ('split_values' translates), or split by time with 'split_by: time'"
