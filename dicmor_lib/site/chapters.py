"""A notebook made ready for the site: links that work there, alternative texts, equations with anchors and their code."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable

from dicmor_lib.errors import ConfigError
from dicmor_lib.site.addresses import equation_code, linked_page, source_line

LINK = re.compile(r"(?<=\])\(([^()\s]+)\)")
DISPLAYED = re.compile(r"^\$\$((?:(?!\$\$).)*?\\tag\{(\d+)\}.*?)\$\$[ \t]*$", re.DOTALL | re.MULTILINE)
FENCED = re.compile(r"(^```.*?^```|`[^`\n]*`)", re.DOTALL | re.MULTILINE)
PAGE = re.compile(r"\]\(([\w./-]+)\.(?:md|ipynb)\b")
WIDGET = "application/vnd.jupyter.widget-view+json"
NO_WIDGET = "A widget stands here in the running notebook; the figures beside it show what it can show."


def prepare(notebook: dict, name: str) -> dict:
    """Return a chapter as the site shows it; the notebook given is left alone.

    Args:
        notebook: as read from its JSON (format 4).
        name: of the file without its suffix, for links and messages.

    Raises:
        ConfigError: if a link leads nowhere on the site or a picture has no alternative text.
    """
    notebook = copy.deepcopy(notebook)
    notebook["metadata"].pop("widgets", None)  # state without a kernel is of no use to a reader
    for index, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "markdown":
            cell["source"] = markdown("".join(cell["source"]), name)
        else:
            _outputs(cell, name, index)
    return notebook


def markdown(text: str, chapter: str) -> str:
    """Return a text of a chapter with its links and its numbered equations made ready; code in it is left alone."""

    def outside_code(change: Callable[[str], str], text: str) -> str:
        parts = FENCED.split(text)  # every second one is code
        return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))

    # Brackets around code are links too ([`fit`](...)), so only a whole fence keeps its parentheses.
    fences = re.split(r"(^```.*?^```)", text, flags=re.DOTALL | re.MULTILINE)
    linked = (
        p if i % 2 else LINK.sub(lambda m: f"({linked_page(m[1], chapter)})", p) for i, p in enumerate(fences)
    )
    return outside_code(_anchored, "".join(linked))


def displayed_equations(notebook: dict) -> dict[int, str]:
    """Return the formulas of a chapter's numbered equations, each in TeX with its tag."""
    texts = ("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return {int(found[2]): found[1].strip() for text in texts for found in DISPLAYED.finditer(text)}


def _anchored(text: str) -> str:
    """Put an anchor before each numbered equation, and behind it where it is computed."""

    def around(found: re.Match[str]) -> str:
        number = int(found[2])
        path, line = equation_code(number)
        code = f'<a href="{source_line(path, line)}">{path}, line {line}</a>'
        return (
            f"\n(equation-{number})=\n$${found[1]}$$\n\n"
            f'<p class="equation-code">Eq. ({number}) is computed in {code}.</p>\n'
        )

    return DISPLAYED.sub(around, text)


def _outputs(cell: dict, name: str, index: int) -> None:
    """Give pictures their alternative text, mend links in Markdown outputs, and say where a widget was."""
    alts = set()
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if WIDGET in data:
            output["data"] = {"text/plain": NO_WIDGET}
        elif "text/markdown" in data:
            # unlike the text of a chapter, an output is not searched for pages by Sphinx
            shown = markdown("".join(data["text/markdown"]), name)
            data["text/markdown"] = PAGE.sub(r"](\1.html", shown)
        elif "image/png" in data:
            alts.add(output.get("metadata", {}).get("image/png", {}).get("alt", ""))
    if not alts:
        return
    if len(alts) > 1 or "" in alts:
        raise ConfigError(
            f"cell {index} of notebooks/{name}.ipynb shows a picture without an alternative text of its own; "
            "show one HouseFigure per cell and execute the chapter again"
        )
    cell["metadata"].setdefault("mystnb", {})["image"] = {"alt": alts.pop()}
