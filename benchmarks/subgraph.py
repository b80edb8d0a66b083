"""What studying a graph of five million events costs: CPU seconds and memory of each function of docs/subgraph.md.

    python benchmarks/subgraph.py [--rows 5] [--cache FOLDER] [--only path ego]

Each function runs twice in a process of its own, on one thread: the first time builds the indexes that it needs (views
share them afterwards), the second finds them there. Memory is what the process grows by at most after it has opened
the graph. The page beside this file is rewritten between its two marks.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from page import rewrite

HERE = Path(__file__).parent
PAGE = Path(__file__).with_suffix(".md")
LIBRARIES = ("graphrec", "networkx", "numpy", "scipy", "torch")
USERS = (50, 20_000, 99_000)
"""Codes of the users that are asked about; those that come early in the log have many events."""

Functions = dict[str, tuple[str, Callable[[Any], Callable[[], Any]]]]
"""What is measured: its line in the table, and what prepares the call."""


def main() -> None:
    """Make the graph, measure each function, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, default=5, help="millions of rows of the log")
    parser.add_argument("--cache", type=Path, default=None, help="folder that keeps the graph; a temporary one")
    parser.add_argument(
        "--only", nargs="*", default=[], choices=list(FUNCTIONS), help="print these, leave the page alone"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        graph = graph_of(int(arguments.rows * 1_000_000), arguments.cache or Path(temporary))
        measured = {}
        for name in arguments.only or FUNCTIONS:
            measured[name] = ask(name, graph)
            print(name, measured[name], file=sys.stderr)
    page = "\n".join([facts(next(iter(measured.values()))), "", *table(measured)])
    print(page)
    if not arguments.only:
        rewrite(PAGE, page)


def graph_of(rows: int, folder: Path) -> Path:
    """A graph directory of simulated check-ins (build_log.py), made if it is not there."""
    out = folder / f"graph-{rows}"
    if not out.is_dir():
        import build_log

        from builders import build_graph

        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            log = Path(temporary) / "log.csv"
            build_log.write_log(log, rows)
            build_graph([log], out, mapping=build_log.MAPPING, text_model="none")
    return out


def ask(name: str, graph: Path, module: str = "subgraph") -> dict[str, Any]:
    """What the ``measure`` of a benchmark prints, in a process of its own."""
    code = f"import {module}; {module}.measure({name!r}, {str(graph)!r})"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=HERE, env=environment, stdout=subprocess.PIPE, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def measure(name: str, directory: str, functions: Functions | None = None) -> None:
    """Print what opening a graph and calling one function twice costs."""
    import torch

    from graphrec import TemporalGraph

    torch.set_num_threads(1)
    began = time.process_time()
    graph = TemporalGraph.open(directory)
    opened = time.process_time() - began
    counts = {"events": len(graph.log), **{kind: len(nodes) for kind, nodes in graph.nodes.items()}}
    call = (functions or FUNCTIONS)[name][1](graph)
    rest = reset()
    seconds, result = [], None
    for _ in range(2):
        began = time.process_time()
        result = call()
        seconds.append(time.process_time() - began)
    size = len(result.nodes) if hasattr(result, "nodes") else None
    print(json.dumps({"opened": opened, "rest": rest, "first": seconds[0], "again": seconds[1],
                      "peak": memory("VmHWM") - rest, "counts": counts, "nodes": size}))  # fmt: skip


def reset() -> int:
    """Forget the peak of memory so far; bytes in use."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(name: str) -> int:
    """A figure of /proc/self/status, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _times(graph: Any) -> tuple[int, int]:
    """The middle and the end of the log."""
    return int(graph.log.time[len(graph.log) // 2]), int(graph.log.time[-1]) + 1


def _users(graph: Any) -> list[str]:
    ids = graph.nodes["user"].ids
    return [ids[min(code, len(ids) - 1)].as_py() for code in USERS]


def _ego(graph: Any) -> Callable[[], Any]:
    from graphrec.subgraph import ego

    return lambda: ego(graph, _users(graph)[0], time=_times(graph)[1], hops=2, fan_out=32)


def _difference(graph: Any) -> Callable[[], Any]:
    from graphrec.subgraph import difference

    earlier, later = _times(graph)
    return lambda: difference(graph, _users(graph)[0], earlier=earlier, later=later, hops=2, fan_out=32)


def _neighbourhood(graph: Any) -> Callable[[], Any]:
    from graphrec import ModelConfig
    from graphrec.models import Stgat, StgatRanker
    from graphrec.subgraph import model_neighbourhood

    ranker = StgatRanker(graph, Stgat(graph, ModelConfig()))
    return lambda: model_neighbourhood(ranker, _users(graph)[0], time=_times(graph)[1])


def _path(graph: Any) -> Callable[[], Any]:
    from graphrec.subgraph import shortest_path

    users = _users(graph)
    return lambda: shortest_path(graph, ("user", users[1]), target=("user", users[2]), time=_times(graph)[1])


def _adjacency(graph: Any) -> Callable[[], Any]:
    from graphrec.graph import adjacency

    return lambda: adjacency(graph, "user->item", time=_times(graph)[1])


def _pagerank(graph: Any) -> Callable[[], Any]:
    from graphrec.subgraph import personalised_pagerank

    return lambda: personalised_pagerank(graph, _users(graph)[0])


def _motifs(graph: Any) -> Callable[[], Any]:
    from graphrec.subgraph import item_transitions

    return lambda: item_transitions(graph)


def _co_visited(graph: Any) -> Callable[[], Any]:
    from graphrec.subgraph import co_occurring_items

    most = graph.nodes["item"].ids[int(graph.log.item.long().bincount().argmax())].as_py()
    return lambda: co_occurring_items(graph, most)


def _communities(kind: str) -> Callable[[Any], Callable[[], Any]]:
    def prepared(graph: Any) -> Callable[[], Any]:
        from graphrec.subgraph import communities

        return lambda: communities(graph, _times(graph)[1], kind=kind)

    return prepared


def _centralities(graph: Any) -> Callable[[], Any]:
    from graphrec.subgraph import centralities

    return lambda: centralities(graph, _times(graph)[1])


FUNCTIONS: Functions = {
    "ego": ("`ego`, 2 hops, fan-out 32", _ego),
    "difference": ("`difference` of two such, half the log apart", _difference),
    "neighbourhood": ("`model_neighbourhood`, an untrained `stgat`", _neighbourhood),
    "path": ("`shortest_path` between two users, all relations", _path),
    "adjacency": ("`adjacency` of `user->item`", _adjacency),
    "pagerank": ("`personalised_pagerank`", _pagerank),
    "motifs": ("`item_transitions` within a day", _motifs),
    "co_occurring_items": ("`co_occurring_items` with the most visited item", _co_visited),
    "items": ("`communities` of items", _communities("item")),
    "users": ("`communities` of users", _communities("user")),
    "centralities": ("`centralities`", _centralities),
}


def facts(one: dict[str, Any]) -> str:
    """Date, machine, versions and the graph."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    counts = ", ".join(f"{count:,} {kind}{'s' if kind != 'events' else ''}" for kind, count in one["counts"].items())
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} processors, {total:.0f} GiB, "
        f"Python {platform.python_version()}, {versions}.\n{counts}; one thread."
    )


def table(measured: dict[str, dict[str, Any]], functions: Functions | None = None) -> list[str]:
    """A line a function, and one for the open graph."""
    opened, rest = (statistics.median(one[name] for one in measured.values()) for name in ("opened", "rest"))
    lines = ["| | first call, CPU s | again, CPU s | peak memory beside the open graph |", "|---|---:|---:|---:|"]
    lines.append(f"| the open graph itself (median) | {opened:.1f} | | {rest / 2**20:,.0f} MiB in all |")
    for name, one in measured.items():
        size = f" ({one['nodes']:,} nodes)" if one["nodes"] else ""
        figures = f"{one['first']:.2f} | {one['again']:.2f} | {one['peak'] / 2**20:,.0f} MiB"
        lines.append(f"| {(functions or FUNCTIONS)[name][0]}{size} | {figures} |")
    return lines


if __name__ == "__main__":
    main()
