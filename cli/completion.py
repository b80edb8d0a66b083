"""Shell completion of presets, models and settings.

Read from the source files of the package, because importing it would load torch, which is slow.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path


def preset_names(incomplete: str) -> list[tuple[str, str]]:
    """Presets that begin so, and what each one is."""
    import yaml

    values = yaml.safe_load((_folder("builders") / "mapping" / "presets.yaml").read_text(encoding="utf-8"))
    return [(name, preset["about"]) for name, preset in values.items() if name.startswith(incomplete)]


def model_names(incomplete: str) -> list[str]:
    """Models that begin so, those of installed packages included."""
    names = {*_built_in(), *(point.name for point in entry_points(group="graphrec.models"))}
    return sorted(name for name in names if name.startswith(incomplete))


def setting_names(incomplete: str) -> list[tuple[str, str]]:
    """Settings that begin so, ready for the value, and what each one is."""
    settings = {"seed=": "Seed of everything random."}
    for name, description in _fields():
        settings.setdefault(f"{name}=", description)
    return [(name, description) for name, description in settings.items() if name.startswith(incomplete)]


def device_names(incomplete: str) -> list[str]:
    """Devices that begin so."""
    return [name for name in ("auto", "cpu", "cuda") if name.startswith(incomplete)]


def text_model_names(incomplete: str) -> list[tuple[str, str]]:
    """Text models that need no path, and begin so."""
    known = {"minilm": "384 dimensions, of the extra minilm or the Hugging Face hub", "none": "read no text"}
    return [(name, description) for name, description in known.items() if name.startswith(incomplete)]


def _built_in() -> dict[str, str]:
    """Name of each built-in model, and where its entry is."""
    for statement in _tree(_folder("graphrec") / "models" / "registry.py").body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "BUILT_IN":
            return dict(ast.literal_eval(statement.value))
    return {}


def _fields() -> Iterator[tuple[str, str]]:
    """Name and one-line description of each setting, from the classes whose names end with Config."""
    files = [_folder("graphrec") / "runs" / "config.py", *sorted(_folder("graphrec").glob("models/*.py"))]
    for owner in (statement for file in files for statement in _tree(file).body):
        if isinstance(owner, ast.ClassDef) and owner.name.endswith("Config") and owner.name != "RunConfig":
            for field, after in zip(owner.body, [*owner.body[1:], None], strict=True):
                if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                    continue
                if field.target.id != "name" and not ast.unparse(field.annotation).startswith("ClassVar"):
                    description = str(_constant(after) or "").replace("`", "")
                    yield field.target.id, textwrap.shorten(description, 72, placeholder=" ...")


def _tree(file: Path) -> ast.Module:
    """A source file, parsed."""
    return ast.parse(file.read_text(encoding="utf-8"))


def _constant(node: ast.AST | None) -> object:
    return node.value.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else None


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(package)
    return Path(spec.origin).parent
