"""The pages of the API reference: one per package, a section per module, written by Sphinx from the docstrings."""

from __future__ import annotations

import ast
from pathlib import Path

from dicmor_lib.site.addresses import PACKAGE, ROOT

LEFT_OUT = ("dicmor_lib.course.checks", "dicmor_lib.site.conf")
"""Checks of the exercises (they name the mistakes, so reading them spoils the exercises), and Sphinx's settings."""


def packages() -> dict[str, list[str]]:
    """Return the modules of each package, both by dotted name and sorted; the root package comes first."""
    found: dict[str, list[str]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        name = dotted(file)
        if file.name != "__main__.py" and not name.startswith(LEFT_OUT):
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            modules = found.setdefault(package, [])
            if name != package:
                modules.append(name)
    return dict(sorted(found.items()))


def dotted(file: Path) -> str:
    """Return the dotted name of a module of the library."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def summary(name: str) -> str:
    """Return the first sentence of a module's docstring, without importing it."""
    path = ROOT.joinpath(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.partition("\n\n")[0].replace("\n", " ")


def write_reference(folder: Path) -> None:
    """Write the pages of the reference into folder/reference."""
    (folder / "reference").mkdir(parents=True)
    pages = packages()
    for package, modules in pages.items():
        page = folder / "reference" / f"{package}.rst"
        page.write_text(_page(package, modules), encoding="utf-8")
    (folder / "reference" / "index.md").write_text(_index(list(pages)), encoding="utf-8")


def _page(package: str, modules: list[str]) -> str:
    lines = [package, "=" * len(package), "", f".. automodule:: {package}", ""]
    for module in modules:
        lines += ["", module, "-" * len(module), "", f".. automodule:: {module}", "   :members:", ""]
    return "\n".join(lines)


def _index(names: list[str]) -> str:
    lines = ["# API reference", ""]
    lines += ["What the library offers, from its docstrings; one page per package, a section per module.", ""]
    lines += [f"- [{name}]({name}.rst): {summary(name)}" for name in names]
    return "\n".join([*lines, "", "```{toctree}", ":hidden:", "", *names, "```", ""])
