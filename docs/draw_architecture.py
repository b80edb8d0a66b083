"""Draw docs/images/architecture.svg from the imports: the rooms of the code, the way of a log, the way of a query.

python docs/draw_architecture.py

A room is a package or a module directly below ``graphrec`` or ``builders``; ``cli`` is one room. It stands above
every room that it imports. Of the imports between rooms only those are drawn that no chain of others implies. The
steps of ``LOG`` and ``QUERY`` are checked: each function exists, and its module is imported by that of an earlier step.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
OUT = ROOT / "docs" / "images" / "architecture.svg"
PACKAGES = ("cli", "builders", "graphrec")
LOG = (
    "cli.build.build_command",
    "builders.build.build_graph",
    "builders.engine.connect.connect",
    "builders.ingest.log.open_log",
    "builders.sources.source.detect_source",
    "builders.mapping.column_mapping.guess_mapping",
    "builders.ingest.inputs.ingest",
    "builders.assemble.assembly.assemble",
    "builders.text.vectors.write_vectors",
    "builders.assemble.directory.write_manifest",
)
"""``graphrec build``, in the order of the calls."""
QUERY = (
    "cli.recommend.recommend_command",
    "graphrec.runs.run.Run.open",
    "graphrec.graph.temporal_graph.TemporalGraph.open",
    "graphrec.recommendation.recommend",
    "graphrec.queries.query.Queries.from_user_ids",
    "graphrec.models.ranking.StgatRanker.top",
    "graphrec.queries.sampling.sample",
    "graphrec.models.stgat.Stgat.forward",
    "graphrec.evidence.shares.explain",
)
"""``graphrec recommend``, in the order of the calls."""

ROW, LEFT, TRAIL, CHARACTER = 25, 150, 330, 6.7
"""Height of a row, x of the rooms, x of the first trail, width of a letter of a label."""
LIGHT = {
    "paper": "#ffffff",
    "band": "#f3f5f8",
    "text": "#20262e",
    "dim": "#8a94a0",
    "guide": "#e2e6ec",
    "log": "#1769aa",
    "query": "#b4520a",
}
DARK = {
    "paper": "#1e2229",
    "band": "#2a303a",
    "text": "#e6e9ee",
    "dim": "#7d8794",
    "guide": "#3a424f",
    "log": "#6cb6ff",
    "query": "#ffa657",
}
SHAPES = """
text { font: 13px Helvetica, Arial, sans-serif }
.cli, .title, .package { font-weight: 700 }
.package { text-anchor: end }
.import { fill: none; stroke-width: 1.1; opacity: .8 }
.step { font: 11px Menlo, Consolas, monospace }
.trail { fill: none; stroke-width: 2.2; stroke-linejoin: round }
.number { font-size: 10px; font-weight: 700; text-anchor: middle }
"""
COLOURS = """
text { fill: %(text)s } .paper, .number { fill: %(paper)s } .band { fill: %(band)s }
.import { stroke: %(dim)s } .room, .package { fill: %(dim)s } .guide { stroke: %(guide)s }
.log .trail { stroke: %(log)s } .log circle, .log .step, .log .title { fill: %(log)s }
.query .trail { stroke: %(query)s } .query circle, .query .step, .query .title { fill: %(query)s }
"""
STYLE = f"{SHAPES}{COLOURS % LIGHT}@media (prefers-color-scheme: dark) {{{COLOURS % DARK}}}"


def module_graph() -> grimp.ImportGraph:
    """Every module of the three packages of this checkout with its imports, those inside functions included."""
    if sys.path[0] != str(ROOT):
        sys.path.insert(0, str(ROOT))
    return grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)


def room_of(module: str) -> str:
    """The room that a module is in: ``graphrec.models`` for ``graphrec.models.stgat``."""
    package, *rest = module.split(".")
    return package if package == "cli" or not rest else f"{package}.{rest[0]}"


def room_imports(graph: grimp.ImportGraph) -> dict[str, set[str]]:
    """Of each room, the rooms that it imports; the packages themselves are none."""
    rooms = {room_of(module) for module in graph.modules} - {"builders", "graphrec"}
    imports: dict[str, set[str]] = {room: set() for room in sorted(rooms)}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            importer, target = room_of(module), room_of(imported)
            if importer != target and {importer, target} <= rooms:
                imports[importer].add(target)
    return imports


def rooms_in_order(imports: dict[str, set[str]]) -> list[str]:
    """Rooms by package and then from the top down: each above those that it imports."""

    @cache
    def height(room: str) -> int:
        return 1 + max(map(height, imports[room]), default=0)

    return sorted(imports, key=lambda room: (PACKAGES.index(room.split(".")[0]), -height(room), room))


def direct_imports(imports: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Imports between rooms that no chain of other imports implies."""

    @cache
    def below(room: str) -> frozenset[str]:
        return frozenset(imports[room]).union(*map(below, imports[room]))

    return sorted(
        (room, target)
        for room in imports
        for target in imports[room]
        if not any(target in below(other) for other in imports[room])
    )


def check_steps(graph: grimp.ImportGraph, steps: tuple[str, ...]) -> None:
    """Raise ValueError unless every step is a function whose module an earlier step's module imports."""
    earlier: set[str] = set()
    for step in steps:
        module = next(name for name in _prefixes(step) if name in graph.modules)
        if step.removeprefix(f"{module}.") not in _functions(module):
            raise ValueError(f"docs/draw_architecture.py: no function {step}; name the one that does this step today")
        imported = set().union(*(graph.find_modules_directly_imported_by(name) for name in earlier))
        package = module.rpartition(".")[0]  # imported where it hands the names of the module on
        if earlier and not {module, package} & (imported | earlier):
            raise ValueError(
                f"docs/draw_architecture.py: {module} of {step} is imported by no module of an earlier step"
            )
        earlier.add(module)


def _prefixes(step: str) -> list[str]:
    parts = step.split(".")
    return [".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]


def _functions(module: str) -> set[str]:
    """Functions of a module and methods of its classes (``Run.open``)."""
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return names | {
        f"{node.name}.{part.name}" for node in classes for part in node.body if isinstance(part, ast.FunctionDef)
    }


def picture() -> str:
    """The picture as SVG."""
    graph = module_graph()
    check_steps(graph, LOG)
    check_steps(graph, QUERY)
    imports = room_imports(graph)
    row, bands, bottom = _rows(rooms_in_order(imports))
    query, end = _trail("query", "a query: graphrec recommend", QUERY, row, TRAIL)
    log, width = _trail("log", "a log: graphrec build", LOG, row, TRAIL + 240)
    width = max(width, end)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {bottom:.0f}" role="img" '
        'aria-labelledby="t d">',
        '<title id="t">The rooms of graphrec, and two ways through them</title>',
        f'<desc id="d">{escape(_description(imports))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{width:.0f}" height="{bottom:.0f}" rx="10"/>',
        *(
            f'<rect class="band" x="12" y="{top}" width="{width - 24:.0f}" height="{height}" rx="8"/>'
            for top, height in bands
        ),
        *(_guide(y, width - 24) for room, y in row.items() if room != "cli"),
        *(_package(name, top, width - 24) for name, (top, _) in zip(PACKAGES[1:], bands[1:], strict=True)),
        *(_arc(row[room], row[target]) for room, target in direct_imports(imports)),
        *(_room(room, y) for room, y in row.items()),
        query,
        log,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _description(imports: dict[str, set[str]]) -> str:
    return (
        f"{len(imports)} rooms in the packages {', '.join(PACKAGES)}; curves lead from a room to those it imports. "
        f"A log: {', '.join(LOG)}. A query: {', '.join(QUERY)}."
    )


def _rows(rooms: list[str]) -> tuple[dict[str, int], list[tuple[int, int]], int]:
    """Height of each room's row, top and height of each package's band, height of the picture."""
    row, bands, y = {}, [], 44
    for package in PACKAGES:
        members = [room for room in rooms if room.split(".")[0] == package]
        bands.append((y, ROW * len(members) + 14))
        for room in members:
            row[room] = y + 7 + ROW // 2
            y += ROW
        y += 24
    return row, bands, y


def _room(room: str, y: int) -> str:
    name = room.split(".")[-1]
    kind = ' class="cli"' if room == "cli" else ""
    return f'<circle class="room" cx="{LEFT}" cy="{y}" r="3.5"/><text x="{LEFT + 12}" y="{y + 4.5}"{kind}>{name}</text>'


def _guide(y: int, right: float) -> str:
    """The line that leads the eye from a step far on the right back to its room."""
    return f'<path class="guide" d="M{TRAIL - 24} {y}H{right:.0f}"/>'


def _package(name: str, top: int, right: float) -> str:
    return f'<text class="package" x="{right:.0f}" y="{top + 15}">{name}</text>'


def _arc(start: int, end: int) -> str:
    reach = min(30 + 0.16 * (end - start), LEFT - 24)
    return (
        f'<path class="import" d="M{LEFT} {start}C{LEFT - reach:.0f} {start} {LEFT - reach:.0f} {end} {LEFT} {end}"/>'
    )


def _trail(kind: str, title: str, steps: tuple[str, ...], row: dict[str, int], x: float) -> tuple[str, float]:
    """The numbered steps of a way, each in the row of its room, and where it ends on the right."""
    line, marks = [], []
    first = x
    for number, step in enumerate(steps, 1):
        y = row[room_of(step)]
        label = _label(step)
        line.append(f"{x:.0f} {y}")
        marks.append(
            f'<circle cx="{x:.0f}" cy="{y}" r="8"/><text class="number" x="{x:.0f}" y="{y + 3.5}">{number}</text>'
        )
        marks.append(f'<text class="step" x="{x + 12:.0f}" y="{y - 5}">{label}</text>')
        x += 20 + CHARACTER * len(label)
        line.append(f"{x:.0f} {y}")
    path = f'<path class="trail" d="M{"L".join(line[:-1])}"/>'
    head = f'<text class="title" x="{first - 8:.0f}" y="28">{title}</text>'
    return f'<g class="{kind}">{head}{path}{"".join(marks)}</g>', x + 24


def _label(step: str) -> str:
    """``Run.open`` or ``recommend``: the function, with its class."""
    parts = step.split(".")
    return ".".join(parts[-2:]) if parts[-2][0].isupper() else parts[-1]


def main() -> None:
    """Write the picture."""
    OUT.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
