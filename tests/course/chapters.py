"""What the tests of the course read from the notebooks: cells, definitions, exercises."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
HEADING = re.compile(r"^#+ Exercise (\d+\.\d+): (.+)$", re.M)
BYLINE = re.compile(r"^\*(warm-up|core|challenge|open-ended) · (\d+) minutes\*$", re.M)
CHECKED = re.compile(r'^check\("(\d+\.\d+)"', re.M)


@dataclass(frozen=True)
class Announced:
    """An exercise as a chapter shows it: its markdown cell and the code cell below."""

    number: str
    title: str
    level: str
    minutes: int
    text: str
    code: str


@functools.cache
def _all_cells(notebook: Path) -> list[nbformat.NotebookNode]:
    return nbformat.read(notebook, as_version=4).cells


def cells(notebook: Path, kind: str) -> list[str]:
    """Sources of a notebook's cells of that kind, in order."""
    return [c.source for c in _all_cells(notebook) if c.cell_type == kind]


def announced(notebook: Path) -> list[Announced]:
    """The exercises of a chapter, as its cells present them."""
    all_cells, found = _all_cells(notebook), []
    for cell, below in zip(all_cells, all_cells[1:]):
        if cell.cell_type == "markdown" and (heading := HEADING.search(cell.source)):
            byline = BYLINE.search(cell.source)
            assert byline, f"exercise {heading[1]} has no line such as '*core · 10 minutes*'"
            code = below.source if below.cell_type == "code" else ""
            found.append(
                Announced(heading[1], heading[2].strip(), byline[1], int(byline[2]), cell.source, code)
            )
    return found


def definitions(notebook: Path) -> list[ast.stmt]:
    """Imports, functions, classes and ALL_CAPS constants of all code cells but those of exercises, in order."""
    return [
        node for source in cells(notebook, "code") if not CHECKED.search(source) for node in _kept(source)
    ]


def namespace(notebook: Path) -> dict[str, Any]:
    """Run a chapter's definitions and nothing else of it."""
    found: dict[str, Any] = {"__name__": notebook.stem}
    module = ast.Module(body=definitions(notebook), type_ignores=[])
    exec(compile(module, str(notebook), "exec"), found)  # our own notebook, which the tests execute anyway
    return found


def classes(notebook: Path) -> list[str]:
    """Names of the classes that a chapter defines."""
    return [node.name for node in definitions(notebook) if isinstance(node, ast.ClassDef)]


def _kept(source: str) -> Iterator[ast.stmt]:
    for node in ast.parse(source).body:
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
            yield node
        elif isinstance(node, ast.Assign) and all(
            isinstance(target, ast.Name) and target.id.isupper() for target in node.targets
        ):
            yield node
