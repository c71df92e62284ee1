"""The page that lists every numbered equation: the formula, the chapter that derives it, the line that computes it."""

from __future__ import annotations

import ast
import json
from typing import Any

from dicmor_lib.course.equations import EQUATIONS, Equation
from dicmor_lib.course.guide import GUIDE
from dicmor_lib.errors import ConfigError
from dicmor_lib.site.addresses import NOTEBOOKS, ROOT, equation_code, source_line
from dicmor_lib.site.chapters import displayed_equations
from dicmor_lib.site.reference import dotted

INTRODUCTION = """# Equations

Every numbered equation of the course: the formula, where it is derived, and the line of code that computes it. The line
bears the number too, and on the pages of the source it leads back to the chapter. (1) and (2) are the numbers of the
paper's supplement; from (3) on they are this course's own.
"""


def equations_page() -> str:
    """Return the page in Markdown.

    Raises:
        ConfigError: if an equation is not displayed in its chapter or not marked in its file.
    """
    formulas = {chapter: displayed_equations(_read(chapter)) for chapter in {e.chapter for e in EQUATIONS}}
    return "\n".join([INTRODUCTION, *(_entry(e, formulas[e.chapter].get(e.number)) for e in EQUATIONS)])


def documented_object(path: str, line: int) -> str:
    """Return the dotted name of the innermost documented class or function around a line of code, else its module.

    Args:
        path: of the file, from the root.
        line: counted from 1.
    """
    names = [dotted(ROOT / path)]
    node: ast.AST = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    inner: Any = node
    while inner is not None:
        inner = next(
            (child for child in ast.iter_child_nodes(node) if _public(child) and _holds(child, line)), None
        )
        if inner is not None:
            names.append(inner.name)
            node = inner
    return ".".join(names)


def _entry(equation: Equation, formula: str | None) -> str:
    if formula is None:
        raise ConfigError(
            f"chapter {equation.chapter} does not display Eq. ({equation.number}); write it as $$ ... "
            f"\\tag{{{equation.number}}} $$ in lines of its own"
        )
    chapter = next(f"{c.number} · {c.title}" for c in GUIDE if c.name == equation.chapter)
    path, line = equation_code(equation.number)
    name = documented_object(path, line)
    # The pages are made by others: plain addresses, which the link checker follows.
    code = source_line(path, line).removeprefix("../")
    return (
        f"## ({equation.number}) {equation.name[0].upper()}{equation.name[1:]}\n\n$$\n{formula}\n$$\n\n"
        f'<p class="equation-code">Derived in '
        f'<a href="chapters/{equation.chapter}.html#equation-{equation.number}">{chapter}</a>, computed in '
        f'<a href="{code}">{path}, line {line}</a></p>\n\n'
        f"Reference: {{py:obj}}`{name.removeprefix('dicmor_lib.')} <{name}>`\n"
    )


def _public(node: ast.AST) -> bool:
    kinds = (ast.ClassDef, ast.FunctionDef)
    return isinstance(node, kinds) and not node.name.startswith("_") and bool(ast.get_docstring(node))


def _holds(node: Any, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _read(chapter: str) -> dict:
    return json.loads((NOTEBOOKS / f"{chapter}.ipynb").read_text(encoding="utf-8"))
