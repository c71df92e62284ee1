"""What the site adds to Sphinx: every named equation is a link, the reference leads to the source, docstrings are plain."""

from __future__ import annotations

import importlib
import inspect
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

from dicmor_lib.site.addresses import MENTION, ONE, PACKAGE, ROOT, equation_place, source_line
from dicmor_lib.site.docstrings import as_rst

NOT_TEXT = (
    nodes.reference,
    nodes.literal,
    nodes.literal_block,
    nodes.math,
    nodes.math_block,
    nodes.title,
    nodes.raw,
)
SIGNATURE = re.compile(r"<dl>\n((?:<dd><em class=\"sig-param\">.*</dd>\n)+)</dl>")
UNSPEAKABLE = re.compile(r"Path\(|re\.compile|<\w")
COMMENT = re.compile(r'(<span class="(?:c1|sd)">)(.*?)(</span>)')


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything with Sphinx."""
    app.add_transform(DisplayedAsWritten)
    app.add_post_transform(EquationLinks)
    # before napoleon, which reads the sections (priority 500)
    app.connect("autodoc-process-docstring", plain_docstring, priority=400)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("object-description-transform", short_values_only)
    app.connect("html-page-context", equations_in_code)
    app.connect("html-page-context", tidy_reference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class DisplayedAsWritten(SphinxTransform):
    """Leave displayed mathematics as it is: Sphinx would wrap some of it in `split`, where no \\tag may stand."""

    default_priority = 500

    def apply(self, **_: Any) -> None:
        for block in self.document.findall(nodes.math_block):
            if "amsmath" not in block["classes"]:  # MyST's word for "do not wrap"
                block["classes"].append("amsmath")


class EquationLinks(SphinxPostTransform):
    """Make a link of every equation that a text names, as in "Eq. (2)"; text within links and code is left alone."""

    default_priority = 5

    def run(self, **_: Any) -> None:
        for text in list(self.document.findall(nodes.Text)):
            if MENTION.search(text) and not _inside(text, NOT_TEXT):
                pieces = named_equations(str(text), nodes.Text, self._link)
                text.parent.replace(text, pieces)

    def _link(self, label: str, number: int) -> nodes.Node:
        page, anchor = equation_place(number) or ("", "")
        if not page:
            return nodes.Text(label)
        here = self.env.docname
        address = "" if page == here else posixpath.relpath(page, posixpath.dirname(here)) + ".html"
        return nodes.reference("", label, internal=True, refuri=f"{address}#{anchor}")


def named_equations(text: str, plain: Callable[[str], Any], link: Callable[[str, int], Any]) -> list[Any]:
    """Split a text at the equations it names; return plain(part) and link(label, number) in order."""
    pieces, end = [], 0
    for mention in MENTION.finditer(text):
        for one in ONE.finditer(text, mention.start(), mention.end()):
            pieces += [plain(text[end : one.start()]), link(one[0], int(one[1]))]
            end = one.end()
    return [*pieces, plain(text[end:])]


def equations_in_code(
    app: Sphinx, page: str, template: str, context: dict, document: nodes.document | None
) -> None:
    """Make links of the equations that comments and docstrings in shown code name ("# Eq. (2)")."""

    def link(label: str, number: int) -> str:
        place = equation_place(number)
        if place is None:
            return label
        address = "" if place[0] == page else context["pathto"](place[0])
        return f'<a href="{address}#{place[1]}">{label}</a>'

    def comment(found: re.Match[str]) -> str:
        return found[1] + "".join(named_equations(found[2], str, link)) + found[3]

    if "body" in context:
        context["body"] = COMMENT.sub(comment, context["body"])


def short_values_only(app: Sphinx, domain: str, kind: str, content: addnodes.desc_content) -> None:
    """Hide the value of a constant that is long, or that names paths or objects of the machine that built the site."""
    if content.parent is None:
        return
    for value in list(content.parent.findall(addnodes.desc_annotation)):
        text = value.astext()
        if text.lstrip().startswith("=") and (len(text) > 100 or UNSPEAKABLE.search(text)):
            value.parent.remove(value)


def tidy_reference(
    app: Sphinx, page: str, template: str, context: dict, document: nodes.document | None
) -> None:
    """Make spans of the <dl> within long signatures, which a screen reader takes for definitions; say "Attributes"."""

    def spans(found: re.Match[str]) -> str:
        lines = found[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
        return f'<span class="sig-lines">{lines}</span>'

    if "body" in context:
        context["body"] = SIGNATURE.sub(spans, context["body"]).replace(">Variables<", ">Attributes<")


def plain_docstring(
    app: Sphinx, what: str, name: str, item: object, options: object, lines: list[str]
) -> None:
    """Hand autodoc a docstring as reStructuredText."""
    lines[:] = as_rst(lines)


def skip_member(app: Sphinx, what: str, name: str, item: object, skip: bool, options: object) -> bool | None:
    """Leave out the fields of named tuples, whose docstrings Python made up; otherwise let autodoc decide."""
    made_up = (inspect.getdoc(item) or "").startswith("Alias for field number")
    return True if made_up else None


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Return where the source of an object of the reference is shown, or None if it has no line of its own."""
    try:
        item: Any = importlib.import_module(info["module"])
        for part in info["fullname"].split("."):
            item = inspect.getattr_static(item, part) if inspect.isclass(item) else getattr(item, part)
        item = inspect.unwrap(getattr(item, "__func__", None) or getattr(item, "fget", None) or item)
        file = Path(inspect.getsourcefile(item) or "").resolve()
        line = inspect.getsourcelines(item)[1]
    except (AttributeError, TypeError, OSError):
        return None
    if not file.is_relative_to(PACKAGE):  # torch in a .venv lies within ROOT too
        return None
    return source_line(file.relative_to(ROOT).as_posix(), line)


def _inside(node: nodes.Node, kinds: tuple[type, ...]) -> bool:
    while node is not None:
        if isinstance(node, kinds):
            return True
        node = node.parent
    return False
