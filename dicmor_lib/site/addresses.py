"""Where everything stands on the site: chapters/, reference/ and source/, one folder deep, and the anchors in them."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from dicmor_lib.course.equations import EQUATIONS, PACKAGE, where
from dicmor_lib.errors import ConfigError

ROOT: Path = PACKAGE.parent
"""The repository."""
NOTEBOOKS: Path = ROOT / "notebooks"
SOLUTIONS: Path = NOTEBOOKS / "solutions"

MENTION: re.Pattern[str] = re.compile(r"\bEqs?\.\s*\(\d+\)(?:(?:,| and| to| or)\s*\(\d+\))*")
"""An equation named in text or code: "Eq. (1)", "Eq. (13), (14)"."""
ONE: re.Pattern[str] = re.compile(r"(?:Eqs?\.\s*)?\((\d+)\)")
"""One number of a mention."""
NUMBERS: frozenset[int] = frozenset(equation.number for equation in EQUATIONS)


def source_page(path: str) -> str:
    """Return the page that shows a file of the repository, such as "source/dicmor_lib.blocks.coupling".

    Args:
        path: from the root, "dicmor_lib/blocks/coupling.py".
    """
    return "source/" + ".".join(PurePosixPath(path.removeprefix("notebooks/")).with_suffix("").parts)


def source_line(path: str, line: int | str) -> str:
    """Return the address of a line, seen from another folder: "../source/dicmor_lib.objective.html#line-12"."""
    return f"../{source_page(path)}.html#line-{line}"


def equation_code(number: int) -> tuple[str, int]:
    """Return the file, from the root, and the line that compute an equation.

    Raises:
        ConfigError: if there is no such equation, or its file does not bear its number.
    """
    path, _, line = where(number).rpartition(":")
    return path, int(line)


def equation_place(number: int) -> tuple[str, str] | None:
    """Return the page and the anchor of a displayed equation, or None if no equation has that number."""
    for equation in EQUATIONS:
        if equation.number == number:
            return f"chapters/{equation.chapter}", f"equation-{number}"
    return None


def shown_files() -> list[str]:
    """Return the files that have a source page: the library's modules and the solutions, from the root, sorted."""
    found = [*PACKAGE.rglob("*.py"), *SOLUTIONS.glob("*.py")]
    return sorted(file.relative_to(ROOT).as_posix() for file in found if "__pycache__" not in file.parts)


def linked_page(target: str, chapter: str) -> str:
    """Return what a chapter's link becomes on the site; links to chapters, anchors and the web stay as they are.

    Args:
        target: as written in the notebook, "../dicmor_lib/blocks/flow.py" or "solutions/".
        chapter: that holds it, for the message.

    Raises:
        ConfigError: if the target is not on the site.
    """
    path, _, anchor = target.partition("#")
    if re.match(r"[a-z]+:", target) or not path or (NOTEBOOKS / path).suffix == ".ipynb":
        return target
    if path in ("solutions", "solutions/"):
        return "../source/index.md"
    file = (NOTEBOOKS / path).resolve()
    name = file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else ""
    if name not in shown_files():
        raise ConfigError(
            f"notebooks/{chapter}.ipynb links to {target!r}, which the site does not show; "
            "link to a chapter, a module of dicmor_lib or a solution"
        )
    return f"../{source_page(name)}.md" + (f"#{anchor}" if anchor else "")
