"""What MkDocs has to be told besides ``mkdocs.yml``: pages that lie elsewhere in the repository or are made.

A link in a page is written as it works in the repository (``../benchmarks/network.md``), so that it can be followed
there too; here it is turned into the link that works on the site. Nothing of MkDocs is imported before a hook of it
runs, since ``tests/test_site.py`` reads the rest without it.
"""

from __future__ import annotations

import ast
import importlib
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "findings/README.md": "findings/index.md",
}
"""Files outside ``docs/`` and the pages that a link to them leads to."""
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")
"""The path of a Markdown link within the repository."""
REFERENCE = {
    "graphrec": "Most used",
    "builders": "Building a graph",
    "builders.text": "Text vectors",
    "graphrec.graph": "The graph and time",
    "graphrec.queries": "Queries and their neighbourhoods",
    "graphrec.models": "Models",
    "graphrec.runs": "Runs and settings",
    "graphrec.training": "Training",
    "graphrec.evaluation": "Evaluation",
    "graphrec.evidence": "Evidence",
    "graphrec.interest": "Interest",
    "graphrec.subgraph": "Subgraphs",
    "graphrec.pictures": "Pictures",
    "graphrec.report": "Report",
    "graphrec.metrics": "Metrics",
    "graphrec.errors": "Errors",
}
"""Packages and modules of the Python reference and their titles; each is a page with its public names."""


def site_path(path: str) -> str:
    """Where a file of the repository (``docs/model.md``) is on the site (``model.md``)."""
    if path in MOVED:
        return MOVED[path]
    if path.startswith("notebooks/") and path.endswith(".ipynb"):
        return path.removesuffix(".ipynb") + ".md"
    return path.removeprefix("docs/")


def copied_files() -> dict[str, Path]:
    """Files outside ``docs/`` that the site has as they are, by their place on the site."""
    found = [ROOT / name for name in MOVED if name != "README.md"] + [ROOT / "LICENSE"]
    found += [path for path in sorted((ROOT / "benchmarks").iterdir()) if path.suffix in (".md", ".py")]
    found += sorted((ROOT / "findings").glob("*.sh"))
    return {site_path(path.relative_to(ROOT).as_posix()): path for path in found}


def made_pages() -> dict[str, Callable[[], str]]:
    """Pages that are made, by their place on the site, in the order of the navigation."""
    pages: dict[str, Callable[[], str]] = {"reference/cli.md": command_line_page}
    pages |= {f"reference/{name}.md": lambda name=name: reference_page(name) for name in REFERENCE}
    pages |= {"decisions/index.md": decisions_page}
    return pages


def notebooks() -> dict[str, Path]:
    """The notebooks, by their page on the site."""
    return {f"notebooks/{path.stem}.md": path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}


def site_files() -> list[str]:
    """Every page and file of the site but pictures that notebooks hold, by its place there."""
    docs = [path.relative_to(ROOT / "docs").as_posix() for path in sorted((ROOT / "docs").rglob("*.*"))]
    return [
        *made_pages(),
        *notebooks(),
        *copied_files(),
        *(path for path in docs if not path.endswith((".py", ".pyc"))),
    ]


def navigation(entries: list[Any]) -> list[Any]:
    """``nav`` of ``mkdocs.yml``, with each folder (``decisions/``) written out as its pages.

    Parameters
    ----------
    entries
        Pages, or ``{title: page or entries}``.
    """
    known = [path for path in site_files() if path.endswith(".md")]
    written: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict):
            ((title, below),) = entry.items()
            below = [below] if str(below).endswith("/") else below
            written.append({title: navigation(below) if isinstance(below, list) else below})
        elif entry.endswith("/"):
            written += [path for path in known if path.startswith(entry)]
        else:
            written.append(entry)
    return written


def command_line_page() -> str:
    """Every command with its options, as ``--help`` has them."""
    import typer.main
    from typer.cli import get_docs_for_click

    from cli.main import app

    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="graphrec"), name="graphrec")
    text = re.sub(r"\*\*Commands\*\*:.*?(?=^## )", "", text, count=1, flags=re.MULTILINE | re.DOTALL)  # cut short there
    text = re.sub(r"^(Example|Start with): (.+)$", r"\1: `\2`", text, flags=re.MULTILINE)
    return text.replace("# `graphrec`", "# The command line", 1)


def reference_names(page: str) -> list[str]:
    """Full names of the objects that a page of the Python reference documents, each on one page only."""
    elsewhere = reference_names("graphrec") if page.startswith("graphrec.") else []
    stub = ROOT / page.replace(".", "/") / "__init__.pyi"
    if not stub.is_file():
        public = (f"{page}.{name}" for name in importlib.import_module(page).__all__)
        return [name for name in public if name not in elsewhere]
    imports = [node for node in ast.parse(stub.read_text()).body if isinstance(node, ast.ImportFrom) and node.module]
    names = [f"{page}.{node.module}.{alias.name}" for node in imports for alias in node.names]
    return [name for name in names if name not in elsewhere]


def reference_page(page: str) -> str:
    """One page of the Python reference: mkdocstrings fills it from the docstrings."""
    names = "\n".join(f"::: {name}\n" for name in reference_names(page))
    return f"# {REFERENCE[page]}\n\nImport these from `{page}`.\n\n{names}"


def decisions_page() -> str:
    """The list of decisions."""
    paths = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    rows = [f"- [{path.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}]({path.name})" for path in paths]
    return "# Decisions\n\nHalf a page for each choice that had real alternatives.\n\n" + "\n".join(rows) + "\n"


def on_config(config: Any) -> Any:
    """Write the folders of the navigation out; name anchors as GitHub does."""
    from pymdownx.slugs import slugify

    config.nav = navigation(config.nav)
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add what does not lie in ``docs/``."""
    from mkdocs.structure.files import File

    for uri, path in copied_files().items():
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    for uri, make in made_pages().items():
        files.append(File.generated(config, uri, content=make()))
    for uri, path in notebooks().items():
        text, pictures = notebook_page(path)
        files.append(File.generated(config, uri, content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def notebook_page(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown with the outputs that are stored in it, and its pictures by name; nothing is run."""
    from nbconvert import MarkdownExporter

    resources = {"unique_key": path.stem, "output_files_dir": f"{path.stem}-pictures"}
    text, found = MarkdownExporter().from_filename(str(path), resources=resources)
    return text, found["outputs"]


def origin(uri: str) -> str:
    """The file of the repository that a page of the site was."""
    for name, moved in MOVED.items():
        if uri == moved and name != "README.md":
            return name
    if uri in notebooks():
        return notebooks()[uri].relative_to(ROOT).as_posix()
    return uri if uri in copied_files() else f"docs/{uri}"


def moved_link(uri: str, link: str) -> str:
    """A link of the page ``uri`` to a file of the repository, as the link from page to page on the site."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin(uri)), link))
    if not (ROOT / path).exists():
        return link
    target = site_path(path) + ("/index.md" if (ROOT / path).is_dir() else "")
    return posixpath.relpath(target, posixpath.dirname(uri) or ".")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links that work in the repository into links that work on the site."""
    return LINK.sub(lambda found: moved_link(page.file.src_uri, found[1]), markdown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Say which pages are in Chinese."""
    return output.replace('<html lang="en"', '<html lang="zh"', 1) if page.file.src_uri == "index.zh.md" else output


def on_post_build(config: Any) -> None:
    """Refuse a site that loads anything from elsewhere."""
    from mkdocs.exceptions import PluginError

    loads = re.compile(
        r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?(?:https?:)?//|<link[^>]*\shref=["']?https?://[^>]*stylesheet"""
    )
    for path in Path(config.site_dir).rglob("*.html"):
        if found := loads.search(path.read_text(encoding="utf-8")):
            raise PluginError(f"{path.name} loads from the network: {found[0][:200]}")
