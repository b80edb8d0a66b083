"""Runs for tests: their settings, what they hold, and graphs to train or to rank on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from builders.build import build_graph
from graphrec.runs.config import RunConfig
from graphrec.training.trainer import Training

STOPWATCH = {"seconds", "wall_seconds", "peak_memory"}
"""What no seed decides."""


def changed(config: RunConfig, seed: int = 0, model: dict[str, Any] | None = None, **training: Any) -> RunConfig:
    """The same settings but for some."""
    return RunConfig(
        model=config.model.model_copy(update=model or {}),
        training=config.training.model_copy(update=training),
        seed=seed,
    )


def weights(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def history(run: Path) -> list[dict[str, float]]:
    records = json.loads((run / "manifest.json").read_text())["history"]
    return [{name: value for name, value in record.items() if name not in STOPWATCH} for record in records]


def planned(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> dict[int, dict[str, torch.Tensor]]:
    """Let validation find these MRRs, epoch by epoch; returns the weights that each epoch will end with."""
    ends: dict[int, dict[str, torch.Tensor]] = {}

    def validate(self: Training) -> dict[str, float]:
        epoch = len(self.state.history)
        ends[epoch + 1] = {name: value.clone() for name, value in self.model.state_dict().items()}
        return {"mrr": scores[epoch]}

    monkeypatch.setattr(Training, "_validate", validate)
    return ends


LOG = "user,item,time\n" + "".join(f"u{n % 3},i{n % 5},{1_700_000_000 + 3600 * n}\n" for n in range(30))


def graph_of(folder: Path, split: str) -> Path:
    """A log without places or text whose events all lie in one split."""
    header, *rows = LOG.splitlines()
    (folder / "log.csv").write_text("\n".join([f"{header},split", *(f"{row},{split}" for row in rows)]))
    build_graph([folder / "log.csv"], folder / "graph", text_model="none")
    return folder / "graph"


BRACKETS = "[bold]New[/bold] [red]Bar"


def appended(city_graph: Path, folder: Path) -> Path:
    """The city's graph with a new venue and a new user: three events after the last of the log."""
    grown = shutil.copytree(city_graph, folder / "grown")
    events = pq.read_table(grown / "events.parquet")
    users, items = (pq.read_table(grown / "nodes" / f"{kind}.parquet") for kind in ("user", "item"))
    end = events["time"][-1].as_py()
    rows = [(0, len(items), end + 100), (len(users), len(items), end + 200), (len(users), 3, end + 300)]
    rest = {"location": 0, "utc_offset": 60, "kind": 0, "weight": 1.0, "split": 2, "session": -1}
    new = [{"user": user, "item": item, "time": time, **rest} for user, item, time in rows]
    pq.write_table(pa.concat_tables([events, pa.Table.from_pylist(new, events.schema)]), grown / "events.parquet")
    for kind, table, values in (
        ("user", users, {"id": "newcomer", "first_seen": end + 200}),
        ("item", items, {"id": "v[9]", "label": BRACKETS, "lat": 40.41, "lon": -3.7, "first_seen": end + 100}),
    ):
        row = {name: values.get(name) for name in table.column_names}
        grew = pa.concat_tables([table, pa.Table.from_pylist([row], table.schema)])
        pq.write_table(grew, grown / "nodes" / f"{kind}.parquet")
    return grown
