"""Erasing a user from a graph directory, its runs and the cache of text vectors, proven by a search for the id."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from builders import append
from builders.assemble.directory import staged
from builders.engine.rows import row_numbers
from builders.forget.id_search import Search, search
from builders.forget.log_rows import DeletedRows, contains_id, contains_user, delete_rows, referenced_ids
from builders.forget.tombstones import blank_nodes, copy_with_tombstones
from builders.ingest.inputs import load_inputs
from builders.mapping.id_columns import part_id_columns, user_columns
from builders.mapping.pseudonyms import Key
from builders.text.vector_cache import delete_cached_vectors
from graphrec.environment import cache_folder
from graphrec.errors import GraphError, InputError
from graphrec.files import read_json
from graphrec.formatting import FORGOTTEN
from graphrec.graph.manifest import GraphManifest, read_manifest
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MIN
from graphrec.runs.unlearning import forgotten, unlearn

Rebuild = Callable[[Path, Path, Path], object]
"""A function of ``log``, ``old`` and ``out`` that writes into ``out`` the graph of the log parts in the folder ``log``,
which lies in ``out`` already. ``old`` is the graph as it was, without events, relations and parts. Its nodes keep their
codes; a node whose id is '' is forgotten, and keeps its code too."""


@dataclass(frozen=True)
class Erasure:
    """Counts of what was erased, and the proof."""

    rows: int
    """Rows of the log and of the tables beside it."""
    nodes: dict[str, int]
    """Nodes by type: the user, and items and locations of no other user."""
    quarantined: int
    """Values in the quarantine."""
    texts: int
    """Vectors in the text cache whose texts the graph no longer holds."""
    runs: tuple[Path, ...]
    """Runs without the learned parameters of these nodes."""
    search: Search
    """The proof: the result of a search for the id afterwards."""


def forget_user(
    graph: str | Path, user: str, *, runs: Sequence[str | Path] = (), rebuild: Rebuild | None = None
) -> Erasure:
    """Erase a user from a graph and from runs on it; the directories are replaced only after every step succeeded.

    Parameters
    ----------
    graph
        A graph directory with its log parts.
    user
        The id as the log writes it, also for a graph with pseudonyms; these need the key in the environment.
    runs
        Run directories of the graph. A run that is not listed no longer opens on it; it can be given later.
    rebuild
        Builds the graph from the remaining rows; None: `builders.append.rebuild`.

    Raises
    ------
    InputError
        If the graph does not hold the user and no run is given, or holds no other user; GraphError or RunError if a
        directory is not a graph or run.
    """
    root, paths = Path(graph), list(dict.fromkeys(map(Path, runs)))
    manifest = read_manifest(root)
    for path in paths:
        read_json(path / "manifest.json")
    names = _user_ids(root, manifest, user)
    _check_erasable(root)
    before = TemporalGraph.open(root)
    rows = quarantined = 0
    with tempfile.TemporaryDirectory(prefix="graphrec-") as scratch, ExitStack() as stack:
        home = root
        if _holds_user(root, before, names):
            home = stack.enter_context(staged(root))
            rows, quarantined = _write_without_user(root, Path(scratch), home, before, names, rebuild or append.rebuild)
        elif not paths:
            raise InputError(f"{root}: the graph holds no such user; an id as the log writes it expected (--user)")
        after = TemporalGraph.open(home)
        folders = {home: root, **{stack.enter_context(staged(path)): path for path in paths}}
        for out, path in list(folders.items())[1:]:
            unlearn(path, out, before, after, root)
        proof = search(folders, names, lambda path: user_id_columns(path, manifest))
        old, new = forgotten(before), forgotten(after)
        texts = _removed_texts(before, after)
    counts = {kind: len(new[kind]) - len(old.get(kind, ())) for kind in new}
    counts = {kind: count for kind, count in counts.items() if count}
    vectors = delete_cached_vectors(texts, cache_folder() / "vectors")
    return Erasure(rows, counts, quarantined, vectors, tuple(paths), proof)


def _user_ids(root: Path, manifest: GraphManifest, user: str) -> list[str]:
    """The user's id in the graph, and the real id behind a pseudonym."""
    if not user:
        raise InputError("--user: the id of a user expected, got an empty one")
    if not manifest.pseudonyms:
        return [user]
    key = Key.from_environment()
    key.check(manifest, str(root))
    return [key.pseudonym(user), user]


def _check_erasable(root: Path) -> None:
    """Raise if the graph has no log parts to rebuild from, or an interrupted build has left a copy behind."""
    if not (root / "log").is_dir():
        raise GraphError(f"{root}: a graph with its log parts (log/) expected; build the graph again without the user")
    left = sorted(root.absolute().parent.glob(f".{root.absolute().name}.*"))
    if left:
        raise InputError(
            f"{left[0]}: an interrupted build has left a copy of the graph, which may hold the user too; "
            "delete it and forget again"
        )


def _holds_user(root: Path, graph: TemporalGraph, names: Sequence[str]) -> bool:
    known = graph.nodes["user"].code(names[0]) >= 0
    in_log = known or contains_user(root / "log", names[0], names, graph.manifest)
    return in_log or bool(_quarantine_mask(root, names).any())


def _quarantine_mask(folder: Path, names: Sequence[str]) -> np.ndarray:
    """Quarantined rows whose value contains an id of the user, [rows] bool."""
    path = folder / "quarantine.parquet"
    if not path.is_file():
        return np.zeros(0, bool)
    values = pq.read_table(path)["value"]
    return np.asarray(np.any([contains_id(values, name) for name in names], axis=0), bool)


def _write_without_user(
    root: Path, scratch: Path, home: Path, graph: TemporalGraph, names: Sequence[str], rebuild: Rebuild
) -> tuple[int, int]:
    """Write the graph without the user into ``home``; numbers of deleted rows and of blanked quarantine values."""
    deleted = delete_rows(root / "log", home / "log", names[0], names, graph.manifest)
    _check_other_users(root, home / "log")
    codes = _unreferenced_nodes(graph, names[0], deleted, home / "log")
    copy_with_tombstones(root, scratch / "old", codes)
    quarantined = _clear_quarantine(root, scratch / "old", names, deleted)
    rebuild(home / "log", scratch / "old", home)
    blank_nodes(home, codes, scratch / "old")
    return deleted.count, quarantined


def _check_other_users(root: Path, log: Path) -> None:
    parts = (pq.read_table(path, columns=["failed"]) for path in sorted(log.glob("events-*.parquet")))
    if not any(part["failed"].null_count for part in parts):
        raise InputError(f"{root}: the graph holds no other user; delete the folder")


def _unreferenced_nodes(graph: TemporalGraph, user: str, deleted: DeletedRows, log: Path) -> dict[str, list[int]]:
    """Codes of the user, and of items and locations that only deleted rows refer to."""
    code = graph.nodes["user"].code(user)
    codes = {"user": [code] if code >= 0 else []}
    ids = {kind: ids for kind, ids in deleted.ids.items() if kind != "user" and kind in graph.nodes}
    referenced = referenced_ids(log, ids, graph.manifest)
    for kind in ids:
        candidates = (graph.nodes[kind].code(identity) for identity in ids[kind] - referenced[kind])
        codes[kind] = sorted(candidate for candidate in candidates if candidate >= 0)
    if graph.manifest.locations.get("method") == "h3":
        codes["location"] = _exclusive_cells(graph, code)
    return codes


def _exclusive_cells(graph: TemporalGraph, user: int) -> list[int]:
    """Cells with events of this user only, and with no item of a table of items."""
    location, own_events = graph.log.location, graph.log.user == user
    cells = np.setdiff1d(location[own_events].numpy(), location[~own_events].numpy())
    listed = graph.nodes["location"].first_seen.numpy() == TIME_MIN
    return [int(cell) for cell in cells if cell >= 0 and not listed[cell]]


def _clear_quarantine(root: Path, copy: Path, names: Sequence[str], deleted: DeletedRows) -> int:
    """Blank the user's values in the quarantine of a copy; the rows stay, since row counts depend on them."""
    mask = _quarantine_mask(copy, names)
    if not len(mask):
        return 0
    path = copy / "quarantine.parquet"
    rows = pq.read_table(path)
    for part in (part for parts in load_inputs(root, root / "log").parts.values() for part in parts):
        numbers = row_numbers(deleted.numbers.get(part.path.name, np.zeros(0, np.int64)), part.rejected)
        mask |= pc.equal(rows["file"], part.source).to_numpy() & np.isin(rows["row"].to_numpy(), numbers)
    mask &= pc.is_valid(rows["value"]).to_numpy()
    value = pc.if_else(pa.array(mask), pa.scalar(FORGOTTEN), rows["value"])
    pq.write_table(rows.set_column(rows.schema.get_field_index("value"), rows.schema.field("value"), value), path)
    return int(mask.sum())


def user_id_columns(path: Path, manifest: GraphManifest) -> set[str]:
    """The columns of a file of a graph directory that hold ids of users."""
    if path.parent.name == "nodes":
        return {"id"} if path.stem == "user" else set()
    return user_columns(part_id_columns(path, manifest))


def _removed_texts(before: TemporalGraph, after: TemporalGraph) -> list[str]:
    """Texts of the graph before that no node has afterwards."""
    old, new = (pa.concat_arrays([nodes.texts.drop_null() for nodes in g.nodes.values()]) for g in (before, after))
    return list(set(old.filter(pc.invert(pc.is_in(old, new))).to_pylist()))
