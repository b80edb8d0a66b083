"""What a graph is made of: log parts, and all that these do not say themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from builders.engine.backend import DUCKDB, Engine
from builders.ingest.anonymization import anonymize_part, anonymous_filename, redact_values, risk_of_log
from builders.ingest.log import Log, ingest_log
from builders.ingest.node_tables import LISTED_TWICE, ingest_table
from builders.ingest.parts import Part, part_path, read_log
from builders.ingest.quarantine import BROKEN_LINE, DUPLICATE, QUARANTINE, CheckedRows, check_bad_share
from builders.ingest.relations import IngestedRelation, ingest_links, ingest_relation
from builders.mapping.column_mapping import ColumnMapping
from builders.mapping.id_columns import part_id_columns
from builders.mapping.pseudonyms import Key
from builders.mapping.table_mapping import TableMapping, table_mapping
from builders.mapping.templates import unused_columns
from builders.sources.source import Source
from graphrec.errors import ConfigError, MappingError
from graphrec.graph.manifest import read_manifest
from graphrec.progress import Progress
from graphrec.reidentification import Risk

UNKNOWN_NODE = "unknown "
"""How the reason begins for which a row of a relation is set aside: it names a node that is not in the graph."""
ASSEMBLY_REASONS = (DUPLICATE, LISTED_TWICE)
"""Reasons that an assembly finds itself, as it does those that begin with `UNKNOWN_NODE`: they depend on other rows."""


@dataclass(frozen=True)
class BuildInputs:
    """What a graph is made of."""

    name: str
    """The log in an error message."""
    mapping: ColumnMapping
    """Which column plays which role; where nothing is left to guess."""
    preset: str | None
    """The preset that was named."""
    protocol: Mapping[str, Any]
    """How the log wants to be evaluated."""
    text_model: str
    """What turns text into vectors."""
    row_hash: str = DUCKDB
    """How whole rows are hashed, see `builders.engine.backend.Engine`: rows of all parts are compared by that."""
    sources: Sequence[Mapping[str, Any]] = ()
    """What the manifest says of the files: ``name``, ``bytes``, ``sha256``, ``rows``, ``role``, ``unused`` columns."""
    parts: Mapping[str, Sequence[Part]] = field(default_factory=dict)
    """Log parts by role: ``events``, a type of nodes that a table lists, ``relation-NAME``, ``links-NAME``."""
    written: Mapping[str, TableMapping] = field(default_factory=dict)
    """How the tables of nodes are written, by type."""
    quarantine: pa.Table = field(default_factory=QUARANTINE.empty_table)
    """Rows that cannot be used."""
    risk: Risk | None = None
    """How many users the log told apart as it came, where something is hidden of them."""
    old: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Ids that have numbers already, by node type and ``kind``."""

    @property
    def events(self) -> Sequence[Part]:
        """The parts of the log itself."""
        return self.parts.get("events", ())


def load_inputs(root: Path, log: Path) -> BuildInputs:
    """What the graph ``root`` was made of, its parts in the folder ``log``."""
    manifest = read_manifest(root)
    quarantine = QUARANTINE.empty_table()
    if (root / "quarantine.parquet").is_file():
        quarantine = pq.read_table(root / "quarantine.parquet")
    roles = dict.fromkeys(source["role"] for source in manifest["sources"])
    reason = quarantine["reason"]
    again = pc.or_(pc.is_in(reason, pa.array(ASSEMBLY_REASONS)), pc.starts_with(reason, UNKNOWN_NODE))
    risk = ((manifest.get("privacy") or {}).get("risk") or {}).get("before")
    return BuildInputs(
        name=str(root),
        mapping=ColumnMapping.of(manifest["mapping"], f"{root / 'manifest.json'}"),
        preset=manifest["preset"],
        protocol=manifest["protocol"],
        text_model=manifest["text_model"],
        row_hash=manifest.get("row_hash", DUCKDB),
        sources=manifest["sources"],
        parts={role: _parts(log, role, manifest, quarantine) for role in roles},
        written={kind: TableMapping.model_validate(given) for kind, given in manifest["tables"].items()},
        quarantine=quarantine.filter(pc.invert(again)),
        risk=Risk.of(risk) if risk else None,
        old={**{kind: _ids(root, kind) for kind in manifest["node_types"]}, "kind": manifest["kinds"]},
    )


def _ids(root: Path, kind: str) -> list[str]:
    ids: list[str] = pq.read_table(root / "nodes" / f"{kind}.parquet", columns=["id"])["id"].to_pylist()
    return ids


def _parts(log: Path, role: str, manifest: Mapping[str, Any], quarantine: pa.Table) -> list[Part]:
    names = [source["name"] for source in manifest["sources"] if source["role"] == role]
    broken = quarantine.filter(pc.equal(quarantine["reason"], BROKEN_LINE))

    def rejected(name: str) -> np.ndarray:
        return np.sort(broken.filter(pc.equal(broken["file"], name))["row"].to_numpy())

    return [Part(part_path(log.parent, role, place), name, rejected(name)) for place, name in enumerate(names)]


@dataclass(frozen=True)
class InputFiles:
    """Files to make a graph of, or to add to one."""

    log: Log | None
    """The log; None: only tables are added."""
    tables: Mapping[str, tuple[Path, TableMapping | None]]
    """Tables of nodes by type, and how they are written where a preset knows."""
    max_bad: float | None
    """The share of the log's rows that may be unusable; None: all of them, for whoever only looks."""


def ingest(engine: Engine, folder: Path, origin: BuildInputs, given: InputFiles, progress: Progress) -> BuildInputs:
    """The origin with more files, read into parts in the graph directory ``folder``, people hidden as it says."""
    mapping, secret = origin.mapping, origin.mapping.privacy
    if secret and engine.row_hash_name != DUCKDB:
        raise ConfigError("privacy: only DuckDB hides people; build with '--engine duckdb'")
    home = engine.workspace / "raw" if secret else folder
    (home / "log").mkdir(parents=True, exist_ok=True)
    read = list(_read(engine, home, origin, given, progress))
    risk = origin.risk
    if secret:
        events = [one.sifted.part for one in read if one.role == "events"]
        whole = events and not origin.events  # of a log that grows, the rest is hidden already
        risk = risk_of_log(engine, read_log(engine, events)) if whole else None
        read = [_hidden(engine, folder, mapping, one) for one in read]
    parts = {role: list(had) for role, had in origin.parts.items()}
    for one in read:
        parts.setdefault(one.role, []).append(one.sifted.part)
    relations = {one.role.removeprefix("relation-"): one.relation for one in read if one.relation is not None}
    return replace(
        origin,
        mapping=mapping.model_copy(update={"relations": {**mapping.relations, **relations}}),
        sources=[*origin.sources, *(_entry(one, mapping) for one in read)],
        parts=parts,
        written={**origin.written, **{one.role: one.table for one in read if one.table is not None}},
        quarantine=pa.concat_tables([origin.quarantine, *(one.sifted.quarantine for one in read)]),
        risk=risk,
    )


@dataclass(frozen=True)
class IngestedFile:
    """One file that was read into a part."""

    role: str
    """See `BuildInputs.parts`."""
    source: Source
    """The file."""
    sifted: CheckedRows
    """Its rows."""
    table: TableMapping | None = None
    """How a table of nodes is written."""
    relation: Any = None
    """How a declared relation is written, its columns settled."""


def _read(
    engine: Engine, home: Path, origin: BuildInputs, given: InputFiles, progress: Progress
) -> Iterator[IngestedFile]:
    mapping, listed = origin.mapping, {*origin.written, *given.tables}
    if "location" in given.tables and mapping.location is None:
        raise MappingError(
            f"{given.tables['location'][0]}: a table of locations needs a column of the log with their ids; map it, "
            "such as 'location: PLACE_COLUMN'"
        )
    taken = len(origin.sources)
    if given.log is not None:
        before = _rows(origin.events)
        checked = ingest_log(engine, given.log, "item" in listed, home, progress, len(origin.events), before)
        total = sum(sifted.total for _, sifted in checked)
        bad = pa.concat_tables([sifted.quarantine for _, sifted in checked])
        if given.max_bad is not None:
            check_bad_share(bad, total, given.max_bad, given.log.name)
        yield from (IngestedFile("events", source, sifted) for source, sifted in checked)
        taken += len(checked)
    for place, (kind, (path, written)) in enumerate(given.tables.items()):
        had = origin.parts.get(kind, ())
        shown = anonymous_filename(taken + place, Path(path).name) if mapping.privacy.pseudonyms else ""
        table = table_mapping(kind, mapping, written or origin.written.get(kind))
        part = part_path(home, kind, len(had))
        catalogue = ingest_table(engine, kind, Path(path), table, mapping, part, _rows(had), shown)
        yield IngestedFile(kind, catalogue.source, catalogue.sifted, table=catalogue.mapping)
    for name, relation in mapping.relations.items():
        if f"relation-{name}" not in origin.parts:
            found = ingest_relation(engine, name, relation, part_path(home, f"relation-{name}", 0))
            yield _related(f"relation-{name}", found)
            if relation.links:
                yield _related(
                    f"links-{name}", ingest_links(engine, name, relation, part_path(home, f"links-{name}", 0))
                )


def _related(role: str, declared: IngestedRelation) -> IngestedFile:
    files = {"file": declared.source.path.name}
    links = {"links": Path(declared.mapping.links).name} if declared.mapping.links else {}
    relation = declared.mapping.model_copy(update={**files, **links}) if role.startswith("relation-") else None
    return IngestedFile(role, declared.source, declared.sifted, relation=relation)


def _rows(parts: Sequence[Part]) -> int:
    return sum(part.rows for part in parts)


def _hidden(engine: Engine, folder: Path, mapping: ColumnMapping, one: IngestedFile) -> IngestedFile:
    """A file's part with people hidden, in its place in the graph directory."""
    raw, text_was_asked = one.sifted.part, mapping.user_text is not None
    out = folder / "log" / raw.path.name
    types = part_id_columns(raw.path, {"mapping": mapping.settings()})
    anonymize_part(engine, raw.path, out, mapping.privacy, types, text_was_asked)
    bad = redact_values(one.sifted.quarantine) if mapping.privacy.redacts_rows else one.sifted.quarantine
    return replace(one, sifted=replace(one.sifted, part=replace(raw, path=out), quarantine=bad))


def _entry(one: IngestedFile, mapping: ColumnMapping) -> dict[str, Any]:
    """What the manifest says of a file."""
    digest = Key.from_environment().hide(one.source.sha256) if mapping.privacy.pseudonyms else one.source.sha256
    written = mapping if one.role == "events" else one.table or one.relation
    return {
        "name": one.source.name,
        "bytes": one.source.bytes,
        "sha256": digest,
        "rows": one.sifted.total,
        "role": one.role,
        "unused": unused_columns(one.source.columns, written) if written else [],
    }
