"""Taking a person out of a graph directory, its runs and the cache of text vectors, and proving that it is done."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from builders import append
from builders.assemble.directory import staged
from builders.engine.rows import row_numbers
from builders.forget.id_search import Search, search
from builders.forget.log_rows import DeletedRows, contains_id, contains_user, delete_rows, referenced_ids
from builders.forget.tombstones import blank_nodes, copy_with_tombstones
from builders.ingest.inputs import origin_of
from builders.mapping.id_columns import of_part, of_users
from builders.mapping.pseudonyms import Key
from builders.text.encode import _digest, cache_folder
from graphrec.errors import GraphError, InputError
from graphrec.files import read_json
from graphrec.formatting import FORGOTTEN
from graphrec.graph.manifest import read_manifest
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.graph.time_bounds import TIME_MIN
from graphrec.runs.unlearning import unlearn


class Rebuild(Protocol):
    """What makes a graph of log parts."""

    def __call__(self, log: Path, old: Path, out: Path) -> object:
        """Write into ``out`` the graph of the log parts in the folder ``log``, which lies in ``out`` already.

        ``old`` is the graph as it was, without events, relations and parts. Its nodes keep their codes; those whose
        id is '' name nothing, and stay.
        """


@dataclass(frozen=True)
class Erasure:
    """What was taken out."""

    rows: int
    """Rows of the log and of the tables beside it."""
    nodes: dict[str, int]
    """Nodes by type: the user, and what nobody else had to do with."""
    quarantined: int
    """Values in the quarantine."""
    texts: int
    """Vectors in the cache of texts that the graph no longer holds."""
    runs: tuple[Path, ...]
    """Runs that were rid of what they had learned of these nodes."""
    search: Search
    """The proof: what a search for the id finds now."""


def forget_user(
    graph: str | Path, user: str, runs: Sequence[str | Path] = (), rebuild: Rebuild | None = None
) -> Erasure:
    """Take a person out of a graph and of runs on it; they are replaced when all has gone well, and not before.

    Parameters
    ----------
    graph
        A graph directory with its log parts.
    user
        The id as the log writes it, also where the graph goes by pseudonyms; these need the key in the environment.
    runs
        Run directories of the graph. One that is left out no longer opens on it; it can be given later.
    rebuild
        Makes the graph of what is left; None: as `builders.append` does.

    Raises
    ------
    InputError
        If the graph holds no such user and no run is given, or nobody else; GraphError or RunError if a directory is
        not what it should be.
    """
    root, paths = Path(graph), list(dict.fromkeys(map(Path, runs)))
    manifest = read_manifest(root)
    for path in paths:
        read_json(path / "manifest.json")
    names = _names(root, manifest, user)
    _check(root)
    before = TemporalGraph.open(root)
    rows = quarantined = 0
    with tempfile.TemporaryDirectory(prefix="graphrec-") as scratch, ExitStack() as stack:
        home = root
        if _contains_user(root, before, names):
            home = stack.enter_context(staged(root))
            rows, quarantined = _write_without_user(root, Path(scratch), home, before, names, rebuild or append.rebuild)
        elif not paths:
            raise InputError(f"{root}: the graph holds no such user; an id as the log writes it expected (--user)")
        after = TemporalGraph.open(home)
        folders = {home: root, **{stack.enter_context(staged(path)): path for path in paths}}
        for out, path in list(folders.items())[1:]:
            unlearn(path, out, before, after, root)
        proof = search(folders, names, lambda path: people(path, manifest))
        nodes = {kind: _count_forgotten(after, kind) - _count_forgotten(before, kind) for kind in after.nodes}
        gone = _removed_texts(before, after)
    counts = {kind: count for kind, count in nodes.items() if count}
    return Erasure(rows, counts, quarantined, delete_cached_vectors(gone), tuple(paths), proof)


def _names(root: Path, manifest: Mapping[str, Any], user: str) -> list[str]:
    """What the user goes by: first as the graph writes it, then the real id behind a pseudonym."""
    if not user:
        raise InputError("--user: the id of a user expected, got an empty one")
    if not (manifest.get("privacy") or {}).get("pseudonyms"):
        return [user]
    key = Key.from_environment()
    key.check(manifest, str(root))
    return [key.pseudonym(user), user]


def _check(root: Path) -> None:
    """Raise if there is nothing to make the graph of, or if a build that was stopped has left a copy behind."""
    if not (root / "log").is_dir():
        raise GraphError(f"{root}: a graph with its log parts (log/) expected; build the graph again without the user")
    left = sorted(root.absolute().parent.glob(f".{root.absolute().name}.*"))
    if left:
        raise InputError(
            f"{left[0]}: a build that was stopped has left a copy of the graph, which may hold the user too; "
            "delete it and forget again"
        )


def _contains_user(root: Path, graph: TemporalGraph, names: Sequence[str]) -> bool:
    known = graph.nodes["user"].code(names[0]) >= 0
    return known or contains_user(root / "log", names[0], names, graph.manifest) or bool(_mentions(root, names).sum())


def _mentions(folder: Path, names: Sequence[str]) -> np.ndarray:
    """Which rows of the quarantine tell of the user, [rows]."""
    path = folder / "quarantine.parquet"
    if not path.is_file():
        return np.zeros(0, bool)
    values = pq.read_table(path)["value"]
    told = [contains_id(values, name).to_numpy(zero_copy_only=False) for name in names]
    return np.asarray(np.any(told, axis=0), bool)


def _write_without_user(
    root: Path, scratch: Path, home: Path, graph: TemporalGraph, names: Sequence[str], rebuild: Rebuild
) -> tuple[int, int]:
    """Write the graph without the user into ``home``; how many rows of the log and values of the quarantine it lost."""
    deleted = delete_rows(root / "log", home / "log", names[0], names, graph.manifest)
    _check_other_users(root, home / "log")
    forgotten = _unreferenced_nodes(graph, names[0], deleted, home / "log")
    copy_with_tombstones(root, scratch / "old", forgotten)
    quarantined = _clear_quarantine(root, scratch / "old", names, deleted)
    rebuild(home / "log", scratch / "old", home)
    blank_nodes(home, forgotten, scratch / "old")
    return deleted.rows, quarantined


def _check_other_users(root: Path, log: Path) -> None:
    for path in sorted(log.glob("events-*.parquet")):
        if pc.any(pc.is_null(pq.read_table(path, columns=["failed"])["failed"])).as_py():
            return
    raise InputError(f"{root}: nobody but this user is in the graph; delete the folder")


def _unreferenced_nodes(graph: TemporalGraph, user: str, deleted: DeletedRows, log: Path) -> dict[str, list[int]]:
    """The user, and items and locations that only the rows taken out had to do with."""
    code = graph.nodes["user"].code(user)
    forgotten = {"user": [code] if code >= 0 else []}
    named = {kind: ids for kind, ids in deleted.named.items() if kind != "user" and kind in graph.nodes}
    still = referenced_ids(log, named, graph.manifest)
    for kind, ids in named.items():
        codes = (graph.nodes[kind].code(identity) for identity in ids - still[kind])
        forgotten[kind] = sorted(code for code in codes if code >= 0)
    if (graph.manifest.get("locations") or {}).get("method") == "h3":
        forgotten["location"] = _exclusive_cells(graph, code)
    return forgotten


def _exclusive_cells(graph: TemporalGraph, user: int) -> list[int]:
    """Cells that only this user was in, and that no table of items lies in."""
    location, mine = graph.log.location, graph.log.user == user
    own = np.setdiff1d(location[mine].numpy(), location[~mine].numpy())
    listed = graph.nodes["location"].first_seen.numpy() == TIME_MIN
    return [int(cell) for cell in own if cell >= 0 and not listed[cell]]


def _clear_quarantine(root: Path, copy: Path, names: Sequence[str], deleted: DeletedRows) -> int:
    """Take what tells of the user out of the quarantine of a copy, but not the rows, which others are counted by."""
    told = _mentions(copy, names)
    if not len(told):
        return 0
    path = copy / "quarantine.parquet"
    rows = pq.read_table(path)
    for part in (part for parts in origin_of(root, root / "log").parts.values() for part in parts):
        places = row_numbers(deleted.places.get(part.path.name, np.zeros(0, np.int64)), part.rejected)
        told |= (pc.equal(rows["file"], part.source).to_numpy()) & np.isin(rows["row"].to_numpy(), places)
    told &= pc.is_valid(rows["value"]).to_numpy()
    value = pc.if_else(pa.array(told), pa.scalar(FORGOTTEN), rows["value"])
    pq.write_table(rows.set_column(rows.schema.get_field_index("value"), rows.schema.field("value"), value), path)
    return int(told.sum())


def people(path: Path, manifest: Mapping[str, Any]) -> set[str]:
    """The columns of a file of a graph directory that hold ids of users."""
    if path.parent.name == "nodes":
        return {"id"} if path.stem == "user" else set()
    return of_users(of_part(path, manifest))


def _count_forgotten(graph: TemporalGraph, kind: str) -> int:
    return int(pc.sum(pc.equal(graph.nodes[kind].ids, "")).as_py() or 0)


def _removed_texts(before: TemporalGraph, after: TemporalGraph) -> list[str]:
    """Texts that no node has any more."""
    was, now = (pa.concat_arrays([nodes.texts.drop_null() for nodes in g.nodes.values()]) for g in (before, after))
    return list(set(was.filter(pc.invert(pc.is_in(was, now))).to_pylist()))


def delete_cached_vectors(texts: Sequence[str], folder: Path | None = None) -> int:
    """Take the vectors of texts out of the cache; how many there were. Other graphs will encode such a text again.

    ``folder`` is that of the cache; None: where `graphrec.environment.cache_folder` says.
    """
    wanted = np.array([_digest(text) for text in texts], "S16")
    shards = ((folder or cache_folder()) / "vectors").glob("*/*.safetensors")
    return sum(_forget_in_shard(shard, wanted) for shard in sorted(shards)) if len(wanted) else 0


def _forget_in_shard(shard: Path, wanted: np.ndarray) -> int:
    try:
        with safe_open(shard, "np") as file:
            tensors, about = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
        mine = np.isin(np.ascontiguousarray(tensors["digest"]).view("S16").ravel(), wanted)
    except (OSError, SafetensorError, KeyError, ValueError):
        shard.unlink(missing_ok=True)  # whatever it held; a builder would drop it too
        return 0
    if mine.all():
        shard.unlink()
    elif mine.any():
        aside = shard.with_suffix(".part")
        save_file({name: value[~mine] for name, value in tensors.items()}, aside, metadata=about)
        aside.replace(shard)
    return int(mine.sum())
