"""What the shell offers when TAB is pressed: presets, models, settings.

Read from the sources of the package, because importing it would load torch and let the user wait.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

FILES_OF_SETTINGS = (
    "runs/config",
    "models/stgat",
    "models/sasrec",
    "models/lightgcn",
    "models/matrix_factorization",
    "models/item_to_item",
)
"""Modules of graphrec whose ``...Config`` classes hold the settings."""


def preset_names(incomplete: str) -> list[tuple[str, str]]:
    """Presets that begin so, and what each one is."""
    import yaml

    values = yaml.safe_load((_folder("builders") / "mapping" / "presets.yaml").read_text(encoding="utf-8"))
    return [(name, preset["about"]) for name, preset in values.items() if name.startswith(incomplete)]


def model_names(incomplete: str) -> list[str]:
    """Models that begin so."""
    names = (default for _, name, default, _ in _fields() if name == "name")
    return sorted({str(name) for name in names if str(name).startswith(incomplete)})


def setting_names(incomplete: str) -> list[tuple[str, str]]:
    """Settings that begin so, ready for the value, and what each one is."""
    found = {"seed=": "Seed of everything random."}
    for owner, name, _, about in _fields():
        if owner != "RunConfig" and name != "name":
            found.setdefault(f"{name}=", about)
    return [(name, about) for name, about in found.items() if name.startswith(incomplete)]


def device_names(incomplete: str) -> list[str]:
    """Devices that begin so."""
    return [name for name in ("auto", "cpu", "cuda") if name.startswith(incomplete)]


def text_model_names(incomplete: str) -> list[tuple[str, str]]:
    """Text models that need no path, and begin so."""
    known = {"minilm": "384 dimensions, of the extra minilm or the Hugging Face hub", "none": "read no text"}
    return [(name, about) for name, about in known.items() if name.startswith(incomplete)]


def _fields() -> Iterator[tuple[str, str, object, str]]:
    """Class, name, default (where it is a constant) and docstring of each setting."""
    for module in FILES_OF_SETTINGS:
        tree = ast.parse((_folder("graphrec") / f"{module}.py").read_text(encoding="utf-8"))
        for owner in tree.body:
            if isinstance(owner, ast.ClassDef) and owner.name.endswith("Config"):
                for field, after in zip(owner.body, [*owner.body[1:], None], strict=True):
                    if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                        continue
                    if not ast.unparse(field.annotation).startswith("ClassVar"):
                        yield owner.name, field.target.id, _constant(field.value), _brief(_constant(after))


def _brief(about: object) -> str:
    """A docstring on one line of a terminal."""
    return textwrap.shorten(str(about or "").replace("`", ""), 72, placeholder=" ...")


def _constant(node: ast.AST | None) -> object:
    value = node.value if isinstance(node, ast.Expr) else node
    return value.value if isinstance(value, ast.Constant) else None


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(package)
    return Path(spec.origin).parent
