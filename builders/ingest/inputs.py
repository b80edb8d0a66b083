"""The inputs of a graph: its log parts, and everything else that an assembly needs."""

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
from builders.ingest.relations import ingest_links, ingest_relation
from builders.mapping.column_mapping import ColumnMapping
from builders.mapping.id_columns import part_id_columns
from builders.mapping.pseudonyms import Key
from builders.mapping.relation_mapping import RelationMapping
from builders.mapping.table_mapping import TableMapping, table_mapping
from builders.mapping.templates import unused_columns
from graphrec.errors import ConfigError, MappingError
from graphrec.graph.manifest import GraphManifest, read_manifest
from graphrec.progress import Progress
from graphrec.reidentification import Risk

UNKNOWN_NODE = "unknown "
"""Prefix of the reason for which a row of a relation is quarantined: it names a node that is not in the graph."""
ASSEMBLY_REASONS = (DUPLICATE, LISTED_TWICE)
"""Reasons that each assembly finds anew, as those that begin with `UNKNOWN_NODE`: they depend on other rows."""


@dataclass(frozen=True)
class BuildInputs:
    """The inputs of a graph, with their provenance."""

    name: str
    """The log in an error message."""
    mapping: ColumnMapping
    """Roles of the columns, complete."""
    preset: str | None
    """The named preset, if any."""
    protocol: Mapping[str, Any]
    """The evaluation protocol of the preset."""
    text_model: str
    """The text encoder."""
    row_hash: str = DUCKDB
    """Hash of whole rows, see `builders.engine.backend.Engine`: rows of all parts are compared by it."""
    sources: Sequence[Mapping[str, Any]] = ()
    """Entries of the files in the manifest: ``name``, ``bytes``, ``sha256``, ``rows``, ``role``, ``unused`` columns."""
    parts: Mapping[str, Sequence[Part]] = field(default_factory=dict)
    """Log parts by role: ``events``, a node type for its table, ``relation-NAME``, ``links-NAME``."""
    written: Mapping[str, TableMapping] = field(default_factory=dict)
    """Mappings of the tables of nodes, by node type."""
    quarantine: pa.Table = field(default_factory=QUARANTINE.empty_table)
    """Unusable rows."""
    risk: Risk | None = None
    """Re-identification risk of the log before anonymization, where anything is anonymized."""
    old: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Ids that have codes already, by node type and ``kind``."""

    @property
    def events(self) -> Sequence[Part]:
        """The parts of the log itself."""
        return self.parts.get("events", ())


def load_inputs(root: Path, log: Path) -> BuildInputs:
    """The inputs of the graph ``root``, its parts in the folder ``log``."""
    manifest = read_manifest(root)
    quarantine = QUARANTINE.empty_table()
    if (root / "quarantine.parquet").is_file():
        quarantine = pq.read_table(root / "quarantine.parquet")
    roles = dict.fromkeys(source.role for source in manifest.sources)
    reason = quarantine["reason"]
    by_assembly = pc.or_(pc.is_in(reason, pa.array(ASSEMBLY_REASONS)), pc.starts_with(reason, UNKNOWN_NODE))
    risk = manifest.risk.get("before")
    nodes = {kind: pq.read_table(root / "nodes" / f"{kind}.parquet", columns=["id"]) for kind in manifest.node_types}
    return BuildInputs(
        name=str(root),
        mapping=ColumnMapping.of(manifest.mapping or {}, f"{root / 'manifest.json'}"),
        preset=manifest.preset,
        protocol=manifest.protocol,
        text_model=manifest.text_model,
        row_hash=manifest.row_hash or DUCKDB,
        sources=[source.to_dict() for source in manifest.sources],
        parts={role: _parts(log, role, manifest, quarantine) for role in roles},
        written={kind: TableMapping.model_validate(values) for kind, values in manifest.tables.items()},
        quarantine=quarantine.filter(pc.invert(by_assembly)),
        risk=Risk.of(risk) if risk else None,
        old={**{kind: table["id"].to_pylist() for kind, table in nodes.items()}, "kind": manifest.kinds},
    )


def _parts(log: Path, role: str, manifest: GraphManifest, quarantine: pa.Table) -> list[Part]:
    names = [source.name for source in manifest.sources if source.role == role]
    broken = quarantine.filter(pc.equal(quarantine["reason"], BROKEN_LINE))
    rejected = [np.sort(broken.filter(pc.equal(broken["file"], name))["row"].to_numpy()) for name in names]
    pairs = enumerate(zip(names, rejected, strict=True))
    return [Part(part_path(log.parent, role, index), *pair) for index, pair in pairs]


@dataclass(frozen=True)
class InputFiles:
    """Files to build a graph from, or to append to one."""

    log: Log | None
    """The log; None: only tables are appended."""
    tables: Mapping[str, tuple[Path, TableMapping | None]]
    """Tables of nodes by node type, with the preset's mapping of each."""
    max_bad: float | None
    """Largest share of unusable rows of the log; None for an inspection: any share."""


@dataclass(frozen=True)
class IngestedFile:
    """One file that was written to a part."""

    role: str
    """See `BuildInputs.parts`."""
    rows: CheckedRows
    """Its rows."""
    mapping: TableMapping | RelationMapping | None = None
    """The complete mapping of a table of nodes or of a declared relation."""


def ingest(engine: Engine, folder: Path, inputs: BuildInputs, files: InputFiles, progress: Progress) -> BuildInputs:
    """The inputs with more files, written to parts in the graph directory ``folder`` and anonymized as mapped."""
    mapping, privacy = inputs.mapping, inputs.mapping.privacy
    if privacy and engine.row_hash_name != DUCKDB:
        raise ConfigError("privacy: anonymization needs DuckDB; build with '--engine duckdb'")
    home = engine.workspace / "raw" if privacy else folder
    (home / "log").mkdir(parents=True, exist_ok=True)
    ingested = list(_ingest(engine, home, inputs, files, progress))
    risk = inputs.risk
    if privacy:
        events = [file.rows.part for file in ingested if file.role == "events"]
        complete = events and not inputs.events  # the older parts of an appended log are anonymized already
        risk = risk_of_log(engine, read_log(engine, events)) if complete else None
        ingested = [_anonymized(engine, folder, mapping, file) for file in ingested]
    parts = {role: list(older) for role, older in inputs.parts.items()}
    for file in ingested:
        parts.setdefault(file.role, []).append(file.rows.part)
    mapped = {file.role: file.mapping for file in ingested}
    relations = {role.removeprefix("relation-"): of for role, of in mapped.items() if isinstance(of, RelationMapping)}
    tables = {role: of for role, of in mapped.items() if isinstance(of, TableMapping)}
    return replace(
        inputs,
        mapping=mapping.model_copy(update={"relations": {**mapping.relations, **relations}}),
        sources=[*inputs.sources, *(_manifest_entry(file, mapping) for file in ingested)],
        parts=parts,
        written={**inputs.written, **tables},
        quarantine=pa.concat_tables([inputs.quarantine, *(file.rows.quarantine for file in ingested)]),
        risk=risk,
    )


def _ingest(
    engine: Engine, home: Path, inputs: BuildInputs, files: InputFiles, progress: Progress
) -> Iterator[IngestedFile]:
    mapping, listed = inputs.mapping, {*inputs.written, *files.tables}
    if "location" in files.tables and mapping.location is None:
        raise MappingError(
            f"{files.tables['location'][0]}: a table of locations needs a column of the log with their ids; map it, "
            "such as 'location: PLACE_COLUMN'"
        )
    number = len(inputs.sources)
    if files.log is not None:
        before = _n_rows(inputs.events)
        checked = ingest_log(
            engine,
            files.log,
            has_items="item" in listed,
            folder=home,
            progress=progress,
            index=len(inputs.events),
            before=before,
        )
        if files.max_bad is not None:
            bad = pa.concat_tables([rows.quarantine for rows in checked])
            check_bad_share(bad, sum(rows.total for rows in checked), files.max_bad, files.log.name)
        yield from (IngestedFile("events", rows) for rows in checked)
        number += len(checked)
    for index, (kind, (path, preset)) in enumerate(files.tables.items()):
        older = inputs.parts.get(kind, ())
        name = anonymous_filename(number + index, Path(path).name) if mapping.privacy.pseudonyms else ""
        columns = table_mapping(kind, mapping, preset or inputs.written.get(kind))
        part = part_path(home, kind, len(older))
        yield IngestedFile(kind, *ingest_table(engine, kind, Path(path), columns, mapping, part, _n_rows(older), name))
    for name, relation in mapping.relations.items():
        if (role := f"relation-{name}") not in inputs.parts:
            rows, complete = ingest_relation(engine, name, relation, part_path(home, role, 0))
            links = {"links": Path(relation.links).name} if relation.links else {}
            yield IngestedFile(role, rows, complete.model_copy(update={"file": rows.source.path.name, **links}))
            if relation.links:
                role = f"links-{name}"
                yield IngestedFile(role, ingest_links(engine, name, relation, part_path(home, role, 0)))


def _n_rows(parts: Sequence[Part]) -> int:
    return sum(part.rows for part in parts)


def _anonymized(engine: Engine, folder: Path, mapping: ColumnMapping, file: IngestedFile) -> IngestedFile:
    """The part of a file anonymized, in the graph directory."""
    raw, bad = file.rows.part, file.rows.quarantine
    out = folder / "log" / raw.path.name
    types = part_id_columns(raw.path, GraphManifest(mapping=mapping.settings()))
    anonymize_part(engine, raw.path, out, mapping.privacy, types, keep_user_text=mapping.user_text is not None)
    bad = redact_values(bad) if mapping.privacy.redacts_rows else bad
    return replace(file, rows=replace(file.rows, part=replace(raw, path=out), quarantine=bad))


def _manifest_entry(file: IngestedFile, mapping: ColumnMapping) -> dict[str, Any]:
    source = file.rows.source
    columns = mapping if file.role == "events" else file.mapping
    return {
        "name": source.name,
        "bytes": source.bytes,
        "sha256": Key.from_environment().hide(source.sha256) if mapping.privacy.pseudonyms else source.sha256,
        "rows": file.rows.total,
        "role": file.role,
        "unused": unused_columns(source.columns, columns) if columns else [],
    }
