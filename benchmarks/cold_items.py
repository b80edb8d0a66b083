"""Places that training never saw: a tenth of the items held out of nyc-getnext, ranked by text and place alone.

    GRAPHREC_DATA=/data python benchmarks/cold_items.py [--seeds 0 1 2 3 4] [--split val]

All events of the held-out items are taken out of the log before the graph is built; the items stay in the catalogue
with their names and coordinates. Judged are the first visits to them in the whole log, among the held-out items,
asked as of the user's event before. The page beside this file is rewritten when the test split is read.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import torch
from page import rewrite, spread
from torch import Tensor

from builders import build_graph
from cli.console import RichProgress
from graphrec import EvaluationProtocol, Queries, Run, RunConfig, TemporalGraph, train
from graphrec.metrics import summarise
from graphrec.models import ScoreRanker
from graphrec.models.baselines import Nearest
from graphrec.queries.user_history import UserHistory

SETTINGS = ['fan_out={"own_history": 64, "transitions": 48, "nearby": 48}', "epochs=2"]
PAGE = Path(__file__).with_suffix(".md")
METRICS = ("ndcg@10", "acc@10", "mrr")


class TextNeighbours:
    """Cosine of each item's text with the mean of the texts of what the user visited."""

    name = "text neighbours"

    def __init__(self, graph: TemporalGraph) -> None:
        self.graph = graph
        vectors = graph.nodes["item"].vectors
        assert vectors is not None
        self.unit = torch.nn.functional.normalize(vectors.float(), dim=1)

    def scores(self, queries: Queries) -> Tensor:
        """Cosines; 0 for a user without a history."""
        visits = UserHistory.before(self.graph, queries)
        mean = torch.zeros(len(queries), self.unit.shape[1]).index_add(0, visits.question, self.unit[visits.item])
        return (torch.nn.functional.normalize(mean, dim=1) @ self.unit.T).double()


def main() -> None:
    """Hold out, build, train and rank once a seed; each seed holds out other items."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--split", default="test", choices=["val", "test"], help="val leaves the page alone")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings to try, with --split val")
    arguments = parser.parse_args()
    if "GRAPHREC_DATA" not in os.environ:
        print("skipped: set GRAPHREC_DATA to the folder that holds nyc-getnext/")
        return
    data = Path(os.environ["GRAPHREC_DATA"]) / "nyc-getnext"
    rows = []
    with tempfile.TemporaryDirectory() as temporary, RichProgress() as progress:
        whole = Path(temporary) / "whole"
        build_graph([str(data)], whole, preset="nyc-getnext", text_model="none", progress=progress)
        for seed in arguments.seeds:
            rows.append(_row(data, TemporalGraph.open(whole), Path(temporary) / str(seed), seed, arguments, progress))
            print(rows[-1], flush=True)
    names = list(rows[0])
    table = [f"| ranked by | {' | '.join(METRICS)} |", f"|---|{'---|' * len(METRICS)}"]
    for name in names:
        columns = [[row[name][metric] for row in rows] for metric in METRICS]
        cells = [spread(column) for column in columns]
        table.append(f"| {name} | {' | '.join(cells)} |")
    print("\n".join(table))
    if arguments.split == "test":
        rewrite(PAGE, "\n".join([f"Seeds {' '.join(map(str, arguments.seeds))}.", "", *table]))


def _row(
    data: Path, whole: TemporalGraph, out: Path, seed: int, arguments: argparse.Namespace, progress: RichProgress
) -> dict[str, dict[str, float]]:
    ids = whole.nodes["item"].ids.to_pylist()
    held = set(np.random.default_rng(seed).choice(ids, len(ids) // 10, replace=False).tolist())
    logs = _without(data, held, out / "logs")
    build_graph([str(logs)], out / "graph", preset="nyc-getnext", progress=progress)
    train(
        out / "graph",
        out / "run",
        config=RunConfig.load(None, [*SETTINGS, *arguments.set], seed=seed),
        progress=progress,
    )
    run = Run.open(out / "run")
    queries, target, candidates = _asked(whole, run.graph, held, arguments.split)
    judges = {
        "stgat": run.ranker,
        "text neighbours": ScoreRanker(run.graph, TextNeighbours(run.graph)),
        "nearest": ScoreRanker(run.graph, Nearest(run.graph)),
    }
    return {
        name: summarise(judge.expected_ranks(queries, target, candidates=candidates)) for name, judge in judges.items()
    }


def _without(data: Path, held: set[str], folder: Path) -> Path:
    """The log's files without the events of the held-out items, and its table of items as it is."""
    folder.mkdir(parents=True)
    for path in data.glob("*.csv.gz"):
        if not path.name.startswith("NYC_"):
            (folder / path.name).write_bytes(path.read_bytes())
            continue
        text = pa.csv.ConvertOptions(column_types={"POI_id": pa.string()})
        table = pa.csv.read_csv(path, convert_options=text)
        kept = table.filter(pc.invert(pc.is_in(table["POI_id"], pa.array(sorted(held)))))
        with pa.CompressedOutputStream(str(folder / path.name), "gzip") as stream:
            pa.csv.write_csv(kept, stream)
    return folder


def _asked(whole: TemporalGraph, graph: TemporalGraph, held: set[str], split: str) -> tuple[Queries, Tensor, Tensor]:
    """First visits of the whole log to held-out items, as questions to the graph that never saw them."""
    rows = EvaluationProtocol(novel=True).target_rows(whole, split)
    known = torch.tensor([identity in held for identity in whole.nodes["item"].ids.to_pylist()])
    rows = rows[known[whole.log.item[rows].long()]]
    asked = EvaluationProtocol(query_time="last-event").queries(whole, rows)
    users = [graph.nodes["user"].code(whole.nodes["user"].ids[code].as_py()) for code in asked.user.tolist()]
    items = [graph.nodes["item"].code(whole.nodes["item"].ids[code].as_py()) for code in whole.log.item[rows].tolist()]
    candidates = torch.tensor([identity in held for identity in graph.nodes["item"].ids.to_pylist()])
    return Queries.from_users(torch.tensor(users), asked.time), torch.tensor(items), candidates


if __name__ == "__main__":
    sys.exit(main())
