"""Reads CONTRIBUTING.md as a machine would follow it: which files a recipe makes and edits, which commands it runs."""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(python|bash|markdown)\n(.*?)^```$", re.M | re.S)
PLACE = re.compile(r"# (?P<path>\S+), (?P<how>above|below|instead of each|at the end of):? (?P<what>.+)")


@dataclass(frozen=True)
class Recipe:
    """A recipe: `files` path -> content, `edits` (path, how, what, text), `commands` in order."""

    title: str
    files: dict[str, str]
    edits: tuple[tuple[str, str, str, str], ...]
    commands: tuple[str, ...]


def read_recipes(text: str) -> list[Recipe]:
    """Return the recipes of CONTRIBUTING.md: the parts under "### ..." of its section "Recipes"."""
    section = text.split("\n## Recipes\n")[1].split("\n## ")[0]
    titles = re.findall(r"^### (.+)$", section, re.M)
    return [
        _recipe(title, part) for title, part in zip(titles, re.split(r"^### .+$", section, flags=re.M)[1:])
    ]


def _recipe(title: str, part: str) -> Recipe:
    files: dict[str, str] = {}
    edits, commands = [], []
    for language, body in BLOCK.findall(part):
        head, _, rest = body.partition("\n")
        place = PLACE.fullmatch(head)
        if language == "bash":
            commands += body.strip().splitlines()
        elif head.startswith("# new file "):
            files[head.removeprefix("# new file ")] = rest
        else:
            assert place, f"{title}: a block does not say where it goes, its first line is {head!r}"
            edits.append((place["path"], place["how"], place["what"], rest))
    return Recipe(title, files, tuple(edits), tuple(commands))


def follow(recipe: Recipe, root: Path) -> None:
    """Make the recipe's files and edits in a copy of the repository; its commands are not run."""
    for path, content in recipe.files.items():
        assert not (root / path).exists(), f"{recipe.title}: {path} is there already"
        (root / path).write_text(content, encoding="utf-8")
    for path, how, what, text in recipe.edits:
        before = (root / path).read_text(encoding="utf-8")
        (root / path).write_text(edited(before, how, what, text), encoding="utf-8")


def edited(source: str, how: str, what: str, text: str) -> str:
    """Return a file's text after one edit.

    >>> print(edited("if x:\\n    y", "above", "y", "z\\n"))
    if x:
        z
        y
    >>> edited("A = (1, 2)", "at the end of", "A", "3"), edited("a b a", "instead of each", "a", "c\\n")
    ('A = (1, 2, 3)', 'c b c')
    """
    if how == "at the end of":
        return _append(source, what, text.rstrip("\n"))
    if how == "instead of each":
        assert what in source, f"nothing reads {what!r}"
        return source.replace(what, text.rstrip("\n"))
    lines = source.split("\n")
    at = [i for i, line in enumerate(lines) if line.strip().startswith(what)]
    assert len(at) == 1, f"{len(at)} lines start with {what!r}"
    margin = re.match(r"\s*", lines[at[0]])[0]
    place = at[0] + (how == "below")
    return "\n".join(
        [*lines[:place], *textwrap.indent(text.rstrip("\n"), margin).split("\n"), *lines[place:]]
    )


def _append(source: str, name: str, element: str) -> str:
    """Put an element behind the last one of the longest tuple or dict that is assigned to a name."""
    values = [
        node.value
        for node in ast.parse(source).body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        and name
        in [
            t.id for t in getattr(node, "targets", [getattr(node, "target", None)]) if isinstance(t, ast.Name)
        ]
    ]
    assert len(values) == 1, f"{len(values)} assignments to {name}"
    kinds = (ast.Tuple, ast.Dict)
    longest = max(
        (n for n in ast.walk(values[0]) if isinstance(n, kinds)), key=lambda n: n.end_lineno - n.lineno
    )
    last = (longest.values if isinstance(longest, ast.Dict) else longest.elts)[-1]
    lines = source.split("\n")
    line = lines[last.end_lineno - 1].encode()
    lines[last.end_lineno - 1] = (
        line[: last.end_col_offset] + f", {element}".encode() + line[last.end_col_offset :]
    ).decode()
    return "\n".join(lines)
