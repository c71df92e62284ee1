"""The pages that are written for the site: equations, source, reference, the first page."""

from __future__ import annotations

import re
from html import unescape

import pytest

from dicmor_lib.course.equations import EQUATIONS, where
from dicmor_lib.course.guide import GUIDE
from dicmor_lib.errors import ConfigError
from dicmor_lib.site import equations_page
from dicmor_lib.site.addresses import PACKAGE, ROOT, shown_files
from dicmor_lib.site.equations_page import documented_object
from dicmor_lib.site.landing import card, landing_page
from dicmor_lib.site.reference import LEFT_OUT, dotted, packages, summary
from dicmor_lib.site.sources import highlighted, index


class TestEquations:
    page = equations_page.equations_page()

    @pytest.mark.parametrize("equation", EQUATIONS, ids=lambda e: f"({e.number})")
    def test_each_has_its_formula_chapter_line_and_reference(self, equation):
        entry = next(part for part in self.page.split("\n## ") if part.startswith(f"({equation.number}) "))
        path, _, line = where(equation.number).rpartition(":")
        assert f"\\tag{{{equation.number}}}" in entry
        assert f'"chapters/{equation.chapter}.html#equation-{equation.number}"' in entry
        assert f".html#line-{line}" in entry and f"{path}, line {line}" in entry
        assert re.search(r"\{py:obj\}`\S+ <" + re.escape(dotted(ROOT / path)), entry)

    def test_they_come_in_order(self):
        assert [int(n) for n in re.findall(r"^## \((\d+)\)", self.page, re.MULTILINE)] == [
            e.number for e in EQUATIONS
        ]

    def test_an_equation_that_no_chapter_displays_is_refused(self, monkeypatch):
        monkeypatch.setattr(equations_page, "displayed_equations", lambda notebook: {})
        with pytest.raises(ConfigError, match=r"does not display Eq. \(1\); write it as"):
            equations_page.equations_page()

    def test_the_innermost_documented_object_is_named(self):
        path = "dicmor_lib/blocks/coupling.py"
        assert documented_object(path, 1) == "dicmor_lib.blocks.coupling"
        line = next(i for i, t in enumerate((ROOT / path).read_text().splitlines(), 1) if "# Eq. (2)" in t)
        assert documented_object(path, line) == "dicmor_lib.blocks.coupling.AffineCoupling.inverse"


class TestSource:
    def test_a_line_has_the_number_that_it_has_in_the_file(self):
        pytest.importorskip("pygments", reason="the extra `site` is not installed")
        code = '\n\n"""Text\nover lines."""\nx = "<&>"  # Eq. (1)\n'
        page = highlighted(code)
        lines = re.findall(r'<span id="line-(\d+)">(.*?)\n</span>', page, re.DOTALL)
        shown = {int(n): re.sub(r"<span class=\"linenos\">.*?</span>", "", text) for n, text in lines}
        text = {n: unescape(re.sub("<.*?>", "", line)) for n, line in shown.items()}
        assert [text[n] for n in range(1, 6)] == code.split("\n")[:5]

    def test_the_index_names_every_file(self):
        assert all("](/source/" in line for line in index().splitlines() if line.startswith("- "))
        assert index().count("\n- [") == len(shown_files())


class TestReference:
    def test_every_public_module_is_in_it_once(self):
        modules = [name for package, inner in packages().items() for name in (package, *inner)]
        files = {dotted(f) for f in PACKAGE.rglob("*.py") if f.name != "__main__.py"}
        assert len(modules) == len(set(modules))
        assert set(modules) == {name for name in files if not name.startswith(LEFT_OUT)}

    def test_every_package_says_what_it_is(self):
        assert all(summary(package).endswith((".", ":")) for package in packages())


class TestFirstPage:
    def test_it_leads_to_every_chapter_and_every_list(self):
        page = landing_page(glossary=True)
        targets = [f"(chapters/{c.name}.ipynb)" for c in GUIDE]
        targets += ["(equations.md)", "(glossary.md)", "(reference/index.md)", "(source/index.md)"]
        assert all(target in page for target in targets)
        assert "glossary" not in landing_page(glossary=False).lower()

    @pytest.mark.parametrize("chapter", GUIDE, ids=lambda c: c.name)
    def test_a_card_says_how_much_there_is_to_do(self, chapter):
        assert re.search(r"^  [1-9]\d* exercises · [\d.]+ min on 2 cores$", card(chapter), re.MULTILINE)
